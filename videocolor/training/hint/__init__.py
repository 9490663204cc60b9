"""Training of the hint network."""
