"""Chroma of another film, frame by frame, in place of the network's."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Final

import cv2
import numpy as np

from videocolor.color import codes_to_chroma, codes_to_luma, rgb_to_lab, ycbcr_to_rgb
from videocolor.hints.registration import scale_matrix, warp
from videocolor.images import resized
from videocolor.pipeline.othermap import ChromaMap
from videocolor.types import Array, Frame, Matrix
from videocolor.video import VideoReader, open_video

__all__ = ["OtherChroma"]

_AHEAD: Final = Fraction(2)
"""Seconds up to which the other film is decoded on; farther away, and backward, it is sought."""


class OtherChroma:
    """Reads the chroma of a mapped film; frames are asked for in film order, mostly.

    Args:
        found: where the film's frames are in the other one.
        size: (height, width) of the film.
    """

    def __init__(self, found: ChromaMap, size: tuple[int, int]) -> None:
        self.found, self._size = found, size
        self._video: VideoReader | None = None
        self._frames: Iterator[Frame] = iter(())
        self._around: list[Frame] = []
        self._lock = threading.Lock()

    def colors(self, frames: Sequence[Frame], grid: tuple[int, int]) -> Array | None:
        """(n, 2, *grid) float32 a*b* of frames of the film; None: the other film does not show all of them."""
        found = []
        for wanted in frames:
            time = self.found.time(wanted.pts * wanted.time_base)
            with self._lock:
                frame = None if time is None else self._nearest(time)
            if frame is None:
                return None
            found.append(self._laid(frame, grid))
        return np.stack(found)

    def _nearest(self, time: Fraction) -> Frame | None:
        def seconds(frame: Frame) -> Fraction:
            return frame.pts * frame.time_base

        known = self._around
        if not known or time < seconds(known[0]) or time > seconds(known[-1]) + _AHEAD:
            start = max(Fraction(0), time - 1)
            if self._video is not None:
                self._video.close()
            self._video = open_video(self.found.other, start=start or None)
            self._frames, known = iter(self._video), []
        while not known or seconds(known[-1]) < time:
            frame = next(self._frames, None)
            if frame is None:
                break
            known = [*known[-1:], frame]
        self._around = known
        return min(known, key=lambda frame: abs(seconds(frame) - time), default=None)

    def _laid(self, frame: Frame, grid: tuple[int, int]) -> Array:
        """Lay a frame's color over the film's grid; its border is drawn out where it shows less."""
        depth, range_, (height, width) = frame.layout.depth, frame.color.range, self._size
        assert frame.chroma is not None
        to_grid = scale_matrix(width / grid[1], height / grid[0])
        x, y = np.hypot(*self.found.matrix[:, 0]), np.hypot(*self.found.matrix[:, 1])
        scale = x * width / grid[1], y * height / grid[0]
        rows, columns = frame.luma.shape
        small = max(1, round(rows / max(1.0, scale[1]))), max(1, round(columns / max(1.0, scale[0])))
        to_small = scale_matrix(small[1] / columns, small[0] / rows)
        matrix = (to_small @ np.vstack([self.found.matrix, [0, 0, 1]]) @ to_grid)[:2]
        planes = [codes_to_luma(frame.luma, depth, range_), *(codes_to_chroma(p, depth, range_) for p in frame.chroma)]
        luma, cb, cr = (warp(resized(plane, small), matrix, grid, cv2.BORDER_REPLICATE) for plane in planes)
        primaries: Matrix = "bt2020" if frame.color.matrix == "bt2020" else "bt709"
        return np.asarray(rgb_to_lab(ycbcr_to_rgb(luma, cb, cr, frame.color.matrix), primaries)[1:], np.float32)
