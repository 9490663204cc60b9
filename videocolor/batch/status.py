"""The status of a batch: a table for people, plain values for programs.

The driver reports to `OUT/.videocolor/status.json`; `batch_status` reads it, and completes it from receipts where the
driver has not reported.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from videocolor.batch.gate import paused
from videocolor.batch.lock import Holder, lock_holder
from videocolor.batch.receipts import Receipt, read_receipt
from videocolor.batch.state import given_up, read_batch, read_file, state_folder
from videocolor.errors import OutputError
from videocolor.files import plain, write_atomically
from videocolor.shards.types import FilmJob

__all__ = ["BatchStatus", "FilmStatus", "State", "batch_status", "span", "write_status"]

State: TypeAlias = Literal["planned", "running", "done", "failed", "given up"]

_SILENT: Final = 60.0
"""Seconds of silence after which a worker's is shown."""
_RANK: Final = {"running": 0, "failed": 1, "planned": 2, "done": 3, "given up": 4}


@dataclass(frozen=True)
class FilmStatus:
    """The state of a film."""

    name: str
    source: Path
    target: Path
    state: State = "planned"
    stage: str = ""
    """What is done with it now: planning, coloring, merging, recoloring; empty: nothing."""
    shards: int | None = None
    """None: not planned yet."""
    shards_done: int = 0
    frames: int | None = None
    """Of the plan, or of the container; None: unknown."""
    frames_done: int = 0
    """Of finished shards, and what workers reported of the others."""
    frames_in_shards: int = 0
    """Of finished shards only."""
    sha256: str | None = None
    """Of the finished film."""
    seconds: float = 0.0
    """Work in its finished shards."""
    error: str | None = None
    workers: int = 0
    """Workers coloring its shards now."""
    worker: str | None = None
    """The worker that reported last."""
    attempt: int | None = None
    heartbeat: float | None = None
    """Time of that worker's last message, in seconds of the epoch."""

    @classmethod
    def of_receipt(cls, job: FilmJob, receipt: Receipt) -> FilmStatus:
        """Return the state of a finished film."""
        return cls(
            *(job.name, job.source, job.target, "done", "", receipt.shards, receipt.shards),
            *(receipt.frames, receipt.frames, receipt.frames, receipt.sha256, receipt.seconds),
        )

    @property
    def fps(self) -> float | None:
        """Frames per second of one worker."""
        return self.frames_in_shards / self.seconds if self.seconds > 0 and self.frames_in_shards else None

    @property
    def eta_s(self) -> float | None:
        """Seconds that coloring still takes."""
        if self.state != "running" or self.fps is None or self.frames is None:
            return None
        return max(0, self.frames - self.frames_done) / (self.fps * max(1, self.workers))


@dataclass(frozen=True)
class BatchStatus:
    """The state of a batch at a moment."""

    out: Path
    driver: Holder | None
    """The process that works on it; None: none."""
    films: tuple[FilmStatus, ...]
    fps: float | None
    """Frames per second of all workers since the driver started; None: nothing colored yet."""
    eta_s: float | None
    """Seconds to the end; None: unknown."""
    now: float
    """Seconds of the epoch."""
    waiting: str | None = None
    """Why no work is handed out, while there is a driver, or would not be: paused, or outside of its hours."""

    @property
    def counts(self) -> dict[str, int]:
        """Films by state."""
        found = Counter[str](film.state for film in self.films)
        return {state: found[state] for state in ("planned", "running", "done", "failed", "given up")}

    @property
    def frames(self) -> tuple[int, int | None]:
        """Frames done, and all frames; None: the length of a film is unknown."""
        lengths = [film.frames for film in self.films if film.state not in ("failed", "given up")]
        done = sum(film.frames_done for film in self.films if film.state not in ("failed", "given up"))
        return done, None if None in lengths else sum(length or 0 for length in lengths)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        done, total = self.frames
        data = {
            "out": self.out,
            "driver": None if self.driver is None else asdict(self.driver),
            "films": self.counts,
            "frames": done,
            "total": total,
            "fps": self.fps,
            "eta_s": self.eta_s,
            "waiting": self.waiting,
            "table": [{**asdict(film), "fps": film.fps, "eta_s": film.eta_s} for film in self.films],
        }
        return dict(plain(data))

    def lines(self, most: int | None = None, width: int | None = None) -> list[str]:
        """Return a summary and a line per film: running and failed ones first.

        Args:
            most: maximum number of lines; None: a line for every film.
            width: maximum number of letters of a line; None: no maximum. Long names are shortened in their middle.
        """
        ordered = sorted(self.films, key=lambda film: _RANK[film.state])  # stable: within a state as listed
        shown = ordered if most is None or len(ordered) + 4 <= most else ordered[: max(1, most - 5)]
        rows: list[tuple[str, ...]] = [("film", "state", "shards", "frames", "frames/s", "left", "")]
        rows += [self._row(film) for film in shown]
        widths = [max(len(row[i]) for row in rows) for i in range(6)]
        if width is not None:
            widths[0] = min(widths[0], max(8, width - sum(widths[1:]) - 10))
        lines = [self._summary(), self._who(), ""]
        for row in rows:
            cells = [_shortened(row[0], widths[0]).ljust(widths[0]), row[1].ljust(widths[1])]
            cells += [row[i].rjust(widths[i]) for i in range(2, 6)]
            lines.append("  ".join([*cells, row[6]]).rstrip())
        if len(shown) < len(ordered):
            rest = Counter(film.state for film in ordered[len(shown) :])
            lines.append("and " + ", ".join(f"{count} {state}" for state, count in rest.items()))
        return lines if width is None else [line[:width] for line in lines]

    def _summary(self) -> str:
        done, total = self.frames
        counts = ", ".join(f"{count} {state}" for state, count in self.counts.items() if count)
        of = "" if total is None else f" of {total:,}"
        line = f"{self.out}: {len(self.films)} films: {counts or 'none'}; {done:,}{of} frames"
        if self.fps is not None:
            line += f", {self.fps:.1f} frames/s"
        return line + (f", {span(self.eta_s)} left" if self.eta_s is not None else "")

    def _who(self) -> str:
        if self.driver is not None:
            who = f"{self.driver}, for {span(self.now - self.driver.since)}"
            return f"at work: {who}" if self.waiting is None else f"{self.waiting} ({who})"
        left = self.counts["planned"] + self.counts["running"]
        if self.waiting is not None:
            return f"nobody is working on it; {self.waiting}"
        return "nobody is working on it" + ("; `videocolor batch run` or `retry` goes on" if left else "")

    def _row(self, film: FilmStatus) -> tuple[str, ...]:
        state = film.stage or film.state if film.state == "running" else film.state
        if film.state == "running" and self.driver is None:
            state = "stopped"
        shards = "-" if film.shards is None else f"{film.shards_done}/{film.shards}"
        frames = f"{film.frames_done}/{'?' if film.frames is None else film.frames}"
        remark = (film.error or "").partition("\n")[0]
        if film.state == "running" and self.driver is not None and film.worker is not None:
            remark = film.worker + (f" and {film.workers - 1} more" if film.workers > 1 else "")
            remark += f", attempt {film.attempt}" if (film.attempt or 1) > 1 else ""
            quiet = self.now - (film.heartbeat or self.now)
            remark += f", silent for {span(quiet)}" if quiet > _SILENT else ""
        return (
            *(film.name, state, shards, frames, "-" if film.fps is None else f"{film.fps:.1f}"),
            *("-" if film.eta_s is None else span(film.eta_s), remark),
        )


