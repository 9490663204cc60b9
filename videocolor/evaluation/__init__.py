"""Scores of colored film against the truth."""
