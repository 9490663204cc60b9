"""Amend finished films without coloring: what is asked for later, what can be mended, what was changed on purpose."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Final

from videocolor.batch.archive import ACCEPTED, bag_info, bag_path
from videocolor.batch.bag import check_archive, has_info, settle_bag
from videocolor.batch.finish import describe_files
from videocolor.batch.lock import DriverLock
from videocolor.batch.manifest import MANIFEST, Digests, read_manifest
from videocolor.batch.profiles import bag_style
from videocolor.batch.qc import has_report
from videocolor.batch.receipts import Receipt, drop_receipt, is_sealed, read_receipt, receipt_path, write_receipt
from videocolor.batch.reel import Reel
from videocolor.batch.reporting import Reporter
from videocolor.batch.settings import ArchiveSettings, BatchConfig
from videocolor.batch.state import mark_merging, read_batch, source_state, state_folder
from videocolor.batch.steps import Batch, film_steps
from videocolor.errors import InputError, OutputError, UsageError, VideocolorError
from videocolor.files import disk_errors, file_sha256, part_name
from videocolor.record import report_path, sidecar_path
from videocolor.reports.run import write_report
from videocolor.shards.merge import MergeReport
from videocolor.shards.types import FilmJob

__all__ = ["accept_films", "complete_films", "repair_films"]

_ENDS: Final = ("luma.framemd5", "bag/bagit.txt", "qctools.xml.gz", "policy.xml", "bag.tar", "mets.xml")
"""What tells of a finished film that a proof, package or report was asked for."""


def complete_films(
    reels: Sequence[Reel], batch: Batch, reporter: Reporter, ready: Callable[[], None] = lambda: None
) -> None:
    """Make proofs, packages and reports of finished films that are asked for now and were not made.

    Before each film `ready` is called, which returns when there may be work.
    """
    for reel in reels:
        remade: set[str] = set()
        if reel.receipt is not None and _settle(batch.out, reel.name):
            reel.receipt = read_receipt(batch.out, reel.name)
            if reel.receipt is not None:  # the package may be that of the amendment
                remade = {name for name in _changed(batch.out, reel.receipt) if _is_packed(reel.receipt, name)}
        if reel.receipt is None or not (remade or _lacks(batch.out, reel.receipt, reel.job, batch.config.archive)):
            continue
        ready()
        reel.stage = "merging"
        reporter.write()
        try:
            reel.receipt = _complete(reel.job, reel.receipt, batch, remade)
            reporter.note(reel.name, "completed", "proof, package or report were made without coloring")
        except (VideocolorError, OSError) as error:
            reel.receipt, reel.error = None, str(error)
            reporter.warn(reel.name, f"failed: {reel.error}")
        reel.stage = ""


def _lacks(out: Path, receipt: Receipt, job: FilmJob, settings: ArchiveSettings) -> bool:
    ends = {
        ".luma.framemd5": settings.luma_proof,
        ".bag/bagit.txt": settings.bag,
        ".qctools.xml.gz": settings.qctools,
        ".bag.tar": settings.bag_tar,
        ".mets.xml": settings.mets,
        ".policy.xml": bool(settings.mediaconch),
        **{f".bag/manifest-{name}.txt": settings.bag for name in bag_style(settings).algorithms},
        ".html": job.config.get("output", {}).get("report", False),
    }
    if any(asked and f"{receipt.target}{end}" not in receipt.files for end, asked in ends.items()):
        return True
    if settings.mediaconch and not has_report(out / receipt.target, settings.mediaconch):
        return True
    if job.catalog and job.catalog != receipt.catalog:
        return True
    info = bag_info(settings, job.catalog or receipt.catalog)
    return settings.bag and not has_info(bag_path(out / receipt.target), info)


def _is_packed(receipt: Receipt, name: str) -> bool:
    """Return whether a file is a package, or part of one."""
    return name.startswith(f"{receipt.target}.bag/") or name == f"{receipt.target}.bag.tar"


def _complete(job: FilmJob, receipt: Receipt, batch: Batch, remade: Collection[str] = ()) -> Receipt:
    """Make what is missing of a finished film; `remade`: its files that are made again, and need not be as they were.

    Raises:
        InputError: another file of it or its receipt has changed, or the source is another one or missing.
        UsageError: the extra `archive` is not installed.
    """
    _check_seal(batch.out, receipt)
    check_archive(batch.config.archive)
    source_state(job.source)
    changed = [name for name in _changed(batch.out, receipt) if name not in remade]
    if changed:
        raise InputError(f"{job.target}: {', '.join(changed)}: missing or changed; `videocolor batch verify --repair`")
    with _restored_on_error(batch.out, receipt):
        return _make(job, receipt, batch, remade)


def _make(job: FilmJob, receipt: Receipt, batch: Batch, remade: Collection[str]) -> Receipt:
    job = dataclasses.replace(job, catalog=job.catalog or receipt.catalog)
    target, warnings = job.target, list(receipt.warnings)
    page = report_path(target)
    damaged = page.relative_to(batch.out).as_posix() in remade
    if job.config.get("output", {}).get("report") and (damaged or not page.exists()):
        write_report(job.source, target)
    report = MergeReport(
        *(target, receipt.frames, receipt.sha256, 0.0, receipt.warnings),
        sidecar=sidecar_path(target) if sidecar_path(target).exists() else None,
        page=page if page.exists() else None,
        luma_differs=receipt.luma_differs if receipt.is_ours else ACCEPTED,
    )
    warnings += batch.steps.finish(job, report, batch.config, receipt.source_sha256, threading.Event())
    said = tuple(dict.fromkeys(warnings))
    now = dataclasses.replace(receipt, **describe_files(batch.out, report), warnings=said, catalog=job.catalog)
    write_receipt(batch.out, now)
    return now


def _check_seal(out: Path, receipt: Receipt) -> None:
    if not is_sealed(out, receipt.name):
        raise InputError(
            f"{receipt_path(out, receipt.name)}: is not the receipt that {MANIFEST} lists, so it proves nothing; "
            "restore it from a copy, or `videocolor batch accept` the film as it is"
        )


@contextlib.contextmanager
def _restored_on_error(out: Path, receipt: Receipt) -> Iterator[None]:
    """Keep record, report and proofs while they are replaced; put them back on any error, `_settle` after a kill.

    After an error the folder stays: the package may be that of the amendment, and `complete_films` makes it again.
    """
    folder = _kept_folder(out, receipt.name)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name in receipt.files:
            if name != receipt.target and not _is_packed(receipt, name) and (out / name).is_file():
                _copy(out / name, folder / Path(name).name)
    ended = False
    try:
        yield
        ended = True
    finally:
        _settle(out, receipt.name, ended)


def _settle(out: Path, name: str, ended: bool = True) -> bool:
    """Put back the files of a film that an amendment has replaced without a new receipt; return whether one began.

    If it has `ended`, forget it.
    """
    folder = _kept_folder(out, name)
    _settle_receipt(out, name)
    receipt = read_receipt(out, name) if folder.is_dir() else None
    if receipt is None:
        return False
    settle_bag(bag_path(out / receipt.target))
    for file, digest in receipt.files.items():
        kept = folder / Path(file).name
        if _is_packed(receipt, file) or not kept.is_file() or file_sha256(kept) != digest:
            continue
        if not (out / file).is_file() or file_sha256(out / file) != digest:
            _copy(kept, out / file)
    if ended:
        with disk_errors(folder):
            shutil.rmtree(folder)
    return True


def _settle_receipt(out: Path, name: str) -> None:
    """Finish a `write_receipt` that was killed after it wrote the manifest, undo an earlier one."""
    path = receipt_path(out, name)
    new = path.with_suffix(".new")
    if new.is_file():
        sealed = read_manifest(out)[0].get(path.relative_to(out).as_posix()) == file_sha256(new)
        with disk_errors(path):
            new.replace(path) if sealed else new.unlink()


def _kept_folder(out: Path, name: str) -> Path:
    return state_folder(out) / "amending" / name


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
        UsageError: no batch was run in `out`, a film was not finished by it, or a driver works on `out`.
    """
    _check_folder(out)
    batch = Batch(out, BatchConfig(), film_steps())
    done: dict[str, str] = {}
    with DriverLock(state_folder(out)):
        for receipt in _receipts(out, names):
            if Path(receipt.target).is_absolute():
                done[receipt.name] = "is not repaired: videocolor 0.1.0 finished it, and made no copies or proofs"
                continue
            changed = list(_changed(out, receipt))
            if not changed:
                continue
            try:
                _check_seal(out, receipt)
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
        luma_proof, bag, qctools, policy, tar, mets = (f"{receipt.target}.{end}" in receipt.files for end in _ENDS)
        had = _settings(out)
        update = {"luma_proof": luma_proof, "bag": bag, "qctools": qctools, "bag_tar": tar, "mets": mets}
        had = had.model_copy(update=update if policy else {**update, "mediaconch": None})
        job.config.setdefault("output", {})["report"] = f"{receipt.target}.html" in receipt.files
        config = batch.config.model_copy(update={"archive": had})
        _complete(job, receipt, dataclasses.replace(batch, config=config), left)
    words = (f"{len(copied)} files restored from their copies" * bool(copied), "proofs, report or package made again")
    return ", ".join(filter(None, words if left else words[:1]))


