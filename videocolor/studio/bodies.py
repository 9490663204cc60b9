"""What requests carry: every field has its bounds, unknown ones are refused."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "Change",
    "Compare",
    "Cut",
    "Frame",
    "FrameHint",
    "FrameIndex",
    "Height",
    "HintChange",
    "HintId",
    "Merge",
    "Move",
    "PointHint",
    "PointBody",
    "Preview",
    "PreviewId",
    "Render",
    "Revision",
    "Saturation",
    "SettingsChange",
    "ShotChange",
]

_MOST: int = 2**31
_FRAME = Field(ge=0, lt=_MOST)
FrameIndex: TypeAlias = Annotated[int, Path(ge=0, lt=_MOST)]
"""In an address."""
Frame: TypeAlias = Annotated[int, Query(ge=0, lt=_MOST)]
"""In a query."""
Height: TypeAlias = Annotated[int, Query(ge=36, le=1080)]
Revision: TypeAlias = Annotated[int, Query(ge=0, lt=_MOST)]
Saturation: TypeAlias = Annotated[float, Query(ge=0, le=4, allow_inf_nan=False)]
HintId: TypeAlias = Annotated[str, Path(pattern=r"^h[0-9]{4,6}$")]
PreviewId: TypeAlias = Annotated[str, Path(pattern=r"^p[0-9]{1,9}$")]
Index: TypeAlias = Annotated[int, _FRAME]


class Body(BaseModel):
    """Base of all."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Change(Body):
    """Of the project: undo, redo."""

    revision: Annotated[int, _FRAME]


class Cut(Change):
    """Part a shot."""

    frame: Index


class Merge(Change):
    """Join a shot to the one before it."""

    start: Index


class Move(Change):
    """Let a shot begin elsewhere."""

    start: Index
    to: Index


class ShotChange(Change):
    """What concerns one shot; fields that are left out stay."""

    saturation: Annotated[float, Field(ge=0, le=4, strict=False)] | None = None
    note: Annotated[str, Field(max_length=2000)] | None = None


class SettingsChange(Change):
    """What concerns the film; null: the default again."""

    saturation: Annotated[float, Field(ge=0, le=4, strict=False)] | None = None
    model: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    codec: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,40}$")] | None = None
    crf: Annotated[float, Field(ge=0, le=63, strict=False)] | None = None
    preset: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,40}$")] | None = None
    pix_fmt: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,40}$")] | None = None
    keep_source: bool | None = None
    smoothing: bool | None = None
    decay: Annotated[float, Field(ge=0, lt=1, strict=False)] | None = None
    container: Literal["mkv", "mp4", "mov"] | None = None


class FrameHint(Change):
    """A frame of another shot, in its colour, as a hint."""

    frame: Index
    shot: Index


class PointBody(Body):
    """A colour in a frame; places are shares of the picture."""

    x: Annotated[float, Field(ge=0, le=1, strict=False)]
    y: Annotated[float, Field(ge=0, le=1, strict=False)]
    color: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]
    radius: Annotated[float, Field(gt=0, le=0.5, strict=False)] | None = None


class PointHint(Change):
    """Colours in a frame; `id`: in place of those of this hint."""

    frame: Index
    points: Annotated[list[PointBody], Field(min_length=1, max_length=200)]
    id: Annotated[str, Field(pattern=r"^h[0-9]{4,6}$")] | None = None


class HintChange(Change):
    """Fields that are left out stay."""

    enabled: bool | None = None
    shots: Annotated[list[Index], Field(max_length=10_000)] | None = None
    label: Annotated[str, Field(max_length=200)] | None = None


class Preview(Body):
    """Colour a part of a shot for a look."""

    shot: Index
    start: Index | None = None
    seconds: Annotated[float, Field(gt=0, le=60, strict=False)] = 5.0
    lines: Annotated[int, Field(ge=72, le=720)] = 240


class Render(Change):
    """Render the film."""

    only_changed: bool = False


class Compare(Body):
    """Make a comparison film."""

    kind: Literal["side", "wipe"]
