"""Frames that explain a film: chosen, and colored by the network, by a person, or by a program of the user."""
