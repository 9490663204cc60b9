"""Whether a film's frames come at one even rate, which some containers count on in place of times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from av.format import ContainerFormat, Flags

from videocolor.errors import OutputError
from videocolor.types import Frame, VideoInfo
from videocolor.video.clock import timing_of
from videocolor.video.interlace import WOVEN_ORDERS
from videocolor.video.opening import clock_restarts, ignore, main_video, open_input, read_packets
from videocolor.video.output import OutputPlan, Span
from videocolor.video.sequences import find_sequence

__all__ = ["Evenness", "counts_frames", "first_uneven"]

_TOLERANCE: Final = Fraction(1001, 1_000_000)
"""Seconds by which a time may miss its place: Matroska rounds to milliseconds."""
_HALF: Final = Fraction(1, 10)
"""Share of a frame within which a packet counts as the second field of one."""


def counts_frames(container: str) -> bool:
    """Tell whether a muxer writes no times, so that all frames of its films last equally long."""
    flags: Any = ContainerFormat(container, "w").flags  # a plain number, whatever PyAV's stubs say
    return bool(getattr(flags, "value", flags) & Flags.no_timestamps.value)


class Evenness:
    """Checks frames on their way into a container that writes no times: only decoding finds some gaps.

    Args:
        info: the film.
        plan: of the output.
        trimmed: the film's first frame is not the first that is written.
    """

    def __init__(self, info: VideoInfo, plan: OutputPlan, *, trimmed: bool) -> None:
        self._info, self._plan = info, plan
        self._counts = plan.container != "image2" and counts_frames(plan.container)
        self._first: tuple[int, int] | None = None if trimmed else (0, info.start_pts)

    def check(self, frame: Frame) -> None:
        """Take the next frame.

        Raises:
            OutputError: frames before it are missing.
        """
        if not self._counts:
            return
        index, pts = self._first = self._first or (frame.index, frame.pts)
        rate, base = self._info.rate or Fraction(25), self._info.time_base
        if abs((frame.pts - pts) * base * rate - (frame.index - index)) > _TOLERANCE * rate:
            raise OutputError(
                f"{self._plan.target}: {self._plan.container} holds frames of one length only, and before frame "
                f"{frame.index} ({float(frame.pts * base):.3f} s) some are missing; use .mov or .mkv"
            )


def first_uneven(info: VideoInfo, span: Span) -> Fraction | None:
    """Find the first frame that is not where the frame rate has it.

    All packets are read, none is decoded.

    Args:
        info: the film.
        span: the part of it that is used, in seconds.

    Returns:
        Its time in seconds; None: there is none, or the film's clock restarts, which only decoding can follow.
    """
    rate = info.rate or Fraction(25)
    found: int | None = None
    if info.format == "image2":
        sequence = find_sequence(info.path)
        ticks = () if sequence is None else sequence.ticks
        found = _first_off(ticks, info.time_base, rate, span, apart=False)
    elif not clock_restarts(info.path):
        state = info.path.stat()
        key = info.path, state.st_size, state.st_mtime_ns
        found = _uneven_film(*key, info.time_base, rate, span, info.field_order in WOVEN_ORDERS)
    return None if found is None else found * info.time_base


@lru_cache(maxsize=8)
def _uneven_film(
    path: Path, _size: int, _changed: int, base: Fraction, rate: Fraction, span: Span, apart: bool
) -> int | None:
    """Answer `first_uneven` for a film; size and time of change are part of the cache's key."""
    with open_input(path) as container:
        timing = timing_of(container)
        if timing.kind == "counted":
            return None
        stream = main_video(container, path)
        for other in container.streams:
            if other.index != stream.index:
                ignore(other)
        packets = (p for p in read_packets(container, [stream]) if p.size and not p.is_discard)
        times = (p.dts if timing.kind == "decoded" else p.pts for p in packets)
        return _first_off(sorted(t for t in times if t is not None), base, rate, span, apart=apart)


def _first_off(times: Iterable[int], base: Fraction, rate: Fraction, span: Span, *, apart: bool) -> int | None:
    """Find the first of ascending times that is off the rate; `apart`: a frame's two fields may be two packets."""
    first: int | None = None
    count = 0
    for time in _within(times, base, span):
        first = time if first is None else first
        place = (time - first) * base * rate
        if apart and abs(place - count + Fraction(1, 2)) < _HALF:
            continue
        if abs(place - count) > _TOLERANCE * rate:
            return time
        count += 1
    return None


def _within(times: Iterable[int], base: Fraction, span: Span) -> Iterator[int]:
    start, end = span
    for time in times:
        if (start is None or time * base >= start) and (end is None or time * base < end):
            yield time
