"""Opening films with FFmpeg: its errors become ours, and its eagerness (text as ANSI art) is curbed."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
from av.codec.context import Flags as CodecFlags
from av.container import InputContainer
from av.error import FFmpegError
from av.format import Flags
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from videocolor.errors import InputError, NoVideoError, OutputError, UnsupportedVideoError
from videocolor.files import disk_errors
from videocolor.video.pipes import is_pipe, window_of

__all__ = [
    "LEAP",
    "clock_restarts",
    "file_stamp",
    "configure",
    "fraction",
    "ignore",
    "main_video",
    "muxer_errors",
    "open_input",
    "read_packets",
    "tolerant_frames",
    "url",
]

log = logging.getLogger(__name__)

_TEXT_ART = {"tty", "bin", "xbin", "adf", "idf"}
"""Demuxers that make pictures of any text file."""
_DEEP = {"probesize": str(2**27), "analyzeduration": "600000000"}
"""Bytes and microseconds of a longer look than FFmpeg's own 5 MB and 5 s."""
_ANNOUNCED_LATE = frozenset({"mpeg"})
"""Demuxers that know of a stream only when its first packet comes."""
LEAP = Fraction(1, 2)
"""A step back of this many seconds from packet to packet is a new count of time."""
_MAX_ERRORS = 64
"""Read errors in a row after which a file counts as ended: a damaged file may repeat one error for ever."""
_MAX_EMPTY = 10_000
"""Empty packets in a row after which a file counts as ended: a damaged index can promise billions of them."""


def fraction(value: Any) -> Fraction | None:
    """Turn FFmpeg's rational into a Fraction; unset is None, `0/1` or `0/0` depending on PyAV's version."""
    if not value or not value.denominator:
        return None
    return Fraction(value.numerator, value.denominator)


def open_input(path: Path, options: dict[str, str] | None = None) -> InputContainer:
    """Open a file for reading.

    Raises:
        InputError: It is missing, unreadable, empty, or not media; the message names it.
    """
    if window_of(path) is None:
        _check_file(path)
    try:
        container = _opened(path, options or {})
    except (FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path}: cannot be read as a film ({reason})") from error
    if _is_unclear(container) and _deep_look_helps(path, file_stamp(path)):
        container.close()
        container = _opened(path, _DEEP | (options or {}))
    if container.format.name in _TEXT_ART:
        container.close()
        raise InputError(f"{path}: is a text file, not a film")
    return container


def _check_file(path: Path) -> None:
    """Say what keeps a file from being read, as far as the disk knows."""
    if is_pipe(path):
        raise InputError(f"{path}: a pipe is read only once; `videocolor colorize` takes it, else save it as a file")
    if not path.exists():
        raise InputError(f"{path}: no such file")
    if path.is_dir():
        raise InputError(f"{path}: is a folder, not a film")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path}: permission denied; make the file readable")
    if path.is_file() and path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty")


def file_stamp(path: Path) -> tuple[int, ...]:
    """Tell a file from what is there when it is written again, and a pipe from another: for caches of what was read."""
    window = window_of(path)
    if window is not None:
        return (window.number,)
    try:
        state = path.stat()
    except OSError:
        return ()  # opening it says why
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns


def _opened(path: Path, options: dict[str, str]) -> InputContainer:
    # From 19 on PyAV replaces undecodable metadata itself and no longer takes the argument.
    lenient = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
    window = window_of(path)
    file = url(path) if window is None else window.view()
    container: InputContainer = av.open(file, "r", options=options, **lenient)  # type: ignore[call-overload]
    return container


def _is_unclear(container: InputContainer) -> bool:
    """Tell whether FFmpeg has not seen enough: streams of unknown kind, or no sound where it may begin later."""
    known: list[Any] = [s for s in container.streams if s.codec_context is not None]
    blank = any((s.type == "audio" and not s.sample_rate) or (s.type == "video" and not s.width) for s in known)
    return blank or (container.format.name in _ANNOUNCED_LATE and not container.streams.audio)


@lru_cache(maxsize=256)
def _deep_look_helps(path: Path, _stamp: tuple[int, ...]) -> bool:
    """Tell whether a longer look makes an unclear file clear."""
    try:
        with _opened(path, _DEEP) as container:
            return not _is_unclear(container)
    except (FFmpegError, OSError, ValueError):
        return False


