"""Finish films: merge their shards, or color some shots again; then proofs, package and receipt.

Whenever this is killed, the next run goes on: the mark `merging`, written first, tells that a film under the final name
without a receipt is the batch's own.
"""

from __future__ import annotations

import dataclasses
import glob
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videocolor.batch.archive import history_of, keep_history
from videocolor.batch.manifest import Digests, result_files
from videocolor.batch.receipts import Receipt, read_receipt, write_receipt
from videocolor.batch.reel import Reel
from videocolor.batch.reporting import Reporter
from videocolor.batch.state import (
    SourceState,
    clear_merging,
    keeps_shards,
    mark_merging,
    merging,
    plan_path,
    settings_id,
    source_state,
)
from videocolor.batch.steps import Batch
from videocolor.errors import InputError, Interrupted, OutputError, VideocolorError
from videocolor.events import Event, Observer
from videocolor.files import file_sha256
from videocolor.shards.types import FilmJob

if TYPE_CHECKING:
    from videocolor.shards.merge import MergeReport

__all__ = ["describe_files", "merge_one", "recolor_films"]


def merge_one(job: FilmJob, batch: Batch, *, seconds: float, stop: threading.Event | None = None) -> Receipt:
    """Merge the shards of a film, write its receipt, and remove the shards unless they are to be kept.

    Args:
        job: the film; all shards of its plan are done.
        batch: what the film belongs to.
        seconds: work in its shards.
        stop: set by the driver to stop at the next event, or other tools' checks at once.

    Raises:
        OutputError, InputError: it cannot be written or verified.
        Interrupted: it was stopped.
    """

    def watch(_: Event) -> None:
        if stop is not None and stop.is_set():
            raise Interrupted(f"{job.name}: the merge was stopped")

    steps, config_asked, again = batch.steps, job.config, merging(job)
    mark_merging(job)
    if again:
        _sweep(job.target)
        values = {**job.config, "output": {**job.config.get("output", {}), "overwrite": True}}
        job = dataclasses.replace(job, config=values)
    plan = steps.read_plan(plan_path(job))
    # As they are before the merge: the next run finds what changes meanwhile.
    state, settings = source_state(job.source), settings_id(job)
    report = steps.merge(job, watch)
    warnings = steps.finish(job, report, batch.config, plan.sha256, stop or threading.Event())
    job = dataclasses.replace(job, config=config_asked)
    receipt = _receipt(batch.out, job, state, plan.sha256, settings, report, warnings, seconds, len(plan.shards))
    write_receipt(batch.out, receipt)
    if keeps_shards(job):
        clear_merging(job)
    else:
        steps.discard(job)
    return receipt


def recolor_films(
    reels: Sequence[Reel],
    shots: Sequence[int],
    reusing: Sequence[int],
    batch: Batch,
    reporter: Reporter,
    observer: Observer,
) -> None:
    """Color some shots of finished films again, one film after the other, in this process.

    Args:
        reels: get their receipts or errors; their jobs hold the settings of the shots.
        shots: numbers from 0, of every film.
        reusing: numbers from 0; see `recolor_shots`.
        batch: what the reels belong to.
        reporter: of the batch.
        observer: hears the events of coloring.
    """
    for reel in reels:
        reel.receipt = read_receipt(batch.out, reel.name)
    for reel in reels:
        reel.stage = "recoloring"
        reporter.write()
        try:
            reel.receipt = _recolor(reel.job, shots, reusing, batch, observer)
        except Interrupted:
            raise  # the film is as it was
        except (VideocolorError, OSError) as error:
            reel.receipt, reel.error = None, str(error)
            reporter.warn(reel.name, f"failed: {reel.error}")
        else:
            reel.made_now = True
            reporter.done(reel.receipt)
        reel.stage = ""


def _recolor(job: FilmJob, shots: Sequence[int], reusing: Sequence[int], batch: Batch, observer: Observer) -> Receipt:
    config, steps, before = batch.config, batch.steps, read_receipt(batch.out, job.name)
    if before is None or not (job.target.is_file() or merging(job)):
        raise InputError(f"{job.target}: is not finished; only shots of a finished film can be colored again")
    if not merging(job) and file_sha256(job.target) != before.sha256:
        raise OutputError(
            f"{job.target}: has changed since it was finished, so its other shots cannot be kept; "
            "`videocolor batch verify --repair`, or color it again"
        )
    job = dataclasses.replace(job, catalog=job.catalog or before.catalog)
    state, history = source_state(job.source), history_of(job.target)
    mark_merging(job)
    try:
        report = steps.recolor(job, shots, reusing, observer)
    except Exception:
        if job.target.is_file() and file_sha256(job.target) == before.sha256:  # it is as it was
            clear_merging(job)
        raise
    keep_history(report, history, shots)
    warnings = steps.finish(job, report, config, before.source_sha256, threading.Event())
    seconds = before.seconds + report.seconds
    sha256 = before.source_sha256
    receipt = _receipt(batch.out, job, state, sha256, settings_id(job), report, warnings, seconds, before.shards)
    receipt = dataclasses.replace(receipt, accepted=before.accepted)
    write_receipt(batch.out, receipt)
    steps.discard(job)
    return receipt


def _receipt(
    out: Path,
    job: FilmJob,
    state: SourceState,
    source_sha256: str,
    settings: str,
    report: MergeReport,
    warnings: Sequence[str],
    seconds: float,
    shards: int,
) -> Receipt:
    return Receipt(
        name=job.name,
        source=str(job.source),
        source_state=state,
        source_sha256=source_sha256,
        settings=settings,
        config=job.config,
        **describe_files(out, report),
        luma_differs=report.luma_differs,
        catalog=job.catalog,
        frames=report.frames,
        seconds=seconds,
        shards=shards,
        warnings=tuple(dict.fromkeys([*report.warnings, *warnings])),
    )


def describe_files(out: Path, report: MergeReport) -> dict[str, Any]:
    """Return what a receipt says of the files of a film as they are now."""
    target = report.target.stat()
    digests = Digests({report.target: report.sha256} if report.sha256 else {})
    return {
        "target": report.target.relative_to(out).as_posix(),
        "target_bytes": target.st_size,
        "target_mtime_ns": target.st_mtime_ns,
        "files": {path.relative_to(out).as_posix(): digests.of(path) for path in result_files(report.target)},
    }


def _sweep(target: Path) -> None:
    """Remove the temporary files that a killed merge has left beside a film: a dot, its name, a suffix."""
    for file in target.parent.glob(f".{glob.escape(target.name)}.*"):
        if file.is_file():
            file.unlink(missing_ok=True)
