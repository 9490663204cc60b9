"""A lock so that one driver at a time works on an output folder; it ends with its holder."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from videocolor.errors import UsageError
from videocolor.files import disk_errors

if sys.platform != "win32":
    import fcntl

__all__ = ["DriverLock", "Holder", "lock_holder"]

_FRESH_SECONDS: Final = 120.0
"""Age up to which claims of other machines count, where the file system shares no locks between machines."""


@dataclass(frozen=True)
class Holder:
    """The process that drives a batch."""

    pid: int
    host: str
    since: float
    """Seconds of the epoch."""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


class DriverLock:
    """Held while a driver works; the system frees it when the process ends, however it ends.

    The file also names its holder, and `refresh` renews its time, so that a driver on another machine is noticed even
    where the file system shares no locks between machines.

    Args:
        folder: `OUT/.videocolor`; made if missing.

    Raises:
        UsageError: another driver works on this folder.
        OutputError: the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "driver.lock"
        with disk_errors(self.path):
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            self._take(folder)
            self._write({"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()})
        except BaseException:
            os.close(self._file)
            raise
        self._renewed = time.monotonic()

    def _take(self, folder: Path) -> None:
        shared = _try_lock(self._file)
        for _ in range(5):
            if shared is not False:
                break
            time.sleep(0.1)  # `status` holds it for a moment to see who works
            shared = _try_lock(self._file)
        holder = _read(self.path)
        if shared is False or (shared is None and holder is not None and _alive(holder, self.path)):
            raise UsageError(f"{folder.parent}: {holder or 'another process'} is working on it; wait, or stop it first")
        if holder is not None and holder.host != socket.gethostname() and _alive(holder, self.path):
            raise UsageError(
                f"{folder.parent}: {holder} worked on it less than {_FRESH_SECONDS:.0f} s ago; "
                f"if that process is gone, remove {self.path}"
            )

    def refresh(self) -> None:
        """Renew the claim; cheap enough for every turn of the driver's loop."""
        now = time.monotonic()
        if now - self._renewed >= _FRESH_SECONDS / 8:
            self._renewed = now
            with contextlib.suppress(OSError):  # a full disk is reported where it costs work
                os.utime(self._file)

    def _write(self, data: dict[str, Any] | None) -> None:
        with disk_errors(self.path):
            os.ftruncate(self._file, 0)
            if data is not None:
                os.lseek(self._file, 0, os.SEEK_SET)
                os.write(self._file, json.dumps(data).encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._write(None)  # the file stays: removing it would race with a driver that has just opened it
        finally:
            os.close(self._file)


def lock_holder(folder: Path) -> Holder | None:
    """Return the driver that works on `OUT/.videocolor` now, if any."""
    path = folder / "driver.lock"
    holder = _read(path)
    if holder is None:
        return None
    try:
        file = os.open(path, os.O_RDWR)
    except OSError:
        return holder if _alive(holder, path) else None
    try:
        free = _try_lock(file)
    finally:
        os.close(file)
    if free is False:
        return holder
    return holder if (free is None or holder.host != socket.gethostname()) and _alive(holder, path) else None


def _try_lock(file: int) -> bool | None:
    """Return whether the lock was free; None if the system has no such locks."""
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EWOULDBLOCK, errno.EACCES, errno.EAGAIN) else None
    return True


def _read(path: Path) -> Holder | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return Holder(int(data["pid"]), str(data["host"]), float(data["since"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None  # no holder, or one that was killed while it wrote


def _alive(holder: Holder, path: Path) -> bool:
    if holder.host != socket.gethostname() or sys.platform == "win32":  # where os.kill(pid, 0) would end the process
        return time.time() - path.stat().st_mtime < _FRESH_SECONDS
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return holder.pid != os.getpid()
