"""`OUT/manifest-sha256.txt`: the sha256 of every file of the finished films, in the format of `sha256sum`.

    cd OUT && sha256sum -c manifest-sha256.txt

Names are relative to OUT. Listed are what `result_files` finds for each film, and the film's receipt; all else in
`OUT/.videocolor` is the driver's working state. A line is written when its film is finished and never mended in
passing: what has changed since is for `batch verify` to say.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from videocolor.errors import InputError
from videocolor.files import file_sha256, write_atomically

__all__ = ["MANIFEST", "Digests", "is_inside", "listed_files", "read_manifest", "result_files", "update_manifest"]

MANIFEST: Final = "manifest-sha256.txt"
_BESIDE: Final = (
    *(".json", ".html", ".c2pa", ".luma.framemd5", ".chroma.framemd5", ".source-luma.framemd5"),
    *(".mediaconch.xml", ".policy.xml", ".qctools.xml.gz", ".mets.xml", ".bag.tar"),
)
"""Record, report, manifest, proofs, reports of other tools, METS and tar, after the film's name."""
_REMEDY: Final = "`videocolor batch accept OUT FILM` writes the lines of a film again, and drops damaged ones"
_ESCAPES: Final = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}
_LINE: Final = re.compile(rb"(\\?)([0-9a-f]{64})  ([^\r\n]+)")
_TEMPORARY: Final = re.compile(rf"\.{re.escape(MANIFEST)}\.[a-z0-9_]{{8}}")
"""Of `write_atomically`."""
_log = logging.getLogger(__name__)
_lock = threading.Lock()
"""Films are merged in several threads."""


def result_files(target: Path) -> Iterator[Path]:
    """Yield the files of a finished film: itself, record, reports, proofs, and those of its package."""
    yield from (path for path in (target, *(Path(f"{target}{end}") for end in _BESIDE)) if path.is_file())
    yield from sorted(path for path in Path(f"{target}.bag").rglob("*") if path.is_file())


def is_inside(name: str) -> bool:
    """Whether a name is relative to the output folder and does not leave it."""
    path = Path(name)
    return bool(path.parts) and not path.anchor and ".." not in path.parts and "\0" not in name


class Digests:
    """sha256 of files, read once however many hard links they have.

    Args:
        known: digests of files that were read just now.
    """

    def __init__(self, known: Mapping[Path, str] | None = None) -> None:
        self._found: dict[tuple[int, int], str] = {}
        for path, digest in (known or {}).items():
            self._found[self._place(path)] = digest

    def of(self, path: Path) -> str:
        """Return the sha256 of a file.

        Raises:
            OSError: it cannot be read.
        """
        place = self._place(path)
        if not place[1] or place not in self._found:  # some file systems do not number files
            self._found[place] = file_sha256(path)
        return self._found[place]

    @staticmethod
    def _place(path: Path) -> tuple[int, int]:
        stat = path.stat()
        return stat.st_dev, stat.st_ino


def read_manifest(out: Path) -> tuple[dict[str, str], list[str]]:
    """Return the sha256 of each listed file, and what is wrong with the manifest; both empty if there is none.

    Raises:
        InputError: it cannot be read.
    """
    entries, problems, _ = _parse(out)
    if (out / MANIFEST).is_symlink():
        problems.append(f"{MANIFEST}: is a link")
    return entries, problems


def _parse(out: Path) -> tuple[dict[str, str], list[str], list[bytes]]:
    """Return what `read_manifest` does, and the lines that are right, as they are written."""
    entries: dict[str, str] = {}
    problems: list[str] = []
    right: list[bytes] = []
    *lines, rest = _read(out).split(b"\n")
    if rest:
        problems.append(f"{MANIFEST}: ends within a line; {_REMEDY}")
    for number, line in enumerate(lines, 1):
        found = _LINE.fullmatch(line)
        name = "" if found is None else _unescaped(os.fsdecode(found[3]), bool(found[1]))
        if found is None or line != _line(name, found[2].decode()):
            wrong = "is damaged"
        elif not is_inside(name):
            wrong = f"{name!r} is outside of the folder"
        elif name in entries:
            wrong = f"repeats {name}"
        else:
            entries[name] = found[2].decode()
            right.append(line)
            continue
        problems.append(f"{MANIFEST}, line {number}: {wrong}; {_REMEDY}")
    return entries, problems, right


def update_manifest(out: Path, gone: Collection[str], new: Mapping[str, str]) -> None:
    """Replace the lines of some files; all other lines stay as they are; damaged ones are dropped, with a warning.

    Args:
        out: the output folder.
        gone: names whose lines are removed.
        new: name to sha256.

    Raises:
        InputError, OutputError: the manifest cannot be read or written.
    """
    lines = [_line(name, digest) for name, digest in new.items()]
    replaced = {_name(_line(name, "0" * 64)) for name in (*gone, *new)}
    with _lock:
        for left in out.glob(f".{MANIFEST}.*"):  # of a run that was killed
            if _TEMPORARY.fullmatch(left.name) and left.is_file():
                left.unlink(missing_ok=True)
        _, problems, right = _parse(out)
        for problem in problems:
            _log.warning("%s: dropped: %s", out, problem.removesuffix(f"; {_REMEDY}"))
        kept = [line for line in right if _name(line) not in replaced]
        write_atomically(out / MANIFEST, b"".join(line + b"\n" for line in sorted((*kept, *lines), key=_name)))


def listed_files(
    out: Path, onerror: Callable[[OSError], None], skipped: Iterable[str] = (".videocolor",)
) -> Iterator[str]:
    """Yield the name of each file and each link of a result folder, hidden ones and the manifest aside.

    `onerror` gets the error of each folder that cannot be read.
    """
    for place, folders, files in os.walk(out, onerror=onerror):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in skipped)
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        for name in sorted((*files, *links)):
            path = (Path(place) / name).relative_to(out).as_posix()
            if not name.startswith(".") and path != MANIFEST:
                yield path


def _read(out: Path) -> bytes:
    try:
        if (out / MANIFEST).exists() and not (out / MANIFEST).is_file():
            raise InputError(f"{out / MANIFEST}: is not a regular file")
        return (out / MANIFEST).read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise InputError(f"{out / MANIFEST}: cannot be read: {error.strerror or error}") from error


def _line(name: str, digest: str) -> bytes:
    escaped = "".join(_ESCAPES.get(letter, letter) for letter in name)
    return os.fsencode(f"{'' if escaped == name else chr(92)}{digest}  {escaped}")


def _name(line: bytes) -> bytes:
    """Return the name in a line as it is written there."""
    return line[67:] if line[:1] == b"\\" else line[66:]


def _unescaped(name: str, escaped: bool) -> str:
    if not escaped:
        return name
    return re.sub(r"\\([\\nr])", lambda found: {"\\": "\\", "n": "\n", "r": "\r"}[found[1]], name)
