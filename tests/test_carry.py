"""A hint's colour on its way through a shot: where it goes, what is trusted, what is mended."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest
import skimage.data

from videocolor.carry import RELOCK_EVERY, HintCarrier, Places, Step
from videocolor.flow import FlowEstimator, grid
from videocolor.types import Array

HEIGHT, WIDTH = 96, 160


def world() -> tuple[Array, Array]:
    """(h, w) float32 luma in 8-bit levels and (2, h, w) a*b*, larger than a frame."""
    rgb = cv2.resize(skimage.data.astronaut(), (320, 320), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    return rgb.mean(axis=2).astype(np.float32), np.moveaxis(lab[..., 1:], -1, 0)


def view(plane: Array, x: float, y: float = 0.0) -> Array:
    return cv2.getRectSubPix(plane, (WIDTH, HEIGHT), (120 + x, 110 + y))


def pan(frames: int, speed: float) -> tuple[list[Array], list[Array]]:
    """Grays and a*b* of a camera that moves to the right."""
    luma, ab = world()
    grays = [np.rint(view(luma, speed * i)).clip(0, 255).astype(np.uint8) for i in range(frames)]
    return grays, [np.stack([view(plane, speed * i) for plane in ab]) for i in range(frames)]


def steps_of(grays: list[Array], flow: FlowEstimator) -> list[Step]:
    pictures = [flow.prepare(gray) for gray in grays]
    return [(pictures[0], None), *((b, flow.motion(a, b)) for a, b in pairwise(pictures))]


def test_colour_arrives_where_its_place_has_gone() -> None:
    grays, truth = pan(21, 1.5)
    flow = FlowEstimator("detailed")
    carrier = HintCarrier((HEIGHT, WIDTH), flow)
    carried = carrier.follow(grays, steps_of(grays, flow), {0: truth[0]}, {10, 20})
    assert set(carried) == {10, 20}
    ab, trust, brighter = carried[20][:2], carried[20][2], carried[20][3]
    inside = (slice(None), slice(8, -8), slice(8, WIDTH - 40))
    error, still = np.abs(ab - truth[20])[inside].mean(), np.abs(truth[0] - truth[20])[inside].mean()
    assert error < 0.15 * still
    assert trust[8:-8, 8:-40].mean() > 0.9 and trust[:, -20:].mean() < 0.2  # what came in on the right was not there
    assert abs(float(brighter[8:-8, 8:-40].mean())) < 0.01


def test_windows_change_nothing() -> None:
    grays, truth = pan(12, 1.0)
    flow = FlowEstimator("detailed")
    steps = steps_of(grays, flow)
    whole = HintCarrier((48, 80), flow).follow(grays, steps, {2: truth[2]}, {1, 11})
    parts = HintCarrier((48, 80), flow)
    first = parts.follow(grays[:5], steps[:5], {2: truth[2]}, {1})
    second = parts.follow(grays[5:], steps[5:], {}, {6})
    assert set(whole) == {11} and not first  # nothing is carried to frames before the hint
    np.testing.assert_array_equal(whole[11], second[6])
    assert whole[11].shape == (4, 48, 80)


def test_a_later_hint_takes_over() -> None:
    grays, _ = pan(4, 0.0)
    flow = FlowEstimator("detailed")
    red, blue = np.full((2, 20, 30), 50, np.float32), np.full((2, 40, 60), -40, np.float32)
    carried = HintCarrier((48, 80), flow).follow(grays, steps_of(grays, flow), {0: red, 2: blue}, {1, 2, 3})
    assert carried[1][:2] == pytest.approx(50) and carried[3][:2] == pytest.approx(-40)
    assert 2 not in carried  # it is the hint itself


def test_relocking_mends_drift_and_trusts_what_it_sees() -> None:
    grays, _ = pan(2, 4.0)
    flow = FlowEstimator("detailed")
    first, now = (flow.prepare(gray) for gray in grays)
    places = Places(HEIGHT, WIDTH)
    truth = grid(HEIGHT, WIDTH) + np.array([4, 0], np.float32)
    places.at = truth + np.float32(1.5)
    places.trust[:] = 0.01
    places.relock(now, first, flow)
    inner = (slice(8, -8), slice(8, -12))
    assert np.linalg.norm((places.at - truth)[inner], axis=-1).mean() < 0.5
    assert places.trust[inner].mean() > 0.85
    assert RELOCK_EVERY >= 1


def test_nothing_is_trusted_across_another_picture() -> None:
    luma, _ = world()
    other = np.ascontiguousarray(luma[::-1, ::-1])
    grays = [np.rint(view(p, 0)).astype(np.uint8) for p in (luma, luma, other, other, other, other)]
    flow = FlowEstimator("detailed")
    ab = np.full((2, HEIGHT, WIDTH), 30, np.float32)
    carried = HintCarrier((HEIGHT, WIDTH), flow).follow(grays, steps_of(grays, flow), {0: ab}, {1, 5})
    assert carried[1][2].mean() > 0.95
    assert carried[5][2].mean() < 0.15
