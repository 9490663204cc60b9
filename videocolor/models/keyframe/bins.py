"""Quantized a*b*: the bins that a distribution of chroma is over.

R. Zhang, P. Isola, A. Efros: Colorful Image Colorization (ECCV 2016): a grid of 10 Lab units, soft labels by a Gaussian
of 5 units over the five nearest bins, and weights that let rare colors count for more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from videocolor.types import Array

__all__ = ["NEIGHBORS", "Bins", "count_bins", "make_bins", "soft_labels"]

_STEP: Final = 10.0
_REACH: Final = 110
_SIDE: Final = 2 * int(_REACH / _STEP) + 1
_SIGMA: Final = 5.0
_LEAST: Final = 2e-5
"""Share of all pixels from which a bin is kept."""
NEIGHBORS: Final = 5
"""Bins that a color is spread over."""


@dataclass(frozen=True, eq=False)
class Bins:
    """Centers of the bins, how often they occur, and what they weigh in the loss."""

    centers: Array
    """(q, 2) float32 a*b*."""
    weights: Array
    """(q,) float32; their mean over the footage is 1."""
    prior: Array
    """(q,) float32, shares of the footage's pixels."""


def count_bins(rgb: Array) -> Array:
    """Count how often each bin of the whole grid occurs.

    Args:
        rgb: (..., 3) uint8 R'G'B'.

    Returns:
        (23, 23) float64, a* first.
    """
    flat = rgb.reshape(1, -1, 3).astype(np.float32) / np.float32(255)
    ab = cv2.cvtColor(flat, cv2.COLOR_RGB2LAB)[0, :, 1:]
    index = np.clip(np.round(ab / np.float32(_STEP)).astype(np.int64) + _SIDE // 2, 0, _SIDE - 1)
    counts = np.bincount(index[:, 0] * _SIDE + index[:, 1], minlength=_SIDE * _SIDE)
    return counts.reshape(_SIDE, _SIDE).astype(np.float64)


def make_bins(counts: Array, uniform: float, power: float) -> Bins:
    """Choose the bins that occur, and weigh them.

    Args:
        counts: as `count_bins` returns, summed over the footage.
        uniform: share of a uniform distribution that the measured one is mixed with before its inverse is taken.
        power: exponent of the weights; 0: all colors count the same.
    """
    share = cv2.GaussianBlur(counts / counts.sum(), (0, 0), 0.5)
    kept = np.argwhere(counts / counts.sum() >= _LEAST)
    prior = share[kept[:, 0], kept[:, 1]]
    prior /= prior.sum()
    weights = ((1 - uniform) * prior + uniform / len(prior)) ** -power
    centers = (kept - _SIDE // 2) * _STEP
    weights /= (weights * prior).sum()
    return Bins(centers.astype(np.float32), weights.astype(np.float32), prior.astype(np.float32))


def soft_labels(centers: Array) -> tuple[Array, Array]:
    """For each whole a*b* value, the nearest bins and their shares: a table, for the distances are slow to compute.

    Args:
        centers: (q, 2) float32.

    Returns:
        (221, 221, 5) int64 bins, the nearest first, and (221, 221, 5) float32 shares that add up to 1; the first index
        is a* + 110, the second b* + 110.
    """
    axis = np.arange(-_REACH, _REACH + 1, dtype=np.float32)
    ab = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    apart = np.square(ab[:, None] - centers[None]).sum(axis=-1)
    near = np.argsort(apart, axis=1, kind="stable")[:, :NEIGHBORS]
    shares = np.exp(-np.take_along_axis(apart, near, axis=1) / np.float32(2 * _SIGMA**2))
    # Far outside of all bins every share underflows; the nearest bin then takes all.
    shares[:, 0] = np.maximum(shares[:, 0], np.float32(1e-30))
    shares /= shares.sum(axis=1, keepdims=True)
    shape = (len(axis), len(axis), NEIGHBORS)
    return near.reshape(shape).astype(np.int64), shares.reshape(shape).astype(np.float32)
