"""After the merge: fixity of the source, proof of luma, other tools' checks, package.

The driver calls `finish_film` in the merge's thread. Everything is written beside the result and named after it:
nothing is written to the folders of the sources.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from videocolor.batch.bag import check_archive, settle_bag, write_bag
from videocolor.batch.catalog import info_lines
from videocolor.batch.fixity import checked_before
from videocolor.batch.framemd5 import LumaComparison, compare_framemd5, framemd5_path, write_framemd5
from videocolor.batch.inspection import find_damage
from videocolor.batch.mets import event, events_of, mets_path, write_mets
from videocolor.batch.profiles import bag_style, missing_facts, write_tar
from videocolor.batch.qc import report_by_tools
from videocolor.batch.settings import ArchiveSettings
from videocolor.batch.state import plan_path
from videocolor.config import ColorizeConfig
from videocolor.errors import InputError, OutputError
from videocolor.files import source_sha256
from videocolor.record import read_record, sidecar_path, write_sidecar
from videocolor.shards.merge import MergeReport
from videocolor.shards.planfile import read_plan
from videocolor.shards.types import FilmJob
from videocolor.video.film import COLOR_LABEL
from videocolor.video.sequences import sequence_files
from videocolor.video.slices import check_slices

__all__ = ["ACCEPTED", "bag_info", "bag_path", "check_package", "finish_film", "history_of", "keep_history"]

ACCEPTED: Final = "it was accepted after a change"
"""Why luma, and the number of frames, of an accepted film need not be the source's: `MergeReport.luma_differs`."""


def finish_film(
    job: FilmJob,
    report: MergeReport,
    settings: ArchiveSettings,
    sha256: str,
    stop: threading.Event | None = None,
) -> list[str]:
    """Check that the source is unchanged, prove the luma, complete the record, package the film.

    May be called again for a finished film: what it made is replaced, proofs and package that are there already also
    where they are not asked for, since they would be of another version.

    Args:
        job: the film.
        report: of the merge.
        settings: what to do.
        sha256: of the source that the film is of.
        stop: ends other tools' checks when it is set.

    Returns:
        Warnings about the film.

    Raises:
        InputError: the source is not the one that was planned.
        OutputError: luma is not the source's though the codec is lossless; something cannot be written.
        UsageError: the extra `archive` is not installed.
        Interrupted: it was stopped.
    """
    settle_bag(bag_path(report.target))
    settings = _with_present(report.target, settings)
    check_archive(settings)
    facts: dict[str, Any] = {}
    warnings: list[str] = []
    if settings.fixity:
        facts["source_sha256_before"] = sha256
        facts["source_sha256_after"] = _unaltered(job.source, sha256, report.target)
    if report.sha256:
        facts["result_sha256"] = report.sha256
    proofs: list[Path] = []
    if settings.luma_proof:
        facts["luma"], proofs, said = _prove_luma(job, report)
        facts["ffv1_slices"] = _check_slices(report.target)
        warnings += said
    proofs += report_by_tools(report.target, settings, stop or threading.Event())
    record = _complete_record(job, report, facts, sha256)
    files: dict[Path, str | None] = {report.target: report.sha256 or None}
    files |= dict.fromkeys([*proofs, *(path for path in (report.sidecar, report.page) if path is not None)])
    if settings.mets:
        files[write_mets(report.target, record, files, settings.organization)] = None
    if settings.bag:
        _package(job, report, settings, record, files)
    return warnings


def history_of(target: Path) -> dict[str, Any]:
    """Return what of a film's record stays true when some of its shots are colored again."""
    if not sidecar_path(target).is_file():
        return {}
    archive = read_record(target).get("archive", {})
    return {key: archive[key] for key in ("events", "accepted_damage") if key in archive}


def keep_history(report: MergeReport, history: dict[str, Any], shots: Sequence[int]) -> None:
    """Add it to the record that has replaced the earlier one, with an event for the shots, which count from 0."""
    if report.sidecar is not None and history:
        numbers = ", ".join(str(number + 1) for number in shots)
        events = [*history.get("events", ()), event("modification", f"shots colored again: {numbers}")]
        write_sidecar(report.target, {**read_record(report.target), "archive": {**history, "events": events}})


def _with_present(target: Path, settings: ArchiveSettings) -> ArchiveSettings:
    """Ask for what is there already, too."""
    bag = bag_path(target)
    present = {
        "luma_proof": framemd5_path(target),
        "bag": bag,
        "bag_tar": bag.with_name(f"{bag.name}.tar"),
        "mets": mets_path(target),
    }
    return settings.model_copy(update={key: getattr(settings, key) or path.exists() for key, path in present.items()})


