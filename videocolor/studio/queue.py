"""The queue of exports: what is to be made of this film and of others, one after the other.

It is kept in `renders/queue.json`. Each form of a film has a folder of its own, `renders/master/` say, where a batch
keeps its state: an export goes on where it was stopped. A running export outlives the studio, for it is a process; the
next studio of this project follows it and goes on with the queue. The comparison film is made in the studio and starts
over.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from pydantic import TypeAdapter, ValidationError

from videocolor.errors import ConfigError, OutputError, VideocolorError
from videocolor.files import disk_errors, write_atomically
from videocolor.studio.delivery import Delivery, set_delivery
from videocolor.studio.errors import BusyError, NotFoundError
from videocolor.studio.events import EventHub
from videocolor.studio.project import ProjectStore
from videocolor.studio.projectdata import read_json
from videocolor.studio.projectfolder import OpenProject, read_project
from videocolor.studio.recent import read_recent
from videocolor.studio.render import render_status, start_render, stop_render
from videocolor.studio.renders import Renders

__all__ = ["Form", "Queue"]

log = logging.getLogger(__name__)
Form: TypeAlias = Literal["film", "comparison"] | Delivery
"""The film with the project's own settings, as a comparison film, or as a packaged preset has it."""
_State: TypeAlias = Literal["waiting", "running", "done", "failed", "stopped"]
_TO_DO: Final = ("waiting", "running")
_POLL: Final = 0.7
_MOST: Final = 50


@dataclass(frozen=True)
class _Entry:
    """An export."""

    id: int
    project: str | None
    """Folder of another project; None: the open one, wherever it is moved to."""
    film: str
    """Its name."""
    form: Form
    state: _State = "waiting"
    error: str | None = None


@dataclass(frozen=True)
class _Saved:
    """What `renders/queue.json` holds."""

    latest: int = 0
    """Number of the export that was added last: none is used again."""
    entries: tuple[_Entry, ...] = ()


@dataclass(frozen=True)
class _Place:
    """A form of a project's film; see `videocolor.studio.render.Rendered`."""

    read: Callable[[], OpenProject]
    form: Form

    @property
    def renders(self) -> Path:
        return self.project().target.parent

    @property
    def target(self) -> Path:
        return self.project().target

    def project(self) -> OpenProject:
        project = self.read()
        if self.form == "film" or self.form == "comparison":
            return project
        return replace(project, form=self.form, state=set_delivery(project.state, self.form))


