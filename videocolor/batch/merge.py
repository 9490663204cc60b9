"""Shards become the film: joined, checked, named, with its record beside it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from videocolor.batch.plan import PLAN_NAME, dealt_hints
from videocolor.batch.planfile import read_plan
from videocolor.batch.records import discard_work, finished_shards, shard_path
from videocolor.batch.types import FilmJob, FilmPlan, ShardRecord
from videocolor.config import ColorizeConfig
from videocolor.errors import InputError, OutputError
from videocolor.film import FilmReader, check_sidecar, film_info, output_options, read_files
from videocolor.report import Observer, file_sha256, ignore, write_sidecar
from videocolor.runlog import RunLog, describe, describe_hints
from videocolor.video import join_shards, plan_output

__all__ = ["MergeReport", "discard_work", "merge_film", "merge_shards"]


@dataclass(frozen=True)
class MergeReport:
    """A film that is whole."""

    target: Path
    frames: int
    sha256: str
    """Of the target; empty where nobody asked for it."""
    seconds: float
    """Wall time of the merge."""
    warnings: tuple[str, ...]
    """Of the whole film."""
    sidecar: Path | None


def merge_film(job: FilmJob, observer: Observer = ignore) -> MergeReport:
    """Join the shards of a film that are all done.

    Args:
        job: the film; its folder holds plan and shards.
        observer: hears of warnings.

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
    job: FilmJob, plan: FilmPlan, records: Mapping[int, ShardRecord], log: RunLog, *, like: Path | None = None
) -> MergeReport:
    """Join shards that were looked at just now; see `merge_film`, and `join_shards` for `like`."""
    began = time.monotonic()
    config = ColorizeConfig.model_validate(job.config)
    info = film_info(job.source, config)
    output = plan_output(info, job.target, output_options(config), protected=read_files(config))
    check_sidecar(job.target, config)
    with FilmReader(job.source, config, info) as reader:
        first = next(iter(reader))
    span = config.input
    done = [records[shard.number] for shard in plan.shards]
    left = join_shards(
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
    messages = dict.fromkeys(chain(info.warnings, *(record.warnings for record in done), plan.warnings, left))
    log.warn(*(message for message in messages if message not in log.warnings))
    sidecar = None
    if config.output.sidecar:
        reproduced = {frame for record in done for frame in record.notes["reproduced"]}
        record = describe(
            job.source,
            plan.sha256,
            config,
            info,
            output,
            model=done[0].notes,
            shots=[shot for record in done for shot in record.shots],
            hints=describe_hints(dealt_hints(plan, config), reproduced),
            frames=plan.frames,
            notes=list(dict.fromkeys(note for record in done for note in record.notes["said"])),
            warnings=list(messages),
        )
        try:
            sidecar = write_sidecar(job.target, record)
        except OutputError as error:
            raise OutputError(f"{job.target} is complete, but its record could not be written: {error}") from error
    seconds = time.monotonic() - began
    return MergeReport(job.target, plan.frames, "", seconds, tuple(messages), sidecar)
