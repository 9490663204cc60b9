"""Color a film, color some of its shots again, or find its shots: the functions that programs call.

The data path is `videocolor.pipeline.path`.
"""

from __future__ import annotations

import glob
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from videocolor.config import ColorizeConfig, SmoothingConfig
from videocolor.engines.film import MOST_WORKERS, choose_workers, color_film
from videocolor.errors import Interrupted, OutputError, UsageError, VideocolorError
from videocolor.events import Event, Observer, RunLog, ShotRecord, ignore, joined
from videocolor.files import disk_errors, folder_lock
from videocolor.models.base import Colorizer
from videocolor.pipeline.film import Film, open_film, output_options
from videocolor.pipeline.path import colorize_film, open_run
from videocolor.pipeline.reuse import SeenReferenceShots
from videocolor.pipeline.shot import Run
from videocolor.pipeline.smoothing import Smoother
from videocolor.plugins import name_of
from videocolor.record import Fixity, describe, describe_hints, describe_model, timing
from videocolor.reports.run import leave_record
from videocolor.shards.merge import merge_shards
from videocolor.shards.recolor import parse_shots, recolor_shots
from videocolor.shards.records import any_records, discard_work, finished_shards, work_folder
from videocolor.shards.types import FilmJob
from videocolor.shards.work import current_plan
from videocolor.shots.prepare import unused_cuts
from videocolor.shots.scan import ScanResult, cuts_for, scan_film
from videocolor.video import OutputReport, VideoWriter
from videocolor.video.pipes import PipeWindow, is_pipe, opened_pipe

__all__ = ["ColorizeResult", "colorize_video", "find_shots", "recolor_film"]


@dataclass(frozen=True)
class ColorizeResult:
    """What a run made."""

    target: Path
    frames: int
    seconds: float
    """Wall time."""
    shots: tuple[ShotRecord, ...]
    warnings: tuple[str, ...]
    sidecar: Path | None
    resumed: int = 0
    """Frames that an earlier run had colored already."""
    report: Path | None = None


def colorize_video(
    source: str | Path,
    target: str | Path,
    config: ColorizeConfig | None = None,
    *,
    colorizer: Colorizer | None = None,
    smoother: str | Callable[[SmoothingConfig, float], Smoother] | None = None,
    workers: int | Literal["auto"] = 1,
    observer: Observer = ignore,
    cancel: threading.Event | None = None,
) -> ColorizeResult:
    """Color a film: same picture, same timing, same sound.

    Luma is the source's, sample for sample (where the output's format can hold it); frame count and
    times are the source's; every other stream is copied. The target gets its name when it is
    complete. A run that was stopped continues when it is called again with the same settings (`output.resume`); until
    then, finished parts are in `.TARGET.videocolor` beside the target.

    Args:
        source: a film, a numbered image sequence, a folder of images, a still, a named pipe, or `-`: standard input.
        target: what to write; the suffix chooses the container.
        config: see `ColorizeConfig`; None: defaults.
        colorizer: the network, in place of the one that the settings name. A stopped run is continued with another
            object only where class, code and card are the same: what changes its colors must change its card.
        smoother: in place of `smoothing.method`, called as smoother(settings, cap) for each shot: a class or function
            at the top level of a module, or its name.
        workers: processes that color independent parts of the film side by side; `auto`: as many as the machine has
            cores and memory for. The samples are the same for any number. 1: this process alone.
        observer: receives events (`Event`), from the calling thread and those of the stages.
        cancel: when it is set, from any thread, the run ends at the next frame.

    Raises:
        Interrupted: `cancel` was set; the finished parts stay for the next call.
        PluginError: colorizer or smoother returned what it must not.
        UsageError, InputError, OutputError, ModelError, DeviceError: see `videocolor.errors`.
    """
    source, target, config = Path(source), Path(target), _with(config or ColorizeConfig(), colorizer, smoother)
    began, log = time.monotonic(), RunLog(observer, cancel)
    if workers not in (1, "auto"):
        _check_workers(source, config, colorizer, workers)
    if is_pipe(source):
        return _color_pipe(source, target, config, log, began, colorizer)
    film = open_film(source, target, config, log, colorizer=colorizer)
    if film.plan.container == "image2" and workers not in (1, "auto"):
        raise UsageError(f"{target}: images are written by one process; leave workers out")
    if config.output.resume and film.plan.container != "image2":
        count = 1 if colorizer is not None and workers == "auto" else choose_workers(film, workers)
        return _color_in_shards(film, log, began, count)
    return _color_in_one_go(film, log, began)


