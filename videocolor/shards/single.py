"""One film in shards, in this process: what `colorize_video` does unless it is told to write in one go."""

from __future__ import annotations

import glob
import time
from pathlib import Path
from typing import Any

from videocolor.colorize import ColorizeResult
from videocolor.config import ColorizeConfig
from videocolor.events import Event, Observer, ShotRecord, ignore
from videocolor.files import disk_errors, folder_lock
from videocolor.pipeline.film import Film
from videocolor.record import joined
from videocolor.shards.merge import merge_shards
from videocolor.shards.recolor import parse_shots, recolor_shots
from videocolor.shards.records import any_records, discard_work, finished_shards
from videocolor.shards.types import FilmJob
from videocolor.shards.work import color_film_shards, current_plan

__all__ = ["color_in_shards", "recolor_film", "work_folder"]


def work_folder(target: Path) -> Path:
    """Where the shards of a film lie until it is whole."""
    return target.with_name(f".{target.name}.videocolor")


def color_in_shards(film: Film, began: float) -> ColorizeResult:
    """Colour a film shard by shard, go on where an earlier run was stopped, join.

    Args:
        film: opened.
        began: `time.monotonic()` at the start of the run.

    Raises:
        As `colorize_video`.
    """
    job = FilmJob(film.target.name, film.source, film.target, film.config.as_dict(), work_folder(film.target))
    log = film.log
    with folder_lock(job.folder, str(film.target)):
        try:
            plan = current_plan(job, film.config, film.colorizer)
            done = {} if plan is None else finished_shards(job, plan)
            before = 0

            def goes_on(frames: int) -> None:
                nonlocal before
                before = frames
                if frames:
                    log.note(f"{frames} frames were coloured by an earlier run; going on from there")

            def hear(message: dict[str, Any]) -> None:
                if message["kind"] == "planned":
                    goes_on(message["before"])
                elif message["kind"] == "progress":
                    log.frames_done(before + message["frames"], film.total, before)

            goes_on(sum(record.frames for record in done.values()))
            log.start(film.source, film.target, film.colorizer.card.name, film.total, film.info)
            if plan is not None:
                _sweep(film.target)
            plan, records = color_film_shards(film, job, hear, plan=plan, done=done)
            report = merge_shards(job, plan, records, log, run_began=began)
        except BaseException:
            if not any_records(job.folder):
                discard_work(job)
            raise
        if not film.config.output.keep_shards:
            discard_work(job)
    seconds = time.monotonic() - began
    log.frames = plan.frames
    log.done(film.target, seconds)
    parts = [shot for number in sorted(records) for shot in records[number].shots]
    shots = tuple(ShotRecord.from_dict(shot, plan.time_base) for shot in joined(parts))
    return ColorizeResult(
        film.target, plan.frames, seconds, shots, tuple(log.warnings), report.sidecar, before, report.page
    )


def _sweep(target: Path) -> None:
    """Remove the joined film that a killed run has left half-written beside its target; the lock is held."""
    with disk_errors(target):
        for part in target.parent.glob(f".{glob.escape(target.name)}.*.part{glob.escape(target.suffix)}"):
            part.unlink(missing_ok=True)


def recolor_film(
    source: Path, target: Path, config: ColorizeConfig, shots: str, *, observer: Observer = ignore
) -> ColorizeResult:
    """Colour some shots of a finished film again; see `recolor_shots`.

    Args:
        source: the film that was coloured.
        target: the finished film.
        config: its settings, those of the output unchanged.
        shots: numbers and ranges, counted from 1: `3,5-7`.
        observer: is told what happens.
    """
    began, numbers = time.monotonic(), parse_shots(shots)
    job = FilmJob(target.name, source, target, config.as_dict(), work_folder(target))
    report = recolor_shots(job, numbers, observer)
    seconds = time.monotonic() - began
    observer(Event("done", {"target": target, "frames": report.frames, "seconds": round(seconds, 3), "fps": None}))
    return ColorizeResult(target, report.frames, seconds, (), report.warnings, report.sidecar, report=report.page)
