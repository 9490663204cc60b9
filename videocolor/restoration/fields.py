"""The two fields of a frame: how to weave them, and how to see that they do not belong together.

The upper field holds lines 0, 2, 4..., the lower field lines 1, 3, 5...
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from videocolor.types import Array, Frame

__all__ = ["combed", "on_planes", "plane", "teeth", "weave"]

_TOOTH = 5
"""Least height of a comb's tooth in 8-bit levels."""
_FLAT = 2
"""How many times higher teeth must be between neighboring lines than between every second one."""
_AREA = (9, 13)
"""(rows, columns) in which a share of the samples must comb: grain and thin lines do so here and there."""
_DENSE = 0.22


def weave(upper: Array, lower: Array) -> Array:
    """Upper field of one picture and lower field of another, (h, w) each, in one new picture."""
    woven: Array = np.array(upper)
    woven[1::2] = lower[1::2]
    return woven


def teeth(gray: Array, step: int = 1) -> Array:
    """How much every sample stands out from both lines `step` above and below it to one side.

    Args:
        gray: (h, w) uint8.
        step: 1: neighboring lines, which are of two fields; 2: lines of one field.

    Returns:
        (h, w) uint8; 0 on the outermost lines.
    """
    found = np.zeros_like(gray)
    if gray.shape[0] > 2 * step:
        up, here, down = gray[: -2 * step], gray[step:-step], gray[2 * step :]
        over = cv2.min(cv2.subtract(here, up), cv2.subtract(here, down))
        under = cv2.min(cv2.subtract(up, here), cv2.subtract(down, here))
        found[step:-step] = cv2.max(over, under)
    return found


def combed(gray: Array) -> Array:
    """Where a picture combs, with a margin around.

    Args:
        gray: (h, w) uint8.

    Returns:
        (h, w) bool.
    """
    near, far = teeth(gray), teeth(gray, 2)
    comb = ((near > _TOOTH) & (near // _FLAT > far)).astype(np.float32)
    dense = cv2.blur(comb, _AREA[::-1]) > _DENSE
    if not dense.any():
        return np.zeros(gray.shape, bool)
    return np.asarray(cv2.dilate(dense.astype(np.uint8), np.ones((13, 17), np.uint8)) > 0)


def on_planes(frame: Frame, work: Callable[[int], Array]) -> Frame:
    """Return the frame with new planes: `work(0)` makes luma, 1 and 2 Cb and Cr where the frame has them."""
    chroma = (work(1), work(2)) if frame.chroma is not None else None
    return replace(frame, luma=work(0), chroma=chroma)


def plane(frame: Frame, index: int) -> Array:
    """Luma (0), Cb (1) or Cr (2) of a frame that has it."""
    if index == 0:
        return frame.luma
    assert frame.chroma is not None
    return frame.chroma[index - 1]
