"""A hint's colour on its way through a shot: where it goes, what is trusted, what is mended."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
import skimage.data

from videocolor.carry import RELOCK_EVERY, HintCarrier, Places, Step, with_arrived
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
    arrival = HintCarrier(flow).follow(grays, steps_of(grays, flow), {0: truth[0]})[20]
    assert arrival is not None
    ab = np.moveaxis(arrival.chroma(HEIGHT, WIDTH), -1, 0)
    trust, brighter = arrival.as_input(grays[20], (HEIGHT, WIDTH))[2:]
    inside = (slice(None), slice(8, -8), slice(8, WIDTH - 40))
    error, still = np.abs(ab - truth[20])[inside].mean(), np.abs(truth[0] - truth[20])[inside].mean()
    assert error < 0.15 * still
    assert trust[8:-8, 8:-40].mean() > 0.9 and trust[:, -20:].mean() < 0.2  # what came in on the right was not there
    assert abs(float(brighter[8:-8, 8:-40].mean())) < 0.01


def test_windows_change_nothing() -> None:
    grays, truth = pan(12, 1.0)
    flow = FlowEstimator("detailed")
    steps = steps_of(grays, flow)
    whole = HintCarrier(flow).follow(grays, steps, {2: truth[2]})
    parts = HintCarrier(flow)
    pieces = parts.follow(grays[:5], steps[:5], {2: truth[2]}) + parts.follow(grays[5:], steps[5:], {})
    assert [a is None for a in whole] == [True, True, True] + [
        False
    ] * 9  # nothing is carried to frames before the hint
    for number in range(3, 12):
        one, other = whole[number], pieces[number]
        assert one is not None and other is not None
        told = one.as_input(grays[number], (48, 80))
        np.testing.assert_array_equal(told, other.as_input(grays[number], (48, 80)))
        assert told.shape == (4, 48, 80)


def test_a_later_hint_takes_over() -> None:
    grays, _ = pan(4, 0.0)
    flow = FlowEstimator("detailed")
    red, blue = np.full((2, 20, 30), 50, np.float32), np.full((2, 40, 60), -40, np.float32)
    came = HintCarrier(flow).follow(grays, steps_of(grays, flow), {0: red, 2: blue})
    assert came[1] is not None and came[1].chroma(48, 80) == pytest.approx(50)
    assert came[3] is not None and came[3].chroma(48, 80) == pytest.approx(-40)
    assert came[2] is None  # it is the hint itself


def test_memory_goes_on_as_the_carrier_would() -> None:
    """Two hints are on their way at the same time: frames that wait still have the older one."""
    grays, truth = pan(12, 1.0)
    flow = FlowEstimator("detailed")
    steps = steps_of(grays, flow)
    whole = HintCarrier(flow)
    whole.follow(grays, steps, {1: truth[1], 4: truth[4]})
    first, second = HintCarrier(flow), HintCarrier(flow)
    first.follow(grays[:6], steps[:6], {1: truth[1], 4: truth[4]})
    for _ in range(2):
        whole.leave()
        first.leave()
    second.recall(first.memory())
    second.follow(grays[6:], steps[6:], {})
    assert first.memory().keys() >= {"hint.0.ab", "hint.1.ab"}
    for number in range(2, 12):
        one, other = whole.leave(), second.leave()
        assert (one is None) == (other is None) == (number == 4)
        if one is not None and other is not None:
            np.testing.assert_array_equal(one.chroma(HEIGHT, WIDTH), other.chroma(HEIGHT, WIDTH))
            np.testing.assert_array_equal(one.trust, other.trust)


def test_a_carrier_without_hints_has_an_empty_memory() -> None:
    grays, _ = pan(3, 1.0)
    flow = FlowEstimator("detailed")
    first, second = HintCarrier(flow), HintCarrier(flow)
    first.follow(grays, steps_of(grays, flow), {})
    second.recall(first.memory())
    assert [second.leave() for _ in grays] == [None] * 3


def test_fine_colour_of_the_painted_frame_comes_back() -> None:
    """Stripes that the small grid cannot show are there again, a pan later, and only where they were seen."""
    grays, _ = pan(9, 2.0)
    flow = FlowEstimator("detailed")
    stripes = np.tile(np.where(np.arange(400) % 4 < 2, 20.0, -20.0).astype(np.float32), (400, 1))
    truth = [np.stack([view(stripes, 2.0 * i)] * 2) for i in (0, 8)]
    arrival = HintCarrier(flow).follow(grays, steps_of(grays, flow), {0: truth[0]})[8]
    assert arrival is not None
    mud = np.zeros((2, HEIGHT, WIDTH), np.float32)
    fine = with_arrived(mud, arrival)
    seen = (slice(None), slice(8, -8), slice(8, -40))
    assert (
        np.abs(fine - truth[1])[seen].mean() < 0.4 * np.abs(truth[1])[seen].mean()
    )  # eight frames on, four fifths are taken
    assert np.abs(fine[:, :, -12:]).mean() < 2  # came into the picture later


def test_less_of_it_is_taken_the_longer_the_way_and_nothing_where_it_is_not_trusted() -> None:
    grays, _ = pan(41, 0.0)
    flow = FlowEstimator("detailed")
    red = np.full((2, HEIGHT, WIDTH), 60, np.float32)
    arrivals = HintCarrier(flow).follow(grays, steps_of(grays, flow), {0: red})
    decided = np.zeros((2, HEIGHT, WIDTH), np.float32)
    shares = []
    for place in (1, 10, 40):
        arrival = arrivals[place]
        assert arrival is not None and arrival.age == place
        shares.append(float(with_arrived(decided, arrival).mean()) / 60)
        blind = replace(arrival, trust=np.zeros_like(arrival.trust))
        np.testing.assert_array_equal(with_arrived(decided, blind), decided)
    assert 0.95 > shares[0] > shares[1] > shares[2] > 0.5


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
    came = HintCarrier(flow).follow(grays, steps_of(grays, flow), {0: ab})
    assert came[1] is not None and came[1].trust.mean() > 0.95
    assert came[5] is not None and came[5].trust.mean() < 0.15
