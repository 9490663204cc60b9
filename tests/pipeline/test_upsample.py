"""Chroma to its plane: edges, safety, and the luma of the chroma grid."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import skimage.data

from videocolor.color import rgb_to_lab
from videocolor.pipeline.upsample import bilinear_chroma, plane_luma, upsample_chroma
from videocolor.types import Array


def edge_film(height: int = 120, width: int = 160) -> tuple[Array, Array]:
    """(h, w) luma and (2, h, w) a*b* that change together at a slanted edge."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    side = np.clip((x - 0.4 * y - 50) / 1.5, 0, 1)
    return 0.3 + 0.4 * side, np.stack([40 * side - 10, 20 - 50 * side])


def shrink(image: Array, size: tuple[int, int]) -> Array:
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def test_color_stops_where_luma_stops() -> None:
    luma, ab = edge_film()
    small_ab, small = np.stack([shrink(c, (40, 30)) for c in ab]), shrink(luma, (40, 30))
    guided = np.abs(upsample_chroma(small_ab, small, luma) - ab).mean()
    plain = np.abs(bilinear_chroma(small_ab, luma.shape) - ab).mean()
    assert guided < 0.5 * plain


def test_beats_bilinear_at_the_edges_of_photographs() -> None:
    for picture in (skimage.data.astronaut(), skimage.data.coffee(), skimage.data.chelsea()):
        rgb = shrink(picture[:, : picture.shape[0]].astype(np.float32) / 255, (240, 240))
        luma = rgb @ np.array([0.299, 0.587, 0.114], np.float32)
        ab = rgb_to_lab(rgb.transpose(2, 0, 1))[1:].astype(np.float32)
        band = cv2.dilate(cv2.Canny(np.clip(ab[0] + 128, 0, 255).astype(np.uint8), 20, 50), np.ones((3, 3))) > 0
        assert band.any()
        for size in ((133, 133), (67, 67)):
            small_ab, small = np.stack([shrink(c, size) for c in ab]), shrink(luma, size)
            guided = np.hypot(*(upsample_chroma(small_ab, small, luma) - ab))[band].mean()
            plain = np.hypot(*(bilinear_chroma(small_ab, luma.shape) - ab))[band].mean()
            assert guided < plain


def test_no_color_appears_that_was_not_there() -> None:
    rng = np.random.default_rng(0)
    ab = rng.normal(0, 30, (2, 20, 30)).astype(np.float32)
    small = rng.random((20, 30)).astype(np.float32)
    luma = rng.random((77, 111)).astype(np.float32)
    out = upsample_chroma(ab, small, luma)
    assert out.shape == (2, 77, 111) and out.dtype == np.float32
    low = np.stack([cv2.resize(cv2.erode(c, np.ones((3, 3))), (111, 77)) for c in ab])
    high = np.stack([cv2.resize(cv2.dilate(c, np.ones((3, 3))), (111, 77)) for c in ab])
    assert (out >= low - 1e-3).all() and (out <= high + 1e-3).all()


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_one_color_stays_one_color_and_flat_luma_is_bilinear(level: float) -> None:
    rng = np.random.default_rng(1)
    luma = rng.random((60, 90)).astype(np.float32)
    one = np.stack([np.full((20, 30), 31.5, np.float32), np.full((20, 30), -70.25, np.float32)])
    small = shrink(luma, (30, 20))
    assert np.allclose(upsample_chroma(one, small, luma), one[:, :1, :1], atol=1e-3)
    ab = rng.normal(0, 30, (2, 20, 30)).astype(np.float32)
    flat = upsample_chroma(ab, np.full((20, 30), level, np.float32), np.full((60, 90), level, np.float32))
    assert np.allclose(flat, bilinear_chroma(ab, (60, 90)), atol=1e-2)


@pytest.mark.parametrize(("small", "large"), [((1, 1), (5, 7)), ((2, 3), (2, 3)), ((20, 30), (10, 15))])
def test_odd_sizes(small: tuple[int, int], large: tuple[int, int]) -> None:
    rng = np.random.default_rng(2)
    ab = rng.normal(0, 10, (2, *small)).astype(np.float32)
    luma = rng.random(large).astype(np.float32)
    out = upsample_chroma(ab, np.full(small, 0.5, np.float32), luma)
    assert out.shape == (2, *large) and np.isfinite(out).all()
    assert bilinear_chroma(ab, large).shape == (2, *large)


def test_wrong_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="grid"):
        upsample_chroma(np.zeros((2, 4, 4), np.float32), np.zeros((4, 5), np.float32), np.zeros((8, 8), np.float32))


@pytest.mark.parametrize("shape", [(48, 64), (47, 63), (47, 64), (1, 1), (3, 5)])
@pytest.mark.parametrize("blocks", [(2, 2), (2, 1), (1, 1), (4, 1)])
@pytest.mark.parametrize(("depth", "range_"), [(8, "limited"), (8, "full"), (10, "limited"), (16, "full")])
def test_plane_luma_is_the_mean_of_each_block(
    shape: tuple[int, int], blocks: tuple[int, int], depth: int, range_: str
) -> None:
    rng = np.random.default_rng(3)
    kind = np.uint8 if depth == 8 else np.uint16
    luma = rng.integers(0, 2**depth, shape).astype(kind)
    bw, bh = blocks
    cw, ch = -(-shape[1] // bw), -(-shape[0] // bh)
    out = plane_luma(luma, depth, range_, (cw, ch))  # type: ignore[arg-type]
    padded = np.pad(luma.astype(np.float64), ((0, ch * bh - shape[0]), (0, cw * bw - shape[1])), mode="edge")
    mean = padded.reshape(ch, bh, cw, bw).mean(axis=(1, 3))
    low, span = (16, 219) if range_ == "limited" else (0, 255)
    scale = 2 ** (depth - 8)
    expected = (mean - low * scale) / (span * scale) if range_ == "limited" else mean / (2**depth - 1)
    assert out.shape == (ch, cw) and out.dtype == np.float32
    assert np.abs(out - np.clip(expected, 0, 1)).max() <= 0.51 / (span * scale) + 1e-4


def test_plane_luma_takes_luma_that_is_decoded_already() -> None:
    rng = np.random.default_rng(4)
    luma = rng.random((40, 60)).astype(np.float32)
    out = plane_luma(luma, 8, "full", (30, 20))
    assert np.allclose(out, luma.reshape(20, 2, 30, 2).mean(axis=(1, 3)), atol=1e-5)
