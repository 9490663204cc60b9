"""Films that come through a pipe: read once, through a window in memory that all readers of the film share.

Whatever opens a file opens a `PipeView`, in which nothing can be sought. While the film is examined, the window keeps
everything from the beginning; from `PipeWindow.go` on, what lies between the slowest open reader and the fastest.
"""

from __future__ import annotations

import hashlib
import io
import os
import select
import stat
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import IO, Final

from videocolor.concurrency.stages import check_wanted
from videocolor.errors import InputError, UsageError

__all__ = ["STANDARD_INPUT", "PipeView", "PipeWindow", "is_pipe", "opened_pipe", "window_of"]

STANDARD_INPUT: Final = Path("-")
_BLOCK: Final = 1 << 20
_POLL: Final = 0.1
"""Seconds after which a reader that waits for the pipe looks whether it still should."""
_WINDOWS: Final[dict[Path, PipeWindow]] = {}
"""Pipes that are being read. A pipe has one beginning, so a process has one window for it."""
_NUMBERS: Final = count(1)


def is_pipe(path: Path) -> bool:
    """Tell whether a path is standard input (`-`), a named pipe or a socket."""
    if path == STANDARD_INPUT:
        return True
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def window_of(path: Path) -> PipeWindow | None:
    """Return the window of a pipe that is being read; None: there is none, as for every file."""
    return _WINDOWS.get(path)


@contextmanager
def opened_pipe(source: Path, go_on: Callable[[], None]) -> Iterator[PipeWindow]:
    """Read a film through a pipe: inside, `open_input` and all that use it take `source` for a film.

    Args:
        source: a path of which `is_pipe` is true.
        go_on: called while a reader waits for the pipe; what it raises ends the reading.

    Raises:
        UsageError: standard input is a terminal, or the pipe is being read already.
        InputError: nothing came, the pipe cannot be read, or the film cannot be read without seeking.
    """
    if source in _WINDOWS:
        raise UsageError(f"{source}: is being read already; a pipe has one reader")
    with _opened(source) as file:
        window = _WINDOWS[source] = PipeWindow(source, file, go_on)
        try:
            _check_order(window)
            yield window
        finally:
            del _WINDOWS[source]


class PipeWindow:
    """The bytes of a pipe that some reader has still to see; safe for several threads.

    Args:
        source: the pipe's path, for messages.
        file: the pipe.
        go_on: as of `opened_pipe`.
    """

    def __init__(self, source: Path, file: IO[bytes], go_on: Callable[[], None]) -> None:
        self.source, self._file, self._go_on = source, file, go_on
        self.number = next(_NUMBERS)
        """Tells windows of one process apart."""
        self.end = 0
        """Bytes that came so far."""
        self.most = 0
        """Bytes that were held at once at most."""
        self._blocks: dict[int, bytearray] = {}
        self._views: weakref.WeakSet[PipeView] = weakref.WeakSet()
        self._going = self._ended = False
        self._digest = hashlib.sha256()
        self._lock, self._reading = threading.Lock(), threading.Lock()

    def view(self) -> PipeView:
        """Return a new reader at the film's beginning."""
        view = PipeView(self)
        with self._lock:
            if self._going:
                raise InputError(f"{self.source}: its beginning is gone; a pipe is read only once")
            self._views.add(view)
        return view

    def head(self) -> io.BytesIO:
        """Return the first bytes, at most 1 MiB; they are kept."""
        while self.end < _BLOCK and self._read(self.end):
            pass
        with self._lock:
            return io.BytesIO(bytes(self._blocks.get(0, b"")))

    def go(self) -> None:
        """Let the window move: nobody will begin at the film's beginning any more."""
        self._going = True

    def bytes_at(self, place: int, size: int) -> bytes:
        """Return at most `size` bytes from a place on; empty: the film ends there."""
        while place >= self.end and self._read(place):
            pass
        number, begin = divmod(place, _BLOCK)
        with self._lock:
            block = self._blocks.get(number, b"")
            if not block and place < self.end:
                raise InputError(f"{self.source}: what is asked for is gone; a pipe is read only once")
            return bytes(block[begin : begin + size])

    def result(self) -> str:
        """Read what is left of the pipe, when no reader needs it; return the sha256 of everything, hexadecimal."""
        self._views.clear()
        while self._read(self.end):
            self.drop()
        return self._digest.hexdigest()

    def drop(self) -> None:
        """Forget the blocks before the slowest reader, but the first."""
        with self._lock:
            first = min((view.place for view in self._views), default=self.end) // _BLOCK if self._going else 0
            for number in [n for n in self._blocks if 0 < n < first]:
                del self._blocks[number]

    def _read(self, place: int) -> bool:
        """Wait for more of the pipe, unless what is at a place has come; False: there is no more."""
        with self._reading:
            if place < self.end:
                return True
            data = b"" if self._ended else self._next()
            self._ended = not data
            self._digest.update(data)
            with self._lock:
                while data:
                    block = self._blocks.setdefault(self.end // _BLOCK, bytearray())
                    part = data[: _BLOCK - self.end % _BLOCK]
                    block += part
                    self.end += len(part)
                    data = data[len(part) :]
                self.most = max(self.most, sum(map(len, self._blocks.values())))
        return not self._ended

    def _next(self) -> bytes:
        """Return the next bytes of the pipe, without blocking for so long that a stop is not noticed."""
        try:
            place = self._file.fileno()
        except OSError:  # no pipe of the system's
            return self._file.read(_BLOCK)
        try:
            while os.name == "posix" and not select.select([place], [], [], _POLL)[0]:
                check_wanted()
                self._go_on()
            return os.read(place, _BLOCK)
        except OSError as error:
            raise InputError(f"{self.source}: cannot be read ({error.strerror or error})") from error


class PipeView:
    """One reader's place in a pipe, as PyAV takes it: a file that cannot seek."""

    def __init__(self, window: PipeWindow) -> None:
        self._window, self.place = window, 0

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes, and go on after them."""
        data, before = self._window.bytes_at(self.place, size), self.place
        self.place += len(data)
        if before // _BLOCK < self.place // _BLOCK:
            self._window.drop()
        return data


@contextmanager
def _opened(source: Path) -> Iterator[IO[bytes]]:
    if source == STANDARD_INPUT:
        if sys.stdin is None or sys.stdin.isatty():
            raise UsageError("-: standard input is a terminal; pipe a film: cat film.mkv | videocolor colorize - OUT")
        yield sys.stdin.buffer
        return
    try:
        pipe = source.open("rb", buffering=0)
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({error.strerror or error})") from error
    with pipe:
        yield pipe


def _check_order(window: PipeWindow) -> None:
    """Refuse an empty pipe, and MP4 whose index follows its packets (ISO/IEC 14496-12, 8.1 and 8.2)."""
    head = window.head().getvalue()
    if not head:
        raise InputError(f"{window.source}: nothing came through the pipe")
    place = 0
    while head[4:8] in (b"ftyp", b"wide", b"free", b"skip", b"mdat") and (kind := head[place + 4 : place + 8]):
        size = int.from_bytes(head[place : place + 4], "big")
        if kind == b"mdat":
            raise InputError(
                f"{window.source}: its index comes after its packets, and a pipe is read only once; save it as a "
                "file, or send Matroska, MPEG-TS, Y4M, or MP4 written with -movflags +faststart"
            )
        if kind == b"moov" or size < 8:
            return
        place += size
