"""The data of a project as frozen values; project.json is their JSON."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import Field, JsonValue, ValidationError, field_validator

from videocolor.config import Bool, ColorizeConfig, Int, MarkConfig, Number, Section
from videocolor.errors import ConfigError, UsageError

__all__ = [
    "FORMAT",
    "HINT_SUFFIXES",
    "FilmRef",
    "HintKind",
    "Point",
    "ProjectData",
    "ProjectHint",
    "ShotSettings",
    "State",
    "checked",
    "checked_settings",
    "explain",
    "next_hint_id",
    "read_json",
]

FORMAT: Final = 1
HINT_SUFFIXES: Final = (".png", ".jpg")
"""Suffixes of the pictures in hints/."""
HintKind: TypeAlias = Literal["painted", "loose", "frame", "points"]

_OWN: Final = {
    "shots.file": "the project has its own list of shots, shots.yaml",
    "hints.items": "the project has its own hints",
    "hints.folder": "the project has its own hints",
    "hints.assigned": "the project has its own hints",
    "chroma.by_shot": "set the saturation of a shot instead",
    "input.start": "a project is always about the whole film",
    "input.end": "a project is always about the whole film",
    "restoration.telecine": "it removes frames, and cuts and hints count frames; remove the telecine beforehand",
    "output.overwrite": "the render decides",
    "output.resume": "the render decides",
    "output.sidecar": "the studio needs the record of the film",
}
"""Settings that a project decides itself, and why."""
_HINT_ID: Final = re.compile(r"h(\d{4,6})")
_NAME: Final = r"^[A-Za-z0-9_-][A-Za-z0-9._-]*\.(png|jpg)$"
_TARGET: Final = re.compile(r"[^./\\\s\x00-\x1f][^/\\\x00-\x1f]*\.(mkv|mp4|mov)")
_DIGEST: Final = r"^([0-9a-f]{64})?$"
Index = Annotated[Int, Field(ge=0)]
"""Index of a frame, from 0."""


class FilmRef(Section):
    """The film of a project, and what identifies it without reading all of it."""

    path: str = Field(max_length=4096)
    """Relative to the project's folder, with `/`; empty: there is no such path."""
    absolute: str = Field(min_length=1, max_length=4096)
    """Used where the relative path does not exist."""
    bytes: Index
    """Of an image sequence: of all files together."""
    mtime_ns: Int
    """Of an image sequence: the latest."""
    files: Annotated[Int, Field(ge=1)] = 1
    ends: str = Field(default="", pattern=_DIGEST)
    """sha256 of the first and last megabyte: identifies a film where only the file's time has changed."""


class Point(MarkConfig):
    """A color at a place of a frame: a dot, a brush stroke or a filled outline."""

    color: str = "#808080"
    """`#rrggbb`, sRGB; without meaning where the reach is `keep`."""
    radius: Annotated[Number, Field(gt=0, le=1)] = 0.02
    """Of dot and stroke, 0..1 of the picture's height."""

    def as_mark(self) -> MarkConfig:
        """Return it without its color."""
        return MarkConfig(**self.model_dump(exclude={"color"}))

    @field_validator("color")
    @classmethod
    def _six_digits(cls, value: str) -> str:
        if re.fullmatch(r"#[0-9a-fA-F]{6}", value) is None:
            raise ValueError("expected #rrggbb")
        return value.lower()


class ProjectHint(Section):
    """A color picture and the shots that use it."""

    id: str
    """`h0001`."""
    kind: HintKind
    """painted: its frame, colored elsewhere. loose: any picture. frame: of another shot. points: colors at points."""
    image: str = Field(pattern=_NAME, max_length=120)
    """File name in hints/; a changed picture gets a new name, so that undo finds the old one."""
    frame: Index | None = None
    """The frame that it was painted on; None for other pictures."""
    shots: tuple[Index, ...] = ()
    """First frames of the shots that use it, ascending, with the shot that holds `frame`."""
    enabled: Bool = True
    """False: kept but not used."""
    label: str = Field(default="", max_length=200)
    """For display."""
    points: tuple[Point, ...] = Field(default=(), max_length=200)
    """Of kind points."""
    origin: dict[str, JsonValue] = Field(default_factory=dict)
    """Where it came from, for display."""

    @field_validator("id")
    @classmethod
    def _is_id(cls, value: str) -> str:
        if _HINT_ID.fullmatch(value) is None:
            raise ValueError("expected h and four digits, as in h0001")
        return value

    @field_validator("shots")
    @classmethod
    def _ascending(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sorted(set(value)))


class ShotSettings(Section):
    """Settings of one shot."""

    saturation: Annotated[Number, Field(ge=0, le=4)] | None = None
    """Factor on chroma; None: the film's."""
    note: str = Field(default="", max_length=2000)
    """For people; also in shots.yaml."""


