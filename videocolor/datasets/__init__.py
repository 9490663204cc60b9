"""Training data: packs of frames and frame pairs."""
