"""Color mathematics against scikit-image, published code values, and itself there and back."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.color import rgb2lab

from videocolor import color
from videocolor.chromatable import ChromaTable, chroma_atlas
from videocolor.types import Array, ColorSpec, Matrix, Range

MATRICES = get_args(Matrix)


def some_rgb(seed: int = 0, shape: tuple[int, ...] = (40, 50)) -> Array:
    return np.random.default_rng(seed).random((3, *shape)).astype(np.float32)


def psnr(a: Array, b: Array) -> float:
    """dB for values whose full swing is 1."""
    return float(-10 * np.log10(np.mean((a.astype(np.float64) - b) ** 2)))


def test_lab_agrees_with_scikit_image() -> None:
    rgb = some_rgb()
    oracle = np.moveaxis(rgb2lab(np.moveaxis(rgb, 0, -1)), -1, 0)
    np.testing.assert_allclose(color.rgb_to_lab(rgb), oracle, atol=0.01)


def test_gray_has_no_chroma_in_lab() -> None:
    gray = np.repeat(np.linspace(0, 1, 256, dtype=np.float32)[None], 3, axis=0)
    assert np.abs(color.rgb_to_lab(gray)[1:]).max() < 1e-3


@pytest.mark.parametrize("matrix", MATRICES)
def test_lab_and_back(matrix: Matrix) -> None:
    rgb = some_rgb(1)
    np.testing.assert_allclose(color.lab_to_rgb(color.rgb_to_lab(rgb, matrix), matrix), rgb, atol=1e-4)


@pytest.mark.parametrize(
    ("matrix", "rgb", "codes"),
    [
        # 8-bit limited code values of the 100 % color bars, ITU-R BT.601-7 and BT.709-6 rounded.
        ("bt601", (1, 0, 0), (81, 90, 240)),
        ("bt601", (0, 0, 1), (41, 240, 110)),
        ("bt709", (1, 0, 0), (63, 102, 240)),
        ("bt709", (0, 1, 0), (173, 42, 26)),
        ("bt709", (1, 1, 1), (235, 128, 128)),
        ("bt709", (0, 0, 0), (16, 128, 128)),
    ],
)
def test_color_bars(matrix: Matrix, rgb: tuple[int, ...], codes: tuple[int, ...]) -> None:
    y, cb, cr = color.rgb_to_ycbcr(np.array(rgb, np.float32).reshape(3, 1), matrix)
    stored = (
        color.luma_to_codes(y, 8, "limited"),
        color.chroma_to_codes(cb, 8, "limited"),
        color.chroma_to_codes(cr, 8, "limited"),
    )
    assert tuple(int(s[0]) for s in stored) == codes


@given(st.sampled_from([8, 10, 12, 16]), st.sampled_from(["limited", "full"]), st.integers(0, 2**16 - 1))
def test_codes_survive_there_and_back(depth: int, range_: Range, code: int) -> None:
    codes = np.array([code % 2**depth], np.uint16)
    assert color.luma_to_codes(color.codes_to_luma(codes, depth, range_), depth, range_)[0] == codes[0]
    assert color.chroma_to_codes(color.codes_to_chroma(codes, depth, range_), depth, range_)[0] == codes[0]


@pytest.mark.parametrize("matrix", MATRICES)
def test_chroma_at_fixed_luma_is_the_inverse(matrix: Matrix) -> None:
    y, cb, cr = color.rgb_to_ycbcr(some_rgb(2), matrix)
    back = color.ab_to_ycbcr(y, color.ycbcr_to_ab(y, cb, cr, matrix), matrix)
    assert psnr(back[0], cb) > 60
    assert psnr(back[1], cr) > 60


@pytest.mark.parametrize("matrix", MATRICES)
def test_impossible_colors_are_limited_not_clipped(matrix: Matrix) -> None:
    rng = np.random.default_rng(3)
    y = rng.random((30, 30)).astype(np.float32)
    ab = rng.uniform(-110, 110, (2, 30, 30)).astype(np.float32)
    rgb = color.ycbcr_to_rgb(y, *color.ab_to_ycbcr(y, ab, matrix), matrix)
    assert rgb.min() > -1e-4
    assert rgb.max() < 1 + 1e-4
    np.testing.assert_allclose(color.rgb_to_luma(rgb, matrix), y, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("range_", get_args(Range))
@pytest.mark.parametrize("depth", [8, 10, 12, 16])
def test_table_returns_the_chroma_it_was_made_from(matrix: Matrix, range_: Range, depth: int) -> None:
    """Uniform R'G'B' is the hard case: much of it lies beside the gamut's edge."""
    y, cb, cr = color.rgb_to_ycbcr(some_rgb(4, (100, 100)), matrix)
    table = ChromaTable(ColorSpec(matrix, range_), depth)
    stored = table.codes(y, color.ycbcr_to_ab(y, cb, cr, matrix))
    assert stored[0].dtype == (np.uint8 if depth == 8 else np.uint16)
    assert psnr(color.codes_to_chroma(stored[0], depth, range_), cb) >= 45
    assert psnr(color.codes_to_chroma(stored[1], depth, range_), cr) >= 45


@pytest.mark.parametrize("matrix", MATRICES)
def test_atlas_holds_the_chroma_that_a_bisection_finds(matrix: Matrix) -> None:
    side, count = 81, 128
    axis = np.linspace(-1, 1, side) * (180 if matrix == "bt2020" else 110)
    ab = np.stack(np.meshgrid(axis, axis, indexing="ij"))
    atlas = chroma_atlas(matrix).reshape(side, count, side, 2)
    for number in (1, 10, 60, 120):
        y, low, high = np.float64(number / (count - 1)), np.full_like(ab[0], -60), np.full_like(ab[0], 160)
        for _ in range(32):
            rgb = color.lab_to_rgb(np.stack([(low + high) / 2, *ab]), matrix)
            above = color.rgb_to_luma(rgb, matrix) > y
            low, high = np.where(above, low, (low + high) / 2), np.where(above, (low + high) / 2, high)
        for plane, chroma in enumerate(color.chroma_inside(rgb, y, matrix)):
            np.testing.assert_allclose(atlas[:, number, :, plane], chroma, rtol=0, atol=1e-5)


def test_table_writes_neutral_for_no_color() -> None:
    y = np.linspace(0, 1, 500, dtype=np.float32).reshape(20, 25)
    table = ChromaTable(ColorSpec("bt709", "limited"), 10)
    cb, cr = table.codes(y, np.zeros((2, 20, 25), np.float32))
    assert (cb == 512).all()
    assert (cr == 512).all()


def test_saturation_scales() -> None:
    y = np.full((4, 4), 0.5, np.float32)
    ab = np.full((2, 4, 4), 20, np.float32)
    table = ChromaTable(ColorSpec("bt709", "full"), 16)
    np.testing.assert_array_equal(table.codes(y, ab, 0.5), table.codes(y, ab / 2))
    assert np.all(table.codes(y, ab, 0.0)[0] == 32768)
