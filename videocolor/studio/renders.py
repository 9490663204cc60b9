"""The rendered film and what is made of it: its status for the pages, its frames, the comparison film, the report."""

from __future__ import annotations

import logging
import threading
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from videocolor.errors import InputError, VideocolorError
from videocolor.events import Observer
from videocolor.record import sidecar_path
from videocolor.studio.problems import BusyError, NotFoundError
from videocolor.studio.render import render_status, start_render, stop_render
from videocolor.studio.resultframes import ResultFrames
from videocolor.studio.tasks import Task, TaskStatus
from videocolor.types import Array

if TYPE_CHECKING:
    from videocolor.studio.session import Studio

__all__ = ["Renders"]

log = logging.getLogger(__name__)
_POLL: Final = 0.7
"""Seconds between two looks at a render that runs in another process."""


class Renders:
    """The renders of a studio; safe for threads."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._lock = threading.Lock()
        self._reporting = threading.Lock()
        self._wake = threading.Event()
        self._closed = False
        self._watcher: threading.Thread | None = None
        self._result: ResultFrames | None = None
        self.comparison = Task("comparison", self._told)

    # ---- rendering --------------------------------------------------------------------------------------------------

    def document(self) -> dict[str, Any]:
        """As the page reads it."""
        try:
            return render_status(self._studio.store).as_dict()
        except (
            VideocolorError
        ) as error:  # the picture of a hint that was taken away, say: the page must open all the same
            log.warning("how the render stands cannot be told: %s", error)
            store = self._studio.store
            bare: dict[str, Any] = {
                "frames": 0,
                "total": None,
                "fps": None,
                "eta_s": None,
                "changed": [],
                "log": [],
                "stage": "",
            }
            return {"state": "failed", "error": str(error), "target": str(store.target), "revision": None, **bare}

    def start(self, *, only_changed: bool) -> None:
        """Begin to render, in a process that outlives the studio."""
        start_render(self._studio.store, only_changed=only_changed)
        self.watch()

    def stop(self) -> dict[str, Any]:
        """Stop it; it goes on from there when it is started again."""
        stop_render(self._studio.store)
        status = self.document()
        self._studio.events.publish("render", status)
        return status

    def watch(self) -> None:
        """Tell the pages how the render stands, for as long as it runs."""
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
                self._studio.events.publish("render", status)
                last = status
            if status["state"] != "running":
                return
            self._wake.wait(_POLL)

    def close(self) -> None:
        """End all threads; a render goes on."""
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
        """The finished film.

        Raises:
            NotFoundError: there is none.
        """
        target = self._studio.store.target
        if not target.is_file() or target.is_symlink():
            raise NotFoundError("the film is not rendered yet")
        return target

    def frame(self, index: int) -> Array:
        """(h, w, 3) uint8 of a frame of the finished film, named by its index in the source."""
        path, studio = self.film(), self._studio
        with self._lock:
            if self._closed:
                raise NotFoundError("the studio is closing")
            if self._result is None or not self._result.is_of(path):
                if self._result is not None:
                    self._result.close()
                self._result = ResultFrames(path, studio.index)
            result = self._result
        return result.rgb(index)

    # ---- what is made of it -----------------------------------------------------------------------------------------

    @property
    def comparison_path(self) -> Path:
        """Where the comparison film stands."""
        return self._studio.store.renders / "comparison.mp4"

    def compare(self, kind: Literal["side", "wipe"]) -> TaskStatus:
        """Begin to make a comparison film."""
        from videocolor.reports.compare import write_comparison

        film, result, target = self._studio.film, self.film(), self.comparison_path
        self._studio.check_film()
        if self.document()["state"] == "running":
            raise BusyError("the film is being rendered; compare when that has ended")

        def work(observer: Observer) -> None:
            target.unlink(missing_ok=True)
            write_comparison(film, result, target, kind=kind, observer=observer)

        return self.comparison.start(kind, self._studio.store.revision, work)

    def comparison_document(self) -> dict[str, Any]:
        """As the page reads it; a film that an earlier studio made counts, too."""
        status = self.comparison.status
        if status.state == "idle" and self.comparison_path.is_file():
            return {**asdict(status), "state": "done"}
        return asdict(status)

    def _told(self, status: TaskStatus) -> None:
        self._studio.events.publish("compare", self.comparison_document())

    def report(self) -> bytes:
        """The report of the finished film, a page of its own."""
        from videocolor.reports.run import write_report

        target = self.film()
        if not sidecar_path(target).is_file():
            raise NotFoundError("the rendered film has no record beside it, so there is nothing to report")
        path = self._studio.store.cache / "report.html"
        with self._reporting:  # not the lock of the frames: a report of many shots takes a while
            stamp = max(target.stat().st_mtime_ns, sidecar_path(target).stat().st_mtime_ns)
            if not path.is_file() or path.stat().st_mtime_ns < stamp:
                write_report(self._studio.film, target, path=path)
            try:
                return path.read_bytes()
            except OSError as error:
                raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
