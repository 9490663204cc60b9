"""Scores against scikit-image and against hand-made values."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import peak_signal_noise_ratio

from videocolor.evaluation.metrics import ciede2000, ciede2000_mean, colorfulness, psnr_rgb


def test_psnr_equals_scikit_image() -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 256, (20, 30, 3), dtype=np.uint8) for _ in range(2))
    assert psnr_rgb(a, b) == pytest.approx(peak_signal_noise_ratio(a, b), abs=1e-9)
    assert psnr_rgb(a, a) == float("inf")


def test_ciede2000_equals_scikit_image() -> None:
    rng = np.random.default_rng(1)
    first, second = (rng.uniform(-80, 80, (3, 20000)) for _ in range(2))
    first[0], second[0] = np.abs(first[0]), np.abs(second[0])
    first[1:, :50] = 0
    np.testing.assert_allclose(ciede2000(first, second), deltaE_ciede2000(first.T, second.T), atol=1e-9)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [  # rows 1, 7, 16 and 25 of Sharma et al., table 1
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 0, 0), (50, -1, 2), 2.3669),
        ((50, 2.5, 0), (50, 0, -2.5), 4.3065),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ],
)
def test_ciede2000_equals_the_papers_table(
    first: tuple[float, ...], second: tuple[float, ...], expected: float
) -> None:
    assert float(ciede2000(np.array(first), np.array(second))) == pytest.approx(expected, abs=1e-4)


def test_mean_of_pictures_equals_scikit_image() -> None:
    rng = np.random.default_rng(2)
    a, b = (rng.integers(0, 256, (20, 30, 3), dtype=np.uint8) for _ in range(2))
    assert ciede2000_mean(a, b) == pytest.approx(float(deltaE_ciede2000(rgb2lab(a), rgb2lab(b)).mean()), abs=0.01)


def test_colorfulness() -> None:
    gray = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    assert colorfulness(gray) == 0
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 200
    assert colorfulness(red) == pytest.approx(0.3 * np.hypot(200, 100))
