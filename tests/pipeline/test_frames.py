"""Motion that is found ahead of the stages that need it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import skimage.data
from damage import frames_of

from videocolor.motion.flow import FlowEstimator, Motion, Quality
from videocolor.pipeline.frames import with_motion
from videocolor.shots.prepare import Prepared
from videocolor.types import Array


def pan(frames: int) -> list[Array]:
    wide = cv2.resize(skimage.data.camera(), (600, 380), interpolation=cv2.INTER_AREA)
    return [np.ascontiguousarray(wide[40:136, 7 * t : 7 * t + 160]) for t in range(frames)]


def film(*shots: list[Array]) -> list[tuple[int, Prepared]]:
    frames = iter(frames_of([gray for grays in shots for gray in grays]))
    return [
        (number, Prepared(next(frames), gray.astype(np.float32) / 255, gray))
        for number, grays in enumerate(shots)
        for gray in grays
    ]


@pytest.mark.parametrize("quality", ["fast", "detailed"])
@pytest.mark.parametrize("workers", [1, 3])
def test_motion_is_that_between_a_frame_and_the_one_before(quality: Quality, workers: int) -> None:
    grays, flow = pan(9), FlowEstimator(quality)
    moved = list(with_motion(film(grays), lambda _: FlowEstimator(quality), workers))
    assert [frame.item.gray is gray for frame, gray in zip(moved, grays, strict=True)] == [True] * 9
    for number, frame in enumerate(moved):
        np.testing.assert_array_equal(frame.picture, flow.prepare(grays[number]))
        motion = frame.moment.motion
        assert (motion is None) == (number == 0)
        if motion is not None:
            expected: Motion = flow.motion(moved[number - 1].picture, frame.picture)
            for name in ("ab", "ba", "trust_a", "trust_b"):
                np.testing.assert_array_equal(getattr(motion, name), getattr(expected, name))


def test_no_motion_leads_over_a_cut() -> None:
    moved = list(with_motion(film(pan(3), pan(2)), lambda _: FlowEstimator()))
    assert [frame.shot for frame in moved] == [0, 0, 0, 1, 1]
    assert [frame.moment.motion is not None for frame in moved] == [False, True, True, False, True]


def test_no_motion_is_found_where_nothing_needs_it() -> None:
    moved = list(with_motion(film(pan(2), pan(2)), lambda number: FlowEstimator() if number else None))
    assert [frame.moment.motion is not None for frame in moved] == [False, False, False, True]
    assert moved[1].picture is moved[1].item.gray
