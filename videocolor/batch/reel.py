"""A reel during a run, as the driver sees it, and the tasks that workers have of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from videocolor.batch.inspection import Outlook
from videocolor.batch.receipts import Receipt
from videocolor.batch.schedule import Order, Piece
from videocolor.batch.status import FilmStatus
from videocolor.shards.plan import missing_shards
from videocolor.shards.types import FilmJob, FilmPlan, Shard, ShardRecord, Task

__all__ = ["Reel", "Running"]


@dataclass(eq=False)
class Running:
    """A task that the engine has."""

    task: Task
    piece: Piece
    reel: Reel
    left: list[int]
    """Shards that are not done, the current one first; empty without a plan."""
    worker: str = ""
    heard: float | None = None
    """Time of the worker's last message, in seconds of the epoch."""
    frames: int = 0
    """Frames colored of the current shard."""
    finished: int = 0
    """Frames of shards that this task has finished."""

    def hear(self, data: Mapping[str, Any]) -> None:
        """Take a progress message of the worker."""
        if self.piece.stage == "color" and not data.get("heartbeat") and isinstance(data.get("frames"), int):
            self.frames = max(0, data["frames"] - self.finished)


@dataclass(eq=False)
class Reel:
    """A film of a run."""

    job: FilmJob
    place: int
    """In the batch, from 0."""
    outlook: Outlook = field(default_factory=lambda: Outlook(None, None))
    receipt: Receipt | None = None
    """It is finished."""
    error: str | None = None
    """It failed."""
    given_up: str | None = None
    """It is not to be done, and why."""
    stage: str = ""
    """What is done with it: planning, coloring, merging, recoloring; empty: nothing."""
    planned: bool = False
    """Its plan is on the disk."""
    complete: bool = False
    """All shards of the plan are done."""
    made_now: bool = False
    """Finished by this run."""
    weight: float = 0.0
    """Expected work, in frames."""
    present: int = 0
    """Bytes of the shards that earlier runs have finished."""
    length: int | None = None
    """Frames of its plan, else of its container; None: unknown."""
    shard_count: int | None = None
    """Shards of its plan."""
    shards_done: int = 0
    frames_done: int = 0
    """Frames of finished shards."""
    seconds: float = 0.0
    """Work in finished shards."""
    runs: list[Running] = field(default_factory=list)
    # Only while it is open:
    shards: tuple[Shard, ...] | None = None
    """Of its plan; None: not read, or no plan."""
    done: set[int] = field(default_factory=set)
    """Numbers of finished shards."""
    early: dict[int, ShardRecord] = field(default_factory=dict)
    """Shards finished before there was a plan."""

    @property
    def name(self) -> str:
        """Name of its job."""
        return self.job.name

    @property
    def open(self) -> bool:
        """Neither finished nor failed nor given up."""
        return self.receipt is None and self.error is None and self.given_up is None

    @property
    def missing(self) -> list[Shard]:
        """Shards of the plan that are not done."""
        return missing_shards(self.shards or (), self.done)

    @property
    def running_frames(self) -> int:
        """Frames colored of unfinished shards."""
        return sum(run.frames for run in self.runs)

    def order(self) -> Order:
        """Return its place in the queue."""
        return Order(-self.job.priority, 0 if self.done else 1, -self.weight, self.place)

    def follow(self, plan: FilmPlan, records: Mapping[int, ShardRecord]) -> None:
        """Take its plan, and the records of those shards that are done."""
        self.planned, self.shards, self.done = True, plan.shards, set(records)
        self.complete = len(records) == len(plan.shards)
        self.length, self.shard_count = sum(shard.frames for shard in plan.shards), len(plan.shards)
        self._count(records.values())

    def add(self, record: ShardRecord) -> bool:
        """Take the record of a shard; return whether it is new."""
        if record.number in self.done:
            return False
        self.done.add(record.number)
        self.shards_done += 1
        self.frames_done += record.frames
        self.seconds += record.seconds
        return True

    def _count(self, records: Collection[ShardRecord]) -> None:
        self.shards_done = len(records)
        self.frames_done = sum(record.frames for record in records)
        self.seconds = sum(record.seconds for record in records)

    def close(self) -> None:
        """Release what only an open reel needs."""
        self.shards, self.done, self.early, self.stage = None, set(), {}, ""

    def status(self) -> FilmStatus:
        """Return its state for a report."""
        job, receipt = self.job, self.receipt
        if receipt is not None:
            done = FilmStatus.of_receipt(job, receipt)
            return replace(done, state="running", stage=self.stage) if self.stage else done
        last = max(self.runs, key=lambda run: run.heard or 0.0, default=None)
        state: Literal["planned", "running", "failed"] = "running" if self.stage else "planned"
        return FilmStatus(
            name=job.name,
            source=job.source,
            target=job.target,
            state="given up" if self.given_up else state if self.error is None else "failed",
            stage=self.stage,
            shards=self.shard_count,
            shards_done=self.shards_done,
            frames=self.length,
            frames_done=self.frames_done + self.running_frames,
            frames_in_shards=self.frames_done,
            seconds=self.seconds,
            error=self.given_up or self.error,
            workers=sum(run.heard is not None for run in self.runs),
            worker=None if last is None else last.worker or None,
            attempt=None if last is None else last.task.attempt,
            heartbeat=None if last is None else last.heard,
        )
