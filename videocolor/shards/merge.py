"""Join the shards of a film: checked, under its final name, with its record beside it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from videocolor.config import ColorizeConfig
from videocolor.errors import InputError
from videocolor.events import Observer, RunLog, ignore
from videocolor.files import file_sha256
from videocolor.pipeline.film import Film, film_info, output_options, read_files
from videocolor.pipeline.reader import FilmReader
from videocolor.record import check_sidecar, describe, describe_hints, timing
from videocolor.reports.run import leave_record
from videocolor.restoration import active, steps
from videocolor.shards.plan import PLAN_NAME, planned_hints
from videocolor.shards.planfile import read_plan
from videocolor.shards.records import discard_work, finished_shards, shard_path
from videocolor.shards.types import FilmJob, FilmPlan, ShardRecord
from videocolor.types import VideoInfo
from videocolor.video import LOSSLESS, OutputPlan, Written, check_target, join_shards, plan_output

__all__ = ["MergeReport", "discard_work", "merge_film", "merge_shards"]


@dataclass(frozen=True)
class MergeReport:
    """A film that is complete."""

    target: Path
    frames: int
    sha256: str
    """Of the target; empty where it was not asked for."""
    seconds: float
    """Wall time of the merge."""
    warnings: tuple[str, ...]
    """Of the entire film."""
    sidecar: Path | None
    page: Path | None = None
    """The report page, where it was asked for."""
    luma_differs: str | None = None
    """Why its luma need not equal the source's; None: it must, sample for sample."""


def merge_film(job: FilmJob, observer: Observer = ignore) -> MergeReport:
    """Join the shards of a film that are all done.

    Args:
        job: the film; its folder holds plan and shards.
        observer: receives warnings.

    Raises:
        InputError: a shard is missing or damaged, the source has changed.
        OutputError: the target cannot be written, or is not what the source says.
    """
    plan = read_plan(job.folder / PLAN_NAME)
    records = finished_shards(job, plan)
    missing = [shard.number + 1 for shard in plan.shards if shard.number not in records]
    if missing:
        few = ", ".join(map(str, missing[:8])) + (", ..." if len(missing) > 8 else "")
        raise InputError(f"{job.target}: {len(missing)} of {len(plan.shards)} shards are not done ({few}); run again")
    report = merge_shards(job, plan, records, RunLog(observer))
    return replace(report, sha256=file_sha256(report.target))


def merge_shards(
    job: FilmJob,
    plan: FilmPlan,
    records: Mapping[int, ShardRecord],
    log: RunLog,
    *,
    film: Film | None = None,
    like: Path | None = None,
    run_began: float | None = None,
) -> MergeReport:
    """Join shards that were looked at just now; see `merge_film`.

    Args:
        job: the film.
        plan: of the film.
        records: of all its shards.
        log: receives warnings.
        film: as this run opened it; None: it is probed, and its output proved, here.
        like: see `join_shards`.
        run_began: `time.monotonic()` at the start of the run where it is about this film alone.
    """
    began = time.monotonic()
    config = ColorizeConfig.model_validate(job.config)
    options, protected = output_options(config), read_files(config)
    if film is None:
        info = film_info(job.source, config)
        output = plan_output(info, job.target, options, protected=protected)
    else:
        info, output = film.info, film.plan
        check_target(info, job.target, options.overwrite, images=False, protected=protected)
    check_sidecar(job.target, config)
    with FilmReader(job.source, config, info) as reader:
        first = next(iter(reader))
    span = config.input
    done = [records[shard.number] for shard in plan.shards]
    written = join_shards(
        info,
        output,
        [shard_path(job.folder, shard.number) for shard in plan.shards],
        first,
        frames=plan.frames,
        span=(span.start, span.end),
        offsets=plan.offsets,
        exact_source=not plan.repaired,
        like=like,
    )
    messages = dict.fromkeys(
        chain(info.warnings, *(record.warnings for record in done), plan.warnings, written.warnings)
    )
    log.warn(*(message for message in messages if message not in log.warnings))
    elapsed = None if run_began is None else time.monotonic() - run_began
    took = _timing(done, time.monotonic() - began, elapsed)
    sidecar = page = None
    if config.output.sidecar or config.output.report or config.output.c2pa:
        record = _record(job, config, plan, done, info, output, written, messages, took)
        sidecar, page = leave_record(job.source, job.target, config, record, observer=log.observer)
    seconds = time.monotonic() - began
    return MergeReport(
        job.target, plan.frames, "", seconds, tuple(messages), sidecar, page, _luma_differs(config, output)
    )


def _luma_differs(config: ColorizeConfig, output: OutputPlan) -> str | None:
    if active(config.restoration):
        return f"luma was restored on purpose ({', '.join(steps(config.restoration))})"
    if config.output.slate:
        return "a notice is drawn over its beginning (output.slate)"
    if output.codec not in LOSSLESS:
        return f"{output.codec} is a lossy codec"
    return None if output.luma_exact else f"luma is stored in another depth or range ({output.pix_fmt})"


def _timing(done: Sequence[ShardRecord], joining: float, elapsed: float | None) -> dict[str, Any]:
    """Sum up the work; parts that were taken from an earlier film took none."""
    colored = [record for record in done if record.seconds]
    work = sum(record.seconds for record in colored) + joining
    workers = len({record.worker for record in colored})
    return timing(sum(record.frames for record in colored), work, elapsed, max(1, workers))


def _record(
    job: FilmJob,
    config: ColorizeConfig,
    plan: FilmPlan,
    done: Sequence[ShardRecord],
    info: VideoInfo,
    output: OutputPlan,
    written: Written,
    messages: Iterable[str],
    took: dict[str, Any],
) -> dict[str, Any]:
    """Make the record of the film from those of its shards."""
    reproduced = {frame for record in done for frame in record.notes["reproduced"]}
    return describe(
        job.source,
        plan.sha256,
        config,
        info,
        output,
        model=done[0].notes,
        shots=[shot for record in done for shot in record.shots],
        hints=describe_hints(planned_hints(plan, config), reproduced),
        frames=plan.frames,
        copied=written.copied,
        notes=list(dict.fromkeys(note for record in done for note in record.notes["said"])),
        warnings=list(messages),
        took=took,
    )
