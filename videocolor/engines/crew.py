"""What engines of long-lived workers share: who has which task, and which worker is overdue."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from videocolor.engines.base import Engine
from videocolor.engines.settings import EngineSettings
from videocolor.errors import DeviceError
from videocolor.shards.types import Task, WorkEvent

__all__ = ["CrewEngine", "Worker"]

_LOOK: Final = 0.25
"""Seconds between two checks for overdue workers."""
_AWAY: Final = 1.0
"""A longer pause between two checks means that the driver was busy elsewhere, or suspended."""
_FAILED_STARTS: Final = 3
"""After as many consecutive workers that end before they are ready, something is wrong with all of them."""


@dataclass(eq=False)
class Worker:
    """A worker and its task; times are of `time.monotonic`."""

    name: str
    born: float
    ready: bool = False
    """It can take tasks."""
    task: Task | None = None
    frames: Any = 0
    """Of the last `progress`."""
    heard: float = 0.0
    """Time of its last message."""
    active: float = 0.0
    """Time of its last message other than a heartbeat."""


W = TypeVar("W", bound=Worker)


class CrewEngine(Engine, Generic[W]):
    """An engine whose workers each do one task after the other.

    Workers send `{"kind": "beat"}`, what the work reports, and at last `done` or `failed` (`engines.worker.perform`).
    """

    def __init__(self, settings: EngineSettings, workers: int) -> None:
        super().__init__(workers, settings.ahead)
        self._settings = settings
        self._crew: dict[int, W] = {}
        self._failed_starts = 0
        self._looked = time.monotonic()

    # ---- for each kind of worker --------------------------------------------------------------------------------

    @abstractmethod
    def _start(self, slot: int) -> W:
        """Start a worker for a place of the crew. Must not block."""

    @abstractmethod
    def _send(self, worker: W, task: Task) -> None:
        """Give a task to an idle worker."""

    @abstractmethod
    def _receive(self, wait: float) -> Iterator[WorkEvent]:
        """Take the messages that are there, waiting up to `wait` seconds for the first; see `_event`, `_lost`."""

    @abstractmethod
    def _end(self, worker: W, why: str) -> Iterator[WorkEvent]:
        """End a worker that is overdue; `_lost` follows now or later."""

    def _is_idle(self, worker: W) -> bool:
        """Return whether a worker can take a task."""
        return worker.ready and worker.task is None

    # ---- the crew -----------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        idle = sum(worker.task is None for worker in self._crew.values())
        free = (slot for slot in range(self.workers) if slot not in self._crew)
        for _, slot in zip(range(len(self._waiting) - idle), free, strict=False):
            self._crew[slot] = self._start(slot)

    def _collect(self, timeout: float) -> Iterator[WorkEvent]:
        deadline = time.monotonic() + timeout
        found = False
        while not found:
            self._forgive_absence()
            for event in (*self._end_overdue(), *self._assign()):
                found = True
                yield event
            left = deadline - time.monotonic()
            for event in self._receive(0.0 if found else max(0.0, min(_LOOK, left))):
                found = True
                yield event
            if left <= 0:
                return

    def _forgive_absence(self) -> None:
        """Do not hold the driver's own absence against the workers: nobody has read their messages."""
        now = time.monotonic()
        away, self._looked = now - self._looked, now
        if away > _AWAY:
            for worker in self._crew.values():
                worker.born += away
                worker.heard += away
                worker.active += away

    def _end_overdue(self) -> Iterator[WorkEvent]:
        now, limits = time.monotonic(), self._settings
        for worker in list(self._crew.values()):
            if not worker.ready:
                if now - worker.born > limits.start_seconds:
                    yield from self._end(
                        worker, f"it was not ready after {limits.start_seconds:g} s (engine.start_seconds)"
                    )
            elif worker.task is None:
                continue
            elif now - worker.heard > limits.hung_seconds:
                yield from self._end(worker, f"it said nothing for {limits.hung_seconds:g} s (engine.hung_seconds)")
            elif limits.stall_seconds and now - worker.active > limits.stall_seconds:
                why = f"it made no progress for {limits.stall_seconds:g} s (engine.stall_seconds)"
                yield from self._end(worker, why)

    def _assign(self) -> Iterator[WorkEvent]:
        self._accept()
        for worker in self._crew.values():
            if not self._waiting:
                return
            if self._is_idle(worker):
                task = self._waiting.popleft()
                worker.task, worker.frames = task, 0
                worker.heard = worker.active = time.monotonic()
                yield WorkEvent("started", task.id, worker.name)
                self._send(worker, task)

    def _greet(self, worker: W) -> None:
        worker.ready = True
        self._failed_starts = 0

    def _event(self, worker: W, message: dict[str, Any]) -> Iterator[WorkEvent]:
        """Turn a worker's message into an event; messages of a task that has ended are dropped."""
        if worker.task is None or message.pop("task", worker.task.id) != worker.task.id:
            return
        task, kind = worker.task.id, message.pop("kind")
        worker.heard = time.monotonic()
        if kind == "beat":
            yield WorkEvent("progress", task, worker.name, {"frames": worker.frames, "heartbeat": True})
            return
        worker.active = worker.heard
        if kind == "progress":
            worker.frames = message.get("frames", worker.frames)
        elif kind in ("done", "failed"):
            worker.task = None
        yield WorkEvent(kind, task, worker.name, message)

    def _lost(self, worker: W, why: str) -> Iterator[WorkEvent]:
        """Report that a worker, out of the crew by now, is gone.

        Raises:
            DeviceError: none of the last ones came to be ready.
        """
        if worker.task is not None:
            yield WorkEvent("lost", worker.task.id, worker.name, {"error": f"worker {worker.name} is lost: {why}"})
        elif not worker.ready:
            self._failed_starts += 1
            if self._failed_starts >= _FAILED_STARTS:
                raise DeviceError(f"workers cannot start, {self._failed_starts} consecutive ones: {why}")
