"""Color that follows motion, holds still, survives flashes and reaches uncovered areas."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import cv2
import numpy as np
import pytest
import skimage.data
from skimage.color import deltaE_ciede2000

from videocolor.config import SmoothingConfig
from videocolor.motion.flow import FlowEstimator
from videocolor.pipeline.smoothing import SMOOTHERS, KalmanSmoother, Moment, Observation, Smoother, moment_of
from videocolor.pipeline.state import from_arrays, to_arrays
from videocolor.types import Array

HEIGHT, WIDTH = 96, 160


def still() -> Array:
    """(h, w) float32 textured luma in 8-bit levels."""
    picture = cv2.resize(skimage.data.camera()[100:400, :], (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    return picture.astype(np.float32)


def paint(a: float, b: float) -> Array:
    return np.stack([np.full((HEIGHT, WIDTH), a, np.float32), np.full((HEIGHT, WIDTH), b, np.float32)])


def grained(frame: Array, rng: np.random.Generator) -> Array:
    return np.clip(frame + rng.normal(0, 2, frame.shape), 0, 255).astype(np.uint8)


def difference(lumas: list[Array], ab: Array, truth: Array) -> Array:
    """(n, h, w) dE00 of colors at the frames' lightness."""
    lightness = np.stack(lumas).astype(np.float32)[..., None] * np.float32(100 / 255)

    def lab(x: Array) -> Array:
        return np.concatenate([lightness, np.moveaxis(x, 1, -1)], axis=-1)

    return np.asarray(deltaE_ciede2000(lab(ab), lab(truth)))


def moments_of(lumas: list[Array]) -> list[Moment]:
    """Frames of a shot with the motion between them."""
    flow = FlowEstimator()
    pictures = [flow.prepare(luma) for luma in lumas]
    motions = [None, *(flow.motion(a, b) for a, b in itertools.pairwise(pictures))]
    return [moment_of(luma, motion) for luma, motion in zip(lumas, motions, strict=True)]


def run(lumas: list[Array], seen: Mapping[int, Observation], *, every: int = 8, decay: float = 0.9) -> Array:
    """(n, 2, h, w): all frames, smoothed in windows of `every`."""
    return smoothed(KalmanSmoother(decay=decay), moments_of(lumas), seen, every)


def smoothed(smoother: Smoother, moments: list[Moment], seen: Mapping[int, Observation], every: int) -> Array:
    waiting: list[Moment] = []
    out: list[Array] = []
    for place, moment in enumerate(moments):
        if place in seen:
            smoother.observe(moment, *seen[place])
        waiting.append(moment)
        if place % every == every - 1:
            count = smoother.delay.ready(len(waiting))
            out += smoother.smooth(waiting, count)
            del waiting[:count]
    out += smoother.smooth(waiting, len(waiting), last=True)
    assert len(out) == len(moments)
    return np.stack(out)


