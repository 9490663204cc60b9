"""After the merge: fixity of the source, proof of luma, package.

The driver calls `finish_film` in the merge's thread. Everything is written beside the result and named after it:
nothing is written to the folders of the sources.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Final

from videocolor.batch.bag import check_archive, write_bag
from videocolor.batch.framemd5 import LumaComparison, compare_framemd5, framemd5_path, luma_framemd5
from videocolor.batch.settings import ArchiveSettings
from videocolor.config import ColorizeConfig
from videocolor.errors import InputError, OutputError
from videocolor.files import source_sha256
from videocolor.pipeline.film import output_options
from videocolor.record import read_record, write_sidecar
from videocolor.restoration import active, steps
from videocolor.shards.merge import MergeReport
from videocolor.shards.plan import PLAN_NAME
from videocolor.shards.planfile import read_plan
from videocolor.shards.types import FilmJob
from videocolor.video import plan_output, probe
from videocolor.video.film import COLOR_LABEL
from videocolor.video.sequences import sequence_files

__all__ = ["bag_path", "finish_film", "keeps_luma"]

_LOSSLESS: Final = frozenset({"ffv1", "ffvhuff", "huffyuv", "utvideo", "rawvideo"})


def finish_film(job: FilmJob, report: MergeReport, settings: ArchiveSettings) -> list[str]:
    """Check that the source is unchanged, prove the luma, complete the record, package the film.

    May be called again for a finished film: what it made is replaced.

    Args:
        job: the film; its working folder still has the plan.
        report: of the merge.
        settings: what to do.

    Returns:
        Warnings about the film.

    Raises:
        InputError: the source is not the one that was planned.
        OutputError: luma is not the source's though the codec is lossless; something cannot be written.
        UsageError: the extra `archive` is not installed.
    """
    check_archive(settings)
    facts: dict[str, Any] = {}
    warnings: list[str] = []
    if settings.fixity:
        facts["source_sha256_before"] = before = read_plan(job.folder / PLAN_NAME).sha256
        facts["source_sha256_after"] = _unaltered(job.source, before, report.target)
    if report.sha256:
        facts["result_sha256"] = report.sha256
    proofs: list[Path] = []
    if settings.luma_proof:
        facts["luma"], proofs, said = _prove_luma(job, report)
        warnings += said
    if facts and report.sidecar is not None:
        record = read_record(report.target)
        write_sidecar(report.target, {**record, "archive": facts})
    if settings.bag:
        _package(job, report, settings, facts, proofs)
    return warnings


def bag_path(target: Path) -> Path:
    """Return the path of a film's package: `OUTPUT.bag` beside it."""
    return target.with_name(f"{target.name}.bag")


def _unaltered(source: Path, before: str, target: Path) -> str:
    try:
        after = source_sha256(source, sequence_files(source))
    except OSError as error:
        raise InputError(f"{source}: cannot be read again for its sha256: {error.strerror or error}") from error
    if after != before:
        raise InputError(
            f"{source}: was altered while it was coloured: sha256 {before} before, {after} after; {target} is of "
            "neither for certain: restore the source from its copy, remove the film, and run again"
        )
    return after


def keeps_luma(job: FilmJob) -> str | None:
    """Return why a film's luma cannot equal the source's; None: it must, sample for sample.

    Raises:
        InputError: the source cannot be read.
        UsageError: the job's output settings cannot be used.
    """
    config = ColorizeConfig.model_validate(job.config)
    if active(config.restoration):
        return f"luma was restored on purpose ({', '.join(steps(config.restoration))})"
    options = dataclasses.replace(output_options(config), overwrite=True)
    plan = plan_output(probe(job.source, rate=config.input.rate), job.target, options)
    if plan.codec not in _LOSSLESS:
        return f"{plan.codec} is a lossy codec"
    if not plan.luma_exact:
        return f"luma is stored in another depth or range ({plan.pix_fmt})"
    return None


def _prove_luma(job: FilmJob, report: MergeReport) -> tuple[dict[str, Any], list[Path], list[str]]:
    """Write the digests of both films; return findings, files and warnings."""
    config = ColorizeConfig.model_validate(job.config)
    span = config.input
    ours = luma_framemd5(report.target, framemd5_path(report.target))
    source = framemd5_path(report.target, "source-luma")
    luma_framemd5(job.source, source, rate=span.rate, start=span.start, end=span.end)
    found, reason = compare_framemd5(source, ours), keeps_luma(job)
    facts = {
        "result": ours.name,
        "source": source.name,
        "frames": found.frames,
        "equal": found.equal,
        "untouched": found.same,
        "expected": reason or "lossless: every frame must be equal",
    }
    if reason is None and not found.same:
        raise OutputError(f"{report.target}: {_difference(found)}, though its codec is lossless; do not use this film")
    if found.frames != found.other_frames:
        raise OutputError(f"{report.target}: {_difference(found)}")
    said = (
        [] if found.same else [f"luma is not proved untouched: {reason}; {found.equal} of {found.frames} frames equal"]
    )
    return facts, [ours, source], said


def _difference(found: LumaComparison) -> str:
    if found.frames != found.other_frames:
        return f"has {found.other_frames} frames, its source {found.frames}"
    return f"luma of frame {found.first_difference} is not the source's ({found.equal} of {found.frames} are)"


def _package(
    job: FilmJob, report: MergeReport, settings: ArchiveSettings, facts: dict[str, Any], proofs: list[Path]
) -> None:
    files: dict[Path, str | None] = {report.target: report.sha256 or None}
    files |= dict.fromkeys([*proofs, *(path for path in (report.sidecar, report.page) if path is not None)])
    info = {
        **({"Source-Organization": settings.organization} if settings.organization else {}),
        "External-Description": f"Derivative of {job.source.name}: {COLOR_LABEL}",
        **({"Source-SHA256": facts["source_sha256_after"]} if settings.fixity else {}),
        **settings.bag_info,
    }
    write_bag(bag_path(report.target), files, info, replace=True)
