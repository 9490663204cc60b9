"""The archive's own checksums, compared with the reels before the work.

They come from the job file (columns md5, sha1, sha256, sha512), from lists beside a reel or in the folder above
(`REEL.mov.md5`, `*.sha256`, `SHA256SUMS`, `manifest-md5.txt` of a BagIt package...) and from `archive.checksum_lists`.
Lists are read as md5sum and sha256sum write them, GNU or BSD, or with one checksum alone.
"""

from __future__ import annotations

import os
import re
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from videocolor.batch.catalog import DIGESTS
from videocolor.batch.reel import Reel
from videocolor.batch.settings import ArchiveSettings
from videocolor.batch.state import read_file, source_state, write_file
from videocolor.errors import InputError, Interrupted
from videocolor.files import disk_errors, file_digests
from videocolor.shards.types import FilmJob
from videocolor.video.sequences import sequence_files

__all__ = ["Checksum", "SourceChecks", "checked_before", "forget_error", "known_checksums"]

_ALGORITHM: Final = "md5|sha1|sha256|sha512"
_LIST: Final = re.compile(
    rf".+\.({_ALGORITHM})|({_ALGORITHM})sums?(\.txt)?|manifest-({_ALGORITHM})\.txt", re.IGNORECASE
)
_GNU: Final = re.compile(r"(?P<escaped>\\?)(?P<digest>[0-9a-fA-F]{32,128}) [ *]?(?P<name>.+)")
_BSD: Final = re.compile(r"(?:MD5|SHA1|SHA256|SHA512) ?\((?P<name>.+)\) = (?P<digest>[0-9a-fA-F]{32,128})")
_ALONE: Final = re.compile(r"[0-9a-fA-F]{32,128}")
_OFF: Final = "--set archive.checksums=off colors without a look at checksums"


@dataclass(frozen=True)
class Checksum:
    """A checksum that the archive knows of a file."""

    file: str
    algorithm: str
    digest: str
    where: str
    """The list that has it, or `job file`."""


def known_checksums(job: FilmJob, settings: ArchiveSettings) -> list[Checksum]:
    """Return the checksums that are known of a reel's files.

    Raises:
        InputError: a list cannot be read, a picture sequence has one checksum, or there is none though one is required.
    """
    if settings.checksums == "off":
        return []
    pictures = sequence_files(job.source)
    files = (job.source,) if pictures is None else tuple(pictures)
    if pictures is not None and job.checksums:
        raise InputError(f"{job.source}: many pictures have no single checksum; give a list, {_OFF}")
    found = [Checksum(str(job.source), *item, "job file") for item in job.checksums.items()]
    lists = [Path(path) for path in settings.checksum_lists] + _lists_near(files[0].absolute().parent)
    wanted = {os.path.normpath(file.absolute()): str(file) for file in files}
    stems = {os.path.splitext(path)[0]: file for path, file in wanted.items()}
    for path in lists:
        for place, digest in _read(path):
            file = wanted.get(place) or (stems.get(place) if _LIST.fullmatch(path.name) else None)
            if file is not None:
                found.append(Checksum(file, _algorithm(digest), digest, str(path)))
    if not found and settings.checksums == "require":
        raise InputError(f"{job.source}: no checksum is known of it (archive.checksums=require)")
    return list(dict.fromkeys(found))


def _lists_near(folder: Path) -> list[Path]:
    return [path for place in (folder, folder.parent) for path in _lists_in(place, _time(place))]


def _time(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}; {_OFF}") from error


@lru_cache(maxsize=256)
def _lists_in(folder: Path, _: int) -> list[Path]:
    """Return the lists in a folder; the second argument is its time."""
    try:
        return sorted(path for path in folder.iterdir() if _LIST.fullmatch(path.name) and path.is_file())
    except PermissionError:  # the folder above may be closed to us
        return []


def _read(path: Path) -> list[tuple[str, str]]:
    return _read_once(path.absolute(), _time(path))


