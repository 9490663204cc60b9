"""What was lost while reading, in words; and whether a file is as long as it says, which few demuxers check."""

from __future__ import annotations

import heapq
import mmap
import struct
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np

from videocolor.video.pipes import window_of

__all__ = ["LossLog", "cut_short"]

_EBML: Final = b"\x1a\x45\xdf\xa3"
_SEGMENT: Final = b"\x18\x53\x80\x67"
_STRIDES: Final = ((188, 0), (192, 4), (204, 0))
"""(bytes a packet, place of the sync byte): transport stream, Blu-ray's with a time stamp, with error correction."""


def cut_short(path: Path, container: str) -> str | None:
    """Say what of a file is missing by its container's own measure.

    Matroska and AVI state the length of their body (RFC 9559, section 5.1; RIFF); a transport stream is a row of
    packets of one size that each begin with 0x47 (ISO/IEC 13818-1, 2.4.3.2).

    Args:
        path: The film.
        container: FFmpeg's name of its demuxer.

    Returns:
        A sentence, or None where nothing is missing or the container has no such measure.
    """
    window = window_of(path)
    size = path.stat().st_size if window is None else window.end
    with path.open("rb") if window is None else window.head() as file:
        if "matroska" in container:
            promised = _matroska_size(file)
        elif container == "avi":
            head = file.read(8)
            # Films over 1 GB have several RIFF parts; the first one's length is no promise about the rest.
            promised = 8 + struct.unpack("<I", head[4:])[0] if head[:4] == b"RIFF" else None
        elif container == "mpegts" and window is None:
            return _transport_damage(file, size)
        else:
            return None
    if promised is None or promised <= size:
        return None
    return f"the file is cut short: {size} of {promised} bytes are there"


def _number(file: BinaryIO) -> int | None:
    """Read an EBML variable-length number; None for the reserved value "unknown"."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    length = 9 - first[0].bit_length()
    value = int.from_bytes(bytes([first[0] & (1 << (8 - length)) - 1]) + file.read(length - 1), "big")
    return None if value == (1 << 7 * length) - 1 else value


def _matroska_size(file: BinaryIO) -> int | None:
    """End of the segment, in bytes from the file's start; None where it is not stated or not found."""
    if file.read(4) != _EBML:
        return None
    head = _number(file)
    if head is None:
        return None
    file.seek(head, 1)
    if file.read(4) != _SEGMENT:
        return None
    body = _number(file)
    return None if body is None else file.tell() + body


def _transport_damage(file: BinaryIO, size: int) -> str | None:
    """Count the packets without their sync byte, and check whether the last one is complete."""
    if size < 8 * 204:
        return None
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        best, damaged, total = 0, 0, 1
        for stride, place in _STRIDES:
            marks = np.frombuffer(view, np.uint8)[place::stride] == 0x47
            good, count = int(marks.sum()), int(marks.size)
            del marks  # the view cannot be closed while an array looks into it
            if good * total > best * count or not best:
                best, damaged, total, last = good, count - good, count, size % stride
    if best < total // 2:
        return None  # not in step with any packet size: nothing can be said of single packets
    if damaged:
        return f"{damaged} of {total} transport packets are damaged; what they held is lost"
    return f"the file is cut short: its last transport packet has {last} bytes" if last else None


@dataclass
class _Span:
    first: int
    last: int
    begin: Fraction
    end: Fraction


@dataclass
class LossLog:
    """Collects losses of one pass over a film and merges neighbors into spans."""

    time_base: Fraction
    _lost: list[_Span] = field(default_factory=list)
    _damaged: list[_Span] = field(default_factory=list)
    _counts: dict[str, tuple[int, int]] = field(default_factory=dict)
    _notes: list[str] = field(default_factory=list)
    _pending: list[tuple[int, int]] = field(default_factory=list)
    """(count of time, pts): a later count of a film whose clock restarts sorts after all of an earlier one."""
    _count: int = 0
    _offsets: dict[int, int] = field(default_factory=dict)
    """Ticks that were added to the times of each count of time."""
    lost_frames: int = 0

    def expect(self, pts: int, count: int = 0) -> None:
        """Remember that a packet promised a frame for this time, in the film's nth count of time."""
        heapq.heappush(self._pending, (count, pts))

    @property
    def waiting(self) -> bool:
        """Whether frames were promised that have not come."""
        return bool(self._pending)

    def decoded(self, pts: int, index: int, offset: int = 0, report: bool = True) -> None:
        """Note that a frame came: what was promised for earlier times and did not come is lost.

        Args:
            pts: The frame's time as decoded.
            index: Its place among the frames that did come.
            offset: Ticks that were added to the frame's time.
            report: False before the part that was asked for: nothing missing there is a loss.
        """
        self._count = min((count for count, promised in self._pending if promised == pts), default=self._count)
        self._offsets[self._count] = offset
        here = (self._count, pts)
        while self._pending and self._pending[0] < here:
            earlier = heapq.heappop(self._pending)
            if report:
                self._lose(self._time(*earlier), index)
        while self._pending and self._pending[0] == here:
            heapq.heappop(self._pending)

    def _time(self, count: int, pts: int) -> Fraction:
        return (pts + self._offsets.get(count, self._offsets.get(self._count, 0))) * self.time_base

    def ended(self, index: int, until: Fraction | None) -> None:
        """Note that no more frames come; promises from `until` (seconds) on were not asked for."""
        while self._pending:
            time = self._time(*heapq.heappop(self._pending))
            if until is None or time < until:
                self._lose(time, index)

    def _lose(self, time: Fraction, index: int) -> None:
        self._extend(self._lost, index + self.lost_frames, time)
        self.lost_frames += 1

    def damaged(self, index: int, pts: int) -> None:
        """Note a frame that the decoder could only partly restore."""
        self._extend(self._damaged, index + self.lost_frames, pts * self.time_base)

    def _extend(self, spans: list[_Span], place: int, time: Fraction) -> None:
        if spans and spans[-1].last == place - 1:
            spans[-1].last, spans[-1].end = place, time
        else:
            spans.append(_Span(place, place, time, time))

    def count(self, what: str, index: int) -> None:
        """Count an event of one kind; the first frame that it happened to is named."""
        number, first = self._counts.get(what, (0, index))
        self._counts[what] = (number + 1, first)

    def note(self, text: str) -> None:
        """Add a sentence of its own."""
        if text not in self._notes:
            self._notes.append(text)

    def lines(self) -> list[str]:
        """Return the losses as sentences."""
        lines = [f"{_frames(s)} could not be decoded" for s in self._lost]
        lines += [f"{_frames(s)} {'is' if s.first == s.last else 'are'} damaged" for s in self._damaged]
        lines += [f"{n} x {what} (first at frame {first})" for what, (n, first) in self._counts.items()]
        return lines + self._notes


def _frames(span: _Span) -> str:
    if span.first == span.last:
        return f"frame {span.first} ({float(span.begin):.3f} s)"
    return f"frames {span.first}-{span.last} ({float(span.begin):.3f}-{float(span.end):.3f} s)"
