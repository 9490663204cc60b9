"""The R'G'B' samples that an RGB film stores, for those who compare pictures.

`Frame.luma` and `Frame.chroma` of an RGB film are derived and rounded, which is right for colouring and costs a level
or two of R'G'B' on the way back.
"""

from __future__ import annotations

import numpy as np

from videocolor.types import Array, Frame
from videocolor.video.formats import rgb_channels

__all__ = ["stored_rgb"]


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
