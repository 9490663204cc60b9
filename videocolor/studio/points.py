"""Colours that were clicked on a frame, as a hint: discs of colour on the frame's own luma, transparent elsewhere.

The loader reads the picture as a hint with a mask. The network sees the luma of the whole frame, and colour only
where the discs are; what lies under the transparent rest is the colour of the nearest point, so that scaling does not
mix gray into the discs.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Final

import numpy as np

from videocolor.color import rgb_to_lab
from videocolor.errors import HintError
from videocolor.hints.align import with_luma
from videocolor.studio.projectdata import Point
from videocolor.types import Array

__all__ = ["RADIUS", "parse_color", "points_picture"]

RADIUS: Final = 0.02
"""Radius of a disc, as share of the picture's height, where a person chooses none; measured, see docs/hints.md."""
_MARGIN: Final = 3.0
"""Radii around a point in which its colour lies under the transparent part."""


def points_picture(luma: Array, points: Sequence[Point], *, sar: Fraction = Fraction(1)) -> tuple[Array, Array]:
    """Draw clicked colours on their frame.

    Args:
        luma: (h, w) full-range Y' of the frame in 0..1, at the stored size.
        points: places in 0..1 of the picture, colours, radii in 0..1 of its height; where two overlap, the later
            one holds.
        sar: sample aspect ratio of the film, for discs that are round when it is shown.

    Returns:
        (h, w, 3) float32 R'G'B' in 0..1, and (h, w) float32 opacity, smooth by a sample at the discs' edges.

    Raises:
        HintError: no points.
    """
    if not points:
        raise HintError("no points; click at least one colour")
    height, width = luma.shape
    mask = np.zeros((height, width), np.float32)
    ab = np.zeros((2, height, width), np.float32)
    for point in points:
        radius = max(point.radius * height, 0.75)
        reach = _MARGIN * radius + 1
        rows, columns = _around(point.y * height, reach, height), _around(point.x * width, reach / float(sar), width)
        y, x = np.ogrid[rows, columns]
        away = np.hypot((x + 0.5 - point.x * width) * float(sar), y + 0.5 - point.y * height).astype(np.float32)
        # The later of two overlapping points holds: also under what is transparent, as far as no other disc is.
        near = (away <= _MARGIN * radius) & ((mask[rows, columns] <= 0) | (away <= radius + 0.5))
        ab[:, rows, columns][:, near] = parse_color(point.color)[:, None]
        mask[rows, columns] = np.maximum(mask[rows, columns], np.clip(radius + 0.5 - away, 0, 1))
    return with_luma(ab, np.clip(luma, 0, 1)), mask


def parse_color(color: str) -> Array:
    """(2,) float32 CIE a*b* of `#rrggbb`."""
    value = np.array([int(color[n : n + 2], 16) / 255 for n in (1, 3, 5)], np.float32)
    return np.asarray(rgb_to_lab(value)[1:], np.float32)


def _around(middle: float, reach: float, length: int) -> slice:
    return slice(max(0, int(middle - reach)), min(length, int(middle + reach) + 2))
