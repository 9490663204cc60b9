"""The film of a project: how it is found again after a move, and recognized after a change."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

from videocolor.errors import InputError
from videocolor.studio.projectdata import FilmRef
from videocolor.video.sequences import sequence_files

__all__ = ["find_film", "is_film", "locate", "refer_to"]

_END: Final = 2**20
"""Bytes that identify a film, at its beginning and at its end."""


def refer_to(film: Path, folder: Path) -> FilmRef:
    """Describe a film for the project in `folder`.

    Raises:
        InputError: it is missing or cannot be read.
    """
    film, folder = film.absolute(), folder.absolute()
    try:
        relative = Path(os.path.relpath(film, folder)).as_posix()
    except ValueError:  # another drive
        relative = ""
    try:
        str(film).encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{str(film)!r}: its name is not UTF-8, which a project needs; rename it") from error
    files = sequence_files(film) or (film,)
    try:
        stats = [file.stat() for file in files]
        ends = _ends(files)
    except OSError as error:
        raise InputError(f"{film}: {error.strerror or error}") from error
    size, changed = sum(s.st_size for s in stats), max(s.st_mtime_ns for s in stats)
    return FilmRef(path=relative, absolute=str(film), bytes=size, mtime_ns=changed, files=len(files), ends=ends)


def _ends(files: tuple[Path, ...]) -> str:
    """Return the sha256 of the first megabyte of the first file and the last megabyte of the last one."""
    digest = hashlib.sha256()
    with files[0].open("rb") as first:
        digest.update(first.read(_END))
    with files[-1].open("rb") as last:
        last.seek(max(0, os.fstat(last.fileno()).st_size - _END))
        digest.update(last.read(_END))
    return digest.hexdigest()


def is_film(ref: FilmRef, film: Path, folder: Path) -> bool:
    """Return whether a file is the film of `ref`: equal size, and equal time or first and last megabyte.

    Raises:
        InputError: it is missing or cannot be read.
    """
    now = refer_to(film, folder)
    if (now.bytes, now.files) != (ref.bytes, ref.files):
        return False
    return now.mtime_ns == ref.mtime_ns or now.ends == ref.ends


def find_film(ref: FilmRef, folder: Path) -> Path:
    """Find the film of a project, by the relative path first, then by the absolute one.

    Raises:
        InputError: it is at neither place, or another film is there; says what to do.
    """
    places = _places(ref, folder)
    found = [place for place in places if place.exists() or _images(place)]
    for place in found:
        if is_film(ref, place, folder):
            return place
    remedy = f"`videocolor studio FILM --project {folder}` tells the project where it is now"
    if found:
        raise InputError(
            f"{found[0]}: is not the film that the project {folder} was made for (it had {ref.bytes} bytes); "
            f"put that film back; {remedy}"
        )
    tried = " nor ".join(map(str, places))
    raise InputError(f"{folder}: its film is {'neither ' if len(places) > 1 else 'not '}at {tried}; {remedy}")


def locate(ref: FilmRef, film: Path | None, folder: Path) -> Path:
    """Find the film of a project at `film`, or by its reference where `film` is None.

    Raises:
        InputError: it is not there, or another film is.
    """
    if film is None:
        return find_film(ref, folder)
    if not is_film(ref, film, folder):
        if film.absolute() in _places(ref, folder):
            raise InputError(
                f"{film}: has changed; the project {folder} was made for a film of {ref.bytes} bytes. Put that film "
                "back, or start another project with --project"
            )
        raise InputError(
            f"{folder}: is the project of {Path(ref.absolute).name}, which {film} is not; name another folder with "
            "--project"
        )
    return film.absolute()


def _places(ref: FilmRef, folder: Path) -> list[Path]:
    """List the paths of a reference: relative to the project, then absolute."""
    relative = [Path(os.path.normpath(folder.absolute() / ref.path))] if ref.path else []
    return list(dict.fromkeys([*relative, Path(ref.absolute)]))


def _images(place: Path) -> tuple[Path, ...] | None:
    """Return the files of a numbered image sequence; None: there are none."""
    try:
        return sequence_files(place)
    except InputError:
        return None
