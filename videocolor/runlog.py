"""What happened in a run: told to the observer as it happens, kept for the sidecar."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from videocolor.config import ColorizeConfig
from videocolor.errors import InputError
from videocolor.hints import HintPlan
from videocolor.models.base import Colorizer, ModelCard
from videocolor.prepare import Prepared
from videocolor.report import Event, EventKind, Observer, source_sha256
from videocolor.restoration import steps
from videocolor.sourcecolor import SourceColor
from videocolor.types import Array, Frame, VideoInfo
from videocolor.video import COLOR_LABEL, OutputPlan, sequence_files

if TYPE_CHECKING:
    from videocolor.film import Film

__all__ = [
    "Fixity",
    "RunLog",
    "ShotRecord",
    "describe",
    "describe_hints",
    "describe_model",
    "describe_run",
    "joined",
    "timing",
]

logger = logging.getLogger(__name__)
_EVERY: Final = 0.5
"""Seconds between two progress events."""


@dataclass
class ShotRecord:
    """One shot as it was coloured."""

    number: int
    start: int
    """Index of its first frame."""
    start_pts: int
    time_base: Fraction
    end: int = 0
    """Index behind its last frame."""
    hints: list[str] = field(default_factory=list)
    returns_to: int | None = None
    """Number of the earlier shot whose colours it took up."""
    confidence: float | None = None
    """Mean of the network's confidence in its hints, 0..1; None without hints."""
    saturation: float = 1.0
    """Factor on its chroma."""
    _seen: list[float] = field(default_factory=list, repr=False)

    def add(self, window: Sequence[Prepared], confidence: Array | None) -> None:
        """Take note of a window of frames."""
        self.end = window[-1].frame.index + 1
        if confidence is not None and confidence.size and (self.hints or self.returns_to is not None):
            self._seen.append(float(confidence.mean()))
            self.confidence = sum(self._seen[-64:]) / len(self._seen[-64:])

    def cut(self, following: Frame) -> ShotRecord:
        """End here: the frames from `following` on belong to another shard."""
        self.end = following.index
        return self

    def continued(self, following: Frame) -> ShotRecord:
        """A record of the same shot from a frame on."""
        begin = (following.index, following.pts, following.time_base)
        saturation = self.saturation
        return ShotRecord(
            self.number, *begin, hints=list(self.hints), returns_to=self.returns_to, saturation=saturation
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], time_base: Fraction) -> ShotRecord:
        """What `as_dict` made."""
        lender = data["returns_to"]
        place = (data["index"] - 1, data["start"], data["start_pts"], time_base, data["end"])
        lender = None if lender is None else lender - 1
        return cls(*place, list(data["hints"]), lender, data["confidence"], data.get("saturation", 1.0))

    def as_dict(self) -> dict[str, Any]:
        """Plain values; shots are counted from 1 for people."""
        return {
            "index": self.number + 1,
            "start": self.start,
            "end": self.end,
            "start_pts": self.start_pts,
            "start_seconds": float(self.start_pts * self.time_base),
            "hints": list(self.hints),
            "returns_to": None if self.returns_to is None else self.returns_to + 1,
            "confidence": None if self.confidence is None else round(self.confidence, 4),
            "saturation": self.saturation,
        }


class RunLog:
    """Collects shots, warnings and counts; the observer hears of each, one at a time."""

    def __init__(self, observer: Observer) -> None:
        self.frames = 0
        self.shots: list[ShotRecord] = []
        self.warnings: list[str] = []
        self.notes: list[str] = []
        self.reproduced: set[int] = set()
        """Indices of frames that a hint was reproduced at."""
        self.observer = observer
        self._lock = threading.RLock()  # stages run in threads of their own
        self._began = self._told = time.monotonic()
        self._sources: set[SourceColor] = set()

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

    def start(self, source: Path, target: Path, card: ModelCard, total: int | None, info: VideoInfo) -> None:
        """The colouring begins."""
        self._began = self._told = time.monotonic()
        seconds = None if info.duration is None else float(info.duration)
        self._emit("start", source=source, target=target, model=card.name, frames=total, seconds=seconds)

    def survey_progress(self, done: int, total: int | None) -> None:
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
        """So many frames were written by now, `before` of them by an earlier run."""
        self.frames = frames
        self._progress(frames, total, "color", before)

    def _progress(self, done: int, total: int | None, stage: str, before: int = 0) -> None:
        now = time.monotonic()
        if now - self._told < _EVERY and done != total:
            return
        self._told = now
        rate = (done - before) / max(now - self._began, 1e-6)
        eta = None if total is None else max(0, total - done) / max(rate, 1e-6)
        self._emit("progress", stage=stage, frames=done, total=total, fps=round(rate, 2), eta_s=eta)

    def note_source(self, kind: SourceColor, kept: bool) -> None:
        """Say once what colour the source has and what becomes of it."""
        if kind != "none" and kind not in self._sources:
            self._sources.add(kind)
            what = "is tinted (one hue)" if kind == "tint" else "is already in colour in places"
            fate = "kept, as asked" if kept else "replaced; chroma.keep_source=true keeps it"
            self.warn(f"the source {what}: its chroma is {fate}")

    @property
    def coloring_seconds(self) -> float:
        """Seconds since the colouring began."""
        return time.monotonic() - self._began

    def shot_done(self, record: ShotRecord) -> None:
        """A shot is coloured."""
        with self._lock:
            self.shots.append(record)
        self._emit("shot", **record.as_dict())

    def done(self, target: Path, seconds: float) -> None:
        """The film stands under its final name."""
        rate = self.frames / max(seconds, 1e-6)
        self._emit("done", target=target, frames=self.frames, seconds=round(seconds, 3), fps=round(rate, 2))


