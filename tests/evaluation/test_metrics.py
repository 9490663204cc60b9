"""Scores of single frames against scikit-image, SciPy and hand-made values."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from videocolor.color import lab_to_rgb
from videocolor.evaluation import metrics
from videocolor.evaluation.ciede import lab_of

Array = np.ndarray


def noise(seed: int, shape: tuple[int, int] = (40, 50)) -> Array:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


def picture(seed: int, shape: tuple[int, int] = (60, 80)) -> Array:
    """Smooth colours, as film has them."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)


def near(rgb: Array, seed: int, by: float = 6) -> Array:
    moved = rgb + np.random.default_rng(seed).normal(0, by, rgb.shape)
    return np.clip(np.rint(moved), 0, 255).astype(np.uint8)


def test_psnr_equals_scikit_image() -> None:
    a, b = noise(0), noise(1)
    assert metrics.psnr_rgb(a, b) == pytest.approx(peak_signal_noise_ratio(a, b), abs=1e-9)
    assert metrics.psnr_rgb(a, a) == float("inf")


def test_psnr_does_not_wrap() -> None:
    """Bytes that differ by 255 differ by 255: wrapped differences (1) would score 48 dB."""
    black, white = np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 255, np.uint8)
    assert metrics.psnr_rgb(black, white) == 0
    assert metrics.psnr_rgb(white, black) == 0


def test_psnr_of_deeper_samples() -> None:
    a, b = noise(0), noise(1)
    wide = metrics.psnr_rgb(a.astype(np.uint16) * 257, b.astype(np.uint16) * 257)
    assert wide == pytest.approx(metrics.psnr_rgb(a, b), abs=1e-9)
    assert metrics.psnr_rgb(a / 255, b / 255) == pytest.approx(metrics.psnr_rgb(a, b), abs=1e-9)


def test_psnr_ab_is_that_of_scikit_images_lab() -> None:
    a, b = picture(0), near(picture(0), 1)
    error = np.mean((rgb2lab(a)[..., 1:] - rgb2lab(b)[..., 1:]) ** 2)
    assert metrics.psnr_ab(a, b) == pytest.approx(10 * np.log10(255**2 / error), abs=0.01)


def test_psnr_ab_of_a_known_shift() -> None:
    """Two plain colours 10 and 24 units apart in a* and b*: mean square (100 + 576) / 2."""
    first, second = (
        np.moveaxis(lab_to_rgb(np.tile(np.array(lab, float).reshape(3, 1, 1), (1, 8, 8))), 0, -1)
        for lab in ((60, 0, 0), (60, 10, 24))
    )
    assert metrics.psnr_ab(first, second) == pytest.approx(10 * np.log10(255**2 / 338), abs=1e-4)


@pytest.mark.parametrize(("first", "second"), [(noise(0), noise(1)), (picture(2), near(picture(2), 3))])
def test_ssim_equals_scikit_image(first: Array, second: Array) -> None:
    expected = structural_similarity(first, second, channel_axis=2)
    assert metrics.ssim(first, second) == pytest.approx(expected, abs=1e-6)
    wide = [p.astype(np.uint16) * 257 for p in (first, second)]
    assert metrics.ssim(*wide) == pytest.approx(
        structural_similarity(*wide, channel_axis=2, data_range=65535), abs=1e-6
    )


def test_ssim_of_equal_flat_pictures() -> None:
    """Where variance is nothing but rounding: white, black and gray are all exactly alike."""
    for level in (0, 127, 128, 255):
        flat = np.full((20, 20, 3), level, np.uint8)
        assert metrics.ssim(flat, flat) == 1
    with pytest.raises(ValueError, match="7 pixels"):
        metrics.ssim(noise(0, (6, 9)), noise(1, (6, 9)))


def test_ciede2000_of_pictures_equals_scikit_image() -> None:
    a, b = picture(0), near(picture(0), 1, 20)
    delta = deltaE_ciede2000(rgb2lab(a), rgb2lab(b))
    assert metrics.ciede2000_mean(a, b) == pytest.approx(float(delta.mean()), abs=0.01)
    assert metrics.ciede2000_percentile(a, b) == pytest.approx(float(np.percentile(delta, 90)), abs=0.02)


def test_colorfulness_by_its_definition() -> None:
    rgb = noise(5)
    r, g, b = np.moveaxis(rgb.astype(np.float64), -1, 0)
    for take, measured in ((lambda x: x, metrics.colorfulness), (np.abs, metrics.colorfulness_abs)):
        rg, yb = take(r - g), take((r + g) / 2 - b)
        expected = np.sqrt(rg.var() + yb.var()) + 0.3 * np.sqrt(rg.mean() ** 2 + yb.mean() ** 2)
        assert measured(rgb) == pytest.approx(expected, abs=1e-3)
        assert measured(rgb.astype(np.uint16) * 257) == pytest.approx(expected, abs=1e-3)


