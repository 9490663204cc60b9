"""Chroma from the small grid to the chroma plane's grid, guided by the film's luma.

Color is predicted on a grid far smaller than the film's. Plain interpolation spreads it over the edges
that the film's luma still has. Inside a small window color is nearly a linear function of luma (Levin et
al. 2004), so its slope is fitted on the small grid and applied to the large luma, as in the fast guided
filter (He and Sun, arXiv:1505.00996; guided filter: He et al., TPAMI 2013).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import cv2
import numpy as np

from videocolor.color import codes_to_luma
from videocolor.images import resized, resized_planes
from videocolor.types import Array, Range

__all__ = ["bilinear_chroma", "plane_luma", "scaled_chroma", "upsample_chroma"]

_WINDOW: Final = 3
"""Side of the fit's window in small pixels; measured, see docs/research/motion.md."""
_EPSILON: Final = 1e-3
"""Luma variance (0..1 squared) under which luma says nothing about color; measured, see docs/research/motion.md."""
_COLOR_NOISE: Final = 0.5
"""Variance of a* or b* in a window that is no color edge."""


def upsample_chroma(ab: Array, small_luma: Array, plane_luma: Array) -> Array:
    """Bring a*b* to a larger grid so that color stops where luma has edges.

    Interpolated color, plus the luma detail that interpolation cannot show, times the local slope of
    color over luma, as far as luma explains color there (squared correlation). In this form, unlike in
    the guided filter's own, color that has nothing to do with luma is not smoothed away.

    Args:
        ab: (2, h, w) float32 CIE a*b* on the small grid.
        small_luma: (h, w) float32 Y' in 0..1 on the small grid.
        plane_luma: (H, W) float32 Y' in 0..1 on the target grid.

    Returns:
        (2, H, W) float32 a*b*. No value leaves the range of the small grid's values around it, so no
        edge gets a fringe of a color that was not there.
    """
    if small_luma.shape != ab.shape[1:]:
        raise ValueError(f"{small_luma.shape=} is not the grid of {ab.shape=}")
    height, width = plane_luma.shape
    size = (width, height)
    out = np.empty((2, height, width), np.float32)
    term = np.empty((height, width), np.float32)
    small_luma = np.ascontiguousarray(small_luma, np.float32)
    detail = cv2.resize(small_luma, size, interpolation=cv2.INTER_LINEAR)
    cv2.subtract(plane_luma, detail, dst=detail)
    # Off the middle first: the difference of two large squares loses digits.
    centered = small_luma - np.float32(0.5)
    mean = _box(centered)
    variance = np.maximum(_box(centered * centered) - mean * mean, 0)
    variance += np.float32(_EPSILON)
    around = np.ones((3, 3), np.uint8)
    for plane, target in zip(ab, out, strict=True):
        channel = np.ascontiguousarray(plane, np.float32)
        slope = _slope(channel, centered, mean, variance)
        cv2.multiply(cv2.resize(slope, size, dst=term, interpolation=cv2.INTER_LINEAR), detail, dst=term)
        cv2.resize(channel, size, dst=target, interpolation=cv2.INTER_LINEAR)
        cv2.add(target, term, dst=target)
        for extreme, bound in ((cv2.erode, cv2.max), (cv2.dilate, cv2.min)):
            limit = extreme(channel, around, borderType=cv2.BORDER_REPLICATE)
            bound(target, cv2.resize(limit, size, dst=term, interpolation=cv2.INTER_LINEAR), dst=target)
    return out


def bilinear_chroma(ab: Array, shape: tuple[int, int]) -> Array:
    """Bring (2, h, w) float32 a*b* to (2, *shape) without looking at the film; the yardstick."""
    size = (shape[1], shape[0])
    out = np.empty((2, *shape), np.float32)
    for channel, target in zip(ab, out, strict=True):
        cv2.resize(np.ascontiguousarray(channel, np.float32), size, dst=target, interpolation=cv2.INTER_LINEAR)
    return out


def scaled_chroma(ab: Array, shape: tuple[int, int]) -> Array:
    """Bring (2, h, w) float32 a*b* to (2, *shape), larger or smaller: linear up, averaged down."""
    return resized_planes(ab, shape)


def plane_luma(luma: Array, depth: int, range_: Range, size: tuple[int, int]) -> Array:
    """Bring a frame's luma to the grid of its chroma planes.

    A chroma sample stands for a block of luma samples and their average is its luma. On odd sizes the
    last block is smaller; the picture's edge is repeated, which keeps all other blocks exact. Chroma is
    taken to sit in the middle of its block: the left siting of MPEG-2 (4:2:0, 4:2:2) is a quarter chroma
    sample off, under what chroma of this resolution can show.

    Args:
        luma: (H, W) stored samples, uint8 or uint16; or floating point, which is Y' in 0..1 already.
        depth: bits a stored sample.
        range_: `limited` or `full`; of stored samples.
        size: (width, height) of the chroma plane.

    Returns:
        (height, width) float32 Y', clipped to 0..1.
    """
    width, height = size
    block_w, block_h = _block(luma.shape[1], width), _block(luma.shape[0], height)
    pad_w, pad_h = width * block_w - luma.shape[1], height * block_h - luma.shape[0]
    if (pad_w or pad_h) and 0 <= pad_w < block_w and 0 <= pad_h < block_h:
        luma = cv2.copyMakeBorder(luma, 0, pad_h, 0, pad_w, cv2.BORDER_REPLICATE)
    if luma.shape != (height, width):
        luma = resized(luma, (height, width))
    if luma.dtype == np.uint8 and depth == 8:
        return cv2.LUT(luma, _levels(range_))
    if luma.dtype.kind != "f":
        luma = codes_to_luma(luma, depth, range_)
    return np.clip(luma, 0, 1).astype(np.float32, copy=False)


def _block(length: int, count: int) -> int:
    """Luma samples a chroma sample: the power of two with which `count` blocks cover `length`."""
    return 1 << (-(-length // count) - 1).bit_length()


@lru_cache(maxsize=2)
def _levels(range_: Range) -> Array:
    """(256,) float32 Y' in 0..1 of all 8-bit samples."""
    return np.clip(codes_to_luma(np.arange(256, dtype=np.uint8), 8, range_), 0, 1).astype(np.float32)


def _box(image: Array) -> Array:
    return cv2.blur(image, (_WINDOW, _WINDOW), borderType=cv2.BORDER_REPLICATE)


def _slope(channel: Array, luma: Array, mean: Array, variance: Array) -> Array:
    """Slope of color over luma in the windows, shrunk by how little luma explains color."""
    color = _box(channel)
    spread = np.maximum(_box(channel * channel) - color * color, 0)
    spread += np.float32(_COLOR_NOISE)
    common = _box(luma * channel)
    common -= mean * color
    slope = common / variance
    common *= slope
    common /= spread  # squared correlation
    slope *= np.minimum(common, 1)
    return _box(slope)