class Fixity:
    """sha256 of the source, read in a thread of its own while the film is coloured.

    Known before the result gets its final name, so that no film ever stands there without its record
    because somebody lost patience with a hash.
    """

    def __init__(self, source: Path) -> None:
        self._digest = ""
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._read, args=(source,), name="sha256", daemon=True)
        self._thread.start()

    def _read(self, source: Path) -> None:
        try:
            self._digest = source_sha256(source, sequence_files(source))
        except OSError as error:
            self._error = error

    def result(self) -> str:
        """Hexadecimal digest; see `source_sha256`.

        Raises:
            InputError: the source could not be read to its end.
        """
        self._thread.join()
        if self._error is not None:
            raise InputError(f"the source cannot be read for its sha256: {self._error}") from self._error
        return self._digest


def describe_run(film: Film, sha256: str, elapsed: float) -> dict[str, Any]:
    """The record that lies beside an output as `OUTPUT.json`, of a film that was coloured in one go.

    Args:
        film: coloured.
        sha256: of its source.
        elapsed: seconds since the run began.
    """
    log = film.log
    return describe(
        film.source,
        sha256,
        film.config,
        film.info,
        film.plan,
        model=describe_model(film.colorizer),
        shots=[shot.as_dict() for shot in log.shots],
        hints=describe_hints(film.hints, log.reproduced),
        frames=log.frames,
        notes=log.notes,
        warnings=log.warnings,
        took=timing(log.frames, log.coloring_seconds, elapsed),
    )


def describe_model(colorizer: Colorizer) -> dict[str, Any]:
    """The card, and what executes the network."""
    runtime = getattr(getattr(colorizer, "runtime", None), "name", None)
    return {"card": colorizer.card.as_dict(), "runtime": runtime}


def describe_hints(hints: HintPlan, reproduced: Collection[int]) -> list[dict[str, Any]]:
    """What became of each hint that was used; `reproduced`: frames at which a hint was reproduced."""
    return [
        {
            "name": planned.hint.name,
            "time": None if planned.hint.time is None else float(planned.hint.time),
            "frame": planned.frame,
            "assigned": planned.assigned,
            "reproduced": planned.frame in reproduced,
            "shots": {str(number + 1): round(like, 3) for number, like in planned.shots.items()},
        }
        for planned in hints.hints
    ]


def describe(
    source: Path,
    sha256: str,
    config: ColorizeConfig,
    info: VideoInfo,
    plan: OutputPlan,
    *,
    model: dict[str, Any],
    shots: Sequence[dict[str, Any]],
    hints: Sequence[dict[str, Any]],
    frames: int,
    notes: Sequence[str],
    warnings: Sequence[str],
    took: dict[str, Any],
) -> dict[str, Any]:
    """The record of a film; `shots` as `ShotRecord.as_dict`, parts of one shot joined; `took`: see `timing`."""
    from videocolor import __version__

    return {
        "videocolor": __version__,
        "source": {"path": source, "sha256": sha256},
        "label": COLOR_LABEL,
        "model": model["card"],
        "runtime": model["runtime"],
        "config": config.as_dict(),
        "restored": list(steps(config.restoration)),
        "assumed_color": {
            "matrix": info.color.matrix,
            "range": info.color.range,
            "primaries": info.color.primaries,
            "transfer": info.color.transfer,
            "assumed": info.color.assumed,
        },
        "output": {"container": plan.container, "codec": plan.codec, "pix_fmt": plan.pix_fmt, "left_out": plan.dropped},
        "frames": frames,
        "shots": joined(shots),
        "hints": list(hints),
        "notes": list(notes),
        "warnings": list(warnings),
        "timing": took,
    }


def timing(frames: int, work: float, elapsed: float | None, workers: int = 1) -> dict[str, Any]:
    """How long a film took.

    Args:
        frames: that were coloured in this time.
        work: seconds of colouring and joining, of all workers together, in all runs that the film took.
        elapsed: seconds of the run that finished it, from its start to the writing of the record; None where several
            films were worked on at once.
        workers: processes that had a part in it.
    """
    return {
        "elapsed_seconds": None if elapsed is None else round(elapsed, 3),
        "work_seconds": round(work, 3),
        "frames": frames,
        "workers": workers,
    }


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
