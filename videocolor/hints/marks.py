"""Scribbles of a hint, one by one: by the marks that come with it, or by what is painted."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from videocolor.types import SCRIBBLED, Array, Mark, Reach

__all__ = ["places_of"]

_PAINTED: Final = 0.5
"""Opacity from which a pixel belongs to a scribble."""
_SHADE: Final = 12.0
"""Side of the cells of a*b* (Lab units) that tell apart touching scribbles without marks."""
_RIM: Final = 7
"""Pixels to a side of what is added to a mark, whose edge in the picture is soft and scaled."""
_MOST: Final = 255


def places_of(marks: tuple[Mark, ...], ab: Array, mask: Array, reach: Reach) -> tuple[Array, tuple[Reach, ...]] | None:
    """Tell a hint's scribbles apart, on the grid of its scaled picture.

    Args:
        marks: of the hint, in the order they were made.
        ab: (2, h, w) its a*b*.
        mask: (h, w) its opacity in 0..1.
        reach: of scribbles without a mark.

    Returns:
        (h, w) uint8 number of the scribble at each pixel from 1, 0 for none; and the reach of
        each: first the marks, in their order. None: no scribbles.
    """
    if not marks and mask.mean() > SCRIBBLED:
        return None
    places, reaches = np.zeros(mask.shape, np.uint8), list[Reach]()
    painted = mask >= min(_PAINTED, max(float(mask.max()) / 2, 1e-6))
    bare = painted.copy()
    for mark in marks[:_MOST]:
        drawn = _drawn(mark, mask.shape)
        where = drawn if mark.reach == "keep" else drawn & painted
        reaches.append(mark.reach)
        places[where] = len(reaches)
        bare &= cv2.dilate(drawn.astype(np.uint8), np.ones((_RIM, _RIM), np.uint8)) == 0
    for where in _patches(bare, ab)[: _MOST - len(reaches)]:
        reaches.append(reach)
        places[where] = len(reaches)
    return places, tuple(reaches)


def _drawn(mark: Mark, size: tuple[int, int]) -> Array:
    """(h, w) bool: the pixels of a mark."""
    height, width = size
    path = np.array([[(int(x * width), int(y * height)) for x, y in (*mark.path, mark.path[-1])]], np.int32)
    plane = np.zeros(size, np.uint8)
    cv2.polylines(plane, path, False, 1, thickness=max(1, round(2 * mark.radius * height)))  # type: ignore[call-overload]
    if mark.filled:
        cv2.fillPoly(plane, path, 1)  # type: ignore[call-overload]
    return plane > 0


def _patches(painted: Array, ab: Array) -> list[Array]:
    """(h, w) bool of each connected patch of one color, the largest first."""
    cells = np.floor(ab / _SHADE).astype(np.int32)
    codes = np.where(painted, (cells[0] + 64) * 128 + cells[1] + 64, -1)
    found = list[tuple[int, Array]]()
    for code in np.unique(codes[painted]):
        _, numbered, stats, _ = cv2.connectedComponentsWithStats((codes == code).astype(np.uint8), connectivity=8)
        areas = stats[1:, cv2.CC_STAT_AREA]
        largest = np.argsort(-areas, kind="stable")[:_MOST]  # planes of those alone: grain has a patch a pixel
        found += [(int(areas[n]), numbered == n + 1) for n in largest if len(found) < _MOST or areas[n] > found[-1][0]]
        found = sorted(found, key=lambda patch: -patch[0])[:_MOST]
    return [where for _, where in found]
