"""PSNR, SSIM and colorfulness of single frames against scikit-image and hand-made values."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from skimage.color import rgb2lab
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from videocolor.color import lab_to_rgb
from videocolor.evaluation.metrics.pixels import colorfulness, ssim
from videocolor.evaluation.scoring import FilmScorer, ScoreOptions

Array = np.ndarray


def noise(seed: int, shape: tuple[int, int] = (40, 50)) -> Array:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


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


def test_psnr_equals_scikit_image() -> None:
    a, b = noise(0), noise(1)
    assert one("psnr_rgb", a, b) == pytest.approx(peak_signal_noise_ratio(a, b), abs=1e-9)
    assert one("psnr_rgb", a, a) == 100, "the cap"


def test_psnr_does_not_wrap() -> None:
    """Bytes that differ by 255 differ by 255: wrapped differences (1) would score 48 dB."""
    black, white = np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 255, np.uint8)
    assert one("psnr_rgb", black, white) == 0
    assert one("psnr_rgb", white, black) == 0


def test_psnr_of_deeper_samples() -> None:
    a, b = noise(0), noise(1)
    wide = one("psnr_rgb", a.astype(np.uint16) * 257, b.astype(np.uint16) * 257)
    assert wide == pytest.approx(one("psnr_rgb", a, b), abs=1e-9)
    assert one("psnr_rgb", a / 255, b / 255) == pytest.approx(one("psnr_rgb", a, b), abs=1e-9)


def test_psnr_ab_is_that_of_scikit_images_lab() -> None:
    a, b = picture(0), near(picture(0), 1)
    error = np.mean((rgb2lab(a)[..., 1:] - rgb2lab(b)[..., 1:]) ** 2)
    assert one("psnr_ab", a, b) == pytest.approx(10 * np.log10(255**2 / error), abs=0.01)


def test_psnr_ab_of_a_known_shift() -> None:
    """Two plain colors 10 and 24 units apart in a* and b*: mean square (100 + 576) / 2."""
    first, second = (
        np.moveaxis(lab_to_rgb(np.tile(np.array(lab, float).reshape(3, 1, 1), (1, 8, 8))), 0, -1)
        for lab in ((60, 0, 0), (60, 10, 24))
    )
    assert one("psnr_ab", first, second) == pytest.approx(10 * np.log10(255**2 / 338), abs=1e-4)


@pytest.mark.parametrize(("first", "second"), [(noise(0), noise(1)), (picture(2), near(picture(2), 3))])
def test_ssim_equals_scikit_image(first: Array, second: Array) -> None:
    expected = structural_similarity(first, second, channel_axis=2)
    assert ssim(first, second) == pytest.approx(expected, abs=1e-6)
    wide = [p.astype(np.uint16) * 257 for p in (first, second)]
    assert ssim(*wide) == pytest.approx(structural_similarity(*wide, channel_axis=2, data_range=65535), abs=1e-6)


def test_ssim_of_equal_flat_pictures() -> None:
    """Where variance is nothing but rounding: white, black and gray are all exactly alike."""
    for level in (0, 127, 128, 255):
        flat = np.full((20, 20, 3), level, np.uint8)
        assert ssim(flat, flat) == 1
    with pytest.raises(ValueError, match="7 pixels"):
        ssim(noise(0, (6, 9)), noise(1, (6, 9)))


def test_colorfulness_by_its_definition() -> None:
    rgb = noise(5)
    r, g, b = np.moveaxis(rgb.astype(np.float64), -1, 0)
    for form, take in enumerate((lambda x: x, np.abs)):
        rg, yb = take(r - g), take((r + g) / 2 - b)
        expected = np.sqrt(rg.var() + yb.var()) + 0.3 * np.sqrt(rg.mean() ** 2 + yb.mean() ** 2)
        assert colorfulness(rgb)[form] == pytest.approx(expected, abs=1e-3)
        assert colorfulness(rgb.astype(np.uint16) * 257)[form] == pytest.approx(expected, abs=1e-3)


def test_colorfulness_of_gray_and_of_one_color() -> None:
    gray = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    assert colorfulness(gray)[0] == 0
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 200
    assert colorfulness(red)[0] == pytest.approx(0.3 * np.hypot(200, 100))


def test_both_colorfulnesses_part_at_opposite_colors() -> None:
    """Red beside as much green: rg is +200 and -200, which its absolute value cannot tell apart."""
    rgb = np.zeros((8, 8, 3), np.uint8)
    rgb[:, :4, 0] = rgb[:, 4:, 1] = 200
    assert colorfulness(rgb)[0] == pytest.approx(200 + 0.3 * 100)
    assert colorfulness(rgb)[1] == pytest.approx(0.3 * np.hypot(200, 100))


def test_types_that_are_no_pictures_are_refused() -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        one("psnr_rgb", noise(0).astype(np.int32), noise(1).astype(np.int32))
