"""What an operator may change while a batch runs: pause it, close it outside its hours, give it other workers.

    OUT/.videocolor/pause.json      paused, since when and why; stays until `videocolor batch resume`
    OUT/.videocolor/workers.json    another number of workers, for the present run
    OUT/.videocolor/drain           workers end their tasks after the current shard; written by the driver alone

Workers see `drain` on the storage that they share with the driver, whatever engine they belong to.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from videocolor.batch.settings import Hours, RunSettings
from videocolor.engines.settings import EngineSettings
from videocolor.engines.worker import DRAIN
from videocolor.errors import UsageError
from videocolor.files import disk_errors, write_atomically

__all__ = ["Gate", "pause", "paused", "resume", "set_workers"]

_LOOK: Final = 1.0
"""Seconds between two looks at the files."""


def pause(folder: Path, reason: str) -> None:
    """Pause the batch whose working folder this is, also if nothing works on it now."""
    _write(folder / "pause.json", {"date": datetime.now().isoformat(" ", "minutes"), "reason": reason})


def resume(folder: Path) -> None:
    """End a pause.

    Raises:
        UsageError: the batch is not paused.
    """
    if paused(folder) is None:
        raise UsageError(f"{folder.parent}: is not paused")
    with disk_errors(folder):
        (folder / "pause.json").unlink(missing_ok=True)


def paused(folder: Path) -> str | None:
    """Return since when and why a batch is paused; None: it is not."""
    data = _read(folder / "pause.json")
    if data is None:
        return None
    reason = f": {data['reason']}" if data.get("reason") else ""
    return f"paused since {data.get('date', 'some time')}{reason}; `videocolor batch resume` goes on"


def set_workers(folder: Path, workers: int | str) -> None:
    """Give the run that works on a batch another number of workers; `auto`: as `engine.workers`."""
    _write(folder / "workers.json", {"workers": workers})


class Gate:
    """Says whether a run may hand out work, and drains the workers if it may not.

    Args:
        folder: the batch's working folder.
        settings: hours, and how long tasks may take to their next shard.
        engine: as configured.
    """

    def __init__(self, folder: Path, settings: RunSettings, engine: EngineSettings) -> None:
        self._folder, self._engine = folder, engine
        self._hours = None if settings.hours is None else Hours.parse(settings.hours)
        self._patience = float(settings.drain_seconds)
        self._looked, self._why, self._wanted = 0.0, None, None  # type: tuple[float, str | None, Any]
        self._applied: Any = None
        self._since: float | None = None
        with disk_errors(folder):
            (folder / "workers.json").unlink(missing_ok=True)  # of an earlier run
            (folder / DRAIN).unlink(missing_ok=True)

    def closed(self) -> str | None:
        """Return why no work may be handed out now; None: it may."""
        if time.monotonic() - self._looked >= _LOOK or not self._looked:
            self._looked = time.monotonic()
            self._why = paused(self._folder) or self._outside()
            self._wanted = (_read(self._folder / "workers.json") or {}).get("workers")
        return self._why

    def _outside(self) -> str | None:
        now = datetime.now()
        seconds = 0.0 if self._hours is None else self._hours.opens_in(now)
        return f"waits for run.hours, until {now + timedelta(seconds=seconds):%A %H:%M}" if seconds > 0 else None

    def engine_settings(self) -> EngineSettings:
        """Return the settings of the workers that are started now."""
        self.closed()
        self._applied = self._wanted
        workers = self._wanted
        if not (workers == "auto" or (isinstance(workers, int) and workers > 0)):
            return self._engine
        return self._engine.model_copy(update={"workers": workers})

    def open(self) -> bool:
        """Return whether these workers may get work; if not, they end their tasks after the current shard."""
        if self.closed() is None and self._wanted == self._applied:
            self._undrain()
            return True
        if self._since is None:
            self._since = time.monotonic()
            with disk_errors(self._folder):
                (self._folder / DRAIN).touch()
        return False

    @property
    def overdue(self) -> bool:
        """Whether tasks have taken longer to their next shard than they may."""
        return self._since is not None and time.monotonic() - self._since > self._patience

    def rest(self) -> None:
        """Forget that workers were drained: they are gone."""
        self._undrain()

    def _undrain(self) -> None:
        if self._since is not None:
            self._since = None
            with disk_errors(self._folder):
                (self._folder / DRAIN).unlink(missing_ok=True)


def _write(path: Path, data: Mapping[str, Any]) -> None:
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(data, ensure_ascii=False) + "\n")


def _read(path: Path) -> dict[str, Any] | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
