"""What is done with a film, step by step, as functions: the driver knows no others, so tests can bring their own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from videocolor.batch.engines.base import Engine
from videocolor.batch.reelcheck import SOUND_LONGER, sound_end
from videocolor.batch.settings import BatchConfig, EngineSettings
from videocolor.batch.space import Outlook
from videocolor.events import Event, Observer
from videocolor.files import file_sha256
from videocolor.shards.types import FilmJob, FilmPlan, ShardRecord, Task, Tell

__all__ = ["Merged", "Steps", "film_steps", "run_stage"]


class Merged(Protocol):
    """What a merge reports."""

    @property
    def target(self) -> Path:
        """The finished film."""

    @property
    def frames(self) -> int:
        """Its frames."""

    @property
    def sha256(self) -> str:
        """Of the finished film."""

    @property
    def seconds(self) -> float:
        """Wall time of the merge."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know."""


@dataclass(frozen=True)
class Steps:
    """The functions that a driver calls for films."""

    work: str
    """What workers do, as "module:function"; with `stage: plan` in the task's job it only plans."""
    look: Callable[[FilmJob], Outlook]
    read_plan: Callable[[Path], FilmPlan]
    finished: Callable[[FilmJob, FilmPlan], dict[int, ShardRecord]]
    merge: Callable[[FilmJob, Observer], Merged]
    finish: Callable[[FilmJob, Any, BatchConfig], list[str]]
    """What comes after the merge; returns warnings."""
    fixity: Callable[[FilmJob], str]
    """sha256 of a film's source, read anew."""
    damage: Callable[[FilmJob, FilmPlan], str | None]
    """What is wrong with a reel that can be coloured all the same; None: nothing."""
    recolor: Callable[[FilmJob, Collection[int], Collection[int], Observer], Merged]
    """Colours some shots of a finished film again, and those that take up colours of some."""
    discard: Callable[[FilmJob], None]
    """Removes the working folder of a finished film."""
    engine: Callable[[EngineSettings, str], Engine]


def film_steps() -> Steps:
    """The steps of real films."""
    from videocolor.batch.engines.base import open_engine
    from videocolor.batch.space import look_at
    from videocolor.shards.merge import discard_work, merge_film
    from videocolor.shards.plan import fixity_of
    from videocolor.shards.planfile import read_plan
    from videocolor.shards.work import finished_shards

    return Steps(
        work="videocolor.batch.steps:run_stage",
        look=look_at,
        read_plan=read_plan,
        finished=finished_shards,
        merge=lambda job, observer: merge_film(job, observer=observer),
        finish=_finish,
        fixity=lambda job: fixity_of(job.source),
        damage=_damage,
        recolor=_recolor,
        discard=discard_work,
        engine=open_engine,
    )


def run_stage(task: Task, tell: Tell) -> None:
    """What a worker does: plans a film where only that is asked for, else colours shards.

    Raises:
        As `plan_film` and `run_task` do.
    """
    if task.job.get("stage") != "plan":
        from videocolor.shards.work import run_task

        run_task(task, tell)
        return
    from videocolor.shards.plan import plan_film

    def watch(event: Event) -> None:
        if event.kind in ("progress", "warning"):
            tell({"kind": event.kind, **event.data})

    plan_film(FilmJob.from_dict(task.job), observer=watch)
    tell({"kind": "planned"})


def _finish(job: FilmJob, report: Any, config: BatchConfig) -> list[str]:
    from videocolor.batch.archive import finish_film

    return finish_film(job, report, config.archive)


def _recolor(job: FilmJob, shots: Collection[int], reusing: Collection[int], observer: Observer) -> Merged:
    from videocolor.shards.recolor import recolor_shots

    report = recolor_shots(job, shots, observer, reusing=reusing)
    return dataclasses.replace(report, sha256=report.sha256 or file_sha256(report.target))


def _damage(job: FilmJob, plan: FilmPlan) -> str | None:
    if plan.repaired:
        return "; ".join(plan.warnings) or "some of its frames or times had to be repaired"
    if not job.source.is_file() or job.config["input"]["end"] is not None or plan.offsets:
        return None
    sound, picture = sound_end(job.source), plan.shards[-1].end_pts * plan.time_base
    if sound is None or sound <= picture + SOUND_LONGER:
        return None
    return f"its sound ends at {float(sound):.1f} s, its picture at {float(picture):.1f} s"
