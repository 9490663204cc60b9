"""Flip, zoom and crop of a pair: what original and hint share, and what they do not."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from videocolor.datasets.pairs.manifest import uniforms
from videocolor.types import Array

__all__ = ["Augment", "Window", "cut_window", "draw_windows"]


@dataclass(frozen=True)
class Augment:
    """How a pair is varied.

    The flip is shared: no hint of a real scene is its mirror image. The window (zoom and place) is shared as well, so
    that the hint still shows what the original shows, and then the hint's own is moved and scaled a little: a hint
    painted from another still never lies on the frame exactly. Degradation is for the original's luma alone.
    """

    flip: float = 0.5
    """Probability of mirroring both, left to right."""
    zoom: tuple[float, float] = (0.5, 1.0)
    """Side of the window as a share of the largest one that fits, drawn uniformly."""
    hint_shift: float = 0.1
    """Most that the hint's window is moved against the original's, as a share of its side."""
    hint_scale: float = 0.15
    """Most that the hint's window is larger or smaller, as a share."""

    def __post_init__(self) -> None:
        low, high = self.zoom
        if not 0 < low <= high <= 1:
            raise ValueError(f"{self.zoom=}: expected 0 < low <= high <= 1")
        if not (0 <= self.flip <= 1 and 0 <= self.hint_shift < 1 and 0 <= self.hint_scale < 1):
            raise ValueError(f"{self=}: flip lies in 0..1, hint_shift and hint_scale in 0..1 without 1")


@dataclass(frozen=True)
class Window:
    """A part of a picture in shares of its size."""

    x: float
    """0: at the left edge, 1: at the right edge."""
    y: float
    side: float
    """Of the largest window of the wanted shape that fits, 0..1."""
    flip: bool = False


WHOLE = Window(0.5, 0.5, 1.0)
"""The largest window, in the middle."""


def draw_windows(settings: Augment, *key: object) -> tuple[Window, Window]:
    """(original's, hint's) window; the same key gives the same windows, in any order and any process."""
    draw = uniforms(7, "augment", *key)
    low, high = settings.zoom
    side = low + (high - low) * draw[0]
    flip = draw[1] < settings.flip
    original = Window(draw[2], draw[3], side, flip)
    scale = 1 + settings.hint_scale * (2 * draw[4] - 1)
    shift_x, shift_y = (settings.hint_shift * side * (2 * value - 1) for value in draw[5:7])
    hint = Window(_inside(original.x + shift_x), _inside(original.y + shift_y), min(1.0, side * scale), flip)
    return original, hint


def _inside(place: float) -> float:
    return min(1.0, max(0.0, place))


def cut_window(rgb: Array, window: Window, size: tuple[int, int]) -> Array:
    """Cut a window out of a picture and scale it.

    Args:
        rgb: (h, w, 3) uint8.
        window: which part; its middle is moved inwards where it would leave the picture.
        size: (height, width) of the result, whose shape the window has.

    Returns:
        (*size, 3) uint8.
    """
    height, width = rgb.shape[:2]
    scale = min(height / size[0], width / size[1]) * window.side
    h, w = max(1, min(height, round(size[0] * scale))), max(1, min(width, round(size[1] * scale)))
    top = round((height - h) * window.y)
    left = round((width - w) * window.x)
    part = rgb[top : top + h, left : left + w]
    if (h, w) != size:
        way = cv2.INTER_AREA if h >= size[0] and w >= size[1] else cv2.INTER_LINEAR
        part = np.asarray(cv2.resize(part, (size[1], size[0]), interpolation=way))
    return np.ascontiguousarray(part[:, ::-1] if window.flip else part)
