"""Optical flow and matching between pictures."""
