"""Frames of previews as they are kept: three bytes a pixel, for any saturation and view that may be asked for later."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from videocolor.preview import PreviewFrame
from videocolor.types import Array

__all__ = ["BYTES_PER_PIXEL", "PackedFrame"]

BYTES_PER_PIXEL: Final = 3
_KNEE: Final = 16.0
"""Up to about this a*, b* the steps are alike; beyond, they grow with the value, as the eye's do."""
_MOST: Final = 176.0
"""Largest a*, b* that is told apart: no colour of BT.2020 lies beyond."""


@dataclass(frozen=True, eq=False)
class PackedFrame:
    """A frame of a preview: luma as the page shows it, in 255 steps; a* and b* in 127 steps to either side.

    A step of a*, b* is 0.4 at gray, 0.6 at 20, 1.3 at 50, and what is kept is off by half of that at most: about as
    much as 8-bit R'G'B' itself is off by. Gray stays gray.
    """

    frame: PreviewFrame
    """Without its planes."""
    luma: Array
    """(h, w) uint8, full range."""
    ab: Array
    """(2, h, w) uint8, see `_decoded`."""

    @classmethod
    def of(cls, frame: PreviewFrame) -> PackedFrame:
        """Pack a frame."""
        empty = np.empty(0, np.float32)
        bare = PreviewFrame(frame.index, frame.pts, frame.time_base, empty, empty, frame.matrix, frame.kept)
        luma = np.rint(np.clip(frame.luma, 0, 1) * 255).astype(np.uint8)
        halves = np.clip(frame.ab, -_MOST, _MOST).astype(np.float16)
        return cls(bare, luma, _codes()[halves.view(np.uint16)])

    def unpacked(self) -> PreviewFrame:
        """The frame again."""
        f, luma = self.frame, self.luma.astype(np.float32) / np.float32(255)
        return PreviewFrame(f.index, f.pts, f.time_base, luma, _decoded()[self.ab], f.matrix, f.kept)

    @property
    def bytes(self) -> int:
        """That its planes take."""
        return int(self.luma.nbytes + self.ab.nbytes)


@lru_cache(maxsize=1)
def _decoded() -> Array:
    """(256,) float32: a* or b* of each code; 128 is 0."""
    place = (np.arange(256) - 128) / 127 * np.arcsinh(_MOST / _KNEE)
    return np.asarray((_KNEE * np.sinh(place)).astype(np.float32))


@lru_cache(maxsize=1)
def _codes() -> Array:
    """(65536,) uint8: the code of each half float, by its bits; a table is ten times as fast as the logarithm."""
    values = np.nan_to_num(np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float64), nan=0.0)
    place = np.arcsinh(np.clip(values, -_MOST, _MOST) / _KNEE) / np.arcsinh(_MOST / _KNEE)
    return np.asarray((np.rint(place * 127) + 128).astype(np.uint8))
