"""What a run reports while it works: events for an observer, and a log of shots, notes and warnings."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, Literal

from videocolor.errors import Interrupted
from videocolor.files import plain
from videocolor.types import Array, Frame, HintUse, VideoInfo

__all__ = ["Event", "EventKind", "Observer", "RunLog", "ShotRecord", "ignore", "joined"]

logger = logging.getLogger(__name__)
_EVERY: Final = 0.5
"""Seconds between two progress events."""
EventKind = Literal["start", "shot", "progress", "note", "warning", "done"]


@dataclass(frozen=True)
class Event:
    """Something that a watcher of a run wants to know."""

    kind: EventKind
    """`start` (source, target, model, frames, seconds), `shot` (index, start, end, hint, confidence),
    `progress` (frames, total, fps, eta_s), `note` and `warning` (message), `done` (target, frames, seconds, fps)."""
    data: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """`event` and the data, as JSON holds them."""
        return {"event": self.kind, **plain(self.data)}

    def as_json(self) -> str:
        """One line."""
        return json.dumps(self.as_dict(), ensure_ascii=False, allow_nan=False)


Observer = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Ignore an event."""


@dataclass
class ShotRecord:
    """One shot as it was colored."""

    number: int
    start: int
    """Index of its first frame."""
    start_pts: int
    time_base: Fraction
    end: int = 0
    """Exclusive end."""
    hints: list[str] = field(default_factory=list)
    """Names of those that the network received."""
    uses: list[HintUse] = field(default_factory=list)
    """See `videocolor.hints.uses.hints_used`."""
    reuses: int | None = None
    """Number of the earlier shot whose colors it took up."""
    confidence: float | None = None
    """Mean of the network's confidence in its hints, 0..1; None without hints."""
    saturation: float = 1.0
    """Factor on its chroma."""
    _seen: list[float] = field(default_factory=list, repr=False)

    def add(self, last: Frame, confidence: Array | None) -> None:
        """Record a window of frames that ends with `last`."""
        self.end = last.index + 1
        if confidence is not None and confidence.size and (self.hints or self.reuses is not None):
            self._seen.append(float(confidence.mean()))
            self.confidence = sum(self._seen[-64:]) / len(self._seen[-64:])

    def cut(self, following: Frame) -> ShotRecord:
        """End here: the frames from `following` on belong to another shard."""
        self.end = following.index
        return self

    def continued(self, following: Frame) -> ShotRecord:
        """Begin the record of the rest of the shot."""
        start, pts, base = following.index, following.pts, following.time_base
        return replace(self, start=start, start_pts=pts, time_base=base, end=0, confidence=None, _seen=[])

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], time_base: Fraction) -> ShotRecord:
        """Read what `as_dict` returned."""
        reference = data["reuses"]
        place = (data["index"] - 1, data["start"], data["start_pts"], time_base, data["end"])
        reference = None if reference is None else reference - 1
        uses = [HintUse(**use) for use in data.get("uses", ())]
        return cls(*place, list(data["hints"]), uses, reference, data["confidence"], data.get("saturation", 1.0))

    def as_dict(self) -> dict[str, Any]:
        """Plain values; shots are counted from 1 for people."""
        return {
            "index": self.number + 1,
            "start": self.start,
            "end": self.end,
            "start_pts": self.start_pts,
            "start_seconds": float(self.start_pts * self.time_base),
            "hints": list(self.hints),
            "uses": [asdict(use) for use in self.uses],
            "reuses": None if self.reuses is None else self.reuses + 1,
            "confidence": None if self.confidence is None else round(self.confidence, 4),
            "saturation": self.saturation,
        }


