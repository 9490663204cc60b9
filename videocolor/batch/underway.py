"""Tasks that an engine has, as the driver sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from videocolor.batch.intake import Film
from videocolor.batch.schedule import Piece
from videocolor.errors import InputError
from videocolor.shards.types import ShardRecord, Task

__all__ = ["Running", "place_of", "record_of"]

_PLANNING: Final = -1
"""In place of a shard's number, where failures of planning are counted."""


@dataclass(eq=False)
class Running:
    """A task that the engine has."""

    task: Task
    piece: Piece
    film: Film
    worker: str = ""
    frames: int = 0
    """Of unfinished shards, as far as the worker has told."""
    finished: int = 0
    """Frames of shards that this task has finished."""
    noted: float = 0.0
    """When the ledger last heard of it."""
    attempt: int = 1
    left: list[int] = field(default_factory=list)
    """Shards that are not done, the one at work first; empty where there is no plan."""


def place_of(piece: Piece, left: Sequence[int]) -> int:
    """What failures are counted by: the shard at work, or the film's planning."""
    return _PLANNING if piece.stage == "plan" else left[0] if left else 0


def record_of(data: dict[str, Any]) -> ShardRecord:
    """A record that came as plain values.

    Raises:
        InputError: it is none.
    """
    try:
        return ShardRecord(
            **{**data, "shots": tuple(data.get("shots", ())), "warnings": tuple(data.get("warnings", ()))}
        )
    except (KeyError, TypeError) as error:
        raise InputError(f"a worker told of a shard that cannot be understood: {error}") from error
