"""What was lost while reading, in words: never a silently shorter film."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from fractions import Fraction

__all__ = ["LossLog"]


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
