"""Motion: its convention, its accuracy on known motion, and where it must not be trusted."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest
import skimage.data

from videocolor.motion.flow import FlowEstimator, consistency, resize_flow, warp
from videocolor.types import Array

HEIGHT, WIDTH = 160, 288


def scene() -> Array:
    """(h, w) float32 textured luma, larger than a frame."""
    return cv2.resize(skimage.data.astronaut().mean(axis=2).astype(np.float32), (400, 400))


def crop(x: float, y: float) -> Array:
    frame = cv2.getRectSubPix(scene(), (WIDTH, HEIGHT), (200 + x, 200 + y))
    return np.clip(np.rint(frame), 0, 255).astype(np.uint8)


def inner(image: Array, rim: int = 24) -> Array:
    return image[rim:-rim, rim:-rim]


def test_warp_by_the_flow_from_a_to_b_aligns_b_to_a() -> None:
    a, b = crop(0, 0), crop(5, -3)
    flow = FlowEstimator().flow(a, b)
    assert flow.shape == (HEIGHT, WIDTH, 2) and flow.dtype == np.float32
    # The camera went right and up, so what stood at x stands at x - 5 and y + 3 now.
    assert np.median(inner(flow), axis=(0, 1)) == pytest.approx([-5, 3], abs=0.3)
    aligned = warp(b.astype(np.float32), flow)
    assert np.abs(inner(aligned) - inner(a)).mean() < 0.3 * np.abs(inner(b).astype(float) - inner(a)).mean()


def test_warp_takes_planes_first_or_last() -> None:
    rng = np.random.default_rng(0)
    image = rng.normal(size=(2, 20, 30)).astype(np.float32)
    flow = rng.normal(size=(20, 30, 2)).astype(np.float32)
    first = warp(image, flow)
    last = np.moveaxis(warp(np.moveaxis(image, 0, -1).copy(), flow), -1, 0)
    assert np.allclose(first, last, atol=0.1)  # OpenCV rounds places to 1/32 pixel for several channels
    assert np.array_equal(first[1], warp(image[1], flow))
    still = np.zeros_like(flow)
    assert np.array_equal(warp(image, still), image)
    with pytest.raises(ValueError, match="grid"):
        warp(image, np.zeros((10, 10, 2), np.float32))


def test_warp_shifts_by_whole_pixels_and_repeats_the_border() -> None:
    image = np.arange(12, dtype=np.float32).reshape(3, 4)
    flow = np.zeros((3, 4, 2), np.float32)
    flow[..., 0] = 1
    assert np.array_equal(warp(image, flow), image[:, [1, 2, 3, 3]])


def test_resized_flow_keeps_its_meaning() -> None:
    flow = np.full((10, 20, 2), (2.0, -3.0), np.float32)
    assert np.allclose(resize_flow(flow, (30, 40)), (4.0, -9.0))
    assert resize_flow(flow, (10, 20)) is flow


@pytest.mark.parametrize("quality", ["fast", "fine"])
def test_exposure_is_no_motion(quality: str) -> None:
    estimator = FlowEstimator(quality)  # type: ignore[arg-type]
    a = crop(0, 0)
    for gain, offset in ((1.4, 0), (0.6, 0), (1.0, 40), (0.8, -15)):
        b = np.clip(a * gain + offset, 0, 255).astype(np.uint8)
        assert np.abs(inner(estimator.flow(a, b))).mean() < 0.3, (gain, offset)
        trust = estimator.motion(estimator.prepare(a), estimator.prepare(b)).trust_a
        assert trust.mean() > 0.8, (gain, offset)


def test_trust_is_high_on_a_pan_and_low_on_what_leaves_the_picture() -> None:
    estimator = FlowEstimator()
    motion = estimator.motion(estimator.prepare(crop(0, 0)), estimator.prepare(crop(16, 0)))
    # 16 pixels are eight of the half grid: the leftmost of a are not in b, the rightmost of b not in a.
    assert motion.trust_a[:, 16:].mean() > 0.8
    assert motion.trust_a[8:-8, :5].mean() < 0.2
    assert motion.trust_b[8:-8, -5:].mean() < 0.2


def test_trust_is_low_where_something_is_uncovered_and_across_a_cut() -> None:
    estimator = FlowEstimator()
    rng = np.random.default_rng(1)
    ball = cv2.resize(rng.uniform(0, 255, (20, 20)).astype(np.float32), (60, 60))

    def frame(x: int) -> Array:
        picture = crop(0, 0)
        picture[50:110, x : x + 60] = ball
        return picture

    a, b = estimator.prepare(frame(100)), estimator.prepare(frame(130))
    trust = estimator.motion(a, b).trust_b
    assert trust[27:53, 51:62].mean() < 0.35  # uncovered in b: x 100..130
    assert trust[:20].mean() > 0.9
    other = cv2.resize(skimage.data.coins(), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    assert estimator.motion(a, estimator.prepare(other)).trust_a.mean() < 0.35


def test_consistency_of_a_still_is_full() -> None:
    zero = np.zeros((HEIGHT, WIDTH, 2), np.float32)
    trust = consistency(zero, zero, crop(0, 0), crop(0, 0))
    assert trust.dtype == np.float32 and trust.min() > 0.99 and trust.max() <= 1


@pytest.mark.parametrize("level", [0, 17, 255])
def test_flat_and_tiny_pictures(level: int) -> None:
    estimator = FlowEstimator()
    for shape in ((1, 1), (3, 50), (16, 16), (33, 47)):
        picture = np.full(shape, level, np.uint8)
        flow = estimator.flow(picture, picture)
        assert flow.shape == (*shape, 2) and np.abs(flow).max() < 1e-3
        motion = estimator.motion(estimator.prepare(picture), estimator.prepare(picture))
        assert np.isfinite(motion.trust_a).all() and motion.trust_a.min() > 0.9


def test_results_do_not_depend_on_earlier_calls() -> None:
    one, two = FlowEstimator(), FlowEstimator()
    two.flow(crop(9, 9), crop(-9, 0))
    assert np.array_equal(one.flow(crop(0, 0), crop(3, 1)), two.flow(crop(0, 0), crop(3, 1)))


def test_an_unknown_quality_is_refused() -> None:
    with pytest.raises(ValueError, match="fast, fine, detailed"):
        FlowEstimator("best")  # type: ignore[arg-type]


def test_both_directions_with_trust_cost_little() -> None:
    """Three milliseconds of CPU is what the data path can afford; six leave room for a busy machine."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        estimator = FlowEstimator()
        a, b = estimator.prepare(crop(0, 0)), estimator.prepare(crop(4, 2))
        costs = []
        for _ in range(9):
            begin = time.thread_time()
            estimator.motion(a, b)
            costs.append(time.thread_time() - begin)
        assert float(np.median(costs)) < 6e-3
    finally:
        cv2.setNumThreads(threads)
