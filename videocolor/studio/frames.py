"""Single frames of a film and of its rendered result, exact by their times."""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Final, Generic, TypeVar

import numpy as np

from videocolor.color import codes_to_luma
from videocolor.config import ColorizeConfig
from videocolor.errors import InputError, UsageError
from videocolor.hints.plan import frame_to_rgb
from videocolor.images import encode_image, resized
from videocolor.keyframes.choose import suggestion_png
from videocolor.pipeline.reader import FilmReader, Part
from videocolor.shots.scan import one_frame
from videocolor.studio.errors import NotFoundError
from videocolor.types import Array, Frame, VideoInfo
from videocolor.video import VideoReader, open_video

__all__ = ["ByteCache", "FilmIndex", "FrameSource", "ResultFrames", "display_size", "gray_picture", "jpeg_bytes"]

_HELD: Final = 128 * 2**20
"""Bytes of the cache of decoded frames."""
_HELD_JPEG: Final = 48 * 2**20
_BEFORE: Final = 12
"""Frames decoded before the requested one when stepping backwards."""
_AHEAD: Final = 64
"""Frames read on to the requested one rather than seeking."""
_QUALITY: Final = 90
_HELD_RESULTS: Final = 96 * 2**20
_ROUNDED: Final = Fraction(1, 1000)
"""Seconds by which a container may round a time: Matroska has milliseconds."""
K = TypeVar("K")
V = TypeVar("V")


class ByteCache(Generic[K, V]):
    """Cache of the most recently used values, limited in bytes; safe for threads.

    Args:
        most: bytes.
        size: bytes of a value.
    """

    def __init__(self, most: int, size: Callable[[V], int]) -> None:
        self._most, self._size = most, size
        self._values: OrderedDict[K, V] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: K) -> V | None:
        """Return a value, or None."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: K, value: V) -> None:
        """Keep a value; drop the least recently used ones."""
        with self._lock:
            if key in self._values:
                self._bytes -= self._size(self._values.pop(key))
            self._values[key] = value
            self._bytes += self._size(value)
            while self._bytes > self._most and len(self._values) > 1:
                self._bytes -= self._size(self._values.popitem(last=False)[1])


class FilmIndex:
    """The times of a film's frames; grows during the scan.

    Attributes:
        info: of the film.
        version: identifies the film's file; lets browsers cache its pictures.
        pts: times of the frames known so far, in ticks: eight bytes a frame.
        complete: all frames are known.
    """

    def __init__(self, info: VideoInfo, version: str = "") -> None:
        self.info, self.version = info, version
        self.pts = array("q")
        self.complete = False
        self._grown = threading.Condition()

    @property
    def frames(self) -> int:
        """Number of frames known so far."""
        return len(self.pts)

    @property
    def time_base(self) -> Fraction:
        """Seconds per tick."""
        return self.info.time_base

    @property
    def rate(self) -> Fraction:
        """Frames per second as the container states it, else 25."""
        return self.info.rate or Fraction(25)

    @property
    def end_pts(self) -> int:
        """End of the last frame known so far, in ticks."""
        return self.pts[-1] + one_frame(self.info) if self.pts else self.info.start_pts

    @property
    def aspect(self) -> Fraction:
        """Width of the displayed picture over its height."""
        return self.info.width * self.info.sar / self.info.height

    def knows(self, index: int) -> bool:
        """Return whether the time of a frame is known."""
        known = len(self.pts)
        return 0 <= index < known or (index == known and self.complete)

    def time_of(self, index: int) -> Fraction:
        """Return the film time of a frame in seconds; for the index after the last frame, the end.

        Raises:
            NotFoundError: there is no such frame, or it is not known yet.
        """
        return self.ticks_of(index) * self.info.time_base

    def ticks_of(self, index: int) -> int:
        """Return the time of a frame in ticks; see `time_of`."""
        if not self.knows(index):
            raise NotFoundError(f"frame {index}: the film has {self.frames} frames{'' if self.complete else ' so far'}")
        return self.pts[index] if index < self.frames else self.end_pts

    def nearest(self, time: Fraction) -> int:
        """Return the frame displayed at a film time in seconds."""
        return max(0, bisect_right(self.pts, int(time / self.info.time_base)) - 1)

    def grow(self, pts: int) -> None:
        """Add a frame."""
        self.pts.append(pts)
        if len(self.pts) < 3 or len(self.pts) % 50 == 0:
            with self._grown:
                self._grown.notify_all()

    def finish(self) -> None:
        """Declare the index complete."""
        self.complete = True
        with self._grown:
            self._grown.notify_all()

    def wait_for(self, index: int, seconds: float) -> None:
        """Wait until a frame is known, at most `seconds`."""
        with self._grown:
            self._grown.wait_for(lambda: self.complete or len(self.pts) > index, seconds)


def display_size(info: VideoInfo, height: int | None = None) -> tuple[int, int]:
    """Return (height, width) of the displayed picture with square pixels; `height` None: the film's own."""
    lines = height or info.height
    return lines, max(1, round(info.width * info.sar * Fraction(lines, info.height)))


def gray_picture(frame: Frame, size: tuple[int, int]) -> Array:
    """Return (height, width) uint8 of a frame's luma, full range."""
    gray = np.clip(codes_to_luma(frame.luma, frame.layout.depth, frame.color.range), 0, 1)
    return np.asarray(np.rint(resized(gray, size) * 255).astype(np.uint8))


def jpeg_bytes(picture: Array) -> bytes:
    """Encode a gray (h, w) or R'G'B' (h, w, 3) uint8 picture as JPEG."""
    return encode_image(picture, ".jpg", quality=_QUALITY)


