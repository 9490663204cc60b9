"""Amend finished films without coloring: what is asked for later, what can be mended, what was changed on purpose."""

from __future__ import annotations

import dataclasses
import os
import shutil
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from videocolor.batch.archive import bag_path
from videocolor.batch.finish import describe_files
from videocolor.batch.lock import DriverLock
from videocolor.batch.manifest import Digests
from videocolor.batch.reel import Reel
from videocolor.batch.reporting import Reporter
from videocolor.batch.settings import ArchiveSettings, BatchConfig
from videocolor.batch.state import (
    Receipt,
    drop_receipt,
    mark_merging,
    read_receipt,
    receipt_path,
    state_folder,
    write_receipt,
)
from videocolor.batch.steps import Batch, film_steps
from videocolor.errors import InputError, OutputError, UsageError, VideocolorError
from videocolor.files import disk_errors, part_name
from videocolor.record import report_path, sidecar_path
from videocolor.reports.run import write_report
from videocolor.shards.merge import MergeReport
from videocolor.shards.types import FilmJob

__all__ = ["accept_films", "complete_films", "repair_films"]


def complete_films(reels: Sequence[Reel], batch: Batch, reporter: Reporter) -> None:
    """Make proofs, packages and reports of finished films that are asked for now and were not made."""
    for reel in reels:
        if reel.receipt is None or not _lacks(reel.receipt, reel.job, batch.config.archive):
            continue
        reel.stage = "merging"
        reporter.write()
        try:
            reel.receipt = _complete(reel.job, reel.receipt, batch)
            reporter.note(reel.name, "completed", "proof, package or report were made without coloring")
        except (VideocolorError, OSError) as error:
            reel.receipt, reel.error = None, str(error)
            reporter.warn(reel.name, f"failed: {reel.error}")
        reel.stage = ""


def _lacks(receipt: Receipt, job: FilmJob, settings: ArchiveSettings) -> bool:
    ends = {
        ".luma.framemd5": settings.luma_proof,
        ".bag/bagit.txt": settings.bag,
        ".html": job.config.get("output", {}).get("report", False),
    }
    return any(asked and f"{receipt.target}{end}" not in receipt.files for end, asked in ends.items())


def _complete(job: FilmJob, receipt: Receipt, batch: Batch, remade: Collection[str] = ()) -> Receipt:
    """Make what is missing of a finished film; `remade`: its files that are made again, and need not be as they were.

    Raises:
        InputError: another file of it has changed, or the source is another one: the proof would be of that.
    """
    changed = [name for name in _changed(batch.out, receipt) if name not in remade]
    if changed:
        raise InputError(f"{job.target}: {', '.join(changed)}: missing or changed; `videocolor batch verify --repair`")
    target, warnings = job.target, list(receipt.warnings)
    page = report_path(target)
    if job.config.get("output", {}).get("report") and not page.exists():
        write_report(job.source, target)
    report = MergeReport(
        *(target, receipt.frames, receipt.sha256, 0.0, receipt.warnings),
        sidecar=sidecar_path(target) if sidecar_path(target).exists() else None,
        page=page if page.exists() else None,
        luma_differs=receipt.luma_differs,
    )
    warnings += batch.steps.finish(job, report, batch.config, receipt.source_sha256)
    now = dataclasses.replace(receipt, **describe_files(batch.out, report), warnings=tuple(dict.fromkeys(warnings)))
    write_receipt(batch.out, now)
    return now


def _changed(out: Path, receipt: Receipt) -> Iterator[str]:
    digests = Digests()
    for name, wanted in receipt.files.items():
        path = out / name
        if not path.is_file() or digests.of(path) != wanted:
            yield name


def repair_films(out: Path, names: Sequence[str] = ()) -> dict[str, str]:
    """Mend what can be mended of finished films: copies inside packages, else proofs, reports, packages made again.

    A film that is damaged itself is given up: the next run colors it again.

    Args:
        out: the output folder.
        names: films; empty: all.

    Returns:
        What was done with each film that had changed, in words.

    Raises:
        UsageError: a driver works on `out`.
    """
    batch = Batch(out, BatchConfig(), film_steps())
    done: dict[str, str] = {}
    with DriverLock(state_folder(out)):
        for receipt in _receipts(out, names):
            changed = list(_changed(out, receipt))
            if not changed:
                continue
            try:
                done[receipt.name] = _repair(receipt, changed, batch)
            except (VideocolorError, OSError) as error:
                done[receipt.name] = f"cannot be repaired: {error}"
    return done


def _repair(receipt: Receipt, changed: list[str], batch: Batch) -> str:
    out, target = batch.out, batch.out / receipt.target
    job = FilmJob(
        receipt.name, Path(receipt.source), target, receipt.config, state_folder(out) / "shards" / receipt.name
    )
    intact = {digest: name for name, digest in receipt.files.items() if name not in changed}
    copied = [name for name in changed if receipt.files[name] in intact]
    for name in copied:
        _copy(out / intact[receipt.files[name]], out / name)
    left = [name for name in changed if name not in copied]
    if receipt.target in left:
        drop_receipt(out, receipt)
        mark_merging(job)
        return "the film itself is damaged: the next run colors it again"
    if f"{receipt.target}.json" in left:
        raise OutputError("its record is damaged, and in no package; `batch accept` or color it again")
    if left:
        had = ArchiveSettings(
            luma_proof=f"{receipt.target}.luma.framemd5" in receipt.files,
            bag=f"{receipt.target}.bag/bagit.txt" in receipt.files,
        )
        for name in left:
            (out / name).unlink(missing_ok=True)
        if had.bag:
            shutil.rmtree(bag_path(target), ignore_errors=True)
            left += [name for name in receipt.files if name.startswith(f"{receipt.target}.bag/")]
        job.config["output"]["report"] = f"{receipt.target}.html" in receipt.files
        config = batch.config.model_copy(update={"archive": had})
        _complete(job, receipt, dataclasses.replace(batch, config=config), {*left, f"{receipt.target}.json"})
    words = (f"{len(copied)} files restored from their copies" * bool(copied), "proofs, report or package made again")
    return ", ".join(filter(None, words if left else words[:1]))


def _copy(source: Path, target: Path) -> None:
    part = part_name(target)
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, part)
        os.replace(part, target)


def accept_films(out: Path, names: Sequence[str], reason: str) -> None:
    """Take films as they are now, whatever settings are asked for later; the reason stays in their receipts.

    Raises:
        UsageError: a film was not finished here, or a driver works on `out`.
        InputError: its film is missing.
    """
    with DriverLock(state_folder(out)):
        for receipt in _receipts(out, names):
            target = out / receipt.target
            if not target.is_file():
                raise InputError(f"{target}: is missing, so it cannot be accepted")
            report = MergeReport(target, receipt.frames, "", 0.0, (), None, None, receipt.luma_differs)
            entry = {"date": time.strftime("%Y-%m-%d"), "reason": reason}
            now = dataclasses.replace(receipt, **describe_files(out, report), accepted=(*receipt.accepted, entry))
            write_receipt(out, now)


def _receipts(out: Path, names: Sequence[str]) -> Iterator[Receipt]:
    for name in names or sorted(path.stem for path in receipt_path(out, "x").parent.glob("*.json")):
        receipt = read_receipt(out, name)
        if receipt is not None:
            yield receipt
        elif names:
            raise UsageError(f"{name}: no receipt of a finished film in {out}, or it cannot be read")
