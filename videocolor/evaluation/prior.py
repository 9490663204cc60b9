"""Mean colour by lightness: the table of the `lightness` baseline, and how it was learnt.

The table below was printed by `python pipelines/learn_lightness.py PACK`; nobody typed it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from videocolor.color import rgb_to_lab, rgb_to_luma
from videocolor.types import Array

__all__ = ["MEAN_AB", "mean_ab_by_luma"]

MEAN_AB: Final[tuple[tuple[float, float], ...]] = (
    (0.51, -0.18),
    (0.94, 0.26),
    (1.37, 1.11),
    (1.56, 2.49),
    (1.72, 3.42),
    (1.90, 4.17),
    (2.02, 4.73),
    (2.08, 5.15),
    (2.07, 5.55),
    (2.02, 5.80),
    (1.87, 5.93),
    (1.72, 5.98),
    (1.48, 6.02),
    (1.21, 6.12),
    (0.98, 6.14),
    (0.82, 6.14),
    (0.67, 6.16),
    (0.52, 6.12),
    (0.39, 6.11),
    (0.25, 6.08),
    (0.07, 5.98),
    (-0.13, 5.87),
    (-0.35, 5.79),
    (-0.56, 5.70),
    (-0.78, 5.62),
    (-0.99, 5.48),
    (-1.22, 5.34),
    (-1.46, 5.19),
    (-1.65, 4.79),
    (-1.81, 4.07),
    (-1.85, 3.27),
    (-1.53, 2.33),
)
"""(a*, b*) of each of equally wide classes of BT.601 Y', from black to white."""


def mean_ab_by_luma(pictures: Iterable[Array], classes: int = 32) -> Array:
    """Mean colour of pictures in equally wide classes of luma; every picture weighs alike in each class it has.

    Args:
        pictures: (h, w, 3) uint8 R'G'B'.
        classes: how many, a divisor of 256.

    Returns:
        (classes, 2) float64 CIE a*b*; classes that no picture has are filled from their neighbours.

    Raises:
        ValueError: there is no picture.
    """
    total, count = np.zeros((2, classes)), np.zeros(classes)
    for rgb in pictures:
        planes = np.moveaxis(rgb.astype(np.float32) / 255, -1, 0)
        level = np.minimum((rgb_to_luma(planes, "bt601") * classes).astype(int), classes - 1).ravel()
        ab = rgb_to_lab(planes)[1:].reshape(2, -1)
        pixels = np.bincount(level, minlength=classes)
        for sums, channel in zip(total, ab, strict=True):
            sums += np.bincount(level, weights=channel, minlength=classes) / np.maximum(pixels, 1)
        count += pixels > 0
    seen = np.flatnonzero(count)
    if not len(seen):
        raise ValueError("no picture to learn from")
    return np.stack([np.interp(np.arange(classes), seen, sums[seen] / count[seen]) for sums in total], axis=1)
