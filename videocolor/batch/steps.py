"""The functions that work on a film: all that the driver knows of films, so that tests can replace them."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from videocolor.batch.inspection import Outlook, find_damage, inspect
from videocolor.batch.settings import BatchConfig
from videocolor.engines.base import Engine, open_engine
from videocolor.engines.settings import EngineSettings
from videocolor.events import Event, Observer
from videocolor.files import file_sha256
from videocolor.shards.types import FilmJob, FilmPlan, ShardRecord, Task, Tell

if TYPE_CHECKING:
    from videocolor.shards.merge import MergeReport

__all__ = ["Batch", "Steps", "film_steps", "run_stage"]


@dataclass(frozen=True)
class Steps:
    """The functions that a driver calls for films."""

    work: str
    """The workers' function, as "module:function"; with `stage: plan` in the task's job it only plans."""
    inspect: Callable[[FilmJob], Outlook]
    read_plan: Callable[[Path], FilmPlan]
    finished: Callable[[FilmJob, FilmPlan], dict[int, ShardRecord]]
    merge: Callable[[FilmJob, Observer], MergeReport]
    finish: Callable[[FilmJob, MergeReport, BatchConfig, str, threading.Event], list[str]]
    """Runs after the merge with the sha256 of the source that the film is of, until the event; returns warnings."""
    damage: Callable[[FilmJob, FilmPlan], str | None]
    """Returns what is wrong with a reel that can be colored nevertheless; None: nothing."""
    recolor: Callable[[FilmJob, Collection[int], Collection[int], Observer], MergeReport]
    """Colors some shots of a finished film again, and those that reuse colors of some."""
    discard: Callable[[FilmJob], None]
    """Removes the working folder of a finished film."""
    engine: Callable[[EngineSettings, str], Engine]


@dataclass(frozen=True)
class Batch:
    """An output folder, its configuration, and the functions that work on its films."""

    out: Path
    config: BatchConfig
    steps: Steps


def film_steps() -> Steps:
    """Return the steps of real films."""
    from videocolor.shards.merge import discard_work, merge_film
    from videocolor.shards.planfile import read_plan
    from videocolor.shards.work import finished_shards

    return Steps(
        work="videocolor.batch.steps:run_stage",
        inspect=inspect,
        read_plan=read_plan,
        finished=finished_shards,
        merge=lambda job, observer: merge_film(job, observer=observer),
        finish=_finish,
        damage=find_damage,
        recolor=_recolor,
        discard=discard_work,
        engine=open_engine,
    )


def run_stage(task: Task, tell: Tell) -> None:
    """Do the work of a task: plan a film if only that is asked for, else color shards.

    Raises:
        As `plan_film` and `run_task` do.
    """
    if task.job.get("stage") != "plan":
        from videocolor.shards.work import run_task

        run_task(task, tell)
        return
    from videocolor.shards.work import plan_film

    def watch(event: Event) -> None:
        if event.kind in ("progress", "warning"):
            tell({"kind": event.kind, **event.data})

    plan_film(FilmJob.from_dict(task.job), observer=watch)
    tell({"kind": "planned"})


def _finish(job: FilmJob, report: MergeReport, config: BatchConfig, sha256: str, stop: threading.Event) -> list[str]:
    from videocolor.batch.archive import finish_film

    return finish_film(job, report, config.archive, sha256, stop)


def _recolor(job: FilmJob, shots: Collection[int], reusing: Collection[int], observer: Observer) -> MergeReport:
    from videocolor.shards.recolor import recolor_shots

    report = recolor_shots(job, shots, observer, reusing=reusing)
    return dataclasses.replace(report, sha256=report.sha256 or file_sha256(report.target))