class RunLog:
    """Collects shots, warnings and counts; the observer hears of each, one at a time.

    Args:
        observer: receives events.
        cancel: ends the run when it is set, at the next frame that is counted.
    """

    def __init__(self, observer: Observer, cancel: threading.Event | None = None) -> None:
        self.frames, self._cancel = 0, cancel
        self.shots: list[ShotRecord] = []
        self._parts: dict[int, list[dict[str, Any]]] = {}
        self.warnings: list[str] = []
        self.notes: list[str] = []
        self.reproduced: set[int] = set()
        """Indices of frames that a hint was reproduced at."""
        self.observer = observer
        self._lock = threading.RLock()  # stages run in threads of their own
        self._began = self._told = time.monotonic()
        self._sources: set[str] = set()

    def go_on(self) -> None:
        """Raise Interrupted where the caller has cancelled the run."""
        if self._cancel is not None and self._cancel.is_set():
            raise Interrupted("cancelled; what is finished stays, and the same call goes on from there")

    def _emit(self, kind: EventKind, **data: Any) -> None:
        with self._lock:
            self.observer(Event(kind, data))

    def warn(self, *messages: str) -> None:
        """Say something once."""
        for message in messages:
            with self._lock:
                if message in self.warnings:
                    continue
                self.warnings.append(message)
            logger.warning("%s", message)
            self._emit("warning", message=message)

    def note(self, *messages: str) -> None:
        """Say something that is no cause for worry: what was assumed, what format was chosen."""
        for message in messages:
            self.notes.append(message)
            logger.info("%s", message)
            self._emit("note", message=message)

    def start(self, source: Path, target: Path, model: str, total: int | None, info: VideoInfo) -> None:
        """Report that coloring begins."""
        self._began = self._told = time.monotonic()
        seconds = None if info.duration is None else float(info.duration)
        self._emit("start", source=source, target=target, model=model, frames=total, seconds=seconds)

    def scan_progress(self, done: int, total: int | None) -> None:
        """Frames of the first pass."""
        self._progress(done, total, "shots")

    def stage_done(self, stage: str, done: int, total: int | None) -> None:
        """So much of another stage is done."""
        self._progress(done, total, stage)

    def frame_done(self, total: int | None) -> None:
        """One more frame was written."""
        self.frames += 1
        self._progress(self.frames, total, "color")

    def frames_done(self, frames: int, total: int | None, before: int = 0) -> None:
        """Report how many frames are written, `before` of them by an earlier run."""
        self.frames = frames
        self._progress(frames, total, "color", before)

    def _progress(self, done: int, total: int | None, stage: str, before: int = 0) -> None:
        self.go_on()
        now = time.monotonic()
        if now - self._told < _EVERY and done != total:
            return
        self._told = now
        rate = (done - before) / max(now - self._began, 1e-6)
        eta = None if total is None else max(0, total - done) / max(rate, 1e-6)
        self._emit("progress", stage=stage, frames=done, total=total, fps=round(rate, 2), eta_s=eta)

    def note_source(self, kind: str, kept: bool) -> None:
        """Say once what color the source has and what becomes of it."""
        if kind != "none" and kind not in self._sources:
            self._sources.add(kind)
            what = "is tinted (one hue)" if kind == "tint" else "is already in color in places"
            fate = "kept, as asked" if kept else "replaced; chroma.keep_source=true keeps it"
            self.warn(f"the source {what}: its chroma is {fate}")

    @property
    def coloring_seconds(self) -> float:
        """Seconds since the coloring began."""
        return time.monotonic() - self._began

    def shot_done(self, record: ShotRecord, *, goes_on: bool = False) -> None:
        """Report that a shot is colored, once for all its parts.

        Args:
            record: of the shot, or of its part in a shard.
            goes_on: another part follows, in the next shard.
        """
        with self._lock:
            parts = self._parts.setdefault(record.number, [])
            parts.append(record.as_dict())
            if goes_on:
                return
            del self._parts[record.number]
            self.shots.append(record)
        self._emit("shot", **joined(parts)[0])

    def done(self, target: Path, seconds: float) -> None:
        """Report that the film has its final name."""
        rate = self.frames / max(seconds, 1e-6)
        self._emit("done", target=target, frames=self.frames, seconds=round(seconds, 3), fps=round(rate, 2))


def joined(parts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One entry a shot, in order; the parts of a shot that was cut into shards become one."""
    shots: list[dict[str, Any]] = []
    for part in sorted(parts, key=lambda part: (part["index"], part["start"])):
        if not shots or shots[-1]["index"] != part["index"]:
            shots.append(dict(part))
            continue
        known = [(p["end"] - p["start"], p["confidence"]) for p in (shots[-1], part) if p["confidence"] is not None]
        weight = sum(length for length, _ in known)
        shots[-1]["confidence"] = round(sum(n * c for n, c in known) / weight, 4) if weight else None
        shots[-1]["end"] = part["end"]
    return shots
