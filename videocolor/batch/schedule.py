"""The order of work: tasks are queued, and failed ones are tried again later."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

__all__ = ["MERGING", "PLANNING", "Order", "Piece", "Queue", "Retries", "Stage"]

Stage: TypeAlias = Literal["plan", "color"]

PLANNING: Final = -1
MERGING: Final = -2
"""In place of a shard's number, where failures are counted."""
_MOST_SECONDS: Final = 600.0


@dataclass(frozen=True, order=True)
class Order:
    """Sort key: higher priority, then films that are begun, then the longest, then the order of the batch."""

    priority: int
    """Negated: small comes first."""
    begun: int
    """0: begun, 1: not yet."""
    cost: float
    """Negated."""
    place: int


@dataclass(frozen=True)
class Piece:
    """Work that waits: shards of a film, all shards of a film without plan (shards None), or its planning."""

    film: str
    stage: Stage
    shards: tuple[int, ...] | None

    def place(self, left: Sequence[int]) -> int:
        """Return what failures are counted by: the first shard of those left, or the film's planning."""
        return PLANNING if self.stage == "plan" else left[0] if left else 0


@dataclass
class Queue:
    """Pieces of work in order; pieces with a pause come after it."""

    _ready: list[tuple[Order, int, Piece]] = field(default_factory=list)
    _later: list[tuple[float, Order, int, Piece]] = field(default_factory=list)
    _count: int = 0

    def put(self, piece: Piece, order: Order, *, at: float = 0.0) -> None:
        """Queue a piece; `at`: not before this `time.monotonic`."""
        self._count += 1
        if at > 0:
            heapq.heappush(self._later, (at, order, self._count, piece))
        else:
            heapq.heappush(self._ready, (order, self._count, piece))

    def take(self, now: float) -> Piece | None:
        """Return the next piece; None if none is due."""
        while self._later and self._later[0][0] <= now:
            _, order, count, piece = heapq.heappop(self._later)
            heapq.heappush(self._ready, (order, count, piece))
        return heapq.heappop(self._ready)[2] if self._ready else None

    def drop(self, film: str) -> None:
        """Remove the pieces of a film."""
        self._ready = [item for item in self._ready if item[2].film != film]
        self._later = [item for item in self._later if item[3].film != film]
        heapq.heapify(self._ready)
        heapq.heapify(self._later)

    def __len__(self) -> int:
        return len(self._ready) + len(self._later)


@dataclass
class Retries:
    """Counts the failures of each piece, and sets the pause before its next attempt.

    Args:
        most: number of retries.
        pause: seconds before the first retry; doubled each time.
    """

    most: int
    pause: float
    _failures: dict[tuple[str, int], int] = field(default_factory=dict)

    def attempt(self, film: str, piece: int) -> int:
        """Return the number of the next attempt, from 1."""
        return self._failures.get((film, piece), 0) + 1

    def failed(self, film: str, piece: int) -> float | None:
        """Count a failure; return the seconds to wait, or None after the last retry.

        Args:
            film: its name.
            piece: number of the current shard, PLANNING or MERGING.
        """
        count = self.attempt(film, piece)
        self._failures[film, piece] = count
        if count > self.most:
            return None
        return min(self.pause * math.pow(2, min(count - 1, 30)), _MOST_SECONDS)
