"""Verify finished films, long after a batch, against their receipts (`OUT/.videocolor/films/NAME.json`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from videocolor.batch.archive import bag_path, keeps_luma
from videocolor.batch.bag import bag_digest, bag_problems
from videocolor.batch.state import Receipt, read_receipt, state_folder
from videocolor.config import ColorizeConfig
from videocolor.errors import InputError, UsageError, VideocolorError
from videocolor.events import Event, Observer, ignore
from videocolor.files import file_sha256, source_sha256
from videocolor.record import read_record, sidecar_path
from videocolor.reports.verify import verify_film
from videocolor.shards.types import FilmJob
from videocolor.video import probe
from videocolor.video.sequences import sequence_files

__all__ = ["FilmVerdict", "verify_batch"]


@dataclass(frozen=True)
class FilmVerdict:
    """The findings on a finished film."""

    name: str
    target: Path
    problems: tuple[str, ...] = ()
    """What has changed or is missing."""
    notes: tuple[str, ...] = ()
    """What could not be checked, and why."""
    checked: tuple[str, ...] = ()
    """What was found right: result, record, source, frames, times, luma, package."""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**dataclasses.asdict(self), "target": str(self.target), "ok": self.ok}


def verify_batch(
    out: Path, names: Sequence[str] = (), *, decode: bool = True, observer: Observer = ignore
) -> list[FilmVerdict]:
    """Check the finished films of an output folder: their bytes and their sources', frames, times, luma, packages.

    Args:
        out: the output folder of a batch.
        names: films to check; empty: all.
        decode: decode results and sources and compare frame count, times and luma; False: only bytes.
        observer: gets `progress` (stage verify, film, frames as films done, total).

    Returns:
        A verdict per film, ordered by name.

    Raises:
        UsageError: no batch was run in `out`, or a film was not finished by it.
    """
    receipts = list(_receipts(out, names))
    verdicts = []
    for index, receipt in enumerate(receipts):
        facts = {"stage": "verify", "film": receipt.name, "frames": index, "total": len(receipts)}
        observer(Event("progress", facts))
        verdicts.append(_verdict(receipt, decode))
    return verdicts


def _receipts(out: Path, names: Sequence[str]) -> Iterator[Receipt]:
    folder = state_folder(out) / "films"
    if not folder.is_dir():
        raise UsageError(f"{out}: no film was finished here by a batch ({folder} is missing)")
    for name in names or sorted(path.stem for path in folder.glob("*.json")):
        receipt = read_receipt(out, name)
        if receipt is None:
            raise UsageError(f"{name}: no receipt of a finished film in {folder}, or it cannot be read")
        yield receipt


@dataclass
class _Check:
    """Collects the findings on one film."""

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)

    def that(self, what: str, right: bool, problem: str) -> None:
        """Record a comparison."""
        if right:
            self.checked.append(what)
        else:
            self.problems.append(problem)


def _verdict(receipt: Receipt, decode: bool) -> FilmVerdict:
    check = _Check()
    target, source = Path(receipt.target), Path(receipt.source)
    try:
        _check_record(check, receipt, target)
        here = _check_bytes(check, receipt, target, source)
        if decode and here:
            _check_pictures(check, receipt, FilmJob(receipt.name, source, target, receipt.config, target.parent))
        bag = bag_path(target)
        if bag.exists():
            problems = bag_problems(bag)
            if not problems and bag_digest(bag, target.name) != receipt.sha256:
                problems = ["holds another version of the film; run the batch again with archive.bag, or remove it"]
            check.that("package", not problems, f"{bag.name}: {'; '.join(problems)}")
    except (VideocolorError, OSError) as error:
        check.problems.append(str(error))
    return FilmVerdict(receipt.name, target, tuple(check.problems), tuple(check.notes), tuple(check.checked))


def _check_record(check: _Check, receipt: Receipt, target: Path) -> None:
    if sidecar_path(target).exists():
        try:
            record = read_record(target)
        except InputError as error:
            check.problems.append(str(error))
            return
        named = record.get("source", {}).get("sha256")
        check.that("record", named == receipt.source_sha256, f"its record names another source (sha256 {named})")
    elif receipt.config["output"]["sidecar"]:
        check.problems.append(f"its record {sidecar_path(target).name} is missing")


def _check_bytes(check: _Check, receipt: Receipt, target: Path, source: Path) -> bool:
    """Compare the sha256 of result and source; return whether both can be decoded."""
    here = True
    if not target.is_file():
        check.problems.append(f"{target}: is missing")
        here = False
    else:
        found = file_sha256(target)
        check.that("result", found == receipt.sha256, f"its bytes have changed: sha256 {found}, was {receipt.sha256}")
    if not source.exists():
        check.notes.append(f"the source {source} is not there: the film is not compared with it")
        return False
    found = source_sha256(source, sequence_files(source))
    text = f"the source has changed: sha256 {found}, was {receipt.source_sha256}"
    check.that("source", found == receipt.source_sha256, text)
    return here


def _check_pictures(check: _Check, receipt: Receipt, job: FilmJob) -> None:
    config = ColorizeConfig.model_validate(job.config)
    span = config.input
    found = verify_film(job.source, job.target, rate=span.rate, start=span.start, end=span.end)
    right = found.frames == found.result_frames == receipt.frames
    check.that(
        "frames", right, f"{found.result_frames} frames, its source {found.frames}, its receipt {receipt.frames}"
    )
    tick = probe(job.target).time_base
    late = (
        f"a frame is off by {float(found.time_max_diff):.6f} s, more than a tick of the container ({float(tick):g} s)"
    )
    check.that("times", found.time_max_diff <= tick, late)
    reason = keeps_luma(job)
    if reason is None:
        check.that(
            "luma", found.luma_max_diff == 0, f"luma differs by up to {found.luma_max_diff}, through a lossless codec"
        )
    else:
        least = "not comparable" if found.luma_max_diff is None else f"largest difference {found.luma_max_diff}"
        check.notes.append(f"luma is not checked: {reason}; {least}")
