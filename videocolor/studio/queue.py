"""The queue of exports: what is to be made of this film and of others, one after the other.

It is kept in `renders/queue.json`. Each form of a film has a folder of its own, `renders/master/` say, where a batch
keeps its state: an export goes on where it was stopped. A running export outlives the studio, for it is a process; the
next studio of this project follows it and goes on with the queue. The comparison film is made in the studio and begins
anew.
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

from videocolor.errors import ConfigError, VideocolorError
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
_POLL: Final = 0.7
_MOST: Final = 50


@dataclass(frozen=True)
class _Entry:
    """An export."""

    id: int
    project: str
    """Folder."""
    film: str
    """Its name."""
    form: Form
    state: _State = "waiting"
    error: str | None = None
    target: str | None = None
    """The result's path."""


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
        self._entries: dict[int, _Entry] = {entry.id: entry for entry in _read(self._path)}

    def document(self) -> dict[str, Any]:
        """Describe the queue in its order, and the other projects that may be put in it."""
        with self._lock:
            rows = [self._row(entry) for entry in self._entries.values()]
        others = {_name(entry["project"]): Path(entry["film"]).name for entry in self._others()}
        return {"entries": rows, "projects": [{"id": name, "film": film} for name, film in others.items()]}

    def _row(self, entry: _Entry) -> dict[str, Any]:
        target = None if entry.target is None else Path(entry.target)
        size = target.stat().st_size if entry.state == "done" and target is not None and target.is_file() else None
        progress = self._progress if entry.state == "running" else {}
        return {**asdict(entry), "bytes": size, "mine": entry.project == str(self._store.folder), **progress}

    def add(self, form: Form, other: str | None = None) -> dict[str, Any]:
        """Put an export at the end of the queue; the same one is not put there twice.

        Args:
            form: of the film.
            other: name of another project, as `document` has it; None: the open one.

        Raises:
            NotFoundError: there is no such project, or no film yet to be compared. BusyError: the queue is full.
            OutputError: the queue cannot be saved.
        """
        folder, film = str(self._store.folder), self._store.film.name
        if other is not None:
            found = next((entry for entry in self._others() if _name(entry["project"]) == other), None)
            if found is None or form == "comparison":
                raise NotFoundError(f"project {other}: not among the recent ones, or its film is not opened here")
            folder, film = found["project"], Path(found["film"]).name
        with self._lock:
            coming = [e.state for e in self._entries.values() if (e.project, e.form) == (folder, "film")]
            if form == "comparison" and not {"waiting", "running"}.intersection(coming):
                self._renders.film()  # raises now, not when its turn comes
            for entry in list(self._entries.values()):
                if (entry.project, entry.form) == (folder, form):
                    if entry.state in ("waiting", "running"):
                        return self.document()
                    del self._entries[entry.id]
            if len(self._entries) >= _MOST:
                raise BusyError(f"the queue has {_MOST} entries; remove some first")
            number = max(self._entries, default=0) + 1
            self._entries[number] = _Entry(number, folder, film, form)
            self._save()
        self.start()
        return self._publish()

    def remove(self, number: int) -> dict[str, Any]:
        """Take an export off the queue; a running one is stopped and stays, to be gone on with. No film is deleted."""
        entry = self.entry(number)
        if entry.state == "running":
            self._put(number, state="stopped")
            if entry.form == "comparison":
                self._renders.comparison.stop()
            else:
                stop_render(self._place(entry))
            return self._publish()
        with self._lock:
            self._entries.pop(number, None)
            self._save()
        return self._publish()

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
        target = None if entry.target is None or entry.state != "done" else Path(entry.target)
        if target is None or not target.is_file() or target.is_symlink():
            raise NotFoundError(f"export {number} of {entry.film} is not there (any more)")
        return target

    @property
    def running(self) -> bool:
        """Whether an export of the open project is being made."""
        mine = str(self._store.folder)
        with self._lock:
            return any(e.state == "running" and e.project == mine for e in self._entries.values())

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
        ready = [entry for entry in self._entries.values() if entry.state in ("running", "waiting")]
        return min(ready, key=lambda entry: entry.state != "running", default=None)

    def _make(self, entry: _Entry) -> None:
        place = self._place(entry)
        if entry.form != "film" and self._renders.document()["state"] == "running":
            self._wake.wait(_POLL)  # the film is being rendered: one after the other
            return
        comparison = entry.form == "comparison"
        target = self._renders.comparison_path if comparison else place.target
        self._put(entry.id, state="running", target=str(target), error=None)
        if comparison:
            self._renders.compare("side")
        elif render_status(place).state != "running":  # else one that an earlier studio began
            start_render(place, only_changed=True)
        while not self._closed and self.entry(entry.id).state == "running":
            found = asdict(self._renders.comparison.status) if comparison else render_status(place).as_dict()
            self._progress = {key: found[key] for key in ("frames", "total", "eta_s")}
            if found["state"] != "running":
                ended = found["state"] if found["state"] in ("done", "failed") else "stopped"
                self._put(entry.id, state=ended, error=found["error"])
                return
            self._publish()
            self._wake.wait(_POLL)

    def _place(self, entry: _Entry) -> _Place:
        mine = entry.project == str(self._store.folder)
        return _Place(self._store.project if mine else lambda: read_project(Path(entry.project)), entry.form)

    def _others(self) -> list[dict[str, Any]]:
        mine = str(self._store.folder)
        return [entry for entry in read_recent() if entry["there"] and entry["project"] != mine]

    def _put(self, number: int, **changes: Any) -> None:
        with self._lock:
            entry = self._entries.get(number)
            if entry is None or (entry.state == "stopped" and changes.get("state") != "running"):
                return  # a person has stopped it
            self._progress = {}
            self._entries[number] = replace(entry, **changes)
            self._save()

    def _save(self) -> None:
        with disk_errors(self._path):
            self._path.parent.mkdir(exist_ok=True)
        rows = [asdict(entry) for entry in self._entries.values()]
        write_atomically(self._path, json.dumps(rows, ensure_ascii=False) + "\n")

    def _publish(self) -> dict[str, Any]:
        document = self.document()
        self._events.publish("queue", document)
        return document


def _name(project: str) -> str:
    """Return the name of a project in requests, from which no path can be made."""
    return sha256(project.encode(errors="surrogateescape")).hexdigest()[:16]


def _read(path: Path) -> list[_Entry]:
    """Read a saved queue; what cannot be read is no queue."""
    with suppress(ConfigError, TypeError, AttributeError):
        return [_Entry(**row) for row in read_json(path)]
    return []
