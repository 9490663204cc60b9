"""Films that come through a pipe: kept in a file while they are colored, for they are read more than once."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from videocolor.errors import InputError, OutputError, UsageError
from videocolor.files import disk_errors

__all__ = ["STANDARD_INPUT", "is_pipe", "kept"]

STANDARD_INPUT: Final = Path("-")
_CHUNK: Final = 1 << 20


def is_pipe(path: Path) -> bool:
    """Tell whether a path is standard input (`-`), a named pipe or a socket."""
    if path == STANDARD_INPUT:
        return True
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


@contextmanager
def kept(source: Path, target: Path, *, overwrite: bool) -> Iterator[Path]:
    """Write what comes through a pipe into a file beside the target, and remove it at the end.

    Args:
        source: a path of which `is_pipe` is true.
        target: what will be written.
        overwrite: it may exist.

    Yields:
        The file, complete. It has no suffix that FFmpeg could take for the film's own.

    Raises:
        UsageError: standard input is a terminal.
        InputError: nothing came, or the pipe cannot be read.
        OutputError: the target exists, or the disk is full.
    """
    if target.is_file() and not overwrite:
        raise OutputError(f"{target}: exists already; give another name or allow overwriting (--overwrite)")
    file = target.absolute().parent / f".{target.name}.{os.getpid()}.input"
    try:
        with _opened(source) as pipe, disk_errors(file), file.open("wb") as out:
            while chunk := pipe.read(_CHUNK):
                out.write(chunk)
        if file.stat().st_size == 0:
            raise InputError(f"{source}: nothing came through the pipe")
        yield file
    finally:
        file.unlink(missing_ok=True)


@contextmanager
def _opened(source: Path) -> Iterator[IO[bytes]]:
    if source == STANDARD_INPUT:
        if sys.stdin is None or sys.stdin.isatty():
            raise UsageError("-: standard input is a terminal; pipe a film: cat film.mkv | videocolor colorize - OUT")
        yield sys.stdin.buffer
        return
    try:
        pipe = source.open("rb")
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({error.strerror or error})") from error
    with pipe:
        yield pipe
