"""How a batch stands: a table for people, plain values for programs; reads the ledger, never writes it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from videocolor.batch.ledger import FilmRow, Ledger
from videocolor.batch.lock import Holder, lock_holder
from videocolor.batch.state import state_folder
from videocolor.files import plain

__all__ = ["BatchStatus", "batch_status"]

_SILENT: Final = 60.0
"""Seconds after which a worker that says nothing is mentioned."""
_RANK: Final = {"running": 0, "failed": 1, "planned": 2, "done": 3}


@dataclass(frozen=True)
class BatchStatus:
    """How a batch stands at a moment."""

    out: Path
    driver: Holder | None
    """Who works on it; None: nobody."""
    films: tuple[FilmRow, ...]
    fps: float | None
    """Frames a second of all workers together since the driver began; None: nothing was coloured yet."""
    eta_s: float | None
    """Seconds to the end, as far as it can be told."""
    now: float
    """Seconds of the epoch."""

    @property
    def counts(self) -> dict[str, int]:
        """Films by state."""
        found = Counter(film.state for film in self.films)
        return {state: found[state] for state in ("planned", "running", "done", "failed")}

    @property
    def frames(self) -> tuple[int, int | None]:
        """Frames that are done and frames in all; None: some film's length is not known."""
        lengths = [film.frames for film in self.films if film.state != "failed"]
        done = sum(film.frames_done for film in self.films if film.state != "failed")
        return done, None if None in lengths else sum(length or 0 for length in lengths)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        done, total = self.frames
        data = {
            "out": self.out,
            "driver": None if self.driver is None else asdict(self.driver),
            "films": self.counts,
            "frames": done,
            "total": total,
            "fps": self.fps,
            "eta_s": self.eta_s,
            "table": [{**asdict(film), "fps": _fps(film), "eta_s": _eta(film)} for film in self.films],
        }
        return dict(plain(data))

    def lines(self, most: int | None = None) -> list[str]:
        """The same for people: a summary, then a line a film, those at work and those that failed first.

        Args:
            most: lines at most; None: a line for every film.
        """
        ordered = sorted(self.films, key=lambda film: _RANK[film.state])  # stable: within a state as listed
        shown = ordered if most is None else ordered[: max(1, most - 5)]
        rows: list[tuple[str, ...]] = [("film", "state", "shards", "frames", "frames/s", "left", "")]
        rows += [self._row(film) for film in shown]
        widths = [max(len(row[i]) for row in rows) for i in range(6)]
        lines = [self._summary(), self._who(), ""]
        for row in rows:
            cells = [row[0].ljust(widths[0]), row[1].ljust(widths[1])]
            cells += [row[i].rjust(widths[i]) for i in range(2, 6)]
            lines.append("  ".join([*cells, row[6]]).rstrip())
        if len(shown) < len(ordered):
            rest = Counter(film.state for film in ordered[len(shown) :])
            lines.append("and " + ", ".join(f"{count} {state}" for state, count in rest.items()))
        return lines

    def _summary(self) -> str:
        done, total = self.frames
        counts = ", ".join(f"{count} {state}" for state, count in self.counts.items() if count)
        line = f"{self.out}: {len(self.films)} films: {counts or 'none'}; {done:,} of {total or 0:,} frames"
        if total is None:
            line = f"{self.out}: {len(self.films)} films: {counts or 'none'}; {done:,} frames"
        if self.fps is not None:
            line += f", {self.fps:.1f} frames/s"
        return line + (f", {span(self.eta_s)} left" if self.eta_s is not None else "")

    def _who(self) -> str:
        if self.driver is not None:
            return f"at work: {self.driver}, for {span(self.now - self.driver.since)}"
        left = self.counts["planned"] + self.counts["running"]
        return "nobody is working on it" + ("; `videocolor batch run` or `retry` goes on" if left else "")

    def _row(self, film: FilmRow) -> tuple[str, ...]:
        state = film.stage or film.state if film.state == "running" else film.state
        if film.state == "running" and self.driver is None:
            state = "stopped"
        shards = "-" if film.shards is None else f"{film.shards_done}/{film.shards}"
        frames = f"{film.frames_done}/{'?' if film.frames is None else film.frames}"
        rate, eta = _fps(film), _eta(film)
        says = (film.error or "").partition("\n")[0]
        if film.state == "running" and self.driver is not None and film.worker is not None:
            says = film.worker + (f" and {film.workers - 1} more" if film.workers > 1 else "")
            says += f", attempt {film.attempt}" if (film.attempt or 1) > 1 else ""
            quiet = self.now - (film.heartbeat or self.now)
            says += f", silent for {span(quiet)}" if quiet > _SILENT else ""
        return (
            *(film.name, state, shards, frames, "-" if rate is None else f"{rate:.1f}"),
            *("-" if eta is None else span(eta), says),
        )


def batch_status(out: Path) -> BatchStatus:
    """Read how a batch stands.

    Raises:
        InputError: no batch was run in this folder, or its ledger is damaged.
    """
    with Ledger(out) as ledger:
        films = tuple(ledger.films())
        session = ledger.meta("session")
    driver = lock_holder(state_folder(out))
    now = time.time()
    fps, eta = _pace(films, session, now) if driver is not None else (None, None)
    return BatchStatus(out, driver, films, fps, eta, now)


def _pace(films: Sequence[FilmRow], session: Any, now: float) -> tuple[float | None, float | None]:
    if not isinstance(session, dict):
        return None, None
    frames = sum(film.frames_done for film in films) - session["frames"]
    elapsed = now - session["began"]
    if frames <= 0 or elapsed <= 0:
        return None, None
    left = [(film.frames, film.frames_done) for film in films if film.state in ("planned", "running")]
    if any(length is None for length, _ in left):
        return frames / elapsed, None
    return frames / elapsed, sum(max(0, (length or 0) - done) for length, done in left) / (frames / elapsed)


def _fps(film: FilmRow) -> float | None:
    """Frames a second of one worker."""
    return film.frames_in_shards / film.seconds if film.seconds > 0 and film.frames_in_shards else None


def _eta(film: FilmRow) -> float | None:
    rate = _fps(film)
    if film.state != "running" or rate is None or film.frames is None:
        return None
    return max(0, film.frames - film.frames_done) / (rate * max(1, film.workers))


def span(seconds: float) -> str:
    """`4 s`, `2:05 min`, `3:20 h`, `2 d 4 h`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    if whole < 86400 * 2:
        return f"{whole // 3600}:{whole % 3600 // 60:02d} h"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"
