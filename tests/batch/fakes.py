"""Films of a few lines of text, and steps that color them: the driver and the engines are the real ones.

A reel is a JSON file: `{"shots": [10, 4, 7], "shards": 2}` (frames of each shot; shots a shard), perhaps with
`"trouble": {"shard": 1, "kind": "lost", "times": 1}` or `"refused": "reason"`. Its color is a line a frame.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Collection, Iterable
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

from videocolor.batch.inspection import Outlook
from videocolor.batch.settings import BatchConfig
from videocolor.batch.state import plan_path
from videocolor.batch.steps import Steps
from videocolor.engines.base import Engine, open_engine
from videocolor.engines.settings import EngineSettings
from videocolor.errors import InputError, OutputError
from videocolor.events import Observer
from videocolor.files import file_sha256, write_atomically
from videocolor.shards.merge import MergeReport
from videocolor.shards.types import FilmJob, FilmPlan, PlannedShot, Shard, ShardRecord, Task, Tell, WorkEvent

WORK = "batch.fakes:color"
"""For engines whose workers are processes; `tests` is in their path."""


class InlineEngine(Engine):
    """Works in the driver's own thread, one task a call: every test sees the same order of events."""

    def __init__(self, settings: EngineSettings, _work: str = WORK) -> None:
        super().__init__(1 if settings.workers == "auto" else settings.workers, settings.ahead)
        self.tasks: list[Task] = []

    def _accept(self) -> None:
        """Tasks wait for `_collect`."""

    def _collect(self, timeout: float) -> Iterable[WorkEvent]:
        if not self._waiting:
            time.sleep(min(timeout, 0.01))
            return
        task = self._waiting.popleft()
        self.tasks.append(task)
        found: list[WorkEvent] = [WorkEvent("started", task.id, "inline")]
        try:
            color(task, lambda m: found.append(WorkEvent(m["kind"], task.id, "inline", m)), inline=True)
        except Lost as error:
            found.append(WorkEvent("lost", task.id, "inline", {"error": str(error)}))
        except (InputError, OSError, OutputError) as error:
            data = {"error": str(error), "type": type(error).__name__, "permanent": isinstance(error, InputError)}
            found.append(WorkEvent("failed", task.id, "inline", data))
        else:
            found.append(WorkEvent("done", task.id, "inline"))
        yield from found

    def _close(self) -> None:
        """Nothing runs."""


class Lost(Exception):
    """The worker is gone."""


def reel(path: Path, shots: Iterable[int] = (5, 3, 8, 2), **more: Any) -> Path:
    """Write a reel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"shots": list(shots), **more}))
    return path


def trouble_file(path: Path) -> Path:
    """Counts how often a reel was in trouble."""
    return path.with_name(f".{path.name}.trouble")


def read_reel(path: Path) -> dict[str, Any]:
    """A reel; InputError for other files."""
    try:
        data = json.loads(path.read_text())
    except ValueError as error:
        raise InputError(f"{path}: is no reel") from error
    if "refused" in data:
        raise InputError(f"{path}: {data['refused']}")
    return dict(data)


def make_plan(job: FilmJob) -> FilmPlan:
    """Two shots a shard, or as the reel says."""
    data = read_reel(job.source)
    sha256 = file_sha256(job.source)
    shots, shards, start = [], [], 0
    for index, frames in enumerate(data["shots"]):
        shots.append(PlannedShot(index, start, start + frames, start, last_pts=start + frames - 1))
        start += frames
    size = data.get("shards", 2)
    for number, first in enumerate(range(0, len(shots), size)):
        part = shots[first : first + size]
        a, b = part[0].start, part[-1].end
        key = hashlib.sha256(f"{sha256} {a} {b} {job.config['chroma']}".encode()).hexdigest()
        shards.append(Shard(number, a, b, a, b, part[0].index, part[-1].index, False, False, float(b - a), key))
    return FilmPlan(job.source, sha256, start, Fraction(1, 24), tuple(shots), tuple(shards))


def write_plan(job: FilmJob) -> FilmPlan:
    """Plan into the working folder."""
    plan = make_plan(job)
    data = {**asdict(plan), "film": str(plan.film), "time_base": str(plan.time_base)}
    write_atomically(plan_path(job), json.dumps(data))
    return plan


def read_plan(path: Path) -> FilmPlan:
    """A plan; InputError where it is damaged."""
    try:
        data = json.loads(path.read_text())
    except ValueError as error:
        raise InputError(f"{path}: is no plan: {error}") from error
    shots = tuple(PlannedShot(**{**s, "hints": tuple(s["hints"])}) for s in data["shots"])
    shards = tuple(Shard(**s) for s in data["shards"])
    return FilmPlan(Path(data["film"]), data["sha256"], data["frames"], Fraction(data["time_base"]), shots, shards)


def lines_of(job: FilmJob, shard: Shard) -> str:
    """The color of a shard."""
    mark = f"{job.source.name} {job.config['chroma']['saturation']}"
    return "".join(f"{mark} frame {index}\n" for index in range(shard.start, shard.end))


def color(task: Task, tell: Tell, *, inline: bool = False) -> None:
    """What a worker does: plans where there is no plan, colors shards, leaves their records."""
    job = FilmJob.from_dict(task.job)
    trouble = read_reel(job.source).get("trouble", {})
    lazy = task.shards is None
    plan = read_plan(plan_path(job)) if plan_path(job).exists() else write_plan(job)
    if lazy:
        tell({"kind": "planned"})
    if task.job.get("stage") == "plan":
        return
    done = finished(job, plan)
    for shard in plan.shards:
        if shard.number in done or (task.shards is not None and shard.number not in task.shards):
            continue
        tell({"kind": "progress", "frames": shard.frames // 2})
        if trouble.get("shard") == shard.number and _happens(job, trouble):
            _act(trouble["kind"], job, inline)
        time.sleep(read_reel(job.source).get("pause", 0.0))
        tell({"kind": "shard", "record": asdict(write_shard(job, shard))})


def _happens(job: FilmJob, trouble: dict[str, Any]) -> bool:
    """Count on the disk, since the worker that counts may be killed."""
    count = trouble_file(job.source)
    seen = int(count.read_text()) if count.exists() else 0
    count.write_text(str(seen + 1))
    return seen < trouble.get("times", 10**6)


def _act(kind: str, job: FilmJob, inline: bool) -> None:
    if kind == "lost":
        if inline:
            raise Lost("worker inline is lost: ended by SIGKILL")
        os.kill(os.getpid(), 9)
    if kind == "os":
        raise OSError(5, "Input/output error", str(job.source))
    raise InputError(f"{job.source}: {kind}")


def write_shard(job: FilmJob, shard: Shard) -> ShardRecord:
    """The shard's file, synced, then its record."""
    path = job.folder / f"{shard.number:04d}.txt"
    write_atomically(path, lines_of(job, shard))
    record = ShardRecord(
        shard.number, shard.key, path.name, file_sha256(path), path.stat().st_size, shard.frames, shard.start_pts,
        *(shard.end_pts - 1, 0.25, f"worker {os.getpid()}"),
    )  # fmt: skip
    write_atomically(job.folder / f"{shard.number:04d}.json", json.dumps(asdict(record)))
    return record


