"""Work in a thread that a page starts, watches and stops: one piece at a time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final, Literal

from videocolor.errors import VideocolorError
from videocolor.events import Event, Observer
from videocolor.studio.problems import BusyError

__all__ = ["Task", "TaskStatus", "TaskStopped"]

log = logging.getLogger(__name__)
_PAUSE: Final = 0.25
"""Seconds between two words about the progress."""
State = Literal["idle", "running", "done", "failed", "stopped"]


class TaskStopped(Exception):
    """Raised inside the work when it shall end."""


@dataclass(frozen=True)
class TaskStatus:
    """How the work stands."""

    state: State = "idle"
    kind: str = ""
    frames: int = 0
    total: int | None = None
    eta_s: float | None = None
    error: str | None = None
    revision: int | None = None
    """Of the project when it was begun."""


class Task:
    """Runs a function that tells an observer of its progress.

    Args:
        name: of the thread.
        changed: called with every new status, from any thread.
    """

    def __init__(self, name: str, changed: Callable[[TaskStatus], None]) -> None:
        self._name, self._changed = name, changed
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._status = TaskStatus()

    @property
    def status(self) -> TaskStatus:
        """How it stands."""
        return self._status

    def start(self, kind: str, revision: int, work: Callable[[Observer], Any]) -> TaskStatus:
        """Begin.

        Raises:
            BusyError: it is at work already.
        """
        with self._lock:
            if self._status.state == "running":
                raise BusyError("one is being made already; stop it first, or wait for it")
            self._stop = threading.Event()
            self._status = TaskStatus("running", kind, revision=revision)
            self._thread = threading.Thread(target=self._run, args=(work, self._stop), name=self._name, daemon=True)
            self._thread.start()
        self._changed(self._status)
        return self._status

    def stop(self) -> TaskStatus:
        """Tell it to end; returns at once."""
        self._stop.set()
        return self._status

    def close(self) -> None:
        """End it and wait for it."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, work: Callable[[Observer], Any], stop: threading.Event) -> None:
        told = 0.0

        def observe(event: Event) -> None:
            nonlocal told
            if stop.is_set():
                raise TaskStopped
            if event.kind == "progress" and monotonic() - told > _PAUSE:
                told = monotonic()
                data = event.data
                self._set("running", frames=data.get("frames", 0), total=data.get("total"), eta_s=data.get("eta_s"))

        try:
            work(observe)
            self._set("done")
        except TaskStopped:
            self._set("stopped")
        except (VideocolorError, OSError) as error:
            self._set("failed", error=str(error))
        except Exception as error:  # a thread's last word must reach the page, whatever it is
            log.exception("%s failed", self._name)
            self._set("failed", error=f"{type(error).__name__}: {error}; this is a bug in videocolor")

    def _set(self, state: State, **changes: Any) -> None:
        old = self._status
        values = {"frames": old.frames, "total": old.total, "eta_s": None, **changes}
        self._status = TaskStatus(state, old.kind, revision=old.revision, **values)
        self._changed(self._status)
