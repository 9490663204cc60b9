"""Features of several keyframes, averaged along motion and by likeness."""

from __future__ import annotations

import numpy as np
import pytest

from videocolor.models.base import KeyframeMotion
from videocolor.models.keyframe.regions import Evidence, Head
from videocolor.models.keyframe.together import average_features
from videocolor.motion.flow import grid
from videocolor.types import Array

SHAPE = (16, 32)
HEAD = Head(np.zeros((1, 2)), np.ones(1), (np.zeros((1, 3)), np.zeros(1)), (np.zeros((2, 3)), np.zeros(2)))
BACKGROUND, COAT = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)


def keyframe(coat_at: int, coat: tuple[float, float, float] = COAT) -> Evidence:
    """A bright background, and a dark coat 8 pixels wide."""
    luma = np.full(SHAPE, 0.8, np.float32)
    features = np.broadcast_to(np.float32(BACKGROUND)[:, None, None], (3, *SHAPE)).copy()
    luma[:, coat_at : coat_at + 8] = 0.2
    features[:, :, coat_at : coat_at + 8] = np.float32(coat)[:, None, None]
    return Evidence(luma, features, HEAD)


def still(n: int, confidence: float) -> Array:
    """(n, 3, h, w): nothing moves."""
    way = np.stack([*np.moveaxis(grid(*SHAPE), -1, 0), np.full(SHAPE, confidence, np.float32)])
    return np.stack([way] * n)


def motion(n: int, confidence: float, features: Array | None = None) -> KeyframeMotion:
    """Nothing moves; nothing is known of what comes before and after."""
    back, ahead = still(n, confidence), still(n, confidence)
    ahead[-1, 2] = 0
    if features is None:
        back[0, 2] = 0
    return KeyframeMotion(back, ahead, features)


def test_what_stays_is_the_mean_of_all_keyframes() -> None:
    views = [(0.0, value, 0.0) for value in (1.0, 2.0, 6.0)]
    means, _ = average_features([keyframe(8, view) for view in views], motion(3, 1.0))
    for mean in means:
        assert mean[1, :, 10:14] == pytest.approx(3, abs=1e-4)
        assert mean[0, :, 20:] == pytest.approx(1, abs=1e-4)


def test_a_single_keyframe_keeps_its_features() -> None:
    only = keyframe(8)
    np.testing.assert_array_equal(average_features([only], motion(1, 0.0))[0][0], only.features)


def test_what_motion_lost_is_found_again() -> None:
    """The coat goes 6 pixels to the right, and the second view of it says something else."""
    first, second = keyframe(4), keyframe(10, (0.0, 0.8, 0.6))
    means, _ = average_features([first, second], motion(2, 0.0))
    assert means[1][2, :, 13:16].max() < 0.5 and means[0][2, :, 6:10].min() > 0.05
    assert means[1][0, :, 13:16].max() < 0.1, "the background at that place does not count"


def test_what_is_new_keeps_its_features() -> None:
    new = keyframe(14, (0.0, 0.0, 1.0))
    new.luma[:, 14:22] = 0.5
    means, _ = average_features([keyframe(4), new], motion(2, 0.0))
    assert means[1][2, :, 16:20].min() > 0.95


def test_two_windows_continue_each_other() -> None:
    views = [keyframe(8, (0.0, value, 0.0)) for value in (1.0, 2.0, 6.0)]
    _, known = average_features(views[:2], motion(2, 1.0))
    (last,), _ = average_features(views[2:], motion(1, 1.0, known))
    assert last[1, :, 10:14] == pytest.approx(3, abs=1e-4)


def test_old_keyframes_count_less() -> None:
    known = None
    for _ in range(30):
        _, known = average_features([keyframe(8)], motion(1, 1.0, known))
    (last,), _ = average_features([keyframe(8, (0.0, 13.0, 0.0))], motion(1, 1.0, known))
    assert last[1, :, 10:14] == pytest.approx(2, abs=1e-3)  # 11 of 1 and one of 13
