"""Makers of small networks for the tests: an ONNX file with a card, and a patch classifier trained on three tones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from videocolor.published.config import PerceptronConfig
from videocolor.published.patches import bordered, fit_perceptron, save_network

Array = NDArray[Any]

CODEBOOK = np.array([[40.0, 20.0], [-30.0, 25.0], [-10.0, -60.0]], np.float32)
"""u*, v* of dark, middle and light places."""


def make_onnx(
    path: Path,
    matrix: Sequence[Sequence[float]],
    bias: Sequence[float],
    *,
    card: str | None = "input: {color: gray_rgb}\noutput: {color: ab}\n",
    size: tuple[int | str, int | str] = ("h", "w"),
    batch: int | str = "n",
    stride: int = 1,
    layout: str = "nchw",
    half: bool = False,
    opset: int = 17,
    names: tuple[str, str] = ("input", "output"),
) -> Path:
    """Write a network that is one 1x1 convolution: output = matrix @ channels + bias, every `stride` pixels."""
    from onnx import TensorProto, helper, numpy_helper

    kind, dtype = (TensorProto.FLOAT16, np.float16) if half else (TensorProto.FLOAT, np.float32)
    weights = np.asarray(matrix, dtype)[:, :, None, None]
    tensors = [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(np.asarray(bias, dtype), "bias")]
    inner = names if layout == "nchw" else ("first", "last")
    nodes = [helper.make_node("Conv", [inner[0], "weights", "bias"], [inner[1]], strides=[stride, stride])]
    if layout == "nhwc":
        nodes.insert(0, helper.make_node("Transpose", [names[0]], ["first"], perm=[0, 3, 1, 2]))
        nodes.append(helper.make_node("Transpose", ["last"], [names[1]], perm=[0, 2, 3, 1]))
    small = [side // stride if isinstance(side, int) else f"{side}_out" for side in size]

    def shape(channels: int, sides: Sequence[int | str]) -> list[int | str]:
        return [batch, channels, *sides] if layout == "nchw" else [batch, *sides, channels]

    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info(names[0], kind, shape(weights.shape[1], size))],
        [helper.make_tensor_value_info(names[1], kind, shape(weights.shape[0], small))],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    if card is not None:
        path.with_suffix(".yaml").write_text(card)
    return path


def three_tones(seed: int, size: tuple[int, int] = (40, 56)) -> tuple[Array, Array]:
    """(h, w) L* of dark, middle and light blots, and which of the three each pixel is."""
    rng = np.random.default_rng(seed)
    blots = np.kron(rng.integers(0, 3, (size[0] // 8, size[1] // 8)), np.ones((8, 8), int))
    return (20 + 30 * blots + rng.normal(0, 2, size)).astype(np.float32), blots


def make_patches(path: Path, patch: int = 3) -> Path:
    """Train a patch classifier that tells dark, middle and light apart, and write its weights file."""
    lightness, labels = three_tones(0)
    windows = np.lib.stride_tricks.sliding_window_view(bordered(lightness, patch), (patch, patch))
    rows = np.ascontiguousarray(windows).reshape(-1, patch * patch)
    settings = PerceptronConfig(max_iter=60)
    classifier, _ = fit_perceptron(rows, labels.reshape(-1), (12,), settings, 0)
    save_network(path, classifier, CODEBOOK, {})
    return path
