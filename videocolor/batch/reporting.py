"""What the driver reports: a log file per film, events for the observer, the batch's status for `batch status`."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from videocolor.batch.receipts import Receipt
from videocolor.batch.reel import Reel
from videocolor.batch.state import state_folder
from videocolor.batch.status import FilmStatus, write_status
from videocolor.events import Event, Observer
from videocolor.files import disk_errors

__all__ = ["Reporter", "log_path"]

_PROGRESS_SECONDS: Final = 0.5
_STATUS_SECONDS: Final = 1.0


def log_path(out: Path, name: str) -> Path:
    """Return the path of a film's log."""
    return state_folder(out) / "logs" / f"{name}.log"


def _nothing() -> None:
    """Do nothing."""


class Reporter:
    """Reports on the reels of a run.

    Args:
        out: the output folder.
        reels: their state is read at each report.
        earlier: films of earlier runs, in the batch's order; reels replace those of their names, or follow.
        observer: gets warnings, finished films, and `progress` of the stage `batch`.
        log: of the batch; gets every line of the films' logs. None: only these are written.

    Raises (every method):
        OutputError: a file cannot be written.
    """

    waiting: str | None = None
    """Why no work is handed out now."""

    def __init__(
        self,
        out: Path,
        reels: Sequence[Reel],
        earlier: Sequence[FilmStatus],
        observer: Observer,
        log: logging.Logger | None = None,
    ) -> None:
        self._out, self._reels, self._earlier, self._observer = out, reels, earlier, observer
        self._log = log or logging.Logger("none")
        self.turned: Callable[[], None] = _nothing
        """Called at each report of progress, so that a heartbeat knows of it."""
        self._warned: dict[str, set[str]] = {}
        self._began = self._progressed = self._reported = time.monotonic()
        self._before: dict[str, int] = {}
        self._frames = -1
        self._fps: float | None = None
        self._eta: float | None = None
        folder = log_path(out, "x").parent
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)

    # ---- films --------------------------------------------------------------------------------------------------

    def note(self, film: str, kind: str, text: str, detail: str = "") -> None:
        """Write to a film's log; `detail`: further lines."""
        path = log_path(self._out, film)
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        with disk_errors(path), path.open("a", encoding="utf-8") as file:
            file.write(f"{stamp} {kind}: {text}\n" + (f"{detail.rstrip()}\n" if detail else ""))
        level = logging.WARNING if kind in ("warning", "failed", "lost") else logging.INFO
        with disk_errors(path):
            self._log.log(level, "%s: %s: %s", film, kind, text)

    def warn(self, film: str, text: str) -> None:
        """Write to a film's log and tell the observer; the same text once per film."""
        warned = self._warned.setdefault(film, set())
        if text in warned:
            return
        warned.add(text)
        self.note(film, "warning", text)
        self._observer(Event("warning", {"message": f"{film}: {text}", "film": film}))

    def done(self, receipt: Receipt) -> None:
        """Report a finished film."""
        self._warned.pop(receipt.name, None)
        target = self._out / receipt.target
        self.note(receipt.name, "done", f"{target}, {receipt.frames} frames, sha256 {receipt.sha256}")
        rate = receipt.frames / max(receipt.seconds, 1e-6)
        data = {"target": str(target), "frames": receipt.frames, "seconds": round(receipt.seconds, 3)}
        self._observer(Event("done", {**data, "fps": round(rate, 2), "film": receipt.name}))

    # ---- the batch ----------------------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        """Write something about the batch as a whole to its log."""
        with disk_errors(self._out):
            self._log.info("%s", text)

    def alert(self, text: str) -> None:
        """Warn of something about the batch as a whole."""
        with disk_errors(self._out):
            self._log.warning("%s", text)
        self._observer(Event("warning", {"message": text}))

    def wait(self, why: str | None) -> None:
        """Report that no work is handed out, and why, or that it is again."""
        if why != self.waiting:
            self.waiting = why
            self.say(why or "work goes on")
            self._observer(Event("note", {"message": why or "work goes on"}))
            self.write()

    def facts(self) -> dict[str, Any]:
        """Return what a heartbeat says: state, films by state."""
        states = Counter(reel.status().state for reel in self._reels)
        return {"state": "waiting" if self.waiting else "working", "waiting": self.waiting, "films": dict(states)}

    def inspected(self, count: int) -> None:
        """Report progress of the stage `reels`: opening a thousand reels takes a minute."""
        self.turned()
        data = {"stage": "reels", "frames": count, "total": len(self._reels), "fps": None, "eta_s": None}
        self._observer(Event("progress", data))

    def begin(self) -> None:
        """Start to measure; frames done before do not count."""
        self._began = time.monotonic()
        self._before = {reel.name: reel.frames_done for reel in self._reels if reel.open}
        self.write()

    def progress(self) -> None:
        """Report progress and status if enough time has passed."""
        now = time.monotonic()
        self.turned()
        if now - self._progressed >= _PROGRESS_SECONDS:
            self._progressed = now
            self._measure(now)
        if now - self._reported >= _STATUS_SECONDS:
            self.write()

    def _measure(self, now: float) -> None:
        counted = [reel for reel in self._reels if reel.name in self._before and reel.error is None]
        frames = sum(reel.frames_done + reel.running_frames for reel in counted)
        if frames == self._frames:
            return
        self._frames = frames
        lengths = [reel.length for reel in counted]
        total = None if None in lengths else max(frames, sum(length or 0 for length in lengths))
        new = max(0, frames - sum(self._before[reel.name] for reel in counted))
        rate = new / max(now - self._began, 1e-6)
        self._fps = rate or None
        self._eta = None if total is None or rate == 0 else (total - frames) / rate
        data = {"stage": "batch", "frames": frames, "total": total, "fps": round(rate, 2), "eta_s": self._eta}
        self._observer(Event("progress", data))

    def write(self) -> None:
        """Report the status now."""
        self._reported = time.monotonic()
        write_status(self._out, self.films(), self._fps, self._eta, self.waiting)

    def films(self) -> list[FilmStatus]:
        """Return the state of all films, those of earlier runs among them."""
        films = {film.name: film for film in self._earlier} | {reel.name: reel.status() for reel in self._reels}
        return list(films.values())

    def end(self) -> None:
        """Report that nothing runs any more."""
        self.waiting = None
        for reel in self._reels:
            reel.stage, reel.runs = "", []
        self.write()
