"""One film by several workers: the samples of one process, errors as they were raised, nothing left after the end."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from batch.films import packets_of, picture, samples_of, write_reel

from videocolor.colorize import colorize_video
from videocolor.config import ColorizeConfig
from videocolor.engines.base import Engine
from videocolor.engines.film import choose_workers, worker_bytes
from videocolor.engines.settings import EngineSettings
from videocolor.engines.worker import load_work, perform
from videocolor.errors import DeviceError, HintError, Interrupted, UsageError
from videocolor.events import Event, RunLog
from videocolor.pipeline.film import open_film
from videocolor.shards.types import Task, WorkEvent

SHOTS = ((1, 14), (2, 12), (1, 13), (3, 56))
"""95 frames at 12 a second; shot 3 returns; shot 4 is longer than `max_shard`."""
SETTINGS = ["output.codec=ffv1", "shots.shard=1", "shots.max_shard=4", "model.batch=1", "model.keyframe_interval=8"]


@pytest.fixture(scope="module")
def reel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reel(tmp_path_factory.mktemp("reel") / "reel.mkv", SHOTS)


def config(*settings: str) -> ColorizeConfig:
    return ColorizeConfig.load(None, [*SETTINGS, "model.name=constant", *settings])


class LastFirst(Engine):
    """Does the last task that waits, in the caller's thread; tasks of a `verdict` end with it instead."""

    made: list[LastFirst]
    verdict: WorkEvent | None = None

    def __init__(self, settings: EngineSettings, work: str) -> None:
        assert settings.workers != "auto"
        super().__init__(settings.workers, settings.ahead)
        self._work, self.tasks = load_work(work), list[Task]()
        self.made.append(self)

    def _accept(self) -> None:
        """Tasks wait for `_collect`."""

    def _collect(self, timeout: float) -> Iterable[WorkEvent]:
        task, found = self._waiting.pop(), list[WorkEvent]()
        self.tasks.append(task)
        if self.verdict is not None:
            return [WorkEvent(self.verdict.kind, task.id, "here", self.verdict.data)]
        perform(self._work, task, lambda m: found.append(WorkEvent(m["kind"], task.id, "here", m)))
        return found

    def _close(self) -> None:
        """Nothing runs."""


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> list[LastFirst]:
    """The engines that were opened in place of processes."""
    LastFirst.made, LastFirst.verdict = [], None
    monkeypatch.setattr("videocolor.engines.film.open_engine", LastFirst)
    return LastFirst.made


def test_samples_do_not_depend_on_workers(reel: Path, tmp_path: Path, engines: list[LastFirst]) -> None:
    events: list[Event] = []
    one = colorize_video(reel, tmp_path / "one.mkv", config())
    three = colorize_video(reel, tmp_path / "three.mkv", config(), workers=3, observer=events.append)
    (engine,) = engines
    assert engine.workers == 3 and len(engine.tasks) >= 2
    numbers = [number for task in engine.tasks for number in task.shards or ()]
    assert numbers != sorted(numbers), "the test needs tasks that end in another order"
    assert samples_of(one.target) == samples_of(three.target)
    assert packets_of(one.target) == packets_of(three.target) == packets_of(reel)
    assert three.shots == one.shots and three.frames == one.frames
    said = sorted(event.data["index"] for event in events if event.kind == "shot")
    assert said == list(range(1, len(SHOTS) + 1)), "each shot once, though one was cut into shards"
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("verdict", "error", "words"),
    [
        (WorkEvent("failed", "", "", {"type": "HintError", "error": "a.png: torn"}), HintError, r"torn.*kept in"),
        (WorkEvent("failed", "", "", {"type": "PermissionError", "error": "denied"}), PermissionError, "denied"),
        (WorkEvent("failed", "", "", {"type": "Bug", "error": "x", "traceback": "line 3"}), RuntimeError, "line 3"),
        (WorkEvent("lost", "", "", {"error": "ended by SIGKILL"}), DeviceError, r"SIGKILL.*--workers"),
    ],
)
def test_errors_of_workers_are_raised(
    verdict: WorkEvent, error: type[Exception], words: str, reel: Path, tmp_path: Path, engines: list[LastFirst]
) -> None:
    with pytest.raises(error, match=words.partition(".*")[0]):
        LastFirst.verdict = verdict
        colorize_video(reel, tmp_path / "out.mkv", config(), workers=2)
    assert not (tmp_path / "out.mkv").exists()


def test_how_many_workers(reel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film = open_film(reel, tmp_path / "out.mkv", config("model.device=auto"), RunLog(lambda _: None))
    where = "videocolor.engines.film."
    monkeypatch.setattr(where + "visible_gpus", list)
    monkeypatch.setattr(where + "cores", lambda: 16)
    monkeypatch.setattr(where + "_free_bytes", lambda: 100 * worker_bytes(film))
    assert choose_workers(film, "auto") == 8 and choose_workers(film, 3) == 3
    monkeypatch.setattr(where + "_free_bytes", lambda: 3 * worker_bytes(film))
    assert choose_workers(film, "auto") == 3, "memory is short"
    monkeypatch.setattr(where + "_free_bytes", lambda: 0)
    assert choose_workers(film, "auto") == 1
    monkeypatch.setattr(where + "visible_gpus", lambda: ["0", "1"])
    assert choose_workers(film, "auto") == 2, "one each"


@pytest.mark.parametrize(
    ("source", "settings", "words"),
    [("-", (), "pipe"), ("film.mkv", ("output.resume=false",), "output.resume=false")],
)
def test_several_workers_where_one_does_everything(
    source: str, settings: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=words):
        colorize_video(source, tmp_path / "out.mkv", config(*settings), workers=2)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["automatic", "painted"])
def test_two_processes_give_the_samples_of_one(kind: str, reel: Path, tmp_path: Path) -> None:
    hint = tmp_path / "hint.png"
    cv2.imwrite(str(hint), np.rint(np.moveaxis(picture(3, 4), 0, -1)[..., ::-1] * 255).astype(np.uint8))
    extra = [f"hints.items=['{43 / 12:.4f}={hint}']"] if kind == "painted" else []
    settings = ColorizeConfig.load(None, [*SETTINGS, *extra])
    made = [colorize_video(reel, tmp_path / f"{n}.mkv", settings, workers=n).target for n in (1, 2)]
    assert samples_of(made[0]) == samples_of(made[1])
    assert packets_of(made[0]) == packets_of(made[1])


@pytest.mark.slow
@pytest.mark.parametrize("how", ["cancel", "kill"])
def test_a_run_of_several_workers_that_ends_early_goes_on(how: str, reel: Path, tmp_path: Path) -> None:
    cancel, done = threading.Event(), list[int]()

    def stop(event: Event) -> None:
        if event.kind == "shot" and not done:
            done.append(1)
            if how == "cancel":
                cancel.set()
            else:
                os.kill(_children()[0], signal.SIGKILL)

    settings, target = config("smoothing.motion=detailed", "model.keyframe_interval=1"), tmp_path / "out.mkv"
    with pytest.raises(Interrupted if how == "cancel" else DeviceError):
        colorize_video(reel, target, settings, workers=2, observer=stop, cancel=cancel)
    assert not target.exists() and not _children()
    result: Any = colorize_video(reel, target, settings, workers=2)
    assert 0 < result.resumed < result.frames == 95


def _children() -> list[int]:
    """Processes of workers that this one has started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes()
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if b"videocolor.engines.child" in words and parent == os.getpid():
            found.append(int(folder.name))
    return found