def _check_workers(source: Path, config: ColorizeConfig, colorizer: Colorizer | None, workers: object) -> None:
    """Refuse several workers where one process must do everything, and what is no number of workers."""
    if not isinstance(workers, int) or not 1 <= workers <= MOST_WORKERS:
        raise UsageError(f"workers {workers!r}: expected auto or 1..{MOST_WORKERS}")
    why = "output.resume=false colors it in one go" if not config.output.resume else None
    why = "what comes through a pipe is read once" if is_pipe(source) else why
    why = "colorizer= is an object of this process" if colorizer is not None else why
    if why is not None:
        raise UsageError(f"{source}: several workers color parts of a film, and {why}; leave workers out")


def _with(
    config: ColorizeConfig,
    colorizer: Colorizer | None,
    smoother: str | Callable[[SmoothingConfig, float], Smoother] | None,
) -> ColorizeConfig:
    """Put the caller's own parts into the settings, by name: the record says what a film was made with."""
    if colorizer is not None:
        if config.model.automatic is not None:
            raise UsageError("model.automatic names a second network; it does not go together with colorizer=")
        kind = type(colorizer)
        model = config.model.model_copy(update={"name": f"{kind.__module__}:{kind.__qualname__}"})
        config = config.model_copy(update={"model": model})
    if smoother is not None:
        method = {"method": name_of(smoother, "smoother")}
        config = config.model_copy(update={"smoothing": config.smoothing.model_copy(update=method)})
    return config


def _color_pipe(
    source: Path, target: Path, config: ColorizeConfig, log: RunLog, began: float, colorizer: Colorizer | None
) -> ColorizeResult:
    """Color a film while it comes through a pipe."""
    if config.output.report:
        raise UsageError(f"{source}: the report shows frames of the source, and a pipe is read only once; leave it out")
    if target.is_file() and not config.output.overwrite:  # said before anything is taken from the pipe
        raise OutputError(f"{target}: exists already; give another name or allow overwriting (--overwrite)")
    log.note(f"{source}: colored while it comes through the pipe, once; a run that is stopped cannot be continued")
    with opened_pipe(source, log.go_on) as pipe:
        return _color_in_one_go(open_film(source, target, config, log, colorizer=colorizer), log, began, pipe)


def _color_in_shards(film: Film, log: RunLog, began: float, workers: int) -> ColorizeResult:
    """Color a film shard by shard, continue where an earlier run was stopped, join."""
    job = FilmJob(film.target.name, film.source, film.target, film.config.as_dict(), work_folder(film.target))
    with folder_lock(job.folder, str(film.target)):
        try:
            plan = current_plan(job, film.config, film.colorizer)
            done = {} if plan is None else finished_shards(job, plan)
            before = 0

            def continues(frames: int) -> None:
                nonlocal before
                before = frames
                if frames:
                    log.note(f"{frames} frames were colored by an earlier run; going on from there")

            def hear(message: dict[str, Any]) -> None:
                if message["kind"] == "planned":
                    continues(message["before"])
                elif message["kind"] == "progress":
                    log.frames_done(before + message["frames"], film.total, before)

            continues(sum(record.frames for record in done.values()))
            log.start(film.source, film.target, film.colorizer.card.name, film.total, film.info)
            if plan is not None:
                _sweep(film.plan.target)
            plan, records = color_film(film, job, log, hear, workers, plan=plan, done=done)
            report = merge_shards(job, plan, records, log, film=film, run_began=began)
        except BaseException as error:
            if not any_records(job.folder):
                discard_work(job)
            elif isinstance(error, VideocolorError) and not isinstance(error, Interrupted):
                error.args = (f"{error}; what was colored is kept in {job.folder} for the next run",)
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


