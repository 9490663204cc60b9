"""Whether a film, or a part of it, has color already."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np

from videocolor.color import codes_to_chroma
from videocolor.types import Frame
from videocolor.video.stored import sparse_chroma

__all__ = ["SourceColor", "source_color"]

SourceColor = Literal["none", "tint", "color"]

_NEUTRAL: Final = 0.012
"""Mean |Cb, Cr| (of a swing of 1) up to which a source is black and white: about 3 of 255 levels."""
_ONE_HUE: Final = 0.02
"""Spread of (Cb, Cr) around their mean up to which color is one tint over all: about 5 of 255 levels."""


def source_color(frame: Frame) -> SourceColor:
    """Classify the chroma planes that a frame came with.

    Sepia and tinted film has chroma, but one hue everywhere: its spread stays small where its mean is large.
    """
    # A few thousand samples classify a frame, and this runs on each.
    planes = sparse_chroma(frame, 64)
    if planes is None:
        return "none"
    cb, cr = (codes_to_chroma(plane, frame.layout.depth, frame.color.range) for plane in planes)
    if float(np.hypot(cb, cr).mean()) <= _NEUTRAL:
        return "none"
    spread = float(np.sqrt(cb.var() + cr.var()))
    return "tint" if spread <= _ONE_HUE else "color"
