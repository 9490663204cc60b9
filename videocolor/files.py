"""Files: written completely or not at all, hashed, locked; and values as JSON can hold them."""

from __future__ import annotations

import errno
import hashlib
import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import IO, Any

from videocolor.errors import OutputError

if sys.platform != "win32":
    import fcntl

__all__ = [
    "disk_errors",
    "file_digests",
    "file_sha256",
    "folder_lock",
    "part_name",
    "plain",
    "source_sha256",
    "write_atomically",
]


def part_name(target: Path) -> Path:
    """Return the temporary name beside a target; it keeps the suffix, by which muxers go."""
    return target.with_name(f".{target.name}.{os.getpid()}.part{target.suffix}")


@contextmanager
def disk_errors(target: Path) -> Iterator[None]:
    """Turn errors of the disk into `OutputError` with a remedy."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", None)):
            raise OutputError(f"{target}: the disk is full; free some space or choose another folder") from error
        raise OutputError(f"{target}: cannot be written ({error.strerror or error})") from error


def write_atomically(path: Path, content: str | bytes) -> None:
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


def file_digests(file: IO[bytes], algorithms: Iterable[str], still: Callable[[], None] | None = None) -> dict[str, str]:
    """Read an open file once; return its digest by each algorithm, in hex.

    Args:
        file: read from where it is to its end.
        algorithms: names as of `hashlib`.
        still: called before each part of 8 MiB; raises to stop.
    """
    hashes = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms}
    while chunk := file.read(8 * 2**20):
        if still is not None:
            still()
        for each in hashes.values():
            each.update(chunk)
    return {name: each.hexdigest() for name, each in hashes.items()}


def source_sha256(path: Path, files: Sequence[Path] | None = None) -> str:
    """sha256 of a source: of the file's bytes, or of the lines `digest  name` of an image sequence's files.

    Raises:
        OSError: a file cannot be read.
    """
    if files is None:
        return file_sha256(path)
    lines = "".join(f"{file_sha256(file)}  {file.name}\n" for file in files)
    return hashlib.sha256(lines.encode()).hexdigest()


def plain(value: Any) -> Any:
    """Return the value as JSON can hold it: paths and fractions become text, NaN and infinity null."""
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


@contextmanager
def folder_lock(folder: Path, what: str) -> Iterator[None]:
    """One process at a time in a working folder; the lock goes with the process, however it ends.

    Raises:
        OutputError: another process is at work there, or the folder cannot be written.
    """
    path = folder / "lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error.strerror or error}") from error
    with file:
        try:
            _lock(file.fileno())
        except OSError as error:
            raise OutputError(f"{what}: another process is at work on it just now (in {folder})") from error
        yield


def _lock(file: int) -> None:
    """Lock an open file without waiting; raise OSError where another process holds it.

    The lock ends with its process. Windows locks the file's first byte, as `fcntl` is not there.
    """
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