def _color_in_one_go(film: Film, log: RunLog, began: float, pipe: PipeWindow | None = None) -> ColorizeResult:
    """Color a film straight into its target; `pipe`: what it comes through."""
    source, target, config = film.source, film.target, film.config
    fixity = Fixity(source) if pipe is None else None
    log.start(source, target, film.colorizer.card.name, film.total, film.info)
    cuts = cuts_for(config, film.scan)
    run = Run(cuts, log, SeenReferenceShots(film.scan_size))
    with (
        open_run(film, run, colorize_film) as (reader, frames),
        VideoWriter.like(reader.video, target, output_options(config), info=film.info) as out,
    ):
        for done in frames:
            out.write(done.frame, done.cb, done.cr)
            if pipe is not None:
                pipe.go()
            log.warn(*out.warnings)
            log.frame_done(film.total)
        log.warn(*reader.losses, *unused_cuts(cuts))
        sha256 = "" if fixity is None else fixity.result()
        written = out.close()
        log.warn(*written.warnings)
    if pipe is not None:  # only now: the writer copies sound that follows the last picture
        sha256 = pipe.result()
    sidecar = report = None
    if config.output.sidecar or config.output.report or config.output.c2pa:
        record = _describe_run(film, log, sha256, written, time.monotonic() - began)
        sidecar, report = leave_record(source, target, config, record, observer=log.observer)
    seconds = time.monotonic() - began
    log.done(target, seconds)
    return ColorizeResult(target, log.frames, seconds, tuple(log.shots), tuple(log.warnings), sidecar, report=report)


def _describe_run(film: Film, log: RunLog, sha256: str, written: OutputReport, elapsed: float) -> dict[str, Any]:
    """Describe a film that was colored in one go."""
    return describe(
        film.source,
        sha256,
        film.config,
        film.info,
        film.plan,
        model=describe_model(film.colorizer, film.config),
        shots=[shot.as_dict() for shot in log.shots],
        hints=describe_hints(film.hints, log.reproduced),
        frames=log.frames,
        copied=written.copied,
        notes=log.notes,
        warnings=log.warnings,
        took=timing(log.frames, log.coloring_seconds, elapsed),
    )


def recolor_film(
    source: Path, target: Path, config: ColorizeConfig, shots: str, *, observer: Observer = ignore
) -> ColorizeResult:
    """Color some shots of a finished film again; see `recolor_shots`.

    Args:
        source: the film that was colored.
        target: the finished film.
        config: its settings, those of the output unchanged.
        shots: numbers and ranges, counted from 1: `3,5-7`.
        observer: receives what happens.
    """
    began, numbers = time.monotonic(), parse_shots(shots)
    job = FilmJob(target.name, source, target, config.as_dict(), work_folder(target))
    report = recolor_shots(job, numbers, observer)
    seconds = time.monotonic() - began
    observer(Event("done", {"target": target, "frames": report.frames, "seconds": round(seconds, 3), "fps": None}))
    return ColorizeResult(target, report.frames, seconds, (), report.warnings, report.sidecar, report=report.page)


def find_shots(
    source: str | Path,
    config: ColorizeConfig | None = None,
    *,
    observer: Observer = ignore,
    cancel: threading.Event | None = None,
) -> ScanResult:
    """Find the film's shots, with a few pictures of each; see `videocolor.shots.shotlist.write_shots`.

    Raises:
        Interrupted: `cancel` was set.
        InputError, ConfigError: the film or its shot list cannot be read.
    """
    log = RunLog(observer, cancel)
    return scan_film(Path(source), config or ColorizeConfig(), progress=log.scan_progress)