class FrameSource:
    """Read frames by index, as coloring reads them, with one open decoder and a cache; safe for threads.

    Args:
        path: the film.
        index: of this film; only frames that it knows can be read.
        config: its restoration is applied.
    """

    def __init__(self, path: Path, index: FilmIndex, config: ColorizeConfig | None = None) -> None:
        self._path, self._index, self._config = path, index, config or ColorizeConfig()
        self._lock = threading.Lock()
        self._frames: ByteCache[int, Frame] = ByteCache(_HELD, _bytes_of)
        self._jpegs: ByteCache[tuple[int, int], bytes] = ByteCache(_HELD_JPEG, len)
        self._reader: FilmReader | None = None
        self._stream: Generator[Frame, None, None] | None = None
        self._next = -1
        self._closed = False

    def frame(self, index: int) -> Frame:
        """Return a frame.

        Raises:
            NotFoundError: the film has no such frame, or it is not known yet.
            InputError: it cannot be read.
        """
        self._index.ticks_of(index)
        if index >= self._index.frames:
            raise NotFoundError(f"frame {index}: the film has {self._index.frames} frames")
        found = None if self._closed else self._frames.get(index)
        if found is not None:
            return found
        with self._lock:
            found = None if self._closed else self._frames.get(index)
            return found if found is not None else self._fetch(index)

    def jpeg(self, index: int, height: int) -> bytes:
        """Return a gray JPEG of a frame with `height` lines at the display aspect; errors as of `frame`."""
        data = self._jpegs.get((index, height))
        if data is None:
            frame = self.frame(index)
            data = jpeg_bytes(gray_picture(frame, display_size(self._index.info, height)))
            self._jpegs.put((index, height), data)
        return data

    def png(self, index: int) -> bytes:
        """Return the PNG that `videocolor keyframes` writes; errors as of `frame`."""
        return suggestion_png(self.frame(index))

    def close(self) -> None:
        """Close the film; later requests fail."""
        with self._lock:
            self._closed = True
            self._leave()

    def _fetch(self, index: int) -> Frame:
        if self._closed:
            raise NotFoundError("the studio is closing")
        if self._stream is None or not self._next <= index <= self._next + _AHEAD:
            backwards = self._stream is not None and self._next - 2 * _BEFORE <= index < self._next
            self._seek(max(0, index - _BEFORE) if backwards else index)
        found = self._read_to(index)
        if found is None:  # repaired times need decoding from the beginning
            self._seek(0, from_beginning=True)
            found = self._read_to(index)
        if found is None:
            raise InputError(f"{self._path}: frame {index} cannot be read again; has the film changed?")
        return found

    def _read_to(self, index: int) -> Frame | None:
        assert self._stream is not None
        try:
            for frame in self._stream:
                self._next = frame.index + 1
                self._frames.put(frame.index, frame)
                if frame.index == index and frame.pts == self._index.pts[index]:
                    return frame
                if frame.index >= index:
                    break
        except UsageError as error:  # the film ends before this time
            self._leave()
            raise InputError(f"{error}; has the film changed?") from error
        except BaseException:
            self._leave()
            raise
        self._leave()
        return None

    def _seek(self, index: int, *, from_beginning: bool = False) -> None:
        self._leave()
        part = Part(index, self._index.ticks_of(index), None, from_beginning)
        self._reader = FilmReader(self._path, self._config, self._index.info, part)
        self._stream, self._next = _closing(self._reader), index

    def _leave(self) -> None:
        if self._stream is not None:
            self._stream.close()
        if self._reader is not None:
            self._reader.__exit__(None, None, None)
        self._stream = self._reader = None
        self._next = -1


class ResultFrames:
    """Read frames of a rendered film by the times of its source; safe for threads.

    Args:
        path: the rendered film.
        index: of the source.
    """

    def __init__(self, path: Path, index: FilmIndex) -> None:
        self.path, self._index = path, index
        self._stamp = _stamp(path)
        self._lock = threading.Lock()
        self._frames: ByteCache[int, Array] = ByteCache(_HELD_RESULTS, lambda rgb: int(rgb.nbytes))
        self._reader: VideoReader | None = None
        self._stream: Generator[Frame, None, None] | None = None
        self._next = -1

    def is_of(self, path: Path) -> bool:
        """Return whether `path` is still the file that this reads."""
        return path == self.path and _stamp(path) == self._stamp

    def rgb(self, index: int) -> Array:
        """Return (h, w, 3) uint8, as stored, of the frame at the time of source frame `index`.

        Raises:
            NotFoundError: the film has no frame at that time.
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
        """Return the seconds to the frame before."""
        other = index - 1 if index else min(1, self._index.frames - 1)
        return abs(self._index.time_of(index) - self._index.time_of(other)) or Fraction(1, 25)

    def _leave(self) -> None:
        if self._stream is not None:
            self._stream.close()
        if self._reader is not None:
            self._reader.close()
        self._stream = self._reader = None
        self._next = -1


def _closing(reader: FilmReader) -> Generator[Frame, None, None]:
    frames: Iterator[Frame] = iter(reader)
    assert isinstance(frames, Generator)
    with closing(frames):
        yield from frames


def _bytes_of(frame: Frame) -> int:
    return int(frame.luma.nbytes) + sum(int(plane.nbytes) for plane in frame.chroma or ())


def _stamp(path: Path) -> tuple[int, int]:
    try:
        state = path.stat()
    except OSError:
        return (-1, -1)
    return state.st_size, state.st_mtime_ns


def _picture(frame: Frame) -> Array:
    return np.asarray(np.rint(frame_to_rgb(frame) * 255).astype(np.uint8))
