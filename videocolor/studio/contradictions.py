"""Points of a frame that say different colors of one thing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from videocolor.color import rgb_to_lab
from videocolor.studio.hints import parse_color
from videocolor.studio.projectdata import Point
from videocolor.types import Array

__all__ = ["contradictions"]

_CONTRARY: Final = 25.0
"""Difference of a*b* (Lab units) from which two points on one thing contradict each other."""
_INSIDE: Final = 0.6


def contradictions(points: Sequence[Point], shares: Sequence[Array | None]) -> list[list[int]]:
    """Return pairs of points of which one lies in what the other governs and has another color.

    Args:
        points: of a frame.
        shares: (h, w) in 0..1 of each, what it governs; None: unknown.
    """
    found = []
    for i, one in enumerate(points):
        for j, other in enumerate(points[:i]):
            if "keep" in (one.reach, other.reach):
                continue
            apart = rgb_to_lab(parse_color(one.color))[1:] - rgb_to_lab(parse_color(other.color))[1:]
            if float(np.hypot(*apart)) < _CONTRARY:
                continue
            if max(_share_at(shares[i], other), _share_at(shares[j], one)) > _INSIDE:
                found.append([j, i])
    return found


def _share_at(share: Array | None, point: Point) -> float:
    if share is None:
        return 0.0
    height, width = share.shape
    return float(share[min(height - 1, int(point.y * height)), min(width - 1, int(point.x * width))])
