"""Verify finished films, long after a batch and wherever their folder is: every file against the manifest and receipts.

Nothing is written, and nothing outside of the folder is read but the sources, where they still are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from videocolor.batch.manifest import MANIFEST, Digests, listed_files, read_manifest, result_files
from videocolor.batch.state import Receipt, read_receipt, receipt_path, state_folder
from videocolor.config import ColorizeConfig
from videocolor.errors import UsageError, VideocolorError
from videocolor.events import Event, Observer, ignore
from videocolor.files import source_sha256
from videocolor.record import read_record
from videocolor.reports.verify import verify_film
from videocolor.video import digests_of, probe
from videocolor.video.sequences import sequence_files

__all__ = ["FilmVerdict", "verify_batch"]


@dataclass(frozen=True)
class FilmVerdict:
    """The findings on a finished film, or on all files that belong to none (`name` is the manifest's)."""

    name: str
    target: Path
    problems: tuple[str, ...] = ()
    """What is changed, missing or added."""
    notes: tuple[str, ...] = ()
    """What could not be checked, and why."""
    checked: tuple[str, ...] = ()
    """What was found right: files, source, frames, times, sound, luma."""

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
    """Check the finished films of an output folder: every byte of theirs, their sources, frames, times, luma.

    Args:
        out: the output folder of a batch, or a copy of it.
        names: films to check; empty: all, and that the folder holds nothing else.
        decode: decode results and sources and compare frame count, times and luma; False: only bytes.
        observer: gets `progress` (stage verify, film, frames as films done, total).

    Returns:
        A verdict per film, ordered by name; last, if all are checked, that on the rest of the folder.

    Raises:
        UsageError: no batch was run in `out`, or a film was not finished by it.
        InputError: the manifest cannot be read.
    """
    entries, problems = read_manifest(out)
    folder = state_folder(out) / "films"
    if not folder.is_dir() and not (out / MANIFEST).is_file():
        raise UsageError(f"{out}: no film was finished here by a batch ({MANIFEST} and {folder} are missing)")
    check = _Files(out, entries)
    receipts: list[Receipt] = []
    for name in names or sorted(path.stem for path in folder.glob("*.json")):
        receipt = read_receipt(out, name)
        if receipt is not None:
            receipts.append(receipt)
        elif names:
            raise UsageError(f"{name}: no receipt of a finished film in {folder}, or it cannot be read")
    verdicts = []
    for index, receipt in enumerate(receipts):
        facts = {"stage": "verify", "film": receipt.name, "frames": index, "total": len(receipts)}
        observer(Event("progress", facts))
        verdicts.append(_verdict(receipt, check, decode))
    if not names:
        problems += check.rest()
        verdicts.append(FilmVerdict(MANIFEST, out / MANIFEST, tuple(problems)))
    return verdicts


@dataclass
class _Files:
    """Compares files with the manifest and receipts; remembers which ones."""

    out: Path
    entries: Mapping[str, str]
    """The manifest."""
    seen: set[str] = field(default_factory=set)
    digests: Digests = field(default_factory=Digests)

    def problems(self, receipt: Receipt, *, older: bool) -> Iterator[str]:
        """Yield what is wrong with the files of a film, its receipt among them; `older`: no manifest lists them."""
        if not self.entries and not older:
            yield f"{MANIFEST}: is missing or empty"
        own = receipt_path(self.out, receipt.name).relative_to(self.out).as_posix()
        for name, wanted in (*receipt.files.items(), (own, self.entries.get(own))):
            self.seen.add(name)
            listed = self.entries.get(name)
            if listed is None and self.entries and not older:
                yield f"{name}: is not in {MANIFEST}"
            elif listed not in (None, wanted):
                yield f"{name}: its sha256 is {listed} in {MANIFEST}, {wanted} in its receipt"
            yield from self.changed(name, listed if wanted is None else wanted)

    def changed(self, name: str, wanted: str | None) -> Iterator[str]:
        """Yield in what a file differs from its sha256."""
        try:
            found = self.digests.of(self.out / name)
        except FileNotFoundError:
            yield f"{name}: is missing"
        except OSError as error:
            yield f"{name}: cannot be read: {error.strerror or error}"
        else:
            if wanted not in (None, found):
                yield f"{name}: has changed: sha256 {found}, was {wanted}"

    def rest(self) -> Iterator[str]:
        """Yield what is wrong with files that belong to no film."""
        for name, wanted in self.entries.items():
            if name not in self.seen:
                yield from self.changed(name, wanted)
        receipts = (path.relative_to(self.out).as_posix() for path in receipt_path(self.out, "x").parent.glob("*.json"))
        for name in (*listed_files(self.out), *sorted(receipts)):
            if name not in self.seen and name not in self.entries:
                yield f"{name}: was added; no finished film has it"


def _verdict(receipt: Receipt, files: _Files, decode: bool) -> FilmVerdict:
    check = _Check()
    check.notes += [f"accepted as it is on {entry['date']}: {entry['reason']}" for entry in receipt.accepted]
    older = Path(receipt.target).is_absolute()
    if older:
        receipt = _older(receipt, files.out)
        files.seen |= {path.relative_to(files.out).as_posix() for path in result_files(files.out / receipt.target)}
        check.notes.append("was finished by videocolor 0.1.0: only the bytes of film and source are known")
    target = files.out / receipt.target
    try:
        problems = list(files.problems(receipt, older=older))
        check.problems += problems
        check.checked += [] if problems else ["files"]
        if _check_source(check, receipt) and decode and not older and target.is_file():
            _check_pictures(check, receipt, target)
    except (VideocolorError, OSError) as error:
        check.problems.append(str(error))
    return FilmVerdict(receipt.name, target, tuple(check.problems), tuple(check.notes), tuple(check.checked))


def _older(receipt: Receipt, out: Path) -> Receipt:
    """Return a receipt of 0.1.0 with names relative to the folder, wherever it is now."""
    parts = Path(receipt.target).parts
    ends = (Path(*parts[first:]) for first in range(1, len(parts)))
    target = next((end for end in ends if (out / end).is_file()), Path(parts[-1])).as_posix()
    return dataclasses.replace(receipt, target=target, files={target: receipt.sha256})


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


def _check_source(check: _Check, receipt: Receipt) -> bool:
    """Compare the sha256 of the source; return whether it is there."""
    source = Path(receipt.source)
    if not source.exists():
        check.notes.append(f"the source {source} is not there: the film is not compared with it")
        return False
    found = source_sha256(source, sequence_files(source))
    text = f"the source has changed: sha256 {found}, was {receipt.source_sha256}"
    check.that("source", found == receipt.source_sha256, text)
    return True


def _check_pictures(check: _Check, receipt: Receipt, target: Path) -> None:
    span = ColorizeConfig.model_validate(receipt.config).input
    found = verify_film(Path(receipt.source), target, rate=span.rate, start=span.start, end=span.end)
    right = found.frames == found.result_frames == receipt.frames
    check.that(
        "frames", right, f"{found.result_frames} frames, its source {found.frames}, its receipt {receipt.frames}"
    )
    tick = probe(target).time_base
    late = (
        f"a frame is off by {float(found.time_max_diff):.6f} s, more than a tick of the container ({float(tick):g} s)"
    )
    check.that("times", found.time_max_diff <= tick, late)
    if receipt.files.get(f"{receipt.target}.json") and span.start is None and span.end is None:
        copied = {each["stream"]: each["sha256"] for each in read_record(target).get("copied", ())}
        held = {each.stream: each.sha256 for each in digests_of(Path(receipt.source), copied)} if copied else {}
        others = [name for name, sha256 in copied.items() if held.get(name) != sha256]
        check.that("sound", not others, f"its source holds other packets now: {', '.join(others)}")
    if receipt.luma_differs is None:
        check.that(
            "luma", found.luma_max_diff == 0, f"luma differs by up to {found.luma_max_diff}, through a lossless codec"
        )
    else:
        least = "not comparable" if found.luma_max_diff is None else f"largest difference {found.luma_max_diff}"
        check.notes.append(f"luma is not checked: {receipt.luma_differs}; {least}")