def url(path: Path) -> str:
    """Keep FFmpeg from taking a colon for a protocol and a percent sign for an image pattern."""
    return f"file:{path}" if ":" in str(path) else str(path)


def main_video(container: InputContainer, path: Path) -> VideoStream:
    """Choose the stream that is the film: FFmpeg's best one, never a cover picture.

    Raises:
        NoVideoError: There is none.
        UnsupportedVideoError: FFmpeg has no decoder for it.
    """
    films = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
    if not films:
        kinds = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
        covers = " beside a cover picture" if container.streams.video else ""
        raise NoVideoError(f"{path}: holds no video stream{covers} (only {kinds})")
    best = container.streams.best("video")
    stream = next((s for s in films if best is not None and s.index == best.index), films[0])
    if stream.codec_context is None:
        raise UnsupportedVideoError(f"{path}: no decoder for its video codec; convert the film first")
    stream.codec_context.flags |= CodecFlags.unaligned  # else a crop from the left is rounded off
    return stream


def configure(stream: VideoStream, *, threads: int = 0, fast: bool = False) -> None:
    """Set up the decoder before its first packet; `fast` skips deblocking, so samples are approximate."""
    context = stream.codec_context
    context.thread_type = "AUTO"
    context.thread_count = threads
    if fast:
        context.options = {"skip_loop_filter": "all"}


def ignore(stream: Any) -> None:
    """Have the demuxer skip a stream's packets, which saves copying them; PyAV 17 reads and drops them."""
    if hasattr(type(stream), "discard"):
        stream.discard = 48  # AVDISCARD_ALL


def read_packets(
    container: InputContainer, streams: list[Any], on_error: Callable[[FFmpegError], None] = lambda _: None
) -> Iterator[Packet[Any]]:
    """Demux through errors, to the end of the file or until errors do not stop.

    A demuxing generator of PyAV is finished after an exception, so a new one continues where it stopped. The packets
    include the empty ones that flush decoders.

    Args:
        container: an open film.
        streams: of that container.
        on_error: called with each error; they are skipped silently by default.
    """
    errors = empty = 0
    while errors < _MAX_ERRORS:
        try:
            for packet in container.demux(streams):
                if packet.size:
                    errors = empty = 0
                elif packet.dts is not None:
                    empty += 1
                    if empty > _MAX_EMPTY:
                        return
                yield packet
            return
        except FFmpegError as error:
            errors += 1
            on_error(error)


def tolerant_frames(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Decode what can be decoded, silently: for looking at a film, not for coloring it."""
    for packet in read_packets(container, [stream]):
        try:
            yield from stream.codec_context.decode(packet)
        except FFmpegError as error:
            log.debug("undecodable packet: %s", error)


def clock_restarts(path: Path) -> bool:
    """Tell whether a film's clock restarts on the way, so that seeking in it leads anywhere.

    Only transport and program streams can, and to know, they are read completely (without decoding). In a pipe nothing
    can be sought either.
    """
    return window_of(path) is not None or _clock_restarts(path, file_stamp(path))


@lru_cache(maxsize=8)
def _clock_restarts(path: Path, _stamp: tuple[int, ...]) -> bool:
    """Answer `clock_restarts`."""
    with open_input(path) as container:
        flags: Any = container.format.flags  # a plain number, whatever PyAV's stubs say
        if not getattr(flags, "value", flags) & Flags.ts_discont.value:
            return False
        stream = main_video(container, path)
        for other in container.streams:
            if other.index != stream.index:
                ignore(other)
        base, last = fraction(stream.time_base) or Fraction(1, 90000), None
        for packet in read_packets(container, [stream]):
            if packet.size and packet.dts is not None:
                if last is not None and (last - packet.dts) * base >= LEAP:
                    return True
                last = packet.dts
    return False


@contextlib.contextmanager
def muxer_errors(target: Path) -> Iterator[None]:
    """Turn errors of the disk and the muxer into `OutputError` with a remedy."""
    with disk_errors(target):
        try:
            yield
        except OSError:
            raise
        except FFmpegError as error:
            raise OutputError(f"{target}: cannot be written ({error.strerror or error})") from error
