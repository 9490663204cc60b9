"""What makes a modern gray frame look like old film: spectral response, gamma, fade, blur, grain."""

from __future__ import annotations

import cv2
import numpy as np

from videocolor.types import Array

__all__ = ["gray_of", "old_film"]

_WEIGHTS = np.array([[0.299, 0.587, 0.114], [0.2126, 0.7152, 0.0722], [0.10, 0.55, 0.35]], dtype=np.float32)
"""BT.601, BT.709, and an orthochromatic emulsion, which hardly sees red."""


def gray_of(rgb: Array, rng: np.random.Generator) -> Array:
    """Luma with randomly chosen weights (45 % BT.601, 45 % BT.709, 10 % orthochromatic).

    Args:
        rgb: (h, w, 3) uint8.

    Returns:
        (h, w) float32 in 0..1.
    """
    weights = _WEIGHTS[rng.choice(3, p=(0.45, 0.45, 0.10))] / np.float32(255)
    return np.asarray(cv2.transform(rgb.astype(np.float32), weights[None]))


def old_film(luma: Array, rng: np.random.Generator) -> Array:
    """Light damage, each kind by chance.

    Args:
        luma: (h, w) float32 in 0..1.

    Returns:
        the same, clipped to 0..1.
    """
    if rng.random() < 0.5:
        luma = np.clip(luma, 0, 1) ** np.float32(rng.uniform(0.7, 1.4))
    if rng.random() < 0.5:
        low, high = rng.uniform(0.0, 0.12), rng.uniform(0.82, 1.0)
        luma = np.float32(low) + luma * np.float32(high - low)
    if rng.random() < 0.5:
        luma = cv2.GaussianBlur(luma, (0, 0), float(rng.uniform(0.4, 1.4)))
    if rng.random() < 0.6:
        grain = rng.standard_normal(luma.shape, dtype=np.float32)
        if rng.random() < 0.5:
            grain = cv2.GaussianBlur(grain, (0, 0), 0.7) * np.float32(2.0)
        luma = luma + grain * np.float32(rng.uniform(0.005, 0.05))
    return np.asarray(np.clip(luma, 0, 1), dtype=np.float32)
