"""Reels at the start of a run: which are finished, which begun, which cannot be done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from videocolor.batch.archive import check_package
from videocolor.batch.fixity import forget_error
from videocolor.batch.receipts import Receipt, drop_receipt, is_sealed, read_receipt, receipt_fits, write_receipt
from videocolor.batch.reel import Reel
from videocolor.batch.reporting import Reporter
from videocolor.batch.state import (
    drop_work,
    failed_before,
    give_up,
    given_up,
    keeps_shards,
    merging,
    plan_path,
    same_job,
    source_state,
    write_job,
)
from videocolor.batch.steps import Batch
from videocolor.errors import InputError, OutputError, VideocolorError
from videocolor.files import disk_errors
from videocolor.shards.plan import missing_shards
from videocolor.shards.types import FilmJob, FilmPlan

__all__ = ["check_damage", "take_in"]

_FRAMES_PER_BYTE: Final = 1e-6
"""Assumed length of a source that does not state it; decides only the order of films."""


def take_in(
    reels: Sequence[Reel], batch: Batch, reporter: Reporter, *, restart: bool = False, retry: bool = False
) -> None:
    """Find out what is done of every reel; those that cannot be done get their error.

    Args:
        reels: names unique.
        batch: what the reels belong to.
        reporter: gets warnings and progress.
        retry: try films again that failed for good or were given up.
        restart: forget earlier work; finished films stay unless `output.overwrite` is set.
    """
    for reel in reels:
        reporter.inspected(reel.place)
        try:
            _take_in(reel, batch, restart, retry)
        except (VideocolorError, OSError) as error:
            reel.error = str(error)
            reporter.warn(reel.name, f"failed: {reel.error}")
            continue
        for message in reel.outlook.warnings:
            reporter.warn(reel.name, message)


def _take_in(reel: Reel, batch: Batch, restart: bool, retry: bool) -> None:
    job, steps = reel.job, batch.steps
    overwrite = bool(job.config.get("output", {}).get("overwrite"))
    source = source_state(job.source)
    receipt = read_receipt(batch.out, job.name)
    if receipt is not None and receipt_fits(receipt, job) and not (restart and overwrite):
        reel.receipt = receipt = _here(receipt, job, batch.out)
        if job.folder.exists() and not keeps_shards(job):
            steps.discard(job)  # a driver was killed after it wrote the receipt
        return
    if retry:
        give_up(batch.out, job.name, None)
        forget_error(job)
    reel.given_up = given_up(batch.out, job.name)
    if reel.given_up is not None:
        return
    check_package(job, batch.config.archive)
    if restart:
        drop_work(job)
    if not retry and (error := failed_before(job)) is not None:
        raise InputError(f"{error} (unchanged since it failed; `videocolor batch retry` tries it again)")
    _check_target(job, batch.out, receipt, overwrite)
    with disk_errors(job.target):
        job.target.parent.mkdir(parents=True, exist_ok=True)
    reel.outlook = steps.inspect(job)
    reel.length = reel.outlook.frames
    reel.weight = reel.length if reel.length is not None else source.bytes * _FRAMES_PER_BYTE
    if not same_job(job):
        _set_plan_aside(job)
        write_job(job)
    if receipt is not None and overwrite:
        drop_receipt(batch.out, receipt)
    _take_plan(reel, batch)


def _here(receipt: Receipt, job: FilmJob, out: Path) -> Receipt:
    """Note where the source of a finished film is now, so that it is not read again for that."""
    now = replace(receipt, source=str(job.source), source_state=source_state(job.source))
    if now != receipt and is_sealed(out, receipt.name):
        write_receipt(out, now)
    return now


def _check_target(job: FilmJob, out: Path, receipt: Receipt | None, overwrite: bool) -> None:
    if overwrite or not job.target.exists() or merging(job):
        return
    why = (
        "was made with other settings, other hints or from another source"
        if receipt is not None and out / receipt.target == job.target
        else "exists already, and this batch has not made it"
    )
    raise OutputError(f"{job.target}: {why}; move it away, or --set output.overwrite=true")


def _set_plan_aside(job: FilmJob) -> None:
    """Rename a plan that was made for something else: it may hold a person's edits."""
    plan = plan_path(job)
    with disk_errors(plan):
        if plan.exists():
            plan.replace(plan.with_suffix(".old.yaml"))


def _take_plan(reel: Reel, batch: Batch) -> None:
    path = plan_path(reel.job)
    if not path.exists():
        return
    plan = batch.steps.read_plan(path)
    check_damage(reel.job, plan, batch)
    records = batch.steps.finished(reel.job, plan)
    reel.follow(plan, records)
    reel.shards = None  # read again when its turn comes: a run holds the shards of a few films, not of all
    reel.present = sum(record.bytes for record in records.values())
    reel.weight = sum(shard.cost for shard in missing_shards(plan.shards, reel.done))


def check_damage(job: FilmJob, plan: FilmPlan, batch: Batch) -> str | None:
    """Return what is wrong with a reel that can be colored nevertheless; None: nothing.

    Raises:
        InputError: something is, and such reels are refused.
    """
    damage = batch.steps.damage(job, plan)
    if damage is not None and batch.config.films.damaged == "refuse":
        raise InputError(f"{job.source}: is damaged: {damage}; --set films.damaged=accept colors it as it is")
    return damage
