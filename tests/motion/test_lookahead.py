"""Motion that is found ahead: what the smoother finds itself, whoever finds it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import skimage.data
from damage import frames_of
from videocolor.motion.lookahead import with_motion

from videocolor.motion.flow import FlowEstimator, Motion, Quality
from videocolor.pipeline.prepare import Prepared
from videocolor.pipeline.smoothing import ChromaSmoother
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
def test_it_is_what_the_smoother_finds(quality: Quality, workers: int) -> None:
    marked = film(pan(9))
    moved = [item for _, item in with_motion(marked, lambda _: FlowEstimator(quality), workers)]
    alone, told = (ChromaSmoother(flow=FlowEstimator(quality)) for _ in range(2))
    grays = [item.gray for item in moved]
    assert alone.plan(grays, 4) == told.plan(grays, 4, steps=[item.step for item in moved])
    pairs = list(zip(alone.planned_steps(), told.planned_steps(), strict=True))
    for number, ((picture, motion), (other, found)) in enumerate(pairs):
        np.testing.assert_array_equal(picture, other)
        assert (motion is None) == (found is None) == (number == 0)
        if motion is not None and found is not None:
            for name in ("ab", "ba", "trust_a", "trust_b"):
                np.testing.assert_array_equal(getattr(motion, name), getattr(found, name))


def test_the_smoother_searches_only_for_what_it_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    moved = [item for _, item in with_motion(film(pan(6)), lambda _: FlowEstimator())]
    smoother = ChromaSmoother()
    searched: list[Array] = []
    search = smoother._flow.motion

    def watched(a: Array, b: Array) -> Motion:
        searched.append(b)
        return search(a, b)

    monkeypatch.setattr(smoother._flow, "motion", watched)
    smoother.plan([item.gray for item in moved], 4, steps=[item.step for item in moved])
    assert not searched
    later = film(pan(2))[1][1]
    smoother.plan([later.gray], 4, steps=[None])
    assert len(searched) == 1


def test_no_motion_leads_over_a_cut() -> None:
    moved = list(with_motion(film(pan(3), pan(2)), lambda _: FlowEstimator()))
    assert [number for number, _ in moved] == [0, 0, 0, 1, 1]
    assert [item.step is not None and item.step[1] is not None for _, item in moved] == [False, True, True, False, True]
    assert all(item.without_step().step is None for _, item in moved)


def test_a_shot_that_nothing_is_carried_in_is_left_alone() -> None:
    marked = film(pan(2), pan(2))
    moved = list(with_motion(marked, lambda number: FlowEstimator() if number else None))
    assert [pair[1] for pair in moved[:2]] == [pair[1] for pair in marked[:2]]
    assert moved[3][1].step is not None