def disc_film(frames: int = 40, step: float = 2.5) -> tuple[list[Array], Array, Array]:
    """A textured disc moves over a textured still: lumas, (n, 2, h, w) a*b*, (n, h, w) bool disc."""
    rng = np.random.default_rng(0)
    background = still()
    pattern = cv2.resize(skimage.data.coins()[:120, :120], (44, 44), interpolation=cv2.INTER_AREA).astype(np.float32)
    lumas, colors, discs = [], [], []
    for t in range(frames):
        center = (24 + step * t, HEIGHT / 2)
        disc = np.zeros((HEIGHT, WIDTH), np.uint8)
        shift = 4
        cv2.circle(disc, (round(center[0] * 2**shift), round(center[1] * 2**shift)), 20 << shift, 1, -1, shift=shift)
        move = np.array([[1, 0, center[0] - 22], [0, 1, center[1] - 22]], np.float32)
        inside = cv2.warpAffine(pattern, move, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
        on = disc > 0
        lumas.append(grained(np.where(on, inside, background), rng))
        colors.append(np.where(on, paint(55, 35), paint(-10, -18)))
        discs.append(on)
    return lumas, np.stack(colors), np.stack(discs)


@pytest.mark.parametrize("anchors", [1, 4])
def test_a_moving_disc_leaves_no_trail(anchors: int) -> None:
    lumas, truth, disc = disc_film()
    seen = {t: (truth[t], 1.0) for t in range(0, len(lumas), anchors)}
    error = difference(lumas, run(lumas, seen), truth)
    was_there = np.cumsum(disc, axis=0) > 0
    # The trail: where the disc was before, three pixels clear of where it is now.
    near = np.stack([cv2.dilate(d.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0 for d in disc])
    trail = was_there & ~near
    assert trail[10:].any(axis=(1, 2)).all()
    assert max(float(e[m].mean()) for e, m in zip(error[5:], trail[5:], strict=True)) <= 2
    assert float(error[trail].mean()) <= 1
    core = np.stack([cv2.erode(d.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0 for d in disc])
    assert float(error[core].mean()) <= 2


def test_the_trail_test_sees_trails() -> None:
    """The same measure on plain averaging over time, which does leave a trail."""
    lumas, truth, disc = disc_film()
    mean, ghost = truth[0].copy(), []
    for color in truth:
        mean = 0.9 * mean + 0.1 * color
        ghost.append(mean)
    near = np.stack([cv2.dilate(d.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0 for d in disc])
    trail = (np.cumsum(disc, axis=0) > 0) & ~near
    assert float(difference(lumas, np.stack(ghost), truth)[trail].mean()) > 5


@pytest.mark.parametrize("every", [1, 8, 32])
def test_noise_on_a_still_falls_to_a_third_on_every_frame(every: int) -> None:
    rng = np.random.default_rng(1)
    lumas = [grained(still(), rng) for _ in range(40)]
    truth = paint(12, -20)
    seen = {t: (truth + rng.normal(0, 4, truth.shape).astype(np.float32), 1.0) for t in range(40)}
    out = run(lumas, seen, every=every)
    spread = [float(np.std(frame - truth)) for frame in out]
    assert max(spread) <= 4 / 3
    assert abs(float((out - truth).mean())) < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("anchors", [1, 4])
@pytest.mark.parametrize("length", [1, 2])
def test_a_flash_in_luma_does_not_flash_in_color(anchors: int, length: int) -> None:
    rng = np.random.default_rng(2)
    flash = range(20, 20 + length)
    lumas = [grained(still() * (1.4 if t in flash else 1), rng) for t in range(40)]
    truth = paint(15, 25)
    wild = paint(-40, -30)
    seen = {t: (wild if t in flash else truth, 1.0) for t in range(0, 40, anchors)}
    error = difference(lumas, run(lumas, seen), np.stack([truth] * 40))
    assert error.mean(axis=(1, 2)).max() <= 1
    assert difference(lumas, np.stack([wild] * 40), np.stack([truth] * 40))[20].mean() > 20


def test_a_lasting_change_of_light_is_no_flash() -> None:
    rng = np.random.default_rng(2)
    lumas = [grained(still() * (0.6 if t < 20 else 1), rng) for t in range(40)]
    before, after = paint(15, 25), paint(5, -20)
    out = run(lumas, {t: (before if t < 20 else after, 1.0) for t in range(40)})
    assert np.abs(out[39] - after).mean() < 4
    assert np.abs(out[0] - before).mean() < 4


def test_a_new_smoother_knows_nothing_of_the_shot_before() -> None:
    rng = np.random.default_rng(3)
    lumas = [grained(still(), rng) for _ in range(12)]
    first = run(lumas, {t: (paint(40, 40), 1.0) for t in range(12)})
    second = run(lumas, {t: (paint(-30, 5), 1.0) for t in range(12)})
    assert np.allclose(first, paint(40, 40), atol=1e-3)
    assert np.allclose(second, paint(-30, 5), atol=1e-3)


@pytest.mark.parametrize("place", [0, 13, 21, 39])
def test_a_painted_frame_comes_back(place: int) -> None:
    rng = np.random.default_rng(4)
    lumas, truth, _ = disc_film()
    seen: dict[int, Observation] = {t: (truth[t] * 0.3 + 10, 1.0) for t in range(0, 40, 4)}
    hint = truth[place] + rng.normal(0, 5, truth[place].shape).astype(np.float32)
    seen[place] = (hint, 1e4)
    out = run(lumas, seen)
    error = difference([lumas[place]], out[place][None], hint[None])
    assert float(error.mean()) <= 0.3
    # And its neighbors take after it: no flash of right color in a film of wrong ones.
    beside = out[place + 1 if place < 39 else place - 1]
    assert (
        np.abs(beside - truth[place]).mean() < 0.5 * np.abs(beside - seen[place // 4 * 4 - 4 if place else 4][0]).mean()
    )


def test_uncovered_area_is_never_gray() -> None:
    """The camera pans to what no colored frame ever showed."""
    rng = np.random.default_rng(5)
    wide = cv2.resize(skimage.data.camera(), (420, 180), interpolation=cv2.INTER_AREA).astype(np.float32)
    lumas = [grained(wide[40 : 40 + HEIGHT, 5 * t : 5 * t + WIDTH], rng) for t in range(30)]
    out = run(lumas, {0: (paint(20, 30), 1.0)})
    chroma = np.hypot(out[:, 0], out[:, 1])
    assert np.isfinite(out).all()
    assert chroma.min() > 0.8 * np.hypot(20, 30)


def test_result_does_not_depend_on_how_often_it_is_asked_for_in_one_window() -> None:
    lumas, truth, _ = disc_film(20)
    seen = {t: (truth[t], 1.0) for t in range(0, 20, 4)}
    assert np.array_equal(run(lumas, seen, every=20), run(lumas, seen, every=20))


def test_delay_is_bounded() -> None:
    smoother, waiting = KalmanSmoother(window=8, look_ahead=4), 0
    for _ in range(100):
        waiting += 1
        waiting -= smoother.delay.ready(waiting)
        assert waiting < 12


@pytest.mark.parametrize("name", SMOOTHERS)
def test_every_method_keeps_the_contract(name: str) -> None:
    """As many frames as asked for, finite, and from its state another one goes on as it would have itself."""
    rng = np.random.default_rng(7)
    lumas = [grained(still() * (1.4 if t == 21 else 1), rng) for t in range(40)]
    seen = {t: (paint(t, -t), 1.0 if t % 8 else 1e4) for t in range(40)}
    whole = SMOOTHERS[name](SmoothingConfig(), 200.0)
    expected = smoothed(whole, moments_of(lumas), seen, 8)
    assert expected.shape == (40, 2, HEIGHT, WIDTH) and np.isfinite(expected).all()
    np.testing.assert_allclose(expected[16], seen[16][0], atol=0.1)
    first, second = (SMOOTHERS[name](SmoothingConfig(), 200.0) for _ in range(2))
    assert first.delay == whole.delay
    moments = moments_of(lumas)
    for place, moment in enumerate(moments[:32]):
        first.observe(moment, *seen[place])
    count = first.delay.ready(24)
    begun = first.smooth(moments[:24], count)
    second.state = from_arrays({"smoothing": type(second.state)}, to_arrays({"smoothing": first.state}))["smoothing"]
    for place in range(32, 40):
        second.observe(moments[place], *seen[place])
    rest = second.smooth(moments[count:], 40 - count, last=True)
    uncut = SMOOTHERS[name](SmoothingConfig(), 200.0)
    again = moments_of(lumas)
    for place, moment in enumerate(again):
        uncut.observe(moment, *seen[place])
    both = uncut.smooth(again[:24], count) + uncut.smooth(again[count:], 40 - count, last=True)
    np.testing.assert_array_equal(np.stack(begun + rest), np.stack(both))


def test_colors_may_come_on_a_smaller_grid_and_with_a_map_of_precision() -> None:
    rng = np.random.default_rng(8)
    lumas = [grained(still(), rng) for _ in range(12)]
    small = np.stack([np.full((24, 40), 9, np.float32), np.full((24, 40), -9, np.float32)])
    wrong = small.copy()
    wrong[:, :, 20:] = 60
    doubt = np.ones((24, 40), np.float32)
    doubt[:, 20:] = 1e-3
    seen: dict[int, Observation] = {t: (small, 1.0) for t in range(12)}
    seen[5] = (wrong, doubt)
    out = run(lumas, seen)
    assert out.shape == (12, 2, 24, 40)
    assert np.abs(out - small).max() < 0.5


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_very_short_shots(frames: int) -> None:
    rng = np.random.default_rng(9)
    lumas = [grained(still(), rng) for _ in range(frames)]
    assert np.allclose(run(lumas, {0: (paint(7, 8), 1.0)}), paint(7, 8), atol=0.1)


def test_wrong_use_is_refused() -> None:
    with pytest.raises(ValueError, match="decay"):
        KalmanSmoother(decay=1.0)
    with pytest.raises(ValueError, match="window"):
        KalmanSmoother(window=0)
    smoother, moments = KalmanSmoother(), moments_of([still().astype(np.uint8)] * 2)
    with pytest.raises(ValueError, match="no frame of the shot has a color"):
        smoother.smooth(moments, 2, last=True)
    with pytest.raises(ValueError, match="every frame needs"):
        SMOOTHERS["none"](SmoothingConfig(), 1.0).smooth(moments, 2)
    smoother.observe(moments[0], paint(0, 0), 1.0)
    smoother.observe(moments[1], np.zeros((2, 5, 5), np.float32), 1.0)
    with pytest.raises(ValueError, match="grid"):
        smoother.smooth(moments, 2, last=True)
    assert KalmanSmoother().smooth([], 0, last=True) == []
