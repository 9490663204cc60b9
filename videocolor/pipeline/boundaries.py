"""Where a film is cut into shards: at cuts, and inside very long shots where the fusion of colours pauses.

The rules read the film once, forward, and never look ahead, so that a film that is cut while it is coloured gets the
same shards as one that was planned beforehand.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from fractions import Fraction
from typing import Final, Protocol

from videocolor.pipeline.smoothing import LOOK_AHEAD, WINDOW

__all__ = ["PAINTED_COST", "Boundaries", "GreedyBoundaries", "ListedBoundaries", "OneShard", "pauses"]

PAINTED_COST: Final = 4.0
"""Work of a frame in a shot with a painted frame, in frames of a shot without (docs/performance.md)."""
_RATE: Final = Fraction(25)
"""Frames a second of films that do not state theirs."""


class Boundaries(Protocol):
    """Asked at every place where a shard may end, in film order."""

    def ends(self, index: int, passed: float, *, inside: bool) -> bool:
        """Whether a shard ends before frame `index`.

        Args:
            index: a shot's first frame, or a pause inside a shot.
            passed: cost of the frames since the last question.
            inside: it is a pause inside a shot.
        """


class OneShard:
    """The whole film is one."""

    def ends(self, index: int, passed: float, *, inside: bool) -> bool:
        """See `Boundaries`."""
        return False


class ListedBoundaries:
    """Known beforehand: the first frames of all shards."""

    def __init__(self, starts: Collection[int]) -> None:
        self._starts = frozenset(starts)

    def ends(self, index: int, passed: float, *, inside: bool) -> bool:
        """See `Boundaries`."""
        return index in self._starts


class GreedyBoundaries:
    """A shard ends at the first cut behind `wanted`, or at the first pause behind `most`; both in seconds of film."""

    def __init__(self, wanted: Fraction, most: Fraction, rate: Fraction | None) -> None:
        rate = rate or _RATE
        self._wanted, self._most = float(wanted * rate), float(most * rate)
        self._cost = 0.0

    def ends(self, index: int, passed: float, *, inside: bool) -> bool:
        """See `Boundaries`."""
        self._cost += passed
        if self._cost < (self._most if inside else self._wanted):
            return False
        self._cost = 0.0
        return True


def pauses(frames: int, window: int, fused: bool) -> Iterator[int]:
    """Places inside a shot where all earlier frames are handed out: what the loop over its windows does.

    Args:
        frames: length of the shot.
        window: frames that are worked on together.
        fused: colours are fused over time (`ChromaSmoother`), which holds some frames back.

    Yields:
        Numbers of frames handed out, ascending, less than `frames`.
    """
    out = 0
    for seen in range(window, frames, window):
        ready = seen - LOOK_AHEAD if fused else seen
        if ready - out >= (WINDOW if fused else 1):
            out = ready
            yield out
