"""The page's network is the film's network, which several threads share."""

from __future__ import annotations

import threading

import numpy as np

from videocolor.models.base import Colorizer
from videocolor.models.registry import load_colorizer
from videocolor.pipeline.keyframe_motion import unknown_motion
from videocolor.studio.live import _InTurn, _staged


def test_all_that_a_network_does_reaches_the_network() -> None:
    public = {name for name in vars(Colorizer) if not name.startswith("_")}
    assert public - vars(_InTurn).keys() == set()


def test_keyframes_without_a_hint_are_decided_together_as_in_the_film() -> None:
    network = load_colorizer("hint", threads=1, automatic="keyframe")
    luma = np.random.default_rng(0).random((2, 64, 64), np.float32)
    found = [
        one.step_together(one.begin([]), luma, unknown_motion(2, (16, 16)))
        for one in (network, _InTurn(_staged(network, 1), threading.Lock()))
    ]
    assert found[0].features is not None and found[1].features is not None
    np.testing.assert_array_equal(found[0].ab, found[1].ab)
    np.testing.assert_array_equal(found[0].features, found[1].features)
