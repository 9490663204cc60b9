"""What colour a source already has: none, a tint, or a picture in colour."""

from __future__ import annotations

from typing import Final, Literal

import cv2
import numpy as np

from videocolor.color import chroma_to_codes, codes_to_chroma
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
    depth = frame.layout.depth
    cb, cr = (
        # Every so many samples: a few thousand of them judge a whole frame, and this runs on each.
        codes_to_chroma(plane[:: 1 + plane.shape[0] // 64, :: 1 + plane.shape[1] // 64], depth, frame.color.range)
        for plane in frame.chroma
    )
    if float(np.hypot(cb, cr).mean()) <= _NEUTRAL:
        return "none"
    spread = float(np.sqrt(cb.var() + cr.var()))
    return "tint" if spread <= _ONE_HUE else "color"


def kept_chroma(frame: Frame, plan: OutputPlan) -> tuple[Array, Array]:
    """The source's own (Cb, Cr) in the output's size, depth and range; untouched where these are the source's."""
    assert frame.chroma is not None
    cb, cr = (_fit(plane, frame, plan) for plane in frame.chroma)
    return cb, cr


def _fit(plane: Array, frame: Frame, plan: OutputPlan) -> Array:
    size = plan.chroma_size
    if (plane.shape[1], plane.shape[0]) != size:
        shrinks = plane.shape[1] >= size[0] and plane.shape[0] >= size[1]
        plane = cv2.resize(plane, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    if (frame.layout.depth, frame.color.range) == (plan.layout.depth, plan.color.range):
        return plane
    chroma = codes_to_chroma(plane, frame.layout.depth, frame.color.range)
    return chroma_to_codes(chroma, plan.layout.depth, plan.color.range)
