"""Networks with one interface: the packaged hint network, ONNX files of the user's, and a registry."""
