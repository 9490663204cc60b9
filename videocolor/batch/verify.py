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
from videocolor.batch.receipts import Receipt, receipt_path
from videocolor.batch.state import read_batch, read_file, state_folder
from videocolor.config import InputConfig
from videocolor.errors import InputError, UsageError, VideocolorError
from videocolor.events import Event, Observer, ignore
from videocolor.files import source_sha256
from videocolor.record import read_record
from videocolor.reports.verify import verify_film
from videocolor.video import digests_of, probe
from videocolor.video.sequences import is_pattern, sequence_files
from videocolor.video.slices import check_slices

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
    """What was found right: files, source, frames, times, sound, crc, luma."""

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
        InputError: the manifest or the folder of the receipts cannot be read.
    """
    entries, problems = read_manifest(out)
    folder = state_folder(out) / "films"
    if not folder.is_dir() and not (out / MANIFEST).is_file():
        raise UsageError(f"{out}: no film was finished here by a batch ({MANIFEST} and {folder} are missing)")
    check = _Files(out, entries)
    present = _finished(folder)
    for name in names:
        if name not in present:
            raise UsageError(f"{name}: no receipt of a finished film in {folder}")
    verdicts = []
    for index, name in enumerate(names or present):
        observer(Event("progress", {"stage": "verify", "film": name, "frames": index, "total": len(names or present)}))
        verdicts.append(_film(name, check, decode))
    if not names:
        problems += check.rest()
        if not present and not entries:
            problems.append(f"{MANIFEST}: lists no file, and there is no receipt of a finished film")
        verdicts.append(FilmVerdict(MANIFEST, out / MANIFEST, tuple(problems), tuple(_unfinished(out, present))))
    return verdicts


def _finished(folder: Path) -> list[str]:
    try:
        return sorted(path.stem for path in folder.iterdir() if path.suffix == ".json" and path.name[0] != ".")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"{folder}: cannot be read: {error.strerror or error}") from error


def _unfinished(out: Path, present: Sequence[str]) -> Iterator[str]:
    """Yield a note on the films that were asked for and have no receipt."""
    if not (state_folder(out) / "batch.json").is_file():
        return
    try:
        asked = [job.name for job in read_batch(out)[1] if job.name not in present]
    except InputError as error:
        yield str(error)
    else:
        if asked:
            yield f"asked for, and not finished: {', '.join(asked)}"


def _film(name: str, files: _Files, decode: bool) -> FilmVerdict:
    """Check a film; a receipt that cannot be read is a problem of this film alone."""
    path = receipt_path(files.out, name)
    data = read_file(path)
    try:
        if data is None:
            raise ValueError("is no JSON object in a regular file")
        receipt = Receipt.from_dict(data)
    except (KeyError, TypeError, ValueError) as error:
        own = path.relative_to(files.out).as_posix()
        why = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        problem = f"{own}: the receipt is damaged: {why}; restore it, or color the film again"
        return FilmVerdict(name, path, (problem,))
    return _verdict(receipt, files, decode)


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
        path = self.out / name
        steps = (path, *path.parents[: len(Path(name).parts) - 1])
        link = next((step for step in steps if step.is_symlink()), None)
        if link is not None:
            yield f"{name}: {'' if link == path else f'{link.relative_to(self.out).as_posix()} '}is a link"
            return
        try:
            if path.exists() and not path.is_file():
                yield f"{name}: is not a regular file"
                return
            found = self.digests.of(path)
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
        unread: list[OSError] = []
        for name in (*listed_files(self.out, unread.append), *sorted(receipts)):
            if name not in self.seen and name not in self.entries:
                yield f"{name}: was added; no finished film has it"
        yield from (f"{error.filename}: cannot be read: {error.strerror or error}" for error in unread)


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
        if not receipt.is_ours:
            check.notes.append("it was accepted after a change: its frames, sound and luma are not compared")
        if _check_source(check, receipt) and decode and receipt.is_ours and not older and target.is_file():
            _check_pictures(check, receipt, target)
    except (VideocolorError, OSError) as error:
        check.problems.append(str(error))
    except (KeyError, TypeError, ValueError) as error:
        check.problems.append(f"its receipt or record cannot be used: {error!r}")
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
    try:
        files = sequence_files(source)
    except VideocolorError:
        if not is_pattern(source):
            raise
        files = ()
    if files == () or (files is None and not source.is_file()):
        check.notes.append(f"the source {source} is not there: the film is not compared with it")
        return False
    found = source_sha256(source, files)
    text = f"the source has changed: sha256 {found}, was {receipt.source_sha256}"
    check.that("source", found == receipt.source_sha256, text)
    return True


def _check_pictures(check: _Check, receipt: Receipt, target: Path) -> None:
    span = InputConfig.model_validate(receipt.config.get("input", {}))
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
        copied = {e["stream"]: e["sha256"] for e in read_record(target).get("copied", ()) if not e.get("stored")}
        held = {each.stream: each.sha256 for each in digests_of(Path(receipt.source), copied)} if copied else {}
        others = [name for name, sha256 in copied.items() if held.get(name) != sha256]
        check.that("sound", not others, f"its source holds other packets now: {', '.join(others)}")
    slices = check_slices(target)
    if slices is not None:
        wrong = f"{slices.wrong} of {slices.slices} slices have a wrong CRC, the first in frame {slices.first_wrong}"
        check.that("crc", not slices.wrong, wrong)
    if receipt.luma_differs is None:
        check.that(
            "luma", found.luma_max_diff == 0, f"luma differs by up to {found.luma_max_diff}, through a lossless codec"
        )
    else:
        least = "not comparable" if found.luma_max_diff is None else f"largest difference {found.luma_max_diff}"
        check.notes.append(f"luma is not checked: {receipt.luma_differs}; {least}")
