"""Coloring in stages gives the same numbers, and computes a frame's features once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from videocolor.models.hint.runtimes import OnnxRuntime
from videocolor.models.hint.staged import StagedRuntime
from videocolor.models.registry import find_artifact


def test_stages_give_the_numbers_of_the_packaged_graphs() -> None:
    pytest.importorskip("onnxruntime")
    runtime = OnnxRuntime(find_artifact("default"), 1)
    staged = StagedRuntime(runtime, 1)
    random = np.random.default_rng(0)
    luma, ab = random.random((1, 1, 64, 96), np.float32), random.random((1, 2, 64, 96), np.float32) - 0.5
    ran: list[Any] = []
    assert staged._sessions is not None
    session = staged._sessions["features"]
    staged._sessions["features"] = type(
        "Counted", (), {"run": lambda _, *inputs: (ran.append(1), session.run(*inputs))[1]}
    )()
    for row in (8, 24):
        mask = np.zeros((1, 1, 64, 96), np.float32)
        mask[..., row : row + 16, 32:64] = 1
        tokens = [one.encode(luma, ab, mask) for one in (runtime, staged)]
        painted = tokens[0][2][0] > 0
        keys, values, valid = (part[:, painted] for part in tokens[0])
        inputs = (luma, keys, values, valid, keys, np.zeros((1, 4, 32, 48), np.float32))
        colors = [one.colorize(*inputs) for one in (runtime, staged)]
        for mine, theirs in zip((*tokens[0], *colors[0]), (*tokens[1], *colors[1]), strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-4)
    assert len(ran) == 1
