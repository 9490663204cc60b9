"""Shots: detect cuts, scan a film, read and write shot lists."""
