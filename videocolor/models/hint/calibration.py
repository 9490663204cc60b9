"""Per-shot residual correction fitted on the hints.

    calibration = calibrate(cases)                     # once per shot: the hints, and the network's output for them
    ab += calibration.correction(ab, luma, share)      # every frame

The network does not reproduce a hint's colors exactly, not even on the hint itself: matching at 1/8 blurs them, and
training has taught it caution. The residual depends on the predicted color and on luma, both known for every frame.
It is fitted by ridge regression on polynomials and random Fourier features (Rahimi and Recht, NIPS 2007), which
approximate a Gaussian process; colors unlike any in the hints are left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from videocolor.errors import ModelError
from videocolor.types import Array

__all__ = [
    "BINS",
    "BLURS",
    "FEWEST",
    "LENGTHS",
    "LITTLE",
    "RARE",
    "RIDGE",
    "Calibration",
    "Case",
    "calibrate",
    "waves",
]

_WAVES: Final = 200
"""Random Fourier features."""
RIDGE: Final = 0.01
"""Of features that are scaled to a deviation of 1."""
BLURS: Final = (2.0, 6.0)
"""Standard deviations in grid pixels of the blurs that luma's detail is measured against."""
LENGTHS: Final = np.array([4.0, 0.075, 0.075, 8.0, 8.0], np.float32) / np.float32(0.7)
"""Inverse length scales of the residual over Y', a*, b* and the two details."""
FEWEST: Final = 200
"""Fewest painted grid pixels to fit on."""
_MOST: Final = 12000
"""Most grid pixels to fit on; of more, every second one, or every third."""
BINS: Final = (16, 16, 16)
"""Bins of Y' and of a*, b* (10 Lab units each) of the histogram of the hints' colors."""
LITTLE: Final = 1e-3
"""Share of a correction below which it is not computed."""
RARE: Final = 3e-5
"""Share of the hints' pixels in a bin at which a correction counts half."""


