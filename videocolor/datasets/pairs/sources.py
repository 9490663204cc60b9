"""Find sources: films, pictures, folders, tars of pictures; and their licenses."""

from __future__ import annotations

import atexit
import csv
import hashlib
import os
import re
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

from videocolor.errors import InputError
from videocolor.files import file_sha256

__all__ = ["IMAGES", "UNSTATED", "Origin", "Source", "allowed_licence", "expand", "origin_of"]

IMAGES: Final = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
_FILMS: Final = (
    *(".mp4", ".mkv", ".mov", ".m4v", ".avi", ".webm", ".mpg", ".mpeg", ".ts", ".m2ts", ".mts", ".mxf", ".wmv"),
    *(".flv", ".ogv", ".3gp", ".y4m", ".vob", ".nut"),
)
"""Suffixes that are taken for films where a folder is given; a file that is named itself may have any."""
_NON_COMMERCIAL = re.compile(r"non-?commercial|(?<![A-Za-z])NC(?![A-Za-z])", re.IGNORECASE)
UNSTATED: Final = "not stated"


@dataclass(frozen=True)
class Origin:
    """What a manifest.csv says about a source."""

    name: str = ""
    """Where it came from, the column `source`; empty where nothing is said."""
    licence: str = UNSTATED


@dataclass(frozen=True)
class Source:
    """A film or a picture that pairs are made of."""

    name: str
    """As it was named: path, or `TAR/MEMBER`."""
    path: Path
    """The file, or the tar."""
    kind: Literal["film", "image"]
    member: str | None = None
    """Name inside the tar."""
    origin: Origin = field(default_factory=Origin)

    def data(self) -> bytes:
        """Bytes of a picture.

        Raises:
            InputError: it cannot be read.
        """
        try:
            if self.member is None:
                return self.path.read_bytes()
            handle = _tar(self.path).extractfile(_members(self.path)[self.member])
            return b"" if handle is None else handle.read()
        except (OSError, KeyError, tarfile.TarError) as error:
            raise InputError(f"{self.name}: cannot be read: {getattr(error, 'strerror', None) or error}") from error

    def sha256(self) -> str:
        """Of the film's or the picture's bytes, in hex.

        Raises:
            InputError: it is missing or cannot be read.
        """
        if self.member is not None:
            return hashlib.sha256(self.data()).hexdigest()
        if not self.path.exists():
            raise InputError(f"{self.name}: no such file")
        if not os.access(self.path, os.R_OK):
            raise InputError(f"{self.name}: permission denied; make the file readable")
        try:
            return file_sha256(self.path)
        except OSError as error:
            raise InputError(f"{self.name}: cannot be read: {error.strerror or error}") from error


def _tar(path: Path) -> tarfile.TarFile:
    """Open a tar once per process, for a file's position is shared with a fork."""
    return _open_tar(path, os.getpid())


@lru_cache(maxsize=4)
def _open_tar(path: Path, _process: int) -> tarfile.TarFile:
    tar = tarfile.open(path)  # noqa: SIM115  (stays open for the next picture)
    atexit.register(tar.close)
    return tar


@lru_cache(maxsize=4)
def _members(path: Path) -> dict[str, tarfile.TarInfo]:
    """Files of a tar by name; `./a` and `a` are one name."""
    return {info.name.removeprefix("./"): info for info in _tar(path).getmembers() if info.isfile()}


def expand(inputs: Iterable[Path], *, without: Path | None = None) -> tuple[list[Source], list[str]]:
    """List the sources in files, folders and tars, sorted by name, each once.

    A folder means the films, pictures and tars in it at any depth (hidden ones are left out), a tar for the
    pictures in it.

    Args:
        inputs: as given by the user.
        without: a folder that is left out: the data set itself.

    Returns:
        The sources, and messages about folders that hold nothing of use and tars that cannot be read.

    Raises:
        InputError: a manifest.csv beside a source cannot be read: its licences would be missing.
    """
    found: dict[str, Source] = {}
    problems: list[str] = []
    for path in inputs:
        files = list(_walk(path, without)) if path.is_dir() else [path]
        if not files:
            problems.append(f"{path}: no film and no picture in this folder")
        for file in files:
            if file.suffix.lower() == ".tar" and (problem := _tar_problem(file)) is not None:
                problems.append(problem)
                continue
            for source in _of_file(file):
                found.setdefault(source.name, source)
    return [found[name] for name in sorted(found)], problems


def _tar_problem(path: Path) -> str | None:
    try:
        pictures = [name for name in _members(path) if Path(name).suffix.lower() in IMAGES]
    except (OSError, tarfile.TarError) as error:
        return f"{path}: cannot be read as a tar of pictures: {getattr(error, 'strerror', None) or error}"
    return None if pictures else f"{path}: holds no picture ({', '.join(IMAGES)})"


def _walk(folder: Path, without: Path | None) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or (without is not None and path.exists() and path.resolve() == without.resolve()):
            continue
        if path.is_dir():
            yield from _walk(path, without)
        elif path.suffix.lower() in (*_FILMS, *IMAGES, ".tar"):
            yield path


def _of_file(path: Path) -> list[Source]:
    suffix = path.suffix.lower()
    if suffix != ".tar":
        return [Source(path.as_posix(), path, "image" if suffix in IMAGES else "film", None, origin_of(path))]
    pictures = [name for name in _members(path) if Path(name).suffix.lower() in IMAGES]
    return [Source(f"{path.as_posix()}/{name}", path, "image", name, origin_of(path, name)) for name in pictures]


def origin_of(path: Path, member: str | None = None) -> Origin:
    """Read what the `manifest.csv` beside a file says about it.

    The row whose column `file` is the file's name (`TAR/MEMBER` in a tar), else whose `source` ends with that name.
    """
    rows = _rows(path.parent / "manifest.csv")
    name = path.name if member is None else f"{path.name}/{member}"
    return rows.get(name, Origin())


@lru_cache(maxsize=16)
def _rows(path: Path) -> dict[str, Origin]:
    if not path.is_file():
        return {}
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            table = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as a table: {error}") from error
    rows: dict[str, Origin] = {}
    for row in table:
        source = (row.get("source") or "").strip()
        name = (row.get("file") or "").strip() or source.rpartition("/")[2]
        if name:
            rows[name] = Origin(source, (row.get("licence") or "").strip() or UNSTATED)
    return rows


def allowed_licence(licence: str) -> bool:
    """Whether a manifest's license text admits training (no non-commercial clause)."""
    return _NON_COMMERCIAL.search(licence) is None