def _shortened(name: str, width: int) -> str:
    """Return a name of at most `width` letters: reels of an archive differ at their ends."""
    return name if len(name) <= width else f"{name[: width // 2 - 1]}..{name[len(name) - (width - width // 2 - 1) :]}"


def batch_status(out: Path) -> BatchStatus:
    """Read the status of a batch.

    Raises:
        InputError: no batch was run in this folder, or its list of films is damaged.
    """
    _, jobs = read_batch(out)
    report = read_file(_path(out)) or {}
    try:
        films = [FilmStatus(**_paths(row)) for row in report.get("films", ())]
    except (TypeError, KeyError):  # written by another version
        films = []
    known = {film.name: film for film in films}
    films = [known.get(job.name) or _unreported(out, job) for job in jobs]
    films = [_given_up(out, replace(film, target=job.target)) for film, job in zip(films, jobs, strict=True)]
    driver = lock_holder(state_folder(out))
    fps, eta = (report.get("fps"), report.get("eta_s")) if driver is not None else (None, None)
    waiting = paused(state_folder(out)) or (None if driver is None else report.get("waiting"))
    return BatchStatus(out, driver, tuple(films), fps, eta, time.time(), waiting)


def _paths(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "source": Path(row["source"]), "target": Path(row["target"])}


def _unreported(out: Path, job: FilmJob) -> FilmStatus:
    receipt = read_receipt(out, job.name)
    return FilmStatus(job.name, job.source, job.target) if receipt is None else FilmStatus.of_receipt(job, receipt)


def _given_up(out: Path, film: FilmStatus) -> FilmStatus:
    """Return the state of a film that may have been given up since the last report."""
    why = None if film.state in ("done", "running") else given_up(out, film.name)
    return film if why is None else replace(film, state="given up", error=why)


def idle(film: FilmStatus) -> FilmStatus:
    """Return the state of a film that nobody works on any more."""
    if film.state != "running":
        return film
    frames = film.frames_in_shards
    return replace(
        film, state="planned", stage="", frames_done=frames, workers=0, worker=None, attempt=None, heartbeat=None
    )


def write_status(
    out: Path,
    films: Sequence[FilmStatus],
    fps: float | None = None,
    eta_s: float | None = None,
    waiting: str | None = None,
) -> None:
    """Report the status of a batch.

    Raises:
        OutputError: it cannot be written.
    """
    data = {"fps": fps, "eta_s": eta_s, "waiting": waiting, "films": [vars(film) for film in films]}
    try:
        write_atomically(_path(out), json.dumps(data, ensure_ascii=False, default=str) + "\n")
    except OutputError:
        if os.name != "nt":  # Windows refuses while somebody reads it; the next report follows
            raise


def _path(out: Path) -> Path:
    return state_folder(out) / "status.json"


def span(seconds: float) -> str:
    """Format a time: `4 s`, `2:05 min`, `3:20 h`, `2 d 4 h`."""
    rest = max(0, round(seconds))
    if rest < 60:
        return f"{rest} s"
    if rest < 3600:
        return f"{rest // 60}:{rest % 60:02d} min"
    if rest < 86400 * 2:
        return f"{rest // 3600}:{rest % 3600 // 60:02d} h"
    return f"{rest // 86400} d {rest % 86400 // 3600} h"
