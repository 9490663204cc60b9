"""How alike two pictures are: the scene check, the similarity of shots, correlation of luma."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from videocolor.types import Array

__all__ = [
    "FLAT",
    "THUMB",
    "correlation",
    "normalized",
    "scene_distance",
    "scene_thumbnail",
    "shot_similarity",
    "similarities",
    "thumbnail",
    "thumbnail_distance",
]

THUMB: Final = (90, 160)
"""(height, width) of the pictures that shots are compared by; their aspect does not matter."""
_SIZE: Final = (18, 32)
"""(height, width) of the scene check's thumbnails: small motion and grain vanish."""
FLAT: Final = 10.0
"""Spread of luma (8-bit levels) under which a thumbnail is not normalized up: fog, black, a faded picture."""
_SHIFT: Final = 2
"""Thumbnail pixels that two pictures may be shifted against each other: camera motion."""
_LIKE_EVEN, _LIKE_SCALE = 1.08, 0.108
"""Raw similarity that is worth 0.5, and the width of the logistic."""
_TOGETHER: Final = 64
"""Pictures that others are compared with at a time: memory."""


def thumbnail(gray: Array) -> Array:
    """Shrink a (h, w) uint8 luma picture to (90, 160) uint8."""
    return cv2.resize(gray, THUMB[::-1], interpolation=cv2.INTER_AREA)


def scene_thumbnail(luma: Array) -> Array:
    """Shrink (h, w) luma, uint8 or float32 0..1, to (18, 32) float32 8-bit levels; area averaging is the blur."""
    small: Array = cv2.resize(luma, (_SIZE[1], _SIZE[0]), interpolation=cv2.INTER_AREA)
    if luma.dtype == np.uint8:
        return small.astype(np.float32)
    return small.astype(np.float32) * np.float32(255)


def normalized(thumb: Array) -> Array:
    """Subtract the mean, divide by the spread: exposure does not count. Outliers are clipped at 3."""
    mean, deviation = cv2.meanStdDev(thumb)
    scale = 1 / max(float(deviation[0, 0]), FLAT)
    return np.asarray(np.clip((thumb - np.float32(mean[0, 0])) * np.float32(scale), -3, 3))


def thumbnail_distance(a: Array, b: Array) -> float:
    """Return the RMS difference of two normalized thumbnails at the best shift."""
    inner = a[_SHIFT:-_SHIFT, _SHIFT:-_SHIFT]
    return math.sqrt(max(0.0, float(cv2.matchTemplate(b, inner, cv2.TM_SQDIFF).min()) / inner.size))


def scene_distance(a: Array, b: Array) -> float:
    """Return the Euclidean scene check.

    RMS distance of two 32x18 thumbnails (area-averaged; mean subtracted, divided by the standard
    deviation but not by less than 10 levels; clipped to -3..3) at the best of 5x5 shifts of up to two
    thumbnail pixels, 1/16 of the width.

    Args:
        a: (h, w) luma, uint8 or float32 in 0..1.
        b: as `a`, any size.

    Returns:
        0 for the same picture, whatever the exposure; about 1.2 for pictures that have nothing in
        common; up to 2 for a picture and its negative.
    """
    return thumbnail_distance(normalized(scene_thumbnail(a)), normalized(scene_thumbnail(b)))


def shot_similarity(a: Array, b: Array) -> float:
    """Return how much two frames look like one shot, or one place seen again.

    Correlation of the thumbnails at the best small shift, plus 0.7 times the overlap of their luma
    histograms, brought to 0..1 by a logistic that was fitted on footage (docs/research/motion.md): 0.5 is
    reached by one in a hundred pairs of unrelated pictures, 0.8 by three in a thousand.

    Args:
        a: (h, w) luma, uint8 or float32 in 0..1; 160x90 pixels are plenty.
        b: as `a`, any size.

    Returns:
        0..1.
    """
    ta, tb = scene_thumbnail(a), scene_thumbnail(b)
    match = cv2.matchTemplate(tb, ta[_SHIFT:-_SHIFT, _SHIFT:-_SHIFT], cv2.TM_CCOEFF_NORMED)
    # A flat picture correlates with nothing: OpenCV answers 1 (or not a number) where a spread is zero.
    flat = min(float(ta.std()), float(tb.std())) < 1.0
    correlation = 0.0 if flat else float(np.nan_to_num(match.max(), posinf=0.0))
    raw = correlation + 0.7 * float(np.minimum(_histogram(a), _histogram(b)).sum())
    return 1 / (1 + math.exp(-(raw - _LIKE_EVEN) / _LIKE_SCALE))


def similarities(pictures: Sequence[Array], others: Sequence[Array]) -> Array:
    """Return `shot_similarity` of each of some pictures with each of others, in a hundredth of the time.

    Args:
        pictures: (h, w) luma each, uint8 or float32 in 0..1.
        others: likewise.

    Returns:
        (pictures, others) float32 in 0..1.
    """
    table = np.zeros((len(pictures), len(others)), np.float32)
    if not len(pictures):
        return table
    thumbs = np.stack([scene_thumbnail(picture) for picture in pictures])
    inner = _centered(thumbs[:, _SHIFT:-_SHIFT, _SHIFT:-_SHIFT].reshape(len(pictures), -1))
    flat = thumbs.std(axis=(1, 2)) < 1.0
    levels = np.stack([_histogram(picture) for picture in pictures])
    shape = (_SIZE[0] - 2 * _SHIFT, _SIZE[1] - 2 * _SHIFT)
    for first in range(0, len(others), _TOGETHER):
        some = others[first : first + _TOGETHER]
        theirs = np.stack([scene_thumbnail(other) for other in some])
        windows = np.lib.stride_tricks.sliding_window_view(theirs, shape, axis=(1, 2))
        shifted = _centered(windows.reshape(len(some) * (2 * _SHIFT + 1) ** 2, -1))
        match = (inner @ shifted.T).reshape(len(pictures), len(some), -1).max(axis=2)
        match[flat[:, None] | (theirs.std(axis=(1, 2)) < 1.0)[None]] = 0.0
        shares = [np.minimum(levels, _histogram(other)).sum(axis=1) for other in some]
        raw = match + np.float32(0.7) * np.stack(shares, axis=1)
        table[:, first : first + len(some)] = 1 / (1 + np.exp(-(raw - _LIKE_EVEN) / _LIKE_SCALE))
    return table


def _centered(rows: Array) -> Array:
    """Rows without their mean, of length 1; a plain one is all zeros."""
    rows = rows - rows.mean(axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-3)))


def _histogram(luma: Array) -> Array:
    """Return (32,) float32 shares of luma levels."""
    levels = luma if luma.dtype == np.uint8 else np.clip(luma * 255, 0, 255).astype(np.uint8)
    counts = cv2.calcHist([levels], [0], None, [32], [0, 256]).ravel()  # OpenCV 4 has a column of them
    return counts / np.float32(levels.size)


def correlation(a: Array, b: Array) -> float:
    """Return the linear correlation -1..1 of two planes of the same shape; 0 where one is flat."""
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / max(float(np.sqrt((a * a).sum() * (b * b).sum())), 1e-6))