def _complete_record(job: FilmJob, report: MergeReport, facts: dict[str, Any], sha256: str) -> dict[str, Any]:
    """Add catalog, facts and events to the film's record, and return it; without a record: what it would hold."""
    plan = plan_path(job)
    damage = find_damage(job, read_plan(plan)) if plan.is_file() else None
    if damage is not None:
        facts["accepted_damage"] = damage
    kept = report.sidecar is not None
    record = read_record(report.target) if kept else {"source": {"path": str(job.source), "sha256": sha256}}
    archive = record.get("archive", {})
    facts["events"] = [*archive.get("events", ()), *events_of(record, checked_before(job), facts)]
    record = {**record, **({"catalog": job.catalog} if job.catalog else {}), "archive": {**archive, **facts}}
    if kept:
        write_sidecar(report.target, record)
    return record


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
            f"{source}: was altered while it was colored: sha256 {before} before, {after} after; {target} is of "
            "neither for certain: restore the source from its copy, remove the film, and run again"
        )
    return after


def _prove_luma(job: FilmJob, report: MergeReport) -> tuple[dict[str, Any], list[Path], list[str]]:
    """Write the digests of both films; return findings, files and warnings."""
    config = ColorizeConfig.model_validate(job.config)
    span = config.input
    ours, source = framemd5_path(report.target), framemd5_path(report.target, "source-luma")
    proofs = write_framemd5(report.target, ours, framemd5_path(report.target, "chroma"))
    proofs += write_framemd5(job.source, source, rate=span.rate, start=span.start, end=span.end)
    found, reason = compare_framemd5(source, ours), report.luma_differs
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
    if found.frames != found.other_frames and reason != ACCEPTED:
        raise OutputError(f"{report.target}: {_difference(found)}")
    said = (
        [] if found.same else [f"luma is not proved untouched: {reason}; {found.equal} of {found.frames} frames equal"]
    )
    return facts, list(proofs), said


def _check_slices(target: Path) -> int | None:
    """Return how many slices have a right CRC; None: no FFV1."""
    found = check_slices(target)
    if found is not None and found.wrong:
        raise OutputError(f"{target}: {found.wrong} of {found.slices} slices have a wrong CRC; color it again")
    return None if found is None else found.slices


def _difference(found: LumaComparison) -> str:
    if found.frames != found.other_frames:
        return f"has {found.other_frames} frames, its source {found.frames}"
    return f"luma of frame {found.first_difference} is not the source's ({found.equal} of {found.frames} are)"


def _package(
    job: FilmJob,
    report: MergeReport,
    settings: ArchiveSettings,
    record: dict[str, Any],
    files: dict[Path, str | None],
) -> None:
    archive = record["archive"]
    facts = {
        "Source-SHA256": archive.get("source_sha256_after"),
        "Restoration": "; ".join(record.get("restored", ())),
        "Accepted-Damage": archive.get("accepted_damage"),
    }
    info = {
        "External-Description": f"Derivative of {job.source.name}: {COLOR_LABEL}",
        **{label: text for label, text in facts.items() if text},
        **bag_info(settings, job.catalog),
    }
    bag = write_bag(bag_path(report.target), files, info, bag_style(settings), replace=True)
    if settings.bag_tar:
        write_tar(bag)


def bag_info(settings: ArchiveSettings, catalog: Mapping[str, str]) -> dict[str, str]:
    """Return the lines of a package's bag-info.txt that are asked for."""
    organization = {"Source-Organization": settings.organization} if settings.organization else {}
    profile = bag_style(settings).profile
    named = {} if profile is None else {"BagIt-Profile-Identifier": profile}
    return {**organization, **named, **info_lines(catalog), **settings.bag_info}


def check_package(job: FilmJob, settings: ArchiveSettings) -> None:
    """Check before the work that a film's package will have what its profile asks for.

    Raises:
        InputError: a line of bag-info.txt is missing, or has another value than it may.
    """
    if settings.bag and settings.bag_profile is not None:
        later = ("Source-SHA256",) if settings.fixity else ()
        problems = missing_facts(bag_style(settings), bag_info(settings, job.catalog), later)
        if problems:
            raise InputError(
                f"{job.source}: its package would not follow {settings.bag_profile}: {'; '.join(problems)}; "
                "give columns of the job file, or archive.bag_info"
            )