def _settings(out: Path) -> ArchiveSettings:
    """Return what the last run was asked for: which policy, what a package says."""
    try:
        return ArchiveSettings.model_validate(read_batch(out)[0].get("archive", {}))
    except (InputError, ValueError):
        return ArchiveSettings()


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
        InputError: a film is missing, so that none was accepted.
    """
    _check_folder(out)
    with DriverLock(state_folder(out)):
        receipts = _receipts(out, names)
        for receipt in receipts:
            target = out / receipt.target
            if not target.is_file() or not target.is_relative_to(out):
                raise InputError(f"{target}: is missing in {out}, so it cannot be accepted")
        for receipt in receipts:
            target = out / receipt.target
            report = MergeReport(target, receipt.frames, "", 0.0, (), None, None, receipt.luma_differs)
            files = describe_files(out, report)
            entry = {"date": time.strftime("%Y-%m-%d"), "reason": reason}
            if files["files"][receipt.target] != receipt.sha256:
                entry["film_was"] = receipt.sha256
            write_receipt(out, dataclasses.replace(receipt, **files, accepted=(*receipt.accepted, entry)))


def _check_folder(out: Path) -> None:
    folder = receipt_path(out, "x").parent
    if not folder.is_dir():  # before the lock, which would make it
        raise UsageError(f"{out}: no film was finished here by a batch ({folder} is missing)")


def _receipts(out: Path, names: Sequence[str]) -> list[Receipt]:
    """Read the receipts of some films, or of all; of all, those that cannot be read are left out."""
    found = []
    for name in names or sorted(path.stem for path in receipt_path(out, "x").parent.glob("*.json")):
        _settle(out, name)
        receipt = read_receipt(out, name)
        if receipt is not None:
            found.append(receipt)
        elif names:
            raise UsageError(f"{name}: no receipt of a finished film in {out}, or it cannot be read")
    return found
