"""What colour a source already has: none, a tint, or a picture in colour."""

from __future__ import annotations

from typing import Final, Literal

import cv2
import numpy as np

from videocolor.color import codes_to_chroma
from videocolor.types import Array, Frame
from videocolor.video import OutputPlan

__all__ = ["SourceColor", "kept_chroma", "source_color"]

SourceColor = Literal["none", "tint", "color"]

_NEUTRAL: Final = 0.012
"""Mean |Cb, Cr| (of a swing of 1) up to which a source is black and white: about 3 of 255 levels."""
_ONE_HUE: Final = 0.02
"""Spread of (Cb, Cr) around their mean up to which colour is one tint over all: about 5 of 255 levels."""


def source_color(frame: Frame) -> SourceColor:
    """Judge the chroma planes that a frame came with.

    Sepia and tinted film has chroma, but one hue everywhere: its spread stays small where its mean is large.
    """
    if frame.chroma is None:
        return "none"
    cb, cr = (
        codes_to_chroma(
            cv2.resize(plane, (64, 64), interpolation=cv2.INTER_AREA), frame.layout.depth, frame.color.range
        )
        for plane in frame.chroma
    )
    if float(np.hypot(cb, cr).mean()) <= _NEUTRAL:
        return "none"
    spread = float(np.sqrt(cb.var() + cr.var()))
    return "tint" if spread <= _ONE_HUE else "color"


def kept_chroma(frame: Frame, plan: OutputPlan) -> tuple[Array, Array]:
    """The source's own (Cb, Cr) in the output's depth and size."""
    assert frame.chroma is not None
    width, height = plan.chroma_size
    cb, cr = (_fit(plane, (width, height), plan.layout.depth - frame.layout.depth) for plane in frame.chroma)
    return cb, cr


def _fit(plane: Array, size: tuple[int, int], shift: int) -> Array:
    if (plane.shape[1], plane.shape[0]) != size:
        plane = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
    if shift == 0:
        return plane
    wide = plane.astype(np.uint32)
    shifted = wide << shift if shift > 0 else np.minimum((wide + (1 << (-shift - 1))) >> -shift, 255)
    return shifted.astype(np.uint16 if shift > 0 else np.uint8)
