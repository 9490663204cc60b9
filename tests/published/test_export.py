"""Exported systems give what torch gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_models import make_patches

from tests.published.tiny import tiny_models
from videocolor.errors import OutputError, UsageError
from videocolor.models.base import HintInput
from videocolor.models.registry import export_model, load_colorizer
from videocolor.published.fusion import as_square


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["p", "h", "r", "f"])
def test_a_graph_colors_as_its_system(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    import onnxruntime
    import torch

    weights = make_patches(tmp_path / "p.safetensors") if kind == "p" else tiny_models(tmp_path)[kind]
    path, card = export_model(weights, tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    net: Any = load_colorizer(weights, device="cpu", threads=1)
    luma = np.random.default_rng(0).random((2, 96, 64), np.float32)
    hint = HintInput(luma[0], np.full((2, 96, 64), 20, np.float32))
    memory = net.begin([hint] if net.card.hints == "one" else [])
    inputs = {"luma": luma[:, None]}
    if kind == "h":
        inputs["hint"] = np.broadcast_to(memory.hint, (2, *memory.hint.shape))
    if kind == "f":
        original = torch.from_numpy(luma[:, None])
        square, _ = as_square(original, net.net.settings)
        inputs = {"square": square.numpy(), "original": original.numpy()}
    (ab,) = session.run(["ab"], inputs)
    if kind == "f":
        expected = net._run(net.net, *inputs.values()) * 128
        assert np.abs(expected).max() > 1
    else:
        expected = net.step(memory, luma).ab
        factor = ab.shape[2] // expected.shape[2]
        ab = ab.reshape(2, 2, expected.shape[2], factor, expected.shape[3], factor).mean(axis=(3, 5))
    assert np.abs(ab - expected).max() < 0.05
    about = json.loads(card.read_text())
    assert set(inputs) < set(about["tensors"]) and about["card"]["name"] == net.card.name
    with pytest.raises(OutputError, match="--overwrite"):
        export_model(weights, path)
    with pytest.raises(UsageError, match=r"\.onnx only"):
        export_model(weights, tmp_path / "net.xml")
