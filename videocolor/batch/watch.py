"""What watches a run from outside: a log with rotation, a heartbeat file, a command or webhook at the end.

None of them can cost a film: what fails is logged as a warning.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import os
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from videocolor.batch.settings import RunSettings
from videocolor.errors import OutputError, UsageError
from videocolor.files import disk_errors, write_atomically
from videocolor.version import __version__

__all__ = ["Heartbeat", "batch_log", "call_hooks", "check_hooks"]

_BEAT: Final = 10.0
"""Seconds between two heartbeats."""
_SAID: Final = 500
"""Letters of a command's output that are logged."""
_log = logging.getLogger(__name__)


@contextlib.contextmanager
def batch_log(folder: Path, settings: RunSettings) -> Iterator[logging.Logger]:
    """Open the log of all runs, `OUT/.videocolor/batch.log`; videocolor's own warnings go there, too.

    Raises:
        OutputError: it cannot be written.
    """
    path = folder / "batch.log"
    with disk_errors(path):
        folder.mkdir(parents=True, exist_ok=True)
        handler = RotatingFileHandler(
            path, maxBytes=round(settings.log_mb * 1e6), backupCount=settings.log_files, encoding="utf-8"
        )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log = logging.Logger("batch", logging.INFO)
    log.addHandler(handler)
    ours = logging.getLogger("videocolor")
    ours.addHandler(warnings := _AtLeast(handler))
    try:
        yield log
    finally:
        ours.removeHandler(warnings)
        handler.close()


class _AtLeast(logging.Handler):
    """Passes warnings and errors on."""

    def __init__(self, to: logging.Handler) -> None:
        super().__init__(logging.WARNING)
        self._to = to

    def emit(self, record: logging.LogRecord) -> None:
        """Pass it on."""
        self._to.handle(record)


class Heartbeat:
    """A file that is written every ten seconds while a run works; use it in a `with` block.

    It is JSON: `state` (working, waiting, ended), `time` of this beat and `turn` of the driver's loop in UTC, process,
    machine, films by state. A `time` that is old is a dead process, a `turn` that is old a driver that hangs, or that
    reads a large source.

    Args:
        path: the file.
        facts: returns what else to say; called in a thread of its own.

    Raises:
        OutputError: the file cannot be written at the start.
    """

    def __init__(self, path: Path, facts: Callable[[], Mapping[str, Any]]) -> None:
        self._path, self._facts = path, facts
        self._turn = time.time()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def turn(self) -> None:
        """Note that the driver is alive."""
        self._turn = time.time()

    def _write(self, **more: Any) -> None:
        data = {
            "state": "working",
            "time": _utc(time.time()),
            "turn": _utc(self._turn),
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "videocolor": __version__,
            **self._facts(),
            **more,
        }
        write_atomically(self._path, json.dumps(data, ensure_ascii=False) + "\n")

    def _beat(self) -> None:
        failed = False
        while not self._over.wait(_BEAT):
            try:
                self._write()
                failed = False
            except OutputError as error:
                if not failed:
                    _log.warning("heartbeat: %s", error)
                failed = True

    def __enter__(self) -> Heartbeat:
        with disk_errors(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
        self._write()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._over.set()
        self._thread.join()
        with contextlib.suppress(OutputError):  # the run's own end counts
            self._write(state="ended", error=None if error is None else str(error) or type(error).__name__)


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


# ---- hooks ----------------------------------------------------------------------------------------------------------


def check_hooks(settings: RunSettings) -> None:
    """Check before a run that its webhook can be called.

    Raises:
        UsageError: the address is none, or the variable that holds it is not set.
    """
    if settings.webhook is not None:
        _address(settings.webhook)


def _address(webhook: str) -> str:
    """Return the address, from the environment for `env:NAME`: such addresses are secrets."""
    kind, _, name = webhook.partition(":")
    address = os.environ.get(name, "") if kind == "env" else webhook
    try:
        parts = urlsplit(address)
        right = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and "@" not in parts.netloc
    except ValueError:  # brackets, or a port that is no number
        right = False
    if not right:
        name = webhook if kind == "env" else "it"
        raise UsageError(f"run.webhook: {name} is no address http(s)://HOST... (without user and password)")
    return address


def call_hooks(settings: RunSettings, summary: Mapping[str, Any]) -> list[str]:
    """Run the command and call the webhook at the end of a run; both get the summary as JSON.

    The command is run without a shell, and gets it on stdin.

    Returns:
        What failed, in words.
    """
    text = json.dumps(summary, ensure_ascii=False).encode()
    failed = []
    if settings.hook and (problem := _run(settings.hook, text, settings.hook_seconds)):
        failed.append(f"run.hook: {problem}")
    if settings.webhook is not None and (problem := _post(settings.webhook, text, settings.hook_seconds)):
        failed.append(f"run.webhook: {problem}")
    return failed


def _run(words: tuple[str, ...], text: bytes, seconds: float) -> str | None:
    try:
        done = subprocess.run(words, input=text, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return f"{words[0]} was ended after {seconds:g} s (run.hook_seconds)"
    except OSError as error:
        return f"{words[0]} cannot be run: {error.strerror or error}"
    said = (done.stderr or done.stdout).decode(errors="replace").strip()[-_SAID:]
    return None if done.returncode == 0 else f"{words[0]} ended with {done.returncode}{said and f': {said}'}"


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirection: the summary goes to the address that was given, or nowhere."""

    def redirect_request(self, *_: Any) -> None:
        """Refuse."""


def _post(webhook: str, text: bytes, seconds: float) -> str | None:
    """Post JSON; messages name the host alone."""
    try:
        address = _address(webhook)
        request = urllib.request.Request(address, text, {"Content-Type": "application/json"}, method="POST")
        with urllib.request.build_opener(_Stay).open(request, timeout=seconds):
            return None
    except urllib.error.HTTPError as error:
        return f"{urlsplit(error.url).hostname} answered {error.code}"
    except UsageError as error:
        return str(error)
    except (OSError, ValueError, http.client.HTTPException) as error:
        return f"{urlsplit(_address(webhook)).hostname}: {getattr(error, 'reason', None) or type(error).__name__}"