def finished(job: FilmJob, plan: FilmPlan) -> dict[int, ShardRecord]:
    """Records whose key fits and whose file is whole."""
    found = {}
    for shard in plan.shards:
        try:
            data = json.loads((job.folder / f"{shard.number:04d}.json").read_text())
            path = job.folder / data["file"]
            fits = data["key"] == shard.key and file_sha256(path) == data["sha256"]
        except (OSError, ValueError, KeyError):
            continue
        if fits:
            found[shard.number] = ShardRecord(**{**data, "shots": (), "warnings": ()})
    return found


def merge(job: FilmJob, _observer: Observer) -> MergeReport:
    """Join the shards' lines; refuse incomplete ones."""
    plan = read_plan(plan_path(job))
    records = finished(job, plan)
    if len(records) < len(plan.shards):
        raise OutputError(f"{job.target}: shards are missing")
    if job.target.exists() and not job.config["output"]["overwrite"]:
        raise OutputError(f"{job.target}: exists already")
    write_atomically(job.target, "".join((job.folder / records[n].file).read_text() for n in sorted(records)))
    return MergeReport(job.target, plan.frames, file_sha256(job.target), 0.0, (), None)


def recolor(job: FilmJob, shots: Collection[int], _reusing: Collection[int], _observer: Observer) -> MergeReport:
    """Other words for the frames of some shots."""
    plan, lines = make_plan(job), job.target.read_text().splitlines(keepends=True)
    for shot in plan.shots:
        if shot.index in shots:
            mark = f"{job.source.name} {job.config['chroma']['saturation']}"
            lines[shot.start : shot.end] = [f"{mark} frame {n}\n" for n in range(shot.start, shot.end)]
    write_atomically(job.target, "".join(lines))
    return MergeReport(job.target, plan.frames, file_sha256(job.target), 0.0, (), None)


def discard(job: FilmJob) -> None:
    """Remove the working folder."""
    import shutil

    shutil.rmtree(job.folder)


def inspect(job: FilmJob) -> Outlook:
    """Frames of a reel, ten bytes each."""
    data = read_reel(job.source)
    frames = sum(data["shots"])
    return Outlook(frames, data.get("bytes", frames * 10))


def finish(_job: FilmJob, _report: Any, _config: BatchConfig, _sha256: str, _stop: Any) -> list[str]:
    """Nothing comes after the merge."""
    return []


def fake_steps(engine: Any = InlineEngine, **more: Any) -> Steps:
    """Steps for reels of text; with `engine=open_engine` the workers are processes."""
    steps: dict[str, Any] = {
        "work": WORK,
        "inspect": inspect,
        "read_plan": read_plan,
        "finished": finished,
        "merge": merge,
        "finish": finish,
        "damage": lambda job, _: read_reel(job.source).get("damage"),
        "recolor": recolor,
        "discard": discard,
        "engine": engine,
    }
    return Steps(**{**steps, **more})


def process_steps() -> Steps:
    """Steps whose workers are processes of their own."""
    return fake_steps(open_engine)


def expected(path: Path, saturation: float = 1.0) -> str:
    """What a reel's film must be, computed without any of the code above."""
    frames = sum(json.loads(path.read_text())["shots"])
    return "".join(f"{path.name} {saturation} frame {index}\n" for index in range(frames))
