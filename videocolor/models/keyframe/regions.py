"""One thing, one choice: regions of a picture, and one color for each from its distribution.

Regions are those of P. Felzenszwalb, D. Huttenlocher: Efficient Graph-Based Image Segmentation (IJCV 2004), over luma
and the mean of what is plausible. A region's distribution is the mean of its pixels'; sharpened by a temperature below
1 it is bold where it is narrow. Where it is wide, the color stays near the mean of all that is plausible.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from skimage.segmentation import felzenszwalb

from videocolor.types import Array

__all__ = ["Evidence", "choose_chroma", "find_regions"]

_SCALE: Final = 30.0
_LEAST: Final = 40
"""Pixels of a region at least."""
_LUMA_WEIGHT: Final = 3.0
_CHROMA_UNIT: Final = 15.0
"""Lab units of the mean that count as much as a third of the range of luma."""
_COLDEST: Final = 0.3
"""Temperature of a region's distribution from vividness 0.5 on."""
_NEAR: Final = 25.0
"""Lab units around a region's choice within which a color counts as the same."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the network says of a picture, on its grid of (h, w)."""

    luma: Array
    """(h, w) float32 Y' in 0..1."""
    mean: Array
    """(2, h, w) float32 a*b*, the mean of what is plausible."""
    shares: Array
    """(q, h, w) float32, probabilities of the bins; they add up to 1."""


def find_regions(evidence: Evidence) -> Array:
    """(h, w) int64 numbers of regions, from 0."""
    look = np.concatenate([evidence.luma[None] * np.float32(_LUMA_WEIGHT), evidence.mean / np.float32(_CHROMA_UNIT)])
    picture = np.moveaxis(look, 0, -1).astype(np.float64)
    found = felzenszwalb(picture, scale=_SCALE, sigma=0.8, min_size=_LEAST, channel_axis=2)
    return np.asarray(found, np.int64)


def choose_chroma(evidence: Evidence, regions: Array, centers: Array, weights: Array, vividness: float) -> Array:
    """Color a picture region by region.

    Args:
        evidence: what the network says.
        regions: (h, w) as `find_regions` returns.
        centers: (q, 2) float32 a*b* of the bins.
        weights: (q,) float32, what the bins weighed in training: more where a color is rare.
        vividness: 0 keeps the mean of all that is plausible; 0.5 takes each region's likeliest color as far as its
            distribution is narrow; up to 1 rare colors count for more.

    Returns:
        (2, h, w) float32 a*b*.
    """
    if vividness <= 0:
        return np.asarray(evidence.mean)
    flat, count = regions.ravel(), int(regions.max()) + 1
    sizes = np.bincount(flat, minlength=count)
    inside = np.stack([np.bincount(flat, plane.ravel(), count) for plane in evidence.shares]) / sizes
    inside *= (weights ** (2 * vividness))[:, None]
    inside /= inside.sum(axis=0, keepdims=True)
    bold = min(1.0, 2 * vividness)
    sharp = inside ** (1.0 / (1.0 + bold * (_COLDEST - 1.0)))
    sharp /= sharp.sum(axis=0, keepdims=True)
    chosen = centers.T @ sharp
    apart = np.square(centers[:, :, None] - chosen[None]).sum(axis=1)
    certain = np.where(apart <= _NEAR**2, inside, 0).sum(axis=0)
    middle = np.stack([np.bincount(flat, plane.ravel(), count) for plane in evidence.mean]) / sizes
    # What differs inside of a region is kept: shading and texture of one color, not other colors.
    shift = (bold * certain) * (chosen - middle)
    return np.asarray(evidence.mean + shift[:, regions], np.float32)
