"""Motion between keyframes, composed of the frames between."""

from __future__ import annotations

import numpy as np
import pytest

from videocolor.motion.flow import Motion
from videocolor.pipeline.keyframe_motion import KeyframeTracker, unknown_motion
from videocolor.types import Array

SHAPE = (8, 16)
LARGE = (16, 32)


def right(pixels: float, trust: float = 1.0) -> Motion:
    """Everything goes to the right, in pixels of the features' grid."""
    flow = np.zeros((*LARGE, 2), np.float32)
    flow[..., 0] = 2 * pixels
    plane = np.full(LARGE, trust, np.float32)
    return Motion(flow, -flow, plane, plane * np.float32(0.5))


def x_of(way: Array) -> float:
    """Where the pixel (3, 8) is."""
    return float(way[0, 3, 8])


def test_ways_are_composed_both_ways() -> None:
    motion = KeyframeTracker().follow([None, right(1), right(2), right(1)], [0, 2, 3], SHAPE)
    assert [x_of(way) for way in motion.back] == pytest.approx([8, 5, 7])
    assert motion.back[:, 2, 3, 8] == pytest.approx([0, 0.25, 0.5])
    assert [x_of(way) for way in motion.ahead] == pytest.approx([11, 9, 8])
    assert motion.ahead[:, 2, 3, 8] == pytest.approx([1, 1, 0])
    assert motion.features is None


def test_windows_continue_each_other() -> None:
    tracker = KeyframeTracker()
    tracker.follow([None, right(1)], [0], SHAPE)
    tracker.state.features = np.ones((1, *SHAPE), np.float32)
    motion = tracker.follow([right(1), right(1)], [1], SHAPE)
    assert x_of(motion.back[0]) == pytest.approx(5) and motion.back[0, 2, 3, 8] == pytest.approx(0.125)
    assert motion.features is tracker.state.features


def test_unknown_motion_has_no_confidence() -> None:
    motion = unknown_motion(2, SHAPE)
    assert motion.back.shape == motion.ahead.shape == (2, 3, *SHAPE)
    assert not motion.back[:, 2].any() and motion.features is None


def test_without_motion_nothing_is_followed() -> None:
    motion = KeyframeTracker().follow([None, None], [0, 1], SHAPE)
    assert not motion.back[:, 2].any() and not motion.ahead[:, 2].any()
