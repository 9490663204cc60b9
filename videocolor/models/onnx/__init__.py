"""ONNX image colorizers of the user's, described by a card."""
