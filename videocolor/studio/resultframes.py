"""Frames of the rendered film, found by the times of the source's frames."""

from __future__ import annotations

import threading
from collections.abc import Generator
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np

from videocolor.hints.plan import frame_to_rgb
from videocolor.studio.frames import ByteCache, FilmIndex
from videocolor.studio.problems import NotFoundError
from videocolor.types import Array, Frame
from videocolor.video import VideoReader, open_video

__all__ = ["ResultFrames"]

_HELD: Final = 96 * 2**20
_AHEAD: Final = 64
_ROUNDED: Final = Fraction(1, 1000)
"""Seconds by which a container may round a time: Matroska counts in milliseconds."""


class ResultFrames:
    """Frames of a film that has the times of another one; safe for threads.

    Args:
        path: the rendered film.
        index: of the source.
    """

    def __init__(self, path: Path, index: FilmIndex) -> None:
        self.path, self._index = path, index
        self._stamp = _stamp(path)
        self._lock = threading.Lock()
        self._frames: ByteCache[int, Array] = ByteCache(_HELD, lambda rgb: int(rgb.nbytes))
        self._reader: VideoReader | None = None
        self._stream: Generator[Frame, None, None] | None = None
        self._next = -1

    def is_of(self, path: Path) -> bool:
        """Whether this is still about the file that stands there."""
        return path == self.path and _stamp(path) == self._stamp

    def rgb(self, index: int) -> Array:
        """(h, w, 3) uint8 as stored, of the frame with the source's frame's time.

        Raises:
            NotFoundError: the film has none at that time.
        """
        with self._lock:
            found = self._frames.get(index)
            if found is None:
                found = _picture(self._fetch(index))
                self._frames.put(index, found)
            return found

    def close(self) -> None:
        """Close the film."""
        with self._lock:
            self._leave()

    def _fetch(self, index: int) -> Frame:
        time = self._index.time_of(index)
        slack = min(_ROUNDED, self._gap(index) / 2)
        if self._stream is None or not self._next <= index <= self._next + _AHEAD:
            self._leave()
            start = time - slack
            self._reader = open_video(self.path, start=start if index and start > 0 else None)
            stream = iter(self._reader)
            assert isinstance(stream, Generator)
            self._stream = stream
        for frame in self._stream:
            at = frame.pts * frame.time_base
            if at >= time - slack:
                self._next = index + 1
                if at > time + self._gap(index):
                    break
                return frame
        self._leave()
        raise NotFoundError(f"the rendered film has no frame at {float(time):.3f} s")

    def _gap(self, index: int) -> Fraction:
        """Seconds to the frame before."""
        other = index - 1 if index else min(1, self._index.frames - 1)
        return abs(self._index.time_of(index) - self._index.time_of(other)) or Fraction(1, 25)

    def _leave(self) -> None:
        if self._stream is not None:
            self._stream.close()
        if self._reader is not None:
            self._reader.close()
        self._stream = self._reader = None
        self._next = -1


def _stamp(path: Path) -> tuple[int, int]:
    try:
        state = path.stat()
    except OSError:
        return (-1, -1)
    return state.st_size, state.st_mtime_ns


def _picture(frame: Frame) -> Array:
    return np.asarray(np.rint(frame_to_rgb(frame) * 255).astype(np.uint8))
