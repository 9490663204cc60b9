"""One film by several worker processes: independent shards are colored side by side, then joined as ever."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from videocolor import errors
from videocolor.concurrency.cores import cores
from videocolor.engines.base import Engine, open_engine
from videocolor.engines.local import visible_gpus
from videocolor.engines.settings import EngineSettings
from videocolor.errors import DeviceError, VideocolorError
from videocolor.events import RunLog, ShotRecord
from videocolor.pipeline.film import Film, network_threads
from videocolor.pipeline.scheduling import frame_threads, queue_length, shot_schedule
from videocolor.record import describe_model
from videocolor.shards.plan import cut_into_tasks, missing_shards
from videocolor.shards.types import FilmJob, FilmPlan, ShardRecord, Task, Tell, WorkEvent
from videocolor.shards.work import color_film_shards, color_missing, settle_plan

__all__ = ["MOST_WORKERS", "WORK", "choose_workers", "color_film", "worker_bytes"]

WORK: Final = "videocolor.shards.work:run_task"
MOST_WORKERS: Final = 256
_CORES: Final = 2
"""Cores that the threads of one worker keep busy."""
_PROCESS_BYTES: Final = 512 * 2**20
"""A worker with its network, without frames."""
_TURN: Final = 0.1
"""Seconds after which a waiting run looks whether it was cancelled."""


def choose_workers(film: Film, wanted: int | Literal["auto"]) -> int:
    """Return how many processes color a film: the number wanted, or what the machine has cores, GPUs and memory for.

    One where the film's chroma comes from another film, which each worker would have to look through.
    """
    if wanted != "auto":
        return wanted
    device, gpus = film.config.model.device, visible_gpus()
    if film.other is not None or device.startswith("cuda"):
        return 1
    if gpus and device == "auto":
        return len(gpus)
    return max(1, min(cores() // _CORES, _free_bytes() // worker_bytes(film)))


def worker_bytes(film: Film) -> int:
    """Estimate the memory of one worker: its process, a window of frames, and the queues between its stages."""
    info = film.info
    frame = info.width * info.height * (1 if info.layout.depth <= 8 else 2) * 3
    hinted = {planned.own for planned in film.hints.hints if planned.own is not None}
    schedules = [shot_schedule(film, number) for number in {0, *hinted}]
    window = max(max(schedule.window, schedule.longest) for schedule in schedules)
    held = window + 3 * queue_length(info, film.config) + 4 * frame_threads(info, film.config)
    return _PROCESS_BYTES + frame * held


def _free_bytes() -> int:
    """Return what new processes may take: memory that holds nothing but a cache of files counts as free."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, IndexError, StopIteration):  # other systems do not say
        return 2**40


def color_film(
    film: Film,
    job: FilmJob,
    log: RunLog,
    tell: Tell,
    workers: int,
    *,
    plan: FilmPlan | None = None,
    done: Mapping[int, ShardRecord] | None = None,
) -> tuple[FilmPlan, dict[int, ShardRecord]]:
    """Color all shards of a film that are missing, by as many processes as asked for; the samples are the same.

    Args:
        film: opened; what was found in a scan of it is used.
        job: says where the shards go.
        log: receives warnings and what becomes of each shot.
        tell: receives what is done.
        workers: processes; 1: this one.
        plan: of this very film and these settings; None: there is none yet.
        done: as `finished_shards` of that plan, where it was looked at already.

    Returns:
        The plan, and the records of all its shards.

    Raises:
        VideocolorError: what a worker has raised; DeviceError: a worker was killed.
    """
    if workers == 1:
        return color_film_shards(film, job, log, tell, plan=plan, done=done)
    film, plan, records = settle_plan(film, job, log, tell, plan=plan, done=done)
    tasks = cut_into_tasks(missing_shards(plan.shards, records), workers, None)
    if len(tasks) < 2:
        return plan, records | color_missing(film, job, plan, [n for task in tasks for n in task], log, tell)
    settings = EngineSettings(workers=min(workers, len(tasks)))
    with open_engine(settings, WORK) as engine:
        return plan, records | _Crew(engine, _fitted(film, job), plan, log, tell).color(tasks)


def _fitted(film: Film, job: FilmJob) -> dict[str, Any]:
    """Return the job of the workers: torch keeps its number of threads, since its sums depend on it.

    So do networks that do not say what executes them, as the published ones and those of users.
    """
    given = job.as_dict()
    if describe_model(film.colorizer, film.config)["runtime"] in ("torch", None):
        model = {**job.config["model"], "threads": network_threads(film.config)}
        given["config"] = {**job.config, "model": model}
    return given


class _Crew:
    """Hands a film's tasks to an engine, and reports what comes back."""

    def __init__(self, engine: Engine, job: dict[str, Any], plan: FilmPlan, log: RunLog, tell: Tell) -> None:
        self._engine, self._job, self._plan, self._log, self._tell = engine, job, plan, log, tell
        self._frames: dict[str, int] = {}
        """Of each task."""
        self._records: dict[int, ShardRecord] = {}

    def color(self, tasks: Sequence[tuple[int, ...]]) -> dict[int, ShardRecord]:
        """Color the shards of all tasks."""
        waiting = [Task(f"shards {numbers[0] + 1}-{numbers[-1] + 1}", self._job, numbers) for numbers in tasks]
        waiting.reverse()
        while waiting or self._engine.unfinished:
            self._log.go_on()
            while waiting and self._engine.room:
                self._engine.submit(waiting.pop())
            for event in self._engine.events(_TURN):
                self._hear(event)
        return self._records

    def _hear(self, event: WorkEvent) -> None:
        match event.kind:
            case "progress":
                self._frames[event.task] = event.data["frames"]
                self._tell({"kind": "progress", "frames": sum(self._frames.values())})
            case "shard":
                record = ShardRecord.from_dict(event.data["record"])
                self._records[record.number] = record
                *ended, last = (ShotRecord.from_dict(shot, self._plan.time_base) for shot in record.shots)
                for shot in ended:
                    self._log.shot_done(shot)
                self._log.shot_done(last, goes_on=self._plan.shards[record.number].closes_inside)
            case "warning":
                self._log.warn(event.data["message"])
            case "failed":
                raise _as_raised(event.data)
            case "lost":
                raise DeviceError(
                    f"{event.task}: their worker was lost ({event.data['error']}); fewer workers need less memory "
                    "(--workers)"
                )


def _as_raised(data: Mapping[str, Any]) -> Exception:
    """Make the error that a worker has raised."""
    kind = getattr(errors, data["type"], getattr(builtins, data["type"], None))
    if isinstance(kind, type) and issubclass(kind, (VideocolorError, OSError)):
        return kind(data["error"])
    return RuntimeError(f"{data['error']}\n{data['traceback']}")
