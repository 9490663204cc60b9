"""Weights by which faces of every tone are seen equally often."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def skin(root: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`benchmarks/skin.py`, which imports its neighbors as a program does."""
    pytest.importorskip("skimage")
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    module = import_module("skin")
    for name in ("skin", "keyframe"):
        if name not in before:
            monkeypatch.delitem(sys.modules, name)
    return module


def test_every_tone_is_drawn_equally_often(skin: Any) -> None:
    tones = {f"{tone} {number}": [tone] for tone, count in ((0, 2), (1, 8), (3, 4)) for number in range(count)}
    weights = skin.balanced({**tones, "no face": []}, 6.0)
    assert weights.keys() == tones.keys()
    drawn = {tone: sum(weights[name] for name, found in tones.items() if found == [tone]) for tone in (0, 1, 3)}
    assert drawn == pytest.approx({0: 8.0, 1: 8.0, 3: 8.0})


def test_weights_are_means_and_limited(skin: Any) -> None:
    tones = {"rare": [4], "both": [4, 0], **{str(number): [0] for number in range(19)}}
    assert skin.balanced(tones, 6.0) == {"rare": 6.0, "both": 5.5, **{str(number): 1.0 for number in range(19)}}
    assert skin.balanced({"none": []}, 6.0) == {}
