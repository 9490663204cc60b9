"""Whose clock is right: where the times of a film's frames come from, how many there are a second, how long it is.

Not every time that a demuxer reports is the file's. AVI numbers its packets in the order of decoding, and the times of
display that FFmpeg guesses are wrong as soon as B-frames are packed or frames dropped; a raw stream has no times; an
average rate may be the inverse of the time base; a tag may describe another film, from which this one was cut.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from av.container import InputContainer
from av.format import Flags
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from videocolor.video.opening import fraction
from videocolor.video.wholeness import LossLog

__all__ = ["Clock", "Timing", "frame_count", "frame_rate", "keeps_end_times", "stated_end", "timing_of"]

_DECODE_ORDER = frozenset({"avi"})
"""Demuxers whose packets state their place in the order of decoding alone."""
_FASTEST = 1000
"""Frames a second above which an average is taken for a mistake."""
_STALE = Fraction(1, 2)
"""Seconds by which a stream may outlast its file before its tag is taken for another film's."""


@dataclass(frozen=True)
class Timing:
    """Where the times of a film's frames come from."""

    kind: Literal["stated", "decoded", "counted"]
    """The file's times of display; the times of packets in the order of decoding; place and frame rate."""

    @property
    def said(self) -> str | None:
        """Say what was decided, where it is not what the file says."""
        return {
            "stated": None,
            "decoded": "the container keeps no times of display: those of its packets, in the order of decoding, count",
            "counted": "the file holds no times: frames are counted at the rate that its headers state",
        }[self.kind]

    def of(self, frame: VideoFrame) -> int | None:
        """Return a decoded frame's time in ticks; None: only its place tells."""
        return frame.dts if self.kind == "decoded" else frame.pts

    def of_packet(self, packet: Packet[Any]) -> int | None:
        """Return the time of the frame that a packet promises; None: it promises none that can be waited for."""
        return None if self.kind == "decoded" else packet.pts


def timing_of(container: InputContainer) -> Timing:
    """Decide where the times of a film's frames come from."""
    if container.format.name in _DECODE_ORDER:
        return Timing("decoded")
    flags: Any = container.format.flags  # a plain number, whatever PyAV's stubs say
    return Timing("counted" if getattr(flags, "value", flags) & Flags.no_timestamps.value else "stated")


def frame_rate(stream: VideoStream, first: VideoFrame, timing: Timing) -> Fraction | None:
    """Return frames a second: the average, unless it is the inverse of the time base though frames last longer.

    Args:
        stream: the picture.
        first: its first frame.
        timing: of the film; where nothing states times, a frame's headers count.
    """
    average, guessed = fraction(stream.average_rate), fraction(stream.guessed_rate)
    base = fraction(stream.time_base)
    if average is None or base is None:
        return average or guessed
    lasts = first.duration or 1
    if timing.kind == "counted" and first.pts is None and first.duration:
        return 1 / (lasts * base)
    if guessed and average * base == 1 and average != guessed and (average / guessed).denominator == 1:
        return guessed  # GXF states and counts fields, DV in AVI ticks
    if average <= _FASTEST and (average * base < 1 or lasts <= 1):
        return average
    if guessed is not None and guessed <= _FASTEST and guessed * base < 1:
        return guessed
    return 1 / (lasts * base) if lasts > 1 else average


def keeps_end_times(container: InputContainer) -> bool:
    """Tell whether `stated_end` counts from zero rather than from the first frame: so Matroska's muxers mostly do."""
    return "matroska" in container.format.name


def stated_end(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Return the stream's duration in seconds: its own, Matroska's tag, else the container's; see `keeps_end_times`.

    A tag that says more than the container is of another film, from which this one was cut.
    """
    base = fraction(stream.time_base)
    if stream.duration and base:
        return stream.duration * base
    complete = Fraction(container.duration, 1_000_000) if container.duration else None
    for key, value in stream.metadata.items():
        match = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", value) if key.startswith("DURATION") else None
        if match:
            hours, minutes, seconds = match.groups()
            length = Fraction(int(hours) * 3600 + int(minutes) * 60) + Fraction(seconds)
            if complete is None or length <= complete + _STALE:
                return length
    return complete


def frame_count(stream: VideoStream, duration: Fraction | None, rate: Fraction | None) -> int | None:
    """Return the number of frames: the container's, unless it counts null or hidden ones; else duration x rate.

    Matroska's tag counts where it fits to these; tags outlive the cutting of a film.
    """
    expected = round(duration * rate) if duration and rate else None
    if stream.frames and (expected is None or stream.frames <= expected * 1.02 + 2):
        return int(stream.frames)
    tag = next((v for k, v in stream.metadata.items() if k.startswith("NUMBER_OF_FRAMES")), "")
    stated = int(tag) if tag.isdigit() and int(tag) else None
    if stated is None or (expected is not None and not expected / 2 <= stated <= expected * 1.02 + 2):
        return expected
    return stated


@dataclass
class Clock:
    """Give every frame a later time than the one before."""

    step: int
    log: LossLog
    timing: Timing
    last: int | None = None
    offset: int = 0
    zero: int | None = None
    """Time of the first frame, where times are counted from there."""

    def stamp(self, frame: VideoFrame, index: int, leap: int) -> int:
        """Return the frame's time in ticks, repaired where the film states none or one that goes back.

        Args:
            frame: as decoded.
            index: its place, for the log.
            leap: ticks; a step back by as much is a new count of time, not a jitter.
        """
        pts = self.timing.of(frame)
        if self.timing.kind == "counted":
            self.zero = pts or 0 if self.zero is None else self.zero
            pts = None if pts is None else pts - self.zero
        if pts is None:
            if self.timing.kind == "stated":
                self.log.count("a frame without a time: derived from its place and the frame rate", index)
            start = frame.pts if self.timing.kind == "decoded" else frame.dts
            pts = self.last + self.step if self.last is not None else start or 0
        else:
            pts += self.offset
        if self.last is not None and pts <= self.last:
            if self.last - pts >= leap:
                self.log.count("the film's clock restarts: continued without a gap", index)
                self.offset += self.last + self.step - pts
                pts = self.last + self.step
            else:
                self.log.count("a frame's time is not after the one before: moved by the smallest step", index)
                pts = self.last + 1
        self.last = pts
        return pts
