"""Shards are grouped into tasks: what one worker colors in one go."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from videocolor.shards.types import Shard

__all__ = ["cut_into_tasks", "missing_shards"]

_TASKS_A_WORKER: Final = 3
"""Tasks of one film per worker with shards_per_task auto: enough to even out differences."""


def missing_shards(shards: Sequence[Shard], done: Collection[int]) -> list[Shard]:
    """Return the shards that are not done, in order."""
    return [shard for shard in shards if shard.number not in done]


def cut_into_tasks(missing: Sequence[Shard], workers: int, per_task: int | None) -> list[tuple[int, ...]]:
    """Group shards into tasks of consecutive numbers.

    A shard that opens inside a shot follows the one whose state it starts from, in the same task.

    Args:
        missing: shards in order; numbers are missing where shards are done.
        workers: how many work at once; one takes everything that is consecutive.
        per_task: minimum number of shards; None: a few tasks of about equal cost for every worker.
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
