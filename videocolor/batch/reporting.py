"""What the driver reports: a log file per film, events for the observer, the batch's status for `batch status`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

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


class Reporter:
    """Reports on the reels of a run.

    Args:
        out: the output folder.
        reels: their state is read at each report.
        earlier: films of earlier runs, in the batch's order; reels replace those of their names, or follow.
        observer: gets warnings, finished films, and `progress` of the stage `batch`.

    Raises (every method):
        OutputError: a file cannot be written.
    """

    def __init__(self, out: Path, reels: Sequence[Reel], earlier: Sequence[FilmStatus], observer: Observer) -> None:
        self._out, self._reels, self._earlier, self._observer = out, reels, earlier, observer
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

    def inspected(self, count: int) -> None:
        """Report progress of the stage `reels`: opening a thousand reels takes a minute."""
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
        films = {film.name: film for film in self._earlier} | {reel.name: reel.status() for reel in self._reels}
        write_status(self._out, list(films.values()), self._fps, self._eta)

    def end(self) -> None:
        """Report that nothing runs any more."""
        for reel in self._reels:
            reel.stage, reel.runs = "", []
        self.write()