class Queue:
    """Exports one after the other; safe for threads.

    Args:
        store: the open project.
        renders: makes its comparison film, and must not run at the same time.
        events: hear of every change, as `queue`.
    """

    def __init__(self, store: ProjectStore, renders: Renders, events: EventHub) -> None:
        self._store, self._renders, self._events = store, renders, events
        self._path = store.renders / "queue.json"
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._progress: dict[str, Any] = {}
        known = {entry["project"] for entry in self._others()}
        saved = _read(self._path)
        self._latest = saved.latest
        # The file may have come with a folder from elsewhere: it starts nothing in a project that was not opened here.
        self._entries = {entry.id: entry for entry in saved.entries if entry.project is None or entry.project in known}
        self._targets: dict[int, Path] = {}

    def document(self) -> dict[str, Any]:
        """Describe the queue in its order, and the other projects that may be put in it."""
        others = {_name(entry["project"]): Path(entry["film"]).name for entry in self._others()}
        return {"entries": self._rows(), "projects": [{"id": name, "film": film} for name, film in others.items()]}

    def _rows(self) -> list[dict[str, Any]]:
        with self._lock:
            return [self._row(entry) for entry in self._entries.values()]

    def _row(self, entry: _Entry) -> dict[str, Any]:
        target = self._target(entry) if entry.state == "done" else None
        size = target.stat().st_size if target is not None and target.is_file() else None
        progress = self._progress if entry.state == "running" else {}
        shown = None if target is None else str(target)
        return {**asdict(entry), "target": shown, "bytes": size, "mine": entry.project is None, **progress}

    def _target(self, entry: _Entry) -> Path | None:
        """Path of the result; None where the other project cannot be read any more."""
        if entry.id not in self._targets:
            try:
                comparison = entry.form == "comparison"
                self._targets[entry.id] = self._renders.comparison_path if comparison else self._place(entry).target
            except VideocolorError as error:
                log.info("the result of an export cannot be found: %s", error)
                return None
        return self._targets[entry.id]

    def add(self, form: Form, other: str | None = None) -> dict[str, Any]:
        """Put an export at the end of the queue; the same one is not put there twice.

        Args:
            form: of the film.
            other: name of another project, as `document` has it; None: the open one.

        Raises:
            NotFoundError: there is no such project, or no film yet to be compared. BusyError: the queue is full.
            OutputError: the queue cannot be saved.
        """
        folder, film = None, self._store.film.name
        if other is not None:
            found = next((entry for entry in self._others() if _name(entry["project"]) == other), None)
            if found is None or form == "comparison":
                raise NotFoundError(f"project {other}: not among the recent ones, or its film is not opened here")
            folder, film = found["project"], Path(found["film"]).name
        with self._lock:
            same = [e for e in self._entries.values() if (e.project, e.form) == (folder, form)]
            if any(e.state in _TO_DO for e in same):
                return self.document()
            films = [e.state for e in self._entries.values() if (e.project, e.form) == (folder, "film")]
            if form == "comparison" and not any(state in _TO_DO for state in films):
                self._renders.film()  # raises now, not when its turn comes
            kept = {e.id: e for e in self._entries.values() if e not in same}
            if len(kept) >= _MOST:
                raise BusyError(f"the queue has {_MOST} entries; remove some first")
            number = self._latest + 1
            kept[number] = _Entry(number, folder, film, form)
            self._save(number, kept)
            self._latest, self._entries = number, kept
        self.start()
        return self._publish()

    def remove(self, number: int) -> dict[str, Any]:
        """Take an export off the queue; a running one is stopped and stays, to be gone on with. No film is deleted."""
        entry = self.entry(number)
        if entry.state == "running":
            self._stop(entry)
            self._put(number, state="stopped")
            return self._publish()
        with self._lock:
            kept = {e.id: e for e in self._entries.values() if e.id != number}
            self._save(self._latest, kept)
            self._entries = kept
        return self._publish()

    def _stop(self, entry: _Entry) -> None:
        if entry.form == "comparison":
            self._renders.comparison.stop()
        else:
            stop_render(self._place(entry))

    def entry(self, number: int) -> _Entry:
        """Return an export, or raise `NotFoundError`."""
        with self._lock:
            entry = self._entries.get(number)
        if entry is None:
            raise NotFoundError(f"there is no export {number} (any more)")
        return entry

    def result(self, number: int) -> Path:
        """Return the path of a finished export, or raise `NotFoundError`."""
        entry = self.entry(number)
        target = self._target(entry) if entry.state == "done" else None
        if target is None or not target.is_file() or target.is_symlink():
            raise NotFoundError(f"export {number} of {entry.film} is not there (any more)")
        return target

    @property
    def running(self) -> bool:
        """Whether an export is being made."""
        with self._lock:
            return any(e.state == "running" for e in self._entries.values())

    def start(self) -> None:
        """Work on the queue, in a thread that ends with it."""
        with self._lock:
            if self._closed or self._next() is None or (self._thread is not None and self._thread.is_alive()):
                return
            self._thread = threading.Thread(target=self._work, name="queue", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End the thread; a running export goes on."""
        with self._lock:
            self._closed, thread = True, self._thread
        self._wake.set()
        if thread is not None:
            thread.join()

    # ---- working ----------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while not self._closed:
            with self._lock:
                entry = self._next()
                if entry is None:
                    self._thread = None
                    return
            try:
                self._make(entry)
            except (VideocolorError, OSError) as error:
                self._put(entry.id, state="failed", error=str(error))
            except Exception as error:  # whatever ends the thread must reach the page
                log.exception("export %s of %s failed", entry.form, entry.film)
                self._put(
                    entry.id, state="failed", error=f"{type(error).__name__}: {error}; this is a bug in videocolor"
                )
            self._publish()

    def _next(self) -> _Entry | None:
        ready = [entry for entry in self._entries.values() if entry.state in _TO_DO]
        return min(ready, key=lambda entry: entry.state != "running", default=None)

    def _make(self, entry: _Entry) -> None:
        place, comparison = self._place(entry), entry.form == "comparison"
        # One an earlier studio began is followed; what anybody else renders now may have earlier colors.
        ours = entry.state == "running" and not comparison
        if not ours and self._busy(place):
            self._wake.wait(_POLL)
            return
        if not self._put(entry.id, state="running", error=None):
            return
        if comparison:
            self._renders.compare("side")
        elif not (ours and render_status(place).state == "running"):
            start_render(place, only_changed=True)
        if entry.project is None and entry.form == "film":
            self._renders.watch()
        if not self._wanted(entry.id):  # a person stopped it while it began
            self._stop(entry)
        while not self._closed and self._wanted(entry.id):
            found = asdict(self._renders.comparison.status) if comparison else render_status(place).as_dict()
            self._progress = {key: found[key] for key in ("frames", "total", "eta_s")}
            if found["state"] != "running":
                ended = found["state"] if found["state"] in ("done", "failed") else "stopped"
                self._put(entry.id, state=ended, error=found["error"])
                return
            self._events.publish("queue", {"entries": self._rows()})
            self._wake.wait(_POLL)

    def _busy(self, place: _Place) -> bool:
        """Whether something is rendered already: one after the other."""
        own, comparison = self._renders.document()["state"], self._renders.comparison.status.state
        return "running" in (own, comparison, render_status(place).state)

    def _wanted(self, number: int) -> bool:
        with self._lock:
            entry = self._entries.get(number)
        return entry is not None and entry.state == "running"

    def _place(self, entry: _Entry) -> _Place:
        other = entry.project
        return _Place(self._store.project if other is None else lambda: read_project(Path(other)), entry.form)

    def _others(self) -> list[dict[str, Any]]:
        mine = str(self._store.folder)
        return [entry for entry in read_recent() if entry["there"] and entry["project"] != mine]

    def _put(self, number: int, **changes: Any) -> bool:
        """Change an export; whether it is still there and was not stopped by a person."""
        with self._lock:
            entry = self._entries.get(number)
            if entry is None or entry.state not in _TO_DO:
                return False
            self._progress = {}
            self._entries[number] = replace(entry, **changes)
            try:
                self._save(self._latest, self._entries)
            except OutputError as error:  # the export itself will say that the disk is full
                log.warning("the queue could not be saved: %s", error)
            return True

    def _save(self, latest: int, entries: dict[int, _Entry]) -> None:
        with disk_errors(self._path):
            self._path.parent.mkdir(exist_ok=True)
        # With escapes, for a film's name need not be UTF-8.
        write_atomically(self._path, json.dumps(asdict(_Saved(latest, tuple(entries.values())))) + "\n")

    def _publish(self) -> dict[str, Any]:
        document = self.document()
        self._events.publish("queue", document)
        return document


def _name(project: str) -> str:
    """Return the name of a project in requests, from which no path can be made."""
    return sha256(project.encode(errors="surrogateescape")).hexdigest()[:16]


def _read(path: Path) -> _Saved:
    """Read a saved queue; what cannot be read is no queue."""
    with suppress(ConfigError, ValidationError):
        return TypeAdapter(_Saved).validate_python(read_json(path))
    return _Saved()