@dataclass(frozen=True, eq=False)
class Case:
    """A hint, and the network's output for it."""

    luma: Array
    """(H, W) float32, Y' in 0..1."""
    ab: Array
    """(2, h, w) float32, predicted a*b*, Lab units."""
    truth: Array
    """(2, H, W) float32, the hint's a*b*."""
    mask: Array | None = None
    """(H, W) float32 in 0..1, which pixels count; None: all."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """A fitted residual."""

    scale: Array
    """(features, 2) float32: mean and deviation of each feature."""
    weights: Array
    """(features, 2) float32."""
    shown: Array
    """`BINS` float32 in 0..1: how well the hints cover each color."""

    def correction(self, ab: Array, luma: Array, share: Array) -> Array:
        """Compute what to add to a prediction.

        Args:
            ab: (2, h, w) float32, a frame's predicted a*b*, Lab units.
            luma: (H, W) float32, its Y' in 0..1.
            share: (h, w) float32 in 0..1, weight of the correction.

        Returns:
            (2, h, w) float32.
        """
        wanted = share * self.shown[_bins(ab, luma)]
        chosen = np.flatnonzero(wanted > LITTLE)
        features = (_features(ab, luma, chosen) - self.scale[:, 0]) / self.scale[:, 1]
        found = np.zeros((2, wanted.size), np.float32)
        if len(chosen):
            found[:, chosen] = _product(features, self.weights).T * wanted.ravel()[chosen]
        return found.reshape(ab.shape)


def calibrate(cases: Sequence[Case]) -> Calibration | None:
    """Fit the residual on hints; None where too little of them is painted.

    Raises:
        ModelError: the network's output for them is not finite.
    """
    features, errors, bins = [], [], []
    for case in cases:
        size = case.ab.shape[2], case.ab.shape[1]
        truth = np.stack([cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in case.truth])
        painted = np.ones(case.ab.shape[1:], bool)
        if case.mask is not None:
            painted = cv2.resize(case.mask, size, interpolation=cv2.INTER_AREA) > 0.99
        chosen = np.flatnonzero(painted)
        chosen = chosen[:: max(1, -(-len(chosen) * len(cases) // _MOST))]
        features.append(_features(case.ab, case.luma, chosen))
        errors.append((truth - case.ab).reshape(2, -1).T[chosen])
        bins.append(np.stack(_bins(case.ab, case.luma)).reshape(3, -1)[:, chosen])
    if sum(map(len, errors)) < FEWEST:
        return None
    x, y = np.concatenate(features).astype(np.float64), np.concatenate(errors).astype(np.float64)
    scale = np.stack([x.mean(axis=0), x.std(axis=0) + 1e-3], axis=1)
    scale[0] = 0.0, 1.0
    x = (x - scale[:, 0]) / scale[:, 1]
    # A BLAS that uses several threads adds in another order: in double precision no weight shows it.
    moments = x.T @ x + RIDGE * len(x) * np.eye(x.shape[1])
    solved, weights = cv2.solve(moments, _product(x, y, cv2.GEMM_1_T), flags=cv2.DECOMP_CHOLESKY)
    if not solved:  # the ridge makes it positive definite, so only numbers that are not finite can do this
        raise ModelError("the network returned values for a hint that are not finite")
    return Calibration(scale.astype(np.float32), weights.astype(np.float32), _shown(np.concatenate(bins, axis=1)))


def _features(ab: Array, luma: Array, chosen: Array) -> Array:
    """(n, features) float32 of the grid pixels with the n chosen indices."""
    full = _resized(luma, ab)
    details = [(full - cv2.GaussianBlur(full, (0, 0), blur)).ravel()[chosen] for blur in BLURS]
    y, a, b = (plane.ravel()[chosen] for plane in (full, *ab))
    small_a, small_b = a * np.float32(1 / 40), b * np.float32(1 / 40)
    planes = [np.ones_like(y), y, small_a, small_b, y * y, y * small_a, y * small_b]
    planes += [small_a * small_a, small_b * small_b, small_a * small_b]
    planes += [detail * factor for detail in details for factor in (np.float32(1), small_a, small_b, y)]
    frequencies, phases = waves()
    seen = np.stack([y, a, b, *details], axis=-1).astype(np.float32) * LENGTHS
    angles = _product(seen, frequencies) + phases if len(chosen) else np.zeros((0, _WAVES), np.float32)
    return np.concatenate([np.stack(planes, axis=-1), np.cos(angles)], axis=1)


def _product(a: Array, b: Array, flags: int = 0) -> Array:
    """Multiply matrices with OpenCV: NumPy's threads spin, and their sums may depend on the number of threads."""
    return np.asarray(cv2.gemm(a, b, 1.0, None, 0.0, flags=flags))  # type: ignore[call-overload]


def waves() -> tuple[Array, Array]:
    """Return frequencies (5, `_WAVES`) and phases (`_WAVES`,) of the random features, float32, always the same."""
    random = np.random.Generator(np.random.Philox(key=23))
    frequencies = random.standard_normal((5, _WAVES)).astype(np.float32)
    return frequencies, random.uniform(0, 2 * np.pi, _WAVES).astype(np.float32)


def _resized(luma: Array, ab: Array) -> Array:
    return np.asarray(cv2.resize(luma, ab.shape[:0:-1], interpolation=cv2.INTER_AREA), np.float32)


def _bins(ab: Array, luma: Array) -> tuple[Array, Array, Array]:
    """Bin indices of each grid pixel, (h, w) each."""
    levels, colors, _ = BINS
    light = (_resized(luma, ab) * levels).astype(np.intp).clip(0, levels - 1)
    a, b = (np.floor(ab / 10).astype(np.intp) + colors // 2).clip(0, colors - 1)
    return light, a, b


def _shown(bins: Array) -> Array:
    """How well the hints cover each bin, neighboring bins counting in part."""
    share = np.zeros(BINS, np.float32)
    np.add.at(share, tuple(bins), np.float32(1 / bins.shape[1]))
    for axis in range(3):
        padded = np.pad(share, [(1, 1) if axis == other else (0, 0) for other in range(3)])
        before, here, after = (np.take(padded, range(start, start + BINS[axis]), axis=axis) for start in range(3))
        share = 0.25 * before + 0.5 * here + 0.25 * after
    return np.asarray(share / (share + np.float32(RARE)))
