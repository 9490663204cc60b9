"""Windows, keyframes, and where shards may end."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import cv2
import numpy as np
import pytest
import skimage.data

from videocolor.motion.flow import FlowEstimator, Step
from videocolor.pipeline.scheduling import (
    GreedyShards,
    KeyframePolicy,
    ListedShards,
    ShardCounter,
    ShotProgress,
    ShotSchedule,
    shard_starts,
    windows,
)
from videocolor.pipeline.smoothing import Delay
from videocolor.types import Array

SMOOTHED, PLAIN = Delay(16, 8), Delay()


def pan(step: int) -> list[Step]:
    """16 frames of a camera that moves by so many pixels a frame, and the motion between them."""
    rng, flow = np.random.default_rng(6), FlowEstimator()
    wide = cv2.resize(skimage.data.camera(), (900, 380), interpolation=cv2.INTER_AREA).astype(np.float32)
    views = [wide[40:136, step * t : step * t + 160] + rng.normal(0, 2, (96, 160)) for t in range(16)]
    pictures: list[Array] = [flow.prepare(np.clip(view, 0, 255).astype(np.uint8)) for view in views]
    return [(pictures[0], None), *((b, flow.motion(a, b)) for a, b in pairwise(pictures))]


def test_windows_are_consecutive() -> None:
    schedule = ShotSchedule(1, 3, PLAIN)
    assert list(windows(range(7), schedule, 0)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(windows([], schedule, 0)) == []


@pytest.mark.parametrize(
    ("references", "first", "lengths"),
    [
        ((0, 50, 100), 0, [63, 50, 7]),
        ((0, 50, 100), 35, [28, 50, 7]),  # where a shard begins
        ((100,), 0, [16, 16, 16, 16, 49, 7]),
        ((0, 10), 0, [23, *[16] * 6, 1]),
        ((7, 30, 55), 0, [43, 25, 16, 16, 16, 4]),  # the last one that a window can hold
        ((), 0, [*[16] * 7, 8]),
    ],
)
def test_windows_hold_reference_frames(references: tuple[int, ...], first: int, lengths: list[int]) -> None:
    """And 12 frames after them. A window is no shorter for it, and never longer than it may be."""
    schedule = ShotSchedule(8, 16, SMOOTHED, references, longest=64)
    found = list(windows(range(first, 120), schedule, first))
    assert [len(window) for window in found] == lengths
    assert [frame for window in found for frame in window] == list(range(first, 120))


def test_keyframes_are_added_where_something_new_comes() -> None:
    assert KeyframePolicy(8).choose(pan(1)) == [0, 8]
    chosen = KeyframePolicy(8).choose(pan(20))
    assert {0, 8} < set(chosen) and chosen == sorted(set(chosen))
    assert KeyframePolicy(1).choose([(np.zeros((4, 4), np.uint8), None)] * 3) == [0, 1, 2], "without motion, each"


@pytest.mark.parametrize(
    ("delay", "window", "pauses"),
    [
        (SMOOTHED, 16, [24, 40, 56]),
        (SMOOTHED, 32, [24, 56]),
        (SMOOTHED, 5, [17, 37, 57]),
        (PLAIN, 16, [16, 32, 48, 64]),
    ],
)
def test_a_shot_pauses_where_all_earlier_frames_are_finished(delay: Delay, window: int, pauses: list[int]) -> None:
    shot, found = ShotProgress(ShotSchedule(8, window, delay), 0), []
    for frames in windows(range(80), shot.schedule, 0):
        if shot.paused:
            found.append(shot.next)
        shot.take(len(frames))
    assert found == pauses[: len(found)] and len(found) >= len(pauses) - 1
    assert shot.next + shot.finish() == shot.next == 80 and shot.waiting == 0


def test_shards_end_at_cuts_or_inside_very_long_shots() -> None:
    def rule() -> GreedyShards:
        return GreedyShards(Fraction(2), Fraction(4), Fraction(10))

    plain, hinted = ShotSchedule(8, 16, SMOOTHED), ShotSchedule(8, 16, SMOOTHED, cost=4.0)
    assert shard_starts([(range(0, 30), plain), (range(30, 40), plain), (range(40, 50), plain)], rule()) == [0, 30]
    assert shard_starts([(range(0, 200), plain)], rule()) == [0, 40, 88, 136, 184]
    assert shard_starts([(range(0, 200), hinted)], rule())[:4] == [0, 24, 40, 56], "their frames cost more"
    shots = [(range(0, 200), plain), (range(200, 210), hinted)]
    starts = shard_starts(shots, rule())
    assert shard_starts(shots, ListedShards(starts[1:])) == starts, "the same places are asked for"
    assert shard_starts(shots, ListedShards([41])) == [0], "not where a shot cannot pause"


def test_a_continued_shot_counts_on() -> None:
    """From a pause on, the same questions are asked, and no question before the first window."""
    schedule = ShotSchedule(8, 16, SMOOTHED)
    counter, shot = ShardCounter(ListedShards([24, 40]), 3), ShotProgress(schedule, 24)
    shot.waiting = 8
    assert not counter.may_pause(shot)
    counter.passed(shot, shot.take(16))
    assert counter.may_pause(shot) and (shot.next, counter.shard) == (40, 4)