@lru_cache(maxsize=64)
def _read_once(path: Path, _: int) -> list[tuple[str, str]]:
    """Return the normalized path of each file that a list names, with its checksum; the second argument is its time."""
    try:
        lines = path.read_text(encoding="utf-8-sig", errors="surrogateescape").splitlines()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}; {_OFF}") from error
    entries: list[tuple[str, str]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith((";", "#")):
            continue
        found = _GNU.fullmatch(line) or _BSD.fullmatch(line.strip())
        if found is not None:
            name, digest = found["name"], found["digest"]
        elif _ALONE.fullmatch(line.strip()):
            name, digest = path.stem, line.strip()
        else:
            raise InputError(f"{path}, line {number}: not a checksum with a file's name; {_OFF}")
        if len(digest) not in DIGESTS.values():
            raise InputError(f"{path}, line {number}: {len(digest)} digits are no {_ALGORITHM.replace('|', ', ')}")
        if name == "-":  # of a pipe
            name = path.stem
        if not line.startswith("\\"):
            name = name.replace("\\", "/")  # written on Windows
        else:
            name = re.sub(r"\\([\\nr])", lambda m: {"\\": "\\", "n": "\n", "r": "\r"}[m[1]], name)
        entries.append((os.path.normpath(path.parent / name), digest.lower()))
    return entries


def _algorithm(digest: str) -> str:
    return next(name for name, length in DIGESTS.items() if length == len(digest))


# ---- the check ------------------------------------------------------------------------------------------------------


def checked_before(job: FilmJob) -> list[dict[str, Any]]:
    """Return what was found right before the work on a film: algorithm, digest, list and date of each checksum."""
    return list((read_file(job.folder / "checked.json") or {}).get("checked", ()))


def _check(job: FilmJob, known: list[Checksum], stop: threading.Event) -> None:
    """Read a reel and compare; what was found is recorded in its working folder.

    Raises:
        InputError: a file differs, or cannot be read.
        Interrupted: `stop` is set.
    """
    by_file: dict[str, list[Checksum]] = {}
    for each in known:
        by_file.setdefault(each.file, []).append(each)
    for file, checksums in by_file.items():
        found = _digests(file, {each.algorithm for each in checksums}, stop)
        for each in checksums:
            if found[each.algorithm] != each.digest:
                error = (
                    f"{file}: its {each.algorithm} is {found[each.algorithm]}, but {each.digest} by {each.where}; "
                    f"restore it from a copy and `videocolor batch retry`, or {_OFF}"
                )
                _remember(job, known, error=error)
                raise InputError(error)
    date = datetime.now(UTC).isoformat(timespec="seconds")
    _remember(job, known, checked=[{**asdict(each), "file": Path(each.file).name, "date": date} for each in known])


def _remember(job: FilmJob, known: list[Checksum], **found: Any) -> None:
    write_file(job.folder / "checked.json", {**_basis(job, known), **found})


def forget_error(job: FilmJob) -> None:
    """Have a reel whose checksum was wrong read again: one restored from a copy may have its size and time."""
    if "error" in (read_file(job.folder / "checked.json") or {}):
        with disk_errors(job.folder):
            (job.folder / "checked.json").unlink(missing_ok=True)


def _basis(job: FilmJob, known: list[Checksum]) -> dict[str, Any]:
    """Return what a check depends on: as long as it is the same, nothing is read again."""
    return {"state": asdict(source_state(job.source)), "known": [asdict(each) for each in known]}


def _digests(file: str, algorithms: set[str], stop: threading.Event) -> dict[str, str]:
    def still() -> None:
        if stop.is_set():
            raise Interrupted(f"{file}: the check of its checksum was stopped")

    try:
        with open(file, "rb") as data:
            return file_digests(data, algorithms, still)
    except OSError as error:
        raise InputError(f"{file}: cannot be read for its checksum: {error.strerror or error}") from error


class SourceChecks:
    """Reads reels of known checksum before they are opened, in a thread, one ahead of the workers.

    Args:
        settings: of the batch.
        stop: ends a check at once.
    """

    def __init__(self, settings: ArchiveSettings, stop: threading.Event) -> None:
        self._settings, self._stop = settings, stop
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="checksum")
        self._checks: dict[str, Future[None] | InputError | None] = {}

    def next(self, waiting: list[Reel]) -> Reel | None:
        """Remove the last of the waiting reels and return it; None while it is being read."""
        for reel in waiting[: -3 if len(waiting) > 2 else None : -1]:
            if reel.name not in self._checks:
                self._checks[reel.name] = self._start(reel)
        check = self._checks[waiting[-1].name]
        if isinstance(check, Future) and not check.done():
            waiting[-1].stage = "checking"
            return None
        waiting[-1].stage = ""
        return waiting.pop()

    def _start(self, reel: Reel) -> Future[None] | InputError | None:
        if reel.complete:
            return None
        try:
            known = known_checksums(reel.job, self._settings)
            before = read_file(reel.job.folder / "checked.json") or {}
            if not known:
                return None
            if before.items() >= _basis(reel.job, known).items():
                return InputError(before["error"]) if "error" in before else None
        except InputError as error:
            return error
        return self._reader.submit(_check, reel.job, known, self._stop)

    def result(self, reel: Reel) -> None:
        """Check what was found of a reel.

        Raises:
            InputError: it is not what the archive's checksum is of.
        """
        check = self._checks.get(reel.name)
        if isinstance(check, InputError):
            raise check
        if check is not None:
            check.result()
            self._checks[reel.name] = None

    def close(self) -> None:
        """End the thread."""
        self._reader.shutdown(cancel_futures=True)
