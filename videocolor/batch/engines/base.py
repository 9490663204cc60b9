"""What every engine does: it takes tasks, has them worked on, and reports events."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable
from types import TracebackType
from typing import Final, Self

from videocolor.batch.settings import EngineSettings
from videocolor.errors import UsageError
from videocolor.shards.types import Task, WorkEvent

__all__ = ["WORK", "Engine", "open_engine"]

WORK: Final = "videocolor.shards.work:run_task"
"""What workers do, as "module:function"; called as function(task, tell)."""

_AWAY: Final = 1.0
"""Seconds between two looks at the workers from which on the driver was away."""


class Engine(ABC):
    """Workers that a driver gives tasks to.

    The driver's loop: `submit` while `room` is above 0, then `events`. Every task that was submitted ends in exactly
    one event `done`, `failed` or `lost`, unless `stop` is called first; `started` comes before all others of a task,
    and a task's events arrive in the order in which they happened. Tasks of one engine end in any order.
    Used by one thread. Leaving the `with` block stops all workers, however it is left.
    """

    workers: int
    """How many tasks are worked on at once."""
    capacity: int
    """How many tasks may be unfinished at once: those worked on and those that wait for a worker."""

    def __init__(self, workers: int, ahead: int) -> None:
        self.workers = workers
        self.capacity = workers * (1 + ahead)
        self._waiting: deque[Task] = deque()
        self._unfinished: set[str] = set()
        self._stopped = False
        self._looked = time.monotonic()

    @property
    def unfinished(self) -> frozenset[str]:
        """Ids of the tasks that were submitted and have not ended."""
        return frozenset(self._unfinished)

    @property
    def room(self) -> int:
        """How many more tasks `submit` takes now."""
        return self.capacity - len(self._unfinished)

    def submit(self, task: Task) -> None:
        """Take a task over; returns at once.

        Raises:
            UsageError: there is no room, a task of this id is unfinished, or the engine was stopped.
        """
        if self._stopped:
            raise UsageError(f"{task.id}: the engine was stopped")
        if task.id in self._unfinished:
            raise UsageError(f"{task.id}: a task of this id is being worked on")
        if self.room <= 0:
            raise UsageError(f"{task.id}: {self.capacity} tasks are unfinished, as many as the engine takes")
        self._unfinished.add(task.id)
        self._waiting.append(task)
        self._accept()

    def events(self, timeout: float) -> list[WorkEvent]:
        """What happened since the last call; waits up to `timeout` seconds for the first event.

        Raises:
            DeviceError: workers cannot be started; the message names the reason.
        """
        found = list(self._collect(max(0.0, timeout)))
        self._unfinished.difference_update(e.task for e in found if e.kind in ("done", "failed", "lost"))
        return found

    def stop(self) -> None:
        """End all workers and forget all tasks; returns when no process of the engine is left. May be called twice."""
        if self._stopped:
            return
        self._stopped = True
        self._waiting.clear()
        self._unfinished.clear()
        self._close()

    @abstractmethod
    def _accept(self) -> None:
        """A task was put into `_waiting`: start a worker if that helps. Must not block."""

    @abstractmethod
    def _collect(self, timeout: float) -> Iterable[WorkEvent]:
        """Deal waiting tasks to idle workers, look after the workers, wait for events."""

    def _notice_absence(self) -> None:
        """Called in every round of `_collect`, before anybody is taken for hung."""
        now = time.monotonic()
        away, self._looked = now - self._looked, now
        if away > _AWAY:
            self._forgive(away)

    def _forgive(self, seconds: float) -> None:  # noqa: B027  (engines without patience need none)
        """The driver was away for so long, busy elsewhere or suspended: not to be held against the workers."""

    @abstractmethod
    def _close(self) -> None:
        """End all workers."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def open_engine(settings: EngineSettings, work: str = WORK) -> Engine:
    """The engine that the settings name; use it in a `with` block.

    Args:
        settings: kind, workers, resources, patience.
        work: "module:function", imported in the workers and called as function(task, tell); it reports by tell and
            raises InputError, UsageError or ModelError for what no second attempt would mend.

    Raises:
        UsageError: the extra `ray` is not installed.
        DeviceError: there is no such cluster, or it has no room for one worker.
    """
    if settings.kind == "ray":
        try:
            from videocolor.batch.engines.ray import RayEngine
        except ModuleNotFoundError as error:
            if error.name != "ray":
                raise
            raise UsageError("engine ray needs Ray: pip install 'videocolor[ray]'") from error
        return RayEngine(settings, work)
    from videocolor.batch.engines.local import LocalEngine

    return LocalEngine(settings, work)
