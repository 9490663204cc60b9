"""What is worked on next: shards are dealt to tasks, tasks wait in a queue, and failed ones are tried again later."""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from videocolor.shards.types import Shard

__all__ = ["MERGING", "PLANNING", "Order", "Piece", "Queue", "Retries", "Stage", "cut_into_tasks", "missing_shards"]

Stage: TypeAlias = Literal["plan", "color"]

PLANNING: Final = -1
MERGING: Final = -2
"""In place of a shard's number, where failures are counted."""
_TASKS_A_WORKER: Final = 3
"""Tasks of one film that each worker gets where shards_per_task is auto: enough to even out differences."""
_MOST_SECONDS: Final = 600.0


def missing_shards(shards: Sequence[Shard], done: Collection[int]) -> list[Shard]:
    """The shards that are not done, in their order."""
    return [shard for shard in shards if shard.number not in done]


def cut_into_tasks(missing: Sequence[Shard], workers: int, per_task: int | None) -> list[tuple[int, ...]]:
    """Deal shards to tasks of consecutive numbers.

    A shard that opens inside a shot stays behind the one whose memory it starts from, in the same task.

    Args:
        missing: in their order; gaps are where shards are done.
        workers: how many work at once; one takes everything that is consecutive.
        per_task: shards of a task at least; None: as many as give every worker a few tasks of about equal cost.
    """
    total = sum(shard.cost for shard in missing)
    wanted = total if workers == 1 else total / (workers * _TASKS_A_WORKER)
    tasks: list[tuple[int, ...]] = []
    current: list[Shard] = []
    for shard in missing:
        if current:
            follows = shard.number == current[-1].number + 1
            full = len(current) >= per_task if per_task else sum(s.cost for s in current) + shard.cost / 2 > wanted
            if not follows or (full and not shard.opens_inside):
                tasks.append(tuple(s.number for s in current))
                current = []
        current.append(shard)
    if current:
        tasks.append(tuple(s.number for s in current))
    return tasks


@dataclass(frozen=True, order=True)
class Order:
    """Who comes first: higher priority, then films that are begun, then the longest, then the order of the batch."""

    priority: int
    """Negated: small comes first."""
    begun: int
    """0: begun, 1: not yet."""
    cost: float
    """Negated."""
    place: int


@dataclass(frozen=True)
class Piece:
    """Work that waits: shards of a film, all of a film that has no plan (shards None), or its planning."""

    film: str
    stage: Stage
    shards: tuple[int, ...] | None


@dataclass
class Queue:
    """Pieces of work, the first in order first; pieces with a pause come when it is over."""

    _ready: list[tuple[Order, int, Piece]] = field(default_factory=list)
    _later: list[tuple[float, Order, int, Piece]] = field(default_factory=list)
    _count: int = 0

    def put(self, piece: Piece, order: Order, *, at: float = 0.0) -> None:
        """Take a piece in; `at`: not before this time of the driver's clock."""
        self._count += 1
        if at > 0:
            heapq.heappush(self._later, (at, order, self._count, piece))
        else:
            heapq.heappush(self._ready, (order, self._count, piece))

    def take(self, now: float) -> Piece | None:
        """The next piece; None where none is due."""
        while self._later and self._later[0][0] <= now:
            _, order, count, piece = heapq.heappop(self._later)
            heapq.heappush(self._ready, (order, count, piece))
        return heapq.heappop(self._ready)[2] if self._ready else None

    def drop(self, film: str) -> None:
        """Forget what waits of a film."""
        self._ready = [item for item in self._ready if item[2].film != film]
        self._later = [item for item in self._later if item[3].film != film]
        heapq.heapify(self._ready)
        heapq.heapify(self._later)

    def __len__(self) -> int:
        return len(self._ready) + len(self._later)


@dataclass
class Retries:
    """Counts failures of the same piece, and says how long to wait before the next attempt.

    Args:
        most: retries after the first attempt.
        pause: seconds before the first retry; doubled each time.
    """

    most: int
    pause: float
    _failures: dict[tuple[str, int], int] = field(default_factory=dict)

    def attempt(self, film: str, piece: int) -> int:
        """The number of the attempt that comes now, from 1."""
        return self._failures.get((film, piece), 0) + 1

    def failed(self, film: str, piece: int) -> float | None:
        """Note a failure; seconds to wait, or None where enough was tried.

        Args:
            film: its name.
            piece: number of the shard that was being worked on; -1: planning, -2: merging.
        """
        count = self.attempt(film, piece)
        self._failures[film, piece] = count
        if count > self.most:
            return None
        return min(self.pause * math.pow(2, min(count - 1, 30)), _MOST_SECONDS)
