"""Random access to the frames of a film by presentation time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from av.error import FFmpegError
from av.video.frame import VideoFrame

from videocolor.types import Frame
from videocolor.video.clock import timing_of
from videocolor.video.formats import describe, split_planes
from videocolor.video.interlace import earlier_field
from videocolor.video.opening import configure, ignore, main_video, open_input, tolerant_frames
from videocolor.video.probe import probe

__all__ = ["SeekableVideo"]

log = logging.getLogger(__name__)

_AHEAD: Final = 6
"""Seconds that are decoded on rather than sought: where keyframes are far apart, seeking costs more."""


class SeekableVideo:
    """An open film whose frames are asked for in any order; cheapest in rising order.

    Frames keep the times that the file gives them: for files whose times need repair, use `open_video`.

    Args:
        path: the film.

    Raises:
        InputError: and its kinds, as `probe` raises them.
    """

    def __init__(self, path: Path) -> None:
        self.info = probe(path)
        self._container = open_input(path)
        self._timing = timing_of(self._container)
        self._stream = main_video(self._container, path)
        configure(self._stream, threads=1)  # those that read at random have processes of their own
        for other in self._container.streams:
            if other.index != self._stream.index:
                ignore(other)
        self._frames = tolerant_frames(self._container, self._stream)
        self._position: int | None = None

    def until(self, pts: int, wanted: Callable[[int], bool]) -> Iterator[Frame]:
        """Decode up to a time, from a keyframe before it or from where the decoder is.

        Args:
            pts: time of the last frame, in the stream's time base.
            wanted: which times on the way are yielded.
        """
        position = self._position
        if position is None or position >= pts or (pts - position) * self.info.time_base > _AHEAD:
            self._seek(pts)
        for native in self._frames:
            time = self._timing.of(native)
            if time is None:
                continue
            self._position = time
            if wanted(time):
                yield self._frame(native, time)
            if time >= pts:
                return

    def close(self) -> None:
        """Close the film."""
        self._container.close()

    def _seek(self, pts: int) -> None:
        try:
            self._container.seek(pts, stream=self._stream)
        except FFmpegError as error:
            log.debug("%s: cannot seek: %s", self.info.path, error)
        self._frames = tolerant_frames(self._container, self._stream)

    def _frame(self, native: VideoFrame, pts: int) -> Frame:
        info, layout = self.info, describe(native.format.name)
        planes = split_planes(native, layout, info.color.matrix)
        field = earlier_field(planes.luma, layout.depth, info.field_order)
        place = (0, pts, info.time_base)
        return Frame(*place, planes.luma, layout, info.color, planes.chroma, native, earlier_field=field)
