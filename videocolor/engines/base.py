"""The interface of an engine: it takes tasks, has workers do them, and reports events."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from videocolor.engines.settings import ENGINES, EngineSettings
from videocolor.errors import UsageError
from videocolor.plugins import find
from videocolor.shards.types import Task, WorkEvent

__all__ = ["Engine", "open_engine"]


class Engine(ABC):
    """Workers that a driver gives tasks to; constructed as `Engine(settings, work)`, see `open_engine`.

    The driver's loop: `submit` while `room` is above 0, then `events`. Every task that was submitted ends in exactly
    one event `done`, `failed` or `lost`, unless `stop` is called first; `started` comes before all others of a task,
    and a task's events come in the order in which they happened. Tasks end in any order. Used by one thread. Leaving
    the `with` block stops all workers, however it is left.

    To add an engine, implement `_accept`, `_collect` and `_close`, or derive from `CrewEngine`
    (`videocolor.engines.crew`); see docs/guides/cluster.md.

    Args:
        workers: tasks worked on at once.
        ahead: tasks queued per worker.
    """

    workers: int
    """Tasks worked on at once."""
    capacity: int
    """Unfinished tasks at most: those worked on and those that wait for a worker."""

    def __init__(self, workers: int, ahead: int) -> None:
        self.workers = workers
        self.capacity = workers * (1 + ahead)
        self._waiting: deque[Task] = deque()
        self._unfinished: set[str] = set()
        self._stopped = False

    @property
    def unfinished(self) -> frozenset[str]:
        """Ids of the tasks that were submitted and have not ended."""
        return frozenset(self._unfinished)

    @property
    def room(self) -> int:
        """Number of tasks that `submit` takes now."""
        return self.capacity - len(self._unfinished)

    def submit(self, task: Task) -> None:
        """Take a task; return at once.

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
        """Return the events since the last call; wait up to `timeout` seconds for the first.

        Raises:
            DeviceError: workers cannot be started; the message names the reason.
        """
        found = list(self._collect(max(0.0, timeout)))
        self._unfinished.difference_update(e.task for e in found if e.kind in ("done", "failed", "lost"))
        return found

    def stop(self) -> None:
        """End all workers and forget all tasks; return when no process of the engine is left. May be called twice."""
        if self._stopped:
            return
        self._stopped = True
        self._waiting.clear()
        self._unfinished.clear()
        self._close()

    @abstractmethod
    def _accept(self) -> None:
        """Start a worker if that helps: a task was put into `_waiting`. Must not block."""

    @abstractmethod
    def _collect(self, timeout: float) -> Iterable[WorkEvent]:
        """Give waiting tasks to idle workers, check on the workers, wait for events."""

    @abstractmethod
    def _close(self) -> None:
        """End all workers."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def open_engine(settings: EngineSettings, work: str) -> Engine:
    """Open the engine that the settings name; use it in a `with` block.

    Args:
        settings: kind (a name of `ENGINES`, or a plug-in: docs/developing/adding.md), workers, resources, time limits.
        work: "module:function", imported in the workers and called as function(task, tell); it reports
            through tell, and raises InputError, UsageError or ModelError for what no second attempt would mend.

    Raises:
        UsageError: there is no such engine, or its extra is not installed.
        DeviceError: there is no such cluster, or it has no room for one worker.
    """
    engine = find(ENGINES.get(settings.kind, settings.kind), "engines", "engine.kind")
    if not (isinstance(engine, type) and issubclass(engine, Engine)):
        raise UsageError(f"engine.kind {settings.kind}: is no Engine")
    opened: Engine = engine(settings, work)  # type: ignore[arg-type]
    return opened
