"""What a run says while it works, and the record that it leaves beside its output."""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import Any, Literal

from videocolor.errors import InputError, OutputError

__all__ = [
    "Event",
    "EventKind",
    "Observer",
    "file_sha256",
    "ignore",
    "plain",
    "read_record",
    "report_path",
    "sidecar_path",
    "source_sha256",
    "write_sidecar",
    "write_whole",
]

EventKind = Literal["start", "shot", "progress", "note", "warning", "done"]


@dataclass(frozen=True)
class Event:
    """Something that a watcher of a run wants to know."""

    kind: EventKind
    """`start` (source, target, model, frames, seconds), `shot` (index, start, end, hint, confidence),
    `progress` (frames, total, fps, eta_s), `note` and `warning` (message), `done` (target, frames, seconds, fps)."""
    data: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """`event` and the data, as JSON holds them."""
        return {"event": self.kind, **plain(self.data)}

    def as_json(self) -> str:
        """One line."""
        return json.dumps(self.as_dict(), ensure_ascii=False, allow_nan=False)


Observer = Callable[[Event], None]


def ignore(event: Event) -> None:
    """The observer for those who do not watch."""


def plain(value: Any) -> Any:
    """The value as JSON can hold it: paths and fractions become text, NaN and infinity null."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        return plain(value.item())
    return str(value)


def sidecar_path(target: Path) -> Path:
    """`OUTPUT.json` beside OUTPUT."""
    return target.with_name(target.name + ".json")


def report_path(target: Path) -> Path:
    """`OUTPUT.html` beside OUTPUT."""
    return target.with_name(target.name + ".html")


def write_sidecar(target: Path, data: Mapping[str, Any]) -> Path:
    """Write the record of a run beside its output, whole or not at all.

    Raises:
        OutputError: the folder cannot be written or the disk is full.
    """
    path = sidecar_path(target)
    write_whole(path, json.dumps(plain(data), indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    return path


def read_record(target: Path) -> dict[str, Any]:
    """The record that lies beside an output, as `write_sidecar` wrote it.

    Raises:
        InputError: it is missing or damaged.
    """
    path = sidecar_path(target)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: the film's record cannot be read: {error}") from error
    if not isinstance(data, dict):
        raise InputError(f"{path}: not a film's record")
    return data


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file beside its place and move it there, synced: whole or not at all. Text becomes UTF-8.

    Raises:
        OutputError: the folder cannot be written or the disk is full.
    """
    temporary = ""
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = file.name
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        if temporary:
            Path(temporary).unlink(missing_ok=True)


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, in hex.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def source_sha256(path: Path, files: Sequence[Path] | None = None) -> str:
    """sha256 of a source: of the file's bytes, or of the lines `digest  name` of an image sequence's files.

    Raises:
        OSError: a file cannot be read.
    """
    if files is None:
        return file_sha256(path)
    lines = "".join(f"{file_sha256(file)}  {file.name}\n" for file in files)
    return hashlib.sha256(lines.encode()).hexdigest()