def test_colorfulness_of_gray_and_of_one_colour() -> None:
    gray = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    assert metrics.colorfulness(gray) == 0
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 200
    assert metrics.colorfulness(red) == pytest.approx(0.3 * np.hypot(200, 100))


def test_both_colorfulnesses_part_at_opposite_colours() -> None:
    """Red beside as much green: rg is +200 and -200, which its absolute value cannot tell apart."""
    rgb = np.zeros((8, 8, 3), np.uint8)
    rgb[:, :4, 0] = rgb[:, 4:, 1] = 200
    assert metrics.colorfulness(rgb) == pytest.approx(200 + 0.3 * 100)
    assert metrics.colorfulness_abs(rgb) == pytest.approx(0.3 * np.hypot(200, 100))


def two_colours(height: int, width: int, at: int, first: tuple[int, ...], second: tuple[int, ...]) -> Array:
    rgb = np.empty((height, width, 3), np.uint8)
    rgb[:, :at], rgb[:, at:] = first, second
    return rgb


@pytest.mark.parametrize(("height", "radius"), [(480, 3), (960, 6), (240, 1)])
def test_edge_band_is_three_pixels_at_480_lines(height: int, radius: int) -> None:
    rgb = two_colours(height, 64, 32, (200, 60, 60), (60, 60, 200))
    band = metrics.edge_band(lab_of(rgb))
    columns = np.flatnonzero(band[height // 2])
    edge = columns.mean()
    assert abs(edge - 31.5) <= 0.5  # one of the two columns at the step
    assert len(columns) == 2 * radius + 1
    assert (band == band[height // 2]).all()


def test_edge_band_is_the_distance_from_cannys_edges() -> None:
    lab = lab_of(picture(4, (480, 300)))
    levels = np.clip(np.rint(lab[1:] + 128), 0, 255).astype(np.uint8)
    edges = np.any([cv2.Canny(p, *metrics.EDGE_THRESHOLDS, L2gradient=True) > 0 for p in levels], axis=0)
    assert 0 < edges.mean() < 0.5
    np.testing.assert_array_equal(metrics.edge_band(lab), distance_transform_edt(~edges) <= 3)


def test_edge_score_sees_bleeding_at_the_edge_alone() -> None:
    truth = two_colours(480, 64, 32, (200, 60, 60), (60, 60, 200))
    bled, far = truth.copy(), truth.copy()
    bled[:, 32:34] = truth[:, 0:2]  # red runs two pixels into blue
    far[:, 2:4] = truth[:, 60:62]  # the same, far from the edge
    delta = metrics.ciede2000_mean(truth[:, :1], truth[:, -1:])
    assert metrics.edge_ciede2000(truth, bled) == pytest.approx(delta * 2 / 7, rel=1e-3)
    assert metrics.edge_ciede2000(truth, far) == 0


def test_edge_score_of_gray_is_none() -> None:
    gray = two_colours(48, 64, 32, (20, 20, 20), (220, 220, 220))
    assert metrics.edge_ciede2000(gray, gray) is None


def test_reference_score_is_on_the_chroma_grid() -> None:
    """Colours that alternate from pixel to pixel, against their mean: nothing that 4:2:0 could hold is wrong."""
    truth = np.full((16, 16, 3), 120, np.uint8)
    truth[:, ::2] = (140, 120, 100)
    truth[:, 1::2] = (100, 120, 140)
    plain = np.full_like(truth, 120)
    assert metrics.ciede2000_mean(truth, plain) > 10
    assert metrics.reference_ciede2000(truth, plain) == pytest.approx(0, abs=1e-3)
    assert metrics.reference_ciede2000(truth, plain, (0, 0)) == pytest.approx(metrics.ciede2000_mean(truth, plain))
    tall = metrics.reference_ciede2000(truth, plain, (0, 1))  # columns stay apart
    assert tall == pytest.approx(metrics.ciede2000_mean(truth, plain), abs=1e-3)


def test_reference_score_of_odd_sizes() -> None:
    a, b = picture(0, (31, 33)), near(picture(0, (31, 33)), 1)
    assert 0 < metrics.reference_ciede2000(a, b) < metrics.ciede2000_mean(a, b)


def test_types_that_are_no_pictures_are_refused() -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        metrics.psnr_rgb(noise(0).astype(np.int32), noise(1).astype(np.int32))
