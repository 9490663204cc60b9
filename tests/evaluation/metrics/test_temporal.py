"""Scores in time against SciPy, plain loops, and pictures whose motion is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from videocolor.color import lab_of
from videocolor.evaluation.metrics import temporal
from videocolor.evaluation.scoring import FilmScorer, ScoreOptions

Array = np.ndarray


def cdc(frames: list[Array], references: tuple[int, ...] = ()) -> float | None:
    scorer = FilmScorer(ScoreOptions(metrics=("cdc",)))
    for index, frame in enumerate(frames):
        scorer.add(frame, frame, reference=index in references)
    return scorer.result()["cdc"]


def film(count: int, shape: tuple[int, int] = (24, 32)) -> list[Array]:
    rng = np.random.default_rng(7)
    first = cv2.resize(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), shape[::-1])
    return [
        np.clip(np.rint(first + 3.0 * i + rng.normal(0, 4, first.shape)), 0, 255).astype(np.uint8) for i in range(count)
    ]


def test_cdc_equals_scipys_divergence() -> None:
    frames = film(9)
    shares = [[np.histogram(f[..., c], 256, (0, 256))[0] / f[..., c].size for c in range(3)] for f in frames]
    per_step = []
    for t in (1, 2, 4):
        pairs = [np.mean([jensenshannon(shares[i][c], shares[i + t][c]) ** 2 for c in range(3)]) for i in range(9 - t)]
        per_step.append(np.mean(pairs))
    assert cdc(frames) == pytest.approx(np.mean(per_step), abs=1e-12)


def test_cdc_of_a_worked_case() -> None:
    """Black and white in turns: neighbors have nothing in common (ln 2), frames two and four apart are equal."""
    turns = [np.full((4, 4, 3), 255 * (i % 2), np.uint8) for i in range(8)]
    assert cdc(turns) == pytest.approx(np.log(2) / 3, abs=1e-12)
    assert cdc([turns[0]] * 8) == 0
    assert cdc(turns[:4]) is None


def test_a_reference_frame_is_only_a_predecessor() -> None:
    frames = film(8)
    shares = [temporal.histograms(f) for f in frames]
    expected = [
        np.mean([temporal.jensen_shannon(shares[i - t], shares[i]).mean() for i in range(t, 8) if i not in (0, 5)])
        for t in (1, 2, 4)
    ]
    assert cdc(frames, (0, 5)) == pytest.approx(np.mean(expected), abs=1e-15)


def test_histograms_of_deeper_pictures_are_of_8_bits() -> None:
    rgb = film(1)[0]
    for deep in (rgb.astype(np.uint16) * 257, rgb / 255):
        np.testing.assert_array_equal(temporal.histograms(deep), temporal.histograms(rgb))


def look_up(image: Array, x: float, y: float) -> Array:
    """Bilinear, the border repeated; in plain words."""
    h, w = image.shape[:2]
    x, y = min(max(x, 0), w - 1), min(max(y, 0), h - 1)
    x0, y0 = int(x), int(y)
    x1, y1, fx, fy = min(x0 + 1, w - 1), min(y0 + 1, h - 1), x - int(x), y - int(y)
    top = image[y0, x0] * (1 - fx) + image[y0, x1] * fx
    return top * (1 - fy) + (image[y1, x0] * (1 - fx) + image[y1, x1] * fx) * fy


def flows(seed: int, shape: tuple[int, int] = (12, 14)) -> tuple[Array, Array]:
    """Smooth random motion there, and back with an error that hides about half of the picture."""
    rng = np.random.default_rng(seed)
    there = cv2.resize(rng.normal(0, 1.2, (3, 3, 2)).astype(np.float32), shape[::-1])
    return there, -there + rng.normal(0, 0.45, there.shape).astype(np.float32)


@pytest.mark.parametrize("seed", range(4))
def test_occlusion_by_its_definition(seed: int) -> None:
    f, b = flows(seed)
    h, w = f.shape[:2]
    expected = np.zeros((h, w), bool)
    for y in range(h):
        for x in range(w):
            u, v = (float(c) for c in f[y, x])
            back = look_up(b.astype(np.float64), x + u, y + v)
            lengths = back @ back + u * u + v * v
            missed = (back[0] + u) ** 2 + (back[1] + v) ** 2 > 0.01 * lengths + 0.5
            right = f[y, x + 1] - f[y, x] if x + 1 < w else np.zeros(2)
            down = f[y + 1, x] - f[y, x] if y + 1 < h else np.zeros(2)
            boundary = right @ right + down @ down > 0.01 * (u * u + v * v) + 0.002
            expected[y, x] = missed or boundary
    found = temporal.occluded(f, b)
    assert (
        found != expected
    ).mean() < 0.02  # the look-up has 1/32 pixel steps: a value on the threshold may fall off it
    assert 0 < expected.mean() < 1


@pytest.mark.parametrize(("error", "hidden"), [(0.743, False), (0.748, True)])
def test_occlusion_at_the_edge_of_the_way_back(error: float, hidden: bool) -> None:
    """Two pixels there and 2 - e back: e^2 = 0.01 ((2 - e)^2 + 4) + 0.5 at e = 0.7455."""
    there, back = np.zeros((2, 6, 8, 2), np.float32)
    there[..., 0], back[..., 0] = 2, error - 2
    assert (temporal.occluded(there, back) == hidden).all()


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(("slope", "boundary"), [(0.0446, False), (0.0448, True)])
def test_occlusion_at_the_edge_of_a_boundary_of_motion(axis: int, slope: float, boundary: bool) -> None:
    """Where motion is 0 and grows by 0.0447 = sqrt(0.002) a pixel; farther on, 0.01 |F|^2 allows more."""
    ramp = slope * np.arange(16, dtype=np.float32)
    there = np.zeros((16, 16, 2), np.float32)
    there[..., 1 - axis] = np.broadcast_to(ramp if axis else ramp[:, None], (16, 16))
    first = temporal.occluded(there, -there)[(slice(None), 0) if axis else (0, slice(None))]
    assert (first == boundary).all()


def test_warp_error_by_its_definition() -> None:
    f, _ = flows(0)
    rng = np.random.default_rng(1)
    first, second = (rng.integers(0, 256, (12, 14, 3), dtype=np.uint8) for _ in range(2))
    hidden = rng.random((12, 14)) < 0.3
    f = np.rint(f * 32) / 32  # the steps of OpenCV's look-up
    total = count = 0.0
    for y, x in zip(*np.nonzero(~hidden), strict=True):
        moved = look_up(second / 255, x + float(f[y, x, 0]), y + float(f[y, x, 1]))
        total += float(((first[y, x] / 255 - moved) ** 2).sum())
        count += 3
    assert temporal.warp_error(first, second, f.astype(np.float32), hidden) == pytest.approx(total / count, rel=1e-5)
    assert temporal.warp_error(first, second, f.astype(np.float32), np.ones_like(hidden)) is None


def test_warp_error_of_a_known_level() -> None:
    """Half a picture 51 levels (0.2) brighter, one third of it hidden, no motion: 0.04 over the rest."""
    first, second = np.full((6, 8, 3), 100, np.uint8), np.full((6, 8, 3), 151, np.uint8)
    hidden = np.zeros((6, 8), bool)
    hidden[:2] = True
    second[:2] = 250
    still = np.zeros((6, 8, 2), np.float32)
    assert temporal.warp_error(first, second, still, hidden) == pytest.approx(0.04, rel=1e-6)


def test_flicker_by_its_definition() -> None:
    f = np.rint(flows(3)[0] * 32).astype(np.float32) / 32
    rng = np.random.default_rng(1)
    before, now = (lab_of(rng.integers(0, 256, (12, 14, 3), dtype=np.uint8)) for _ in range(2))
    hidden = rng.random((12, 14)) < 0.3
    lengths = []
    for y, x in zip(*np.nonzero(~hidden), strict=True):
        moved = look_up(np.moveaxis(before[1:], 0, -1).astype(float), x + float(f[y, x, 0]), y + float(f[y, x, 1]))
        lengths.append(np.hypot(*(now[1:, y, x] - moved)))
    assert temporal.flicker(before, now, f, hidden) == pytest.approx(np.mean(lengths), rel=1e-5)
    assert temporal.flicker(before, now, f, np.ones_like(hidden)) is None


def test_flow_of_the_truth_finds_a_known_shift() -> None:
    """Six pixels right, two down; the second frame moved back is the first, and color that moves along is calm."""
    rng = np.random.default_rng(0)
    big = cv2.GaussianBlur(rng.integers(0, 256, (140, 180, 3), dtype=np.uint8), (0, 0), 2)
    big = cv2.normalize(big, None, 0, 255, cv2.NORM_MINMAX)
    first, second = big[10:106, 20:148], big[8:104, 14:142]
    forward, backward = temporal.truth_flow(first, second)
    medium = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    gray = [cv2.cvtColor(np.ascontiguousarray(p), cv2.COLOR_RGB2GRAY) for p in (first, second)]
    assert np.abs(forward - medium.calc(*gray, None)).mean() < 1e-3
    inner = np.s_[16:-16, 16:-16]
    assert np.abs(forward[inner] - (6, 2)).mean() < 0.3
    assert np.abs(backward[inner] + (6, 2)).mean() < 0.3
    moving = temporal.warp_error(first, second, forward, temporal.occluded(forward, backward))
    still = temporal.warp_error(first, second, np.zeros_like(forward), np.zeros(forward.shape[:2], bool))
    assert moving is not None and still is not None
    assert moving < still / 20
    hidden = temporal.occluded(backward, forward)
    calm = temporal.flicker(lab_of(first), lab_of(second), backward, hidden)
    restless = temporal.flicker(lab_of(first), lab_of(np.roll(second, 5, axis=2)[..., ::-1].copy()), backward, hidden)
    assert calm is not None and restless is not None
    assert calm < restless / 10
