"""The data path: a film's frames in, colored frames out. Start with `path.py`."""
