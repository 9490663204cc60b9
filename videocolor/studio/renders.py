"""The rendered film: its status for the pages, its frames, the comparison film and the report made from it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Final, Literal

from videocolor.errors import InputError, VideocolorError
from videocolor.events import Event, Observer
from videocolor.record import sidecar_path
from videocolor.studio.errors import BusyError, NotFoundError
from videocolor.studio.events import EventHub
from videocolor.studio.frames import FilmIndex, ResultFrames
from videocolor.studio.project import ProjectStore
from videocolor.studio.render import RenderStatus, render_status, start_render, stop_render
from videocolor.types import Array

__all__ = ["Renders", "Task", "TaskStatus"]

log = logging.getLogger(__name__)
_POLL: Final = 0.7
"""Seconds between polls of a render, which runs in another process."""
_PAUSE: Final = 0.25
"""Seconds between progress events of a task."""
TaskState = Literal["idle", "running", "done", "failed", "stopped"]


class TaskStopped(Exception):
    """Raised inside the work to end it."""


@dataclass(frozen=True)
class TaskStatus:
    """Progress of a task."""

    state: TaskState = "idle"
    kind: str = ""
    frames: int = 0
    total: int | None = None
    eta_s: float | None = None
    error: str | None = None
    revision: int | None = None
    """Of the project when the task was started."""


class Task:
    """Run one function at a time in a thread; pages start, watch and stop it.

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
        """Progress of the work."""
        return self._status

    def start(self, kind: str, revision: int, work: Callable[[Observer], Any]) -> TaskStatus:
        """Start the work.

        Raises:
            BusyError: work is running already.
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
        """Request the end; return at once."""
        self._stop.set()
        return self._status

    def close(self) -> None:
        """End the work and wait for it."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, work: Callable[[Observer], Any], stop: threading.Event) -> None:
        reported = 0.0

        def observe(event: Event) -> None:
            nonlocal reported
            if stop.is_set():
                raise TaskStopped
            if event.kind == "progress" and monotonic() - reported > _PAUSE:
                reported = monotonic()
                data = event.data
                self._set("running", frames=data.get("frames", 0), total=data.get("total"), eta_s=data.get("eta_s"))

        try:
            work(observe)
            self._set("done")
        except TaskStopped:
            self._set("stopped")
        except (VideocolorError, OSError) as error:
            self._set("failed", error=str(error))
        except Exception as error:  # whatever ends the thread must reach the page
            log.exception("%s failed", self._name)
            self._set("failed", error=f"{type(error).__name__}: {error}; this is a bug in videocolor")

    def _set(self, state: TaskState, **changes: Any) -> None:
        old = self._status
        values = {"frames": old.frames, "total": old.total, "eta_s": None, **changes}
        self._status = TaskStatus(state, old.kind, revision=old.revision, **values)
        self._changed(self._status)


class Renders:
    """The renders of a project; safe for threads."""

    def __init__(self, store: ProjectStore, index: FilmIndex, events: EventHub) -> None:
        self._store, self._index, self._events = store, index, events
        self._lock = threading.Lock()
        self._reporting = threading.Lock()
        self._wake = threading.Event()
        self._closed = False
        self._watcher: threading.Thread | None = None
        self._result: ResultFrames | None = None
        self.comparison = Task("comparison", self._publish_comparison)

    # ---- rendering --------------------------------------------------------------------------------------------------

    def document(self) -> dict[str, Any]:
        """Describe the render for the page."""
        try:
            return render_status(self._store).as_dict()
        except VideocolorError as error:  # a hint without its picture, say: the page must open all the same
            log.warning("the state of the render is unknown: %s", error)
            target = self._store.target
            return RenderStatus("failed", 0, None, None, None, str(error), target, None, (), ()).as_dict()

    def start(self, *, only_changed: bool) -> None:
        """Start the render, in a process that outlives the studio."""
        start_render(self._store, only_changed=only_changed)
        self.watch()

    def stop(self) -> dict[str, Any]:
        """Stop the render; another start resumes it."""
        stop_render(self._store)
        status = self.document()
        self._events.publish("render", status)
        return status

    def watch(self) -> None:
        """Publish the render's status while it runs."""
        with self._lock:
            if self._closed or (self._watcher is not None and self._watcher.is_alive()):
                return
            self._watcher = threading.Thread(target=self._follow, name="render watch", daemon=True)
            self._watcher.start()

    def _follow(self) -> None:
        last: dict[str, Any] = {}
        while not self._closed:
            status = self.document()
            if status != last:
                self._events.publish("render", status)
                last = status
            if status["state"] != "running":
                return
            self._wake.wait(_POLL)

    def close(self) -> None:
        """End all threads; a running render goes on."""
        with self._lock:
            self._closed = True
            watcher = self._watcher
        self._wake.set()
        self.comparison.close()
        if watcher is not None:
            watcher.join()
        if self._result is not None:
            self._result.close()

    # ---- the finished film ------------------------------------------------------------------------------------------

    def film(self) -> Path:
        """Return the path of the finished film.

        Raises:
            NotFoundError: there is none.
        """
        target = self._store.target
        if not target.is_file() or target.is_symlink():
            raise NotFoundError("the film is not rendered yet")
        return target

    def frame(self, index: int) -> Array:
        """Return (h, w, 3) uint8 of the finished film's frame; `index` counts in the source."""
        path = self.film()
        with self._lock:
            if self._closed:
                raise NotFoundError("the studio is closing")
            if self._result is None or not self._result.is_of(path):
                if self._result is not None:
                    self._result.close()
                self._result = ResultFrames(path, self._index)
            result = self._result
        return result.rgb(index)

    # ---- what is made of it -----------------------------------------------------------------------------------------

    @property
    def comparison_path(self) -> Path:
        """Path of the comparison film."""
        return self._store.renders / "comparison.mp4"

    def compare(self, kind: Literal["side", "wipe"]) -> TaskStatus:
        """Start to make a comparison film."""
        from videocolor.reports.compare import write_comparison

        film, result, target = self._store.film, self.film(), self.comparison_path
        self._store.check_film()
        if self.document()["state"] == "running":
            raise BusyError("the film is being rendered; compare when that has ended")

        def work(observer: Observer) -> None:
            target.unlink(missing_ok=True)
            write_comparison(film, result, target, kind=kind, observer=observer)

        return self.comparison.start(kind, self._store.revision, work)

    def comparison_document(self) -> dict[str, Any]:
        """Describe the comparison for the page; a film that an earlier studio made counts, too."""
        status = self.comparison.status
        if status.state == "idle" and self.comparison_path.is_file():
            return {**asdict(status), "state": "done"}
        return asdict(status)

    def _publish_comparison(self, _status: TaskStatus) -> None:
        self._events.publish("compare", self.comparison_document())

    def report(self) -> bytes:
        """Return the report of the finished film, a self-contained page."""
        from videocolor.reports.run import write_report

        target = self.film()
        if not sidecar_path(target).is_file():
            raise NotFoundError("the rendered film has no record beside it, so there is no report")
        path = self._store.cache / "report.html"
        with self._reporting:  # not `_lock`: a report of many shots takes a while
            stamp = max(target.stat().st_mtime_ns, sidecar_path(target).stat().st_mtime_ns)
            if not path.is_file() or path.stat().st_mtime_ns < stamp:
                write_report(self._store.film, target, path=path)
            try:
                return path.read_bytes()
            except OSError as error:
                raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
