"""The color that a film comes with: whether it has any, and the samples that an RGB film stores.

`Frame.luma` and `Frame.chroma` of an RGB film are derived and rounded, which is right for coloring and costs a level
or two of R'G'B' on the way back.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np

from videocolor.color import codes_to_chroma
from videocolor.types import Array, Frame
from videocolor.video.formats import from_rgb, rgb_channels

__all__ = ["SourceColor", "source_color", "sparse_chroma", "stored_rgb"]


def stored_rgb(frame: Frame) -> Array | None:
    """Return the stored samples of an RGB film's frame.

    Args:
        frame: as a reader yields it.

    Returns:
        (h, w, 3) uint8, or uint16 holding `frame.layout.depth` bits; None where the film is not RGB.
    """
    if frame.layout.kind != "rgb":
        return None
    return np.stack(rgb_channels(frame.native), axis=-1)


def sparse_chroma(frame: Frame, lines: int) -> tuple[Array, Array] | None:
    """Return a sample of a frame's chroma; of an RGB film it is derived, also where the reader spared it.

    Args:
        frame: as a reader yields it.
        lines: about so many samples are taken along each side.

    Returns:
        (Cb, Cr) of `frame.layout.depth` bits; None where the frame has no color.
    """

    def thinned(plane: Array) -> Array:
        return plane[:: 1 + plane.shape[0] // lines, :: 1 + plane.shape[1] // lines]

    if frame.chroma is not None:
        cb, cr = frame.chroma
        return thinned(cb), thinned(cr)
    if frame.layout.kind != "rgb" or frame.native is None:
        return None
    red, green, blue = rgb_channels(frame.native)
    channels = thinned(red), thinned(green), thinned(blue)
    return from_rgb(channels, frame.layout.depth, frame.color.matrix, True).chroma


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
