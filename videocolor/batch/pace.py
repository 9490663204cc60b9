"""How far a batch is, in frames, and how long the rest takes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from videocolor.batch.intake import Film
from videocolor.events import Event, Observer

__all__ = ["Pace"]

_EVERY: Final = 0.5
"""Seconds between two reports."""


class Pace:
    """Counts the frames of open films and tells of them.

    Args:
        films: as they are taken in.
        observer: gets `progress` events with the stage `batch`.
    """

    def __init__(self, films: Sequence[Film], observer: Observer) -> None:
        self._observer = observer
        self._expected = {film.job.name: film.outlook.frames for film in films if film.open}
        self._done = {film.job.name: film.done_frames for film in films if film.open}
        self._before = sum(self._done.values())
        self._began = self._told = time.monotonic()
        self._last = -1

    def expect(self, film: Film, frames: int) -> None:
        """The plan says how long a film is."""
        if film.job.name in self._expected:
            self._expected[film.job.name] = frames

    def set_done(self, film: Film, frames: int) -> None:
        """So many of its frames are in finished shards."""
        if film.job.name in self._done:
            self._done[film.job.name] = frames

    def add(self, film: Film, frames: int) -> None:
        """A shard was finished."""
        if film.job.name in self._done:
            self._done[film.job.name] += frames

    def forget(self, film: Film) -> None:
        """A film failed: its frames are not waited for."""
        self._expected.pop(film.job.name, None)
        self._before -= self._done.pop(film.job.name, 0)

    def tell(self, *, running: int) -> None:
        """Report, if enough time has passed and something has changed; `running`: frames of unfinished shards."""
        now = time.monotonic()
        frames = sum(self._done.values()) + running
        if now - self._told < _EVERY or frames == self._last:
            return
        self._told, self._last = now, frames
        known = [value for value in self._expected.values() if value is not None]
        total = max(frames, sum(known)) if len(known) == len(self._expected) else None
        rate = max(0, frames - self._before) / max(now - self._began, 1e-6)
        eta = None if total is None or rate == 0 else (total - frames) / rate
        data = {"stage": "batch", "frames": frames, "total": total, "fps": round(rate, 2), "eta_s": eta}
        self._observer(Event("progress", data))