class ProjectData(Section):
    """project.json."""

    videocolor_project: Literal[1] = 1
    """Version of the format."""
    revision: Annotated[Int, Field(ge=1)] = 1
    """Increases with every change, undo and redo."""
    position: Annotated[Int, Field(ge=1)] = 1
    """File of history/ that holds this state."""
    made: str = Field(default="", max_length=400)
    """The change that led to this state, for display; undo takes it back."""
    film: FilmRef
    frames: Index | None = None
    """Number of frames; None: the film has not been scanned yet."""
    settings: dict[str, JsonValue] = Field(default_factory=dict)
    """Overrides of `ColorizeConfig`: dotted key to value."""
    hints: tuple[ProjectHint, ...] = Field(default=(), max_length=10_000)
    shots: dict[int, ShotSettings] = Field(default_factory=dict)
    """First frame of a shot -> its settings."""
    target: str
    """Name of the rendered film in renders/."""
    shots_sha256: str = Field(default="", pattern=_DIGEST)
    """Of shots.yaml as last written here: a different one was edited by a person."""

    @field_validator("target")
    @classmethod
    def _is_name(cls, value: str) -> str:
        if _TARGET.fullmatch(value) is None or len(value.encode()) > 200:
            raise ValueError("expected the name of a film, without folders: film_colorized.mkv (.mkv, .mp4, .mov)")
        return value

    @field_validator("hints")
    @classmethod
    def _distinct(cls, value: tuple[ProjectHint, ...]) -> tuple[ProjectHint, ...]:
        if len({hint.id for hint in value}) != len(value):
            raise ValueError("two hints have the same id")
        return value

    def hint(self, hint_id: str) -> ProjectHint:
        """Return the hint of an id.

        Raises:
            UsageError: there is none.
        """
        for hint in self.hints:
            if hint.id == hint_id:
                return hint
        raise UsageError(f"{hint_id}: the project has no such hint")


@dataclass(frozen=True)
class State:
    """The project and its cuts, as `ProjectStore.change` takes and returns them."""

    data: ProjectData
    cuts: tuple[int, ...] | None = None
    """First frames of all shots, ascending from 0; None: the film has not been scanned yet."""

    @property
    def notes(self) -> dict[int, str]:
        """First frame of a shot -> its note."""
        return {start: shot.note for start, shot in self.data.shots.items() if shot.note}

    def shot_of(self, frame: int) -> int:
        """Return the first frame of the shot that holds a frame; the frame itself while shots are not known."""
        if self.cuts is None:
            return frame
        return self.cuts[max(0, bisect_right(self.cuts, frame) - 1)]

    def check_shot(self, start: int) -> None:
        """Check that a shot begins at `start`; any frame passes while shots are not known.

        Raises:
            UsageError: none does, or it is beyond the film.
        """
        self.check_frame(start)
        if self.cuts is not None and start not in self.cuts:
            raise UsageError(f"no shot begins at frame {start}; the nearest begins at {self.shot_of(start)}")

    def check_frame(self, frame: int) -> None:
        """Is there such a frame?

        Raises:
            UsageError: no.
        """
        frames = self.data.frames
        if isinstance(frame, bool) or not isinstance(frame, int) or frame < 0:
            raise UsageError(f"frame {frame!r}: expected the index of a frame, 0 or more")
        if frames is not None and frame >= frames:
            raise UsageError(f"frame {frame}: the film has {frames} frames, 0 to {frames - 1}")


def next_hint_id(data: ProjectData) -> str:
    """Return the id of the next hint: one above the highest."""
    highest = max((int(hint.id[1:]) for hint in data.hints), default=0)
    if highest >= 999_999:
        raise UsageError("the project has no room for another hint")
    return f"h{highest + 1:04d}"


def checked(data: ProjectData, **changes: Any) -> ProjectData:
    """Return the project with some fields changed, validated.

    Raises:
        UsageError: a value cannot be used; names it.
    """
    values = {name: getattr(data, name) for name in ProjectData.model_fields} | changes
    try:
        return ProjectData.model_validate(values)
    except ValidationError as error:
        raise UsageError(explain(error)) from error


def explain(error: ValidationError) -> str:
    """Describe each mistake on one line: field, value, what is expected."""
    lines = []
    for detail in error.errors(include_url=False):
        where = ".".join(str(part) for part in detail["loc"]) or "value"
        lines.append(f"{where} = {str(detail['input'])[:200]!r}: {detail['msg'].removeprefix('Value error, ')}")
    return "\n".join(dict.fromkeys(lines))


def checked_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Validate overrides of `ColorizeConfig` and sort them by key.

    Args:
        settings: dotted key (`output.codec`) to plain value.

    Raises:
        UsageError: a key that the project decides itself; ConfigError: a key or value that cannot be used.
    """
    for key in settings:
        _, dot, name = key.partition(".")
        if not dot or not name:
            raise ConfigError(f"{key}: expected a full key of `videocolor config show`, as in output.codec")
        if key in _OWN:
            raise UsageError(f"{key}: cannot be set in a project: {_OWN[key]}")
    # None means "flag not given" to `load`, so defaults that are null need no key.
    kept = {key: settings[key] for key in sorted(settings) if settings[key] is not None}
    try:
        ColorizeConfig.load(None, (), kept)
    except ConfigError as error:
        raise ConfigError(str(error).replace("command line: ", "settings: ")) from error
    return kept


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        ConfigError: it cannot be read or parsed; names the file.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise ConfigError(f"{path}: is damaged, not JSON: {error}") from error
