"""Scores of coloured film against the truth."""
