"""CIEDE2000 of pictures, at edges and at reference frames, against scikit-image, SciPy and hand-made values."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt
from skimage.color import deltaE_ciede2000, rgb2lab

from videocolor.color import lab_of
from videocolor.evaluation.metrics.color import edge_band
from videocolor.evaluation.scoring import FilmScorer, ScoreOptions

Array = np.ndarray


def picture(seed: int, shape: tuple[int, int] = (60, 80)) -> Array:
    """Smooth colors, as film has them."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)


def near(rgb: Array, seed: int, by: float = 6) -> Array:
    moved = rgb + np.random.default_rng(seed).normal(0, by, rgb.shape)
    return np.clip(np.rint(moved), 0, 255).astype(np.uint8)


def one(key: str, truth: Array, test: Array, **options: Any) -> Any:
    """The score `key` of one frame."""
    scorer = FilmScorer(ScoreOptions(**options))
    scorer.add(truth, test, reference=key.startswith("reference"))
    return scorer.result()[key]


def test_ciede2000_of_pictures_equals_scikit_image() -> None:
    a, b = picture(0), near(picture(0), 1, 20)
    delta = deltaE_ciede2000(rgb2lab(a), rgb2lab(b))
    assert one("ciede2000_mean", a, b) == pytest.approx(float(delta.mean()), abs=0.01)
    assert one("ciede2000_p90", a, b) == pytest.approx(float(np.percentile(delta, 90)), abs=0.02)


def two_colors(height: int, width: int, at: int, first: tuple[int, ...], second: tuple[int, ...]) -> Array:
    rgb = np.empty((height, width, 3), np.uint8)
    rgb[:, :at], rgb[:, at:] = first, second
    return rgb


@pytest.mark.parametrize(("height", "radius"), [(480, 3), (960, 6), (240, 1)])
def test_edge_band_is_three_pixels_at_480_lines(height: int, radius: int) -> None:
    rgb = two_colors(height, 64, 32, (200, 60, 60), (60, 60, 200))
    band = edge_band(lab_of(rgb))
    columns = np.flatnonzero(band[height // 2])
    edge = columns.mean()
    assert abs(edge - 31.5) <= 0.5  # one of the two columns at the step
    assert len(columns) == 2 * radius + 1
    assert (band == band[height // 2]).all()


def test_edge_band_is_the_distance_from_cannys_edges() -> None:
    lab = lab_of(picture(4, (480, 300)))
    levels = np.clip(np.rint(lab[1:] + 128), 0, 255).astype(np.uint8)
    edges = np.any([cv2.Canny(p, 20, 40, L2gradient=True) > 0 for p in levels], axis=0)
    assert 0 < edges.mean() < 0.5
    np.testing.assert_array_equal(edge_band(lab), distance_transform_edt(~edges) <= 3)


def test_edge_score_sees_bleeding_at_the_edge_alone() -> None:
    truth = two_colors(480, 64, 32, (200, 60, 60), (60, 60, 200))
    bled, far = truth.copy(), truth.copy()
    bled[:, 32:34] = truth[:, 0:2]  # red runs two pixels into blue
    far[:, 2:4] = truth[:, 60:62]  # the same, far from the edge
    delta = one("ciede2000_mean", truth[:, :1], truth[:, -1:])
    assert one("edge_ciede2000", truth, bled) == pytest.approx(delta * 2 / 7, rel=1e-3)
    assert one("edge_ciede2000", truth, far) == 0


def test_edge_score_of_gray_is_none() -> None:
    gray = two_colors(48, 64, 32, (20, 20, 20), (220, 220, 220))
    assert one("edge_ciede2000", gray, gray) is None


def test_reference_score_is_on_the_chroma_grid() -> None:
    """Colors that alternate from pixel to pixel, against their mean: nothing that 4:2:0 could hold is wrong."""
    truth = np.full((16, 16, 3), 120, np.uint8)
    truth[:, ::2] = (140, 120, 100)
    truth[:, 1::2] = (100, 120, 140)
    plain = np.full_like(truth, 120)
    assert one("ciede2000_mean", truth, plain) > 10
    assert one("reference_ciede2000", truth, plain) == pytest.approx(0, abs=1e-3)
    assert one("reference_ciede2000", truth, plain, chroma_shift=(0, 0)) == pytest.approx(
        one("ciede2000_mean", truth, plain)
    )
    tall = one("reference_ciede2000", truth, plain, chroma_shift=(0, 1))  # columns stay apart
    assert tall == pytest.approx(one("ciede2000_mean", truth, plain), abs=1e-3)


def test_reference_score_of_odd_sizes() -> None:
    a, b = picture(0, (31, 33)), near(picture(0, (31, 33)), 1)
    assert 0 < one("reference_ciede2000", a, b) < one("ciede2000_mean", a, b)
