"""Exports are made one after the other, are kept over restarts, and can be stopped."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from films import write_reel
from serving import serving, until

from videocolor.studio import queue as module
from videocolor.studio.errors import NotFoundError
from videocolor.studio.events import EventHub
from videocolor.studio.frames import FilmIndex
from videocolor.studio.project import ProjectStore
from videocolor.studio.queue import Queue
from videocolor.studio.recent import remember_project
from videocolor.studio.render import RenderStatus
from videocolor.studio.renders import Renders


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    film = write_reel(tmp_path / "reel.mkv", ((1, 4),))
    ProjectStore.open_or_create(tmp_path / "other", film).close()
    return film, tmp_path / "other"


class _Batches:
    """In place of the processes that render: each runs until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun: list[str] = []
        self.state: Any = "idle"
        self.going = threading.Event()
        monkeypatch.setattr(module, "_POLL", 0.01)
        monkeypatch.setattr(module, "start_render", self._start)
        monkeypatch.setattr(module, "stop_render", lambda _place: setattr(self, "state", "stopped"))
        monkeypatch.setattr(module, "render_status", self._status)

    def _start(self, place: Any, *, only_changed: bool) -> None:
        assert only_changed, "what is finished is not colored again"
        self.begun.append(f"{place.renders.parent.parent.name}/{place.renders.name}/{place.target.suffix}")
        self.state = "running"

    def _status(self, place: Any) -> RenderStatus:
        if self.state == "running" and self.going.is_set():
            self.going.clear()
            self.state = "done"
        status = RenderStatus("idle", 2, 4, None, None, None, place.target, None, (), ())
        return replace(status, state=self.state)


def test_one_after_the_other_over_a_restart(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film, other = folders
    remember_project(film, other)
    batches = _Batches(monkeypatch)
    with ProjectStore.open_or_create(tmp_path / "project", film) as store:
        events = EventHub()

        def begin() -> Queue:
            queue = Queue(store, Renders(store, FilmIndex.__new__(FilmIndex), events), events)
            queue.start()
            return queue

        def states(queue: Queue) -> list[str]:
            return [entry["state"] for entry in queue.document()["entries"]]

        queue = begin()
        (project,) = queue.document()["projects"]
        with pytest.raises(NotFoundError, match="not rendered yet"):
            queue.add("comparison")
        for form in ("master", "client", "master"):
            queue.add(form)
        queue.add("access", project["id"])
        queue.add("editing")
        with pytest.raises(NotFoundError, match="not among the recent ones"):
            queue.add("film", "0" * 16)
        until(lambda: states(queue) == ["running", "waiting", "waiting", "waiting"])
        until(lambda: batches.begun == ["project/master/.mkv"])
        assert queue.running
        queue.remove(4)
        queue.close()  # the studio ends; the process of the export goes on
        queue = begin()
        until(lambda: queue.document()["entries"][0].get("frames") == 2)
        assert states(queue) == ["running", "waiting", "waiting"]
        assert len(batches.begun) == 1, "it is followed, not begun anew"
        batches.going.set()
        until(lambda: states(queue) == ["done", "running", "waiting"])
        queue.remove(2)
        until(lambda: states(queue) == ["done", "stopped", "running"])
        until(lambda: batches.begun[1:] == ["project/client/.mp4", "other/access/.mp4"])
        assert queue.running, "of another film, but one after the other"
        batches.going.set()
        until(lambda: states(queue) == ["done", "stopped", "done"])
        with pytest.raises(NotFoundError, match="is not there"):
            queue.result(1)
        for number in (1, 2, 3):
            queue.remove(number)
        assert queue.document()["entries"] == []
        queue.close()
        queue = begin()
        assert queue.add("client")["entries"][0]["id"] == 5, "no number is used again"
        until(lambda: batches.begun[-1] == "project/client/.mp4")
        queue.close()


def test_a_saved_queue_is_not_trusted(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film, other = folders
    batches = _Batches(monkeypatch)
    foreign = {"id": 1, "project": str(other), "film": "reel.mkv", "form": "master"}
    with ProjectStore.open_or_create(tmp_path / "project", film) as store:
        store.renders.mkdir(exist_ok=True)
        for entries in ([foreign], [{**foreign, "form": "../.."}], [{**foreign, "id": "a"}], 5):
            (store.renders / "queue.json").write_text(json.dumps({"latest": 1, "entries": entries}))
            events = EventHub()
            queue = Queue(store, Renders(store, FilmIndex.__new__(FilmIndex), events), events)
            queue.start()
            assert queue.document()["entries"] == []
            queue.close()
    assert not batches.begun


def test_a_stop_while_an_export_begins_is_not_lost(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = _Batches(monkeypatch)
    with ProjectStore.open_or_create(tmp_path / "project", folders[0]) as store:
        events = EventHub()
        queue = Queue(store, Renders(store, FilmIndex.__new__(FilmIndex), events), events)

        def begins(place: Any, *, only_changed: bool) -> None:
            queue.remove(1)  # before its process runs
            batches._start(place, only_changed=only_changed)

        monkeypatch.setattr(module, "start_render", begins)
        queue.add("master")
        until(lambda: batches.begun and batches.state == "stopped")
        assert [entry["state"] for entry in queue.document()["entries"]] == ["stopped"]
        queue.close()


@pytest.mark.slow
def test_an_export_is_a_film_of_its_form(folders: tuple[Path, Path], tmp_path: Path) -> None:
    with serving(folders[0], tmp_path / "project") as client:
        client.scanned()
        client.change("PATCH", "/api/settings", model="constant")
        for wrong in ({"form": "film", "other": "../x"}, {"form": "all"}, {}):
            assert client.http.post("/api/queue", json=wrong).status_code == 400
        assert client.http.post("/api/queue", json={"form": "master"}).status_code == 200

        def entry() -> Any:
            return client.get("/api/queue").json()["entries"][0]

        until(lambda: entry()["state"] not in ("waiting", "running"), 120)
        assert entry()["state"] == "done" and entry()["bytes"] > 0, entry()
        film = client.get("/api/queue/1/film")
        assert film.status_code == 200 and "reel_colorized_master.mkv" in film.headers["content-disposition"]
        picture = cv2.imdecode(np.frombuffer(client.get("/api/queue/1.jpg").content, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None and picture.shape[0] == 144
        assert client.get("/api/queue/7/film").status_code == 404
        assert client.project()["render"]["state"] == "idle", "the project's own film is another one"
