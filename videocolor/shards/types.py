"""Values of the work on shards; all of them can be written as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from videocolor.errors import InputError

__all__ = ["EventKind", "FilmJob", "FilmPlan", "PlannedShot", "Shard", "ShardRecord", "Task", "Tell", "WorkEvent"]


@dataclass(frozen=True)
class FilmJob:
    """One film of a batch: what is read, what is written, how."""

    name: str
    """Unique in the batch; a file name without suffix."""
    source: Path
    target: Path
    config: dict[str, Any]
    """The merged configuration, as `ColorizeConfig.as_dict` returns it."""
    folder: Path
    """Working folder of this film alone: plan.yaml, shards, records; `OUT/.videocolor/shards/NAME`."""
    priority: int = 0
    """Films of higher priority are worked on first."""
    catalog: dict[str, str] = field(default_factory=dict)
    """What the archive says of it: id, title, rights, columns of its own."""
    checksums: dict[str, str] = field(default_factory=dict)
    """Algorithm to hexadecimal digest, as the archive knows the source."""

    def as_dict(self) -> dict[str, Any]:
        """Return plain values; `config` is not copied."""
        return vars(self) | {key: str(getattr(self, key)) for key in ("source", "target", "folder")}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> FilmJob:
        """Rebuild what `as_dict` returned; further keys are ignored."""
        values = {item.name: data[item.name] for item in fields(cls) if item.name in data}
        return cls(**values | {key: Path(values[key]) for key in ("source", "target", "folder")})


@dataclass(frozen=True)
class PlannedShot:
    """A shot of the plan; numbers count from 0."""

    index: int
    start: int
    """Index of its first frame."""
    end: int
    """Exclusive end: index after its last frame."""
    start_pts: int
    last_pts: int
    """Time of its last frame."""
    reuses: int | None = None
    """The earlier shot that it reuses."""
    hints: tuple[str, ...] = ()
    """Names of the hints that the network receives, for people."""
    saturation: float | None = None
    """Factor on its chroma, where it is not the film's."""


@dataclass(frozen=True)
class Shard:
    """Frames that one worker colors and writes into one file: complete shots, or part of a very long one."""

    number: int
    """Place in the film, from 0."""
    start: int
    """Index of its first frame."""
    end: int
    """Exclusive end: index after its last frame."""
    start_pts: int
    end_pts: int
    """Time after its last frame, in ticks of the film."""
    first_shot: int
    last_shot: int
    """The shots that it holds frames of, both included."""
    opens_inside: bool
    """It begins inside a shot, from the state that the shard before it has saved."""
    closes_inside: bool
    """It ends inside a shot, and saves its state for the next one."""
    cost: float
    """Expected work, in frames of an automatic shot."""
    key: str
    """Hash of all that its samples follow from: source, pts range, weights, configuration, hints, reused shots."""

    @property
    def frames(self) -> int:
        """How many."""
        return self.end - self.start


@dataclass(frozen=True)
class FilmPlan:
    """A film, cut into shards."""

    film: Path
    sha256: str
    """Of the source; for image sequences of their files' names and digests."""
    frames: int
    time_base: Fraction
    shots: tuple[PlannedShot, ...]
    shards: tuple[Shard, ...]
    hints: tuple[dict[str, Any], ...] = ()
    """How each hint was matched; see `videocolor.shards.plan`."""
    warnings: tuple[str, ...] = ()
    settings: str = ""
    """Hash of the source, the network and the configuration that the plan was made for."""
    decided: str = ""
    """Hash of what shots and the matching of hints depend on; it affects samples through the plan alone."""
    stamp: str = ""
    """Size and time of the source's last change: where they are the same, sha256 is not computed again."""
    offsets: tuple[Fraction, ...] = ()
    """Seconds that were added to the film's times where its clock starts again."""
    repaired: bool = False
    """Some of its times or frames had to be repaired: a seek may lead elsewhere."""


@dataclass(frozen=True)
class ShardRecord:
    """The fact that a shard is done; is beside its file as JSON, written after it."""

    number: int
    key: str
    file: str
    """Name of the shard's file in the film's working folder."""
    sha256: str
    bytes: int
    frames: int
    first_pts: int
    last_pts: int
    seconds: float
    """Wall time that it took."""
    worker: str
    shots: tuple[dict[str, Any], ...] = ()
    """What happened in each shot: hints, confidence (`videocolor.events.ShotRecord.as_dict`)."""
    warnings: tuple[str, ...] = ()
    notes: dict[str, Any] = field(default_factory=dict)
    """Whatever else the record of the film needs: frames at which a hint was reproduced, losses."""

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ShardRecord:
        """Rebuild a record from plain values.

        Raises:
            InputError: it is none.
        """
        try:
            return cls(**{**data, "shots": tuple(data["shots"]), "warnings": tuple(data["warnings"])})
        except (KeyError, TypeError) as error:
            raise InputError(f"the record of a shard cannot be read: {error}") from error


@dataclass(frozen=True)
class Task:
    """Shards of one film that one worker colors consecutively."""

    id: str
    """Unique in a run: film, first shard, attempt."""
    job: dict[str, Any]
    """`FilmJob.as_dict`."""
    shards: tuple[int, ...] | None
    """Consecutive numbers in the film's plan; None: no plan yet, plan and color the entire film."""
    attempt: int = 1
    gpus: float = 0.0
    """Share of a GPU that the task needs; engines without GPUs leave it aside."""


EventKind = Literal["started", "progress", "shard", "planned", "warning", "failed", "done", "lost"]
Tell = Callable[[dict[str, Any]], None]
"""How a worker's function reports: a dictionary with `kind` (progress, shard, planned, warning) and data, plain values.
`shard`: `record`, a ShardRecord as a dictionary. `planned`: the plan file was written. `progress`: `frames` done."""


@dataclass(frozen=True)
class WorkEvent:
    """What an engine reports of a task."""

    kind: EventKind
    """`started` (a worker has it), its reports, then one of `done`, `failed` (data: error, type, permanent)
    or `lost` (the worker is gone: killed, out of memory, its machine lost; data: error)."""
    task: str
    """`Task.id`."""
    worker: str
    """Who: process or node."""
    data: dict[str, Any] = field(default_factory=dict)
