"""Receipts: the fact that a film is finished, `OUT/.videocolor/films/NAME.json`, and the check of what they say."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from videocolor.batch.manifest import is_inside, read_manifest, update_manifest
from videocolor.batch.state import (
    SourceState,
    as_text,
    merging,
    read_file,
    settings_id,
    source_state,
    state_folder,
    write_text,
)
from videocolor.files import disk_errors, file_sha256, source_sha256
from videocolor.shards.types import FilmJob

__all__ = [
    "Receipt",
    "drop_receipt",
    "is_sealed",
    "read_receipt",
    "receipt_fits",
    "receipt_path",
    "write_receipt",
]


@dataclass(frozen=True)
class Receipt:
    """The fact that a film is finished, and all that a later check needs."""

    name: str
    source: str
    source_state: SourceState
    source_sha256: str
    settings: str
    """`settings_id` of its job."""
    config: dict[str, Any]
    """The configuration that it was made with, as `FilmJob.config`."""
    target: str
    """Relative to the output folder, as all names of results."""
    target_bytes: int
    target_mtime_ns: int
    files: dict[str, str]
    """sha256 of each file of the result: film, record, report, proofs, package."""
    luma_differs: str | None
    """Why luma need not equal the source's; None: it must, sample for sample."""
    frames: int
    seconds: float
    """Work of all workers, in seconds."""
    shards: int
    warnings: tuple[str, ...] = ()
    catalog: dict[str, str] = dataclasses.field(default_factory=dict)
    """`FilmJob.catalog`, as it stands in record and package."""
    accepted: tuple[dict[str, str], ...] = ()
    """Date and reason of each time that the film was taken as it is; `film_was`: sha256 of the film that we made."""

    @property
    def sha256(self) -> str:
        """Of the finished film."""
        return self.files[self.target]

    @property
    def is_ours(self) -> bool:
        """Whether the film is the one that was made, so that its frames are those of its source."""
        return not any("film_was" in entry for entry in self.accepted)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Receipt:
        """Read what `dataclasses.asdict` made, or a receipt of 0.1.0, which has an absolute target and no settings.

        Raises:
            KeyError, TypeError, ValueError: see `_check`.
        """
        if "files" not in data:
            older = {"files": {data["target"]: data["sha256"]}, "luma_differs": None, "config": {}}
            data = {key: value for key, value in (older | data).items() if key != "sha256"}
        lists = {key: tuple(data.get(key, ())) for key in ("warnings", "accepted")}
        return _check(data | lists)


def _check(values: dict[str, Any]) -> Receipt:
    """Make a receipt of plain values.

    A receipt of 0.1.0 has an absolute target, which is its only file.

    Raises:
        ValueError: a value is missing, unknown or of another type, or a name leads out of the output folder.
    """
    unknown = values.keys() - {item.name for item in dataclasses.fields(Receipt)}
    if unknown:
        raise ValueError(f"{', '.join(sorted(unknown))}: unknown")
    try:
        receipt = _adapter().validate_python(values)
    except ValidationError as error:
        wrong = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise ValueError("; ".join(wrong)) from error
    if any(not {"date", "reason"} <= entry.keys() for entry in receipt.accepted):
        raise ValueError("accepted: an entry lacks date or reason")
    target = Path(receipt.target)
    older = target.is_absolute() and list(receipt.files) == [receipt.target]
    names = [target.relative_to(target.anchor).as_posix()] if older else [receipt.target, *receipt.files]
    for name in names:
        if not is_inside(name):
            raise ValueError(f"{name!r} is outside of the folder")
    if receipt.target not in receipt.files:
        raise ValueError(f"files: the target {receipt.target} is not among them")
    if Path(receipt.name).name != receipt.name:
        raise ValueError(f"name: {receipt.name!r} is no name of a film")
    return receipt


@functools.cache
def _adapter() -> TypeAdapter[Receipt]:
    """Return what checks types; to build it takes longer than to read a receipt."""
    return TypeAdapter(Receipt)


def receipt_path(out: Path, name: str) -> Path:
    """Return the path of a finished film's receipt."""
    return state_folder(out) / "films" / f"{name}.json"


def write_receipt(out: Path, receipt: Receipt) -> None:
    """Record that a film is finished: in the manifest, then by its receipt."""
    path, before = receipt_path(out, receipt.name), read_receipt(out, receipt.name)
    text = as_text(asdict(receipt))
    seal = {path.relative_to(out).as_posix(): hashlib.sha256(text.encode()).hexdigest()}
    write_text(path.with_suffix(".new"), text)
    update_manifest(out, () if before is None else before.files, receipt.files | seal)
    with disk_errors(path):
        path.with_suffix(".new").replace(path)


def is_sealed(out: Path, name: str) -> bool:
    """Return whether a receipt is, byte for byte, the one that the manifest lists."""
    path = receipt_path(out, name)
    return path.is_file() and read_manifest(out)[0].get(path.relative_to(out).as_posix()) == file_sha256(path)


def drop_receipt(out: Path, receipt: Receipt) -> None:
    """Record that a film is not finished any more."""
    path = receipt_path(out, receipt.name)
    with disk_errors(path):
        path.unlink(missing_ok=True)
    update_manifest(out, (*receipt.files, path.relative_to(out).as_posix()), {})


def read_receipt(out: Path, name: str) -> Receipt | None:
    """Return the receipt of a film; None if there is none that can be read."""
    data = read_file(receipt_path(out, name))
    try:
        return None if data is None else Receipt.from_dict(data)
    except (KeyError, TypeError, ValueError):
        return None


def receipt_fits(receipt: Receipt, job: FilmJob) -> bool:
    """Return whether a receipt is for this job, its source is unchanged, and the finished film is in place.

    Compares sizes and times; where the source's time or folder differs, its sha256. `batch verify` reads everything.
    """
    kept = receipt.accepted and not job.config.get("output", {}).get("overwrite")
    if not kept and receipt.settings != settings_id(job):
        return False
    try:
        target = os.stat(job.target)
    except OSError:
        return False
    if target.st_size != receipt.target_bytes:
        return False
    if merging(job) and file_sha256(job.target) != receipt.sha256:  # replaced, and killed before the new receipt
        return False
    now, was = source_state(job.source), receipt.source_state
    if (now, str(job.source)) == (was, receipt.source):
        return True
    if (now.bytes, now.files) != (was.bytes, was.files):
        return False
    from videocolor.video.sequences import sequence_files

    return source_sha256(job.source, sequence_files(job.source)) == receipt.source_sha256
