"""adapters/comfyui: the node's functions with tensors."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from scenes import pan
from small_networks import Brown

from videocolor.color import rgb_to_lab
from videocolor.errors import UsageError


@pytest.fixture(scope="module")
def node(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("comfyui_videocolor", root / "adapters/comfyui/__init__.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_a_batch_becomes_a_film_in_color_and_a_hint_returns(node: ModuleType) -> None:
    truth = torch.from_numpy(pan(4, 2).astype(np.float32) / 255)
    inputs = node.VideocolorColorize.INPUT_TYPES()
    assert {*inputs["required"], *inputs["optional"]} == {
        "images",
        "fps",
        "one_shot",
        "saturation",
        "hints",
        "hint_frames",
    }
    made = node.NODE_CLASS_MAPPINGS["VideocolorColorize"]()
    gray = (truth @ torch.from_numpy(node.LUMA))[..., None].repeat(1, 1, 1, 3)
    (color,) = made.colorize(gray, one_shot=True, hints=truth[1:2], hint_frames="1", colorizer=Brown())
    assert color.shape == truth.shape and color.dtype == torch.float32
    assert torch.abs(color @ torch.from_numpy(node.LUMA) - gray[..., 0]).max() < 2e-3
    a, b = (rgb_to_lab(p[1].numpy().transpose(2, 0, 1))[1:] for p in (truth, color))
    assert np.hypot(*(a - b)).mean() < 1, "the hint at its own frame"


def test_bad_input_is_said(node: ModuleType) -> None:
    with pytest.raises(ValueError, match="expected 2 different numbers"):
        node.frame_numbers("3", 2)
    with pytest.raises(ValueError, match="expected numbers of frames"):
        node.frame_numbers("first", 1)
    with pytest.raises(UsageError, match="no frames to color"):
        node.VideocolorColorize().colorize(torch.zeros(0, 8, 8, 3), colorizer=Brown())
