"""Hints: read, align, match to shots."""
