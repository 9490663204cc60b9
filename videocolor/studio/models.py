"""What requests carry: parameters and bodies, whose fields all have bounds, and uploads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, TypeAlias

import anyio
import anyio.to_thread
from fastapi import Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from videocolor.studio.delivery import Delivery
from videocolor.studio.errors import BusyError
from videocolor.studio.pictures import Kind
from videocolor.studio.queue import Form
from videocolor.types import Reach

_READING: Final = 4
"""Uploads that are read at the same time; their pictures are decoded one by one."""
_LIMIT: Final = 2**31
FrameIndex: TypeAlias = Annotated[int, Path(ge=0, lt=_LIMIT)]
"""In a path."""
Frame: TypeAlias = Annotated[int, Query(ge=0, lt=_LIMIT)]
"""In a query."""
Height: TypeAlias = Annotated[int, Query(ge=36, le=1080)]
Revision: TypeAlias = Annotated[int, Query(ge=0, lt=_LIMIT)]
Saturation: TypeAlias = Annotated[float, Query(ge=0, le=4, allow_inf_nan=False)]
Share: TypeAlias = Annotated[float, Query(ge=0, le=1, allow_inf_nan=False)]
"""A coordinate, as a share of the picture's width or height."""
HintId: TypeAlias = Annotated[str, Path(pattern=r"^h[0-9]{4,6}$")]
Colors: TypeAlias = Annotated[str, Query(pattern=r"^[0-9a-f]{6}(,[0-9a-f]{6}){0,63}$")]
"""Colors `rrggbb`, separated by commas."""
PreviewId: TypeAlias = Annotated[str, Path(pattern=r"^p[0-9]{1,9}$")]
Index: TypeAlias = Annotated[int, Field(ge=0, lt=_LIMIT)]


class Body(BaseModel):
    """Base of all bodies."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Change(Body):
    """A change of the project, and the revision that the person has seen."""

    revision: Index


class Cut(Change):
    """Split a shot."""

    frame: Index


class Merge(Change):
    """Join a shot to the one before it."""

    start: Index


class Move(Change):
    """Move the first frame of a shot."""

    start: Index
    to: Index


class ShotChange(Change):
    """Settings of one shot; omitted fields stay."""

    saturation: Annotated[float, Field(ge=0, le=4, strict=False)] | None = None
    note: Annotated[str, Field(max_length=2000)] | None = None


class ShotsChange(Change):
    """Settings of several shots at once."""

    starts: Annotated[list[Index], Field(min_length=1, max_length=10_000)]
    saturation: Annotated[float, Field(ge=0, le=4, strict=False)] | None


class SettingsChange(Change):
    """Settings of the film; omitted fields stay, null restores the default."""

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
    delivery: Delivery | None = None
    """Sets codec, quality and container together, before the other fields."""


class FrameHint(Change):
    """Use a colored frame of another shot as a hint."""

    frame: Index
    shot: Index


Place = Annotated[float, Field(ge=0, le=1, strict=False)]


class PointBody(Body):
    """A color at a point of a frame; coordinates are shares of the picture."""

    x: Place
    y: Place
    color: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")] | None = None
    radius: Annotated[float, Field(gt=0, le=0.5, strict=False)] | None = None
    reach: Reach | None = None
    path: Annotated[list[Annotated[list[Place], Field(min_length=2, max_length=2)]], Field(max_length=500)] | None = (
        None
    )
    filled: bool | None = None


class PointHint(Change):
    """Set points on a frame; `id`: replace those of this hint."""

    frame: Index
    points: Annotated[list[PointBody], Field(min_length=1, max_length=200)]
    id: Annotated[str, Field(pattern=r"^h[0-9]{4,6}$")] | None = None


class HintChange(Change):
    """Change a hint; omitted fields stay."""

    enabled: bool | None = None
    shots: Annotated[list[Index], Field(max_length=10_000)] | None = None
    label: Annotated[str, Field(max_length=200)] | None = None


class Preview(Body):
    """Color part of a shot."""

    shot: Index
    start: Index | None = None
    seconds: Annotated[float, Field(gt=0, le=60, strict=False)] = 5.0
    lines: Annotated[int, Field(ge=72, le=720)] = 240


class LiveFrame(Body):
    """Make a frame ready for points."""

    frame: Index
    lines: Annotated[int, Field(ge=72, le=1080)] = 480


class Regions(Body):
    """Ask what points govern that need not be saved yet."""

    frame: Index
    points: Annotated[list[PointBody], Field(max_length=200)]


class Live(LiveFrame):
    """Color one frame with points that are not saved yet."""

    points: Annotated[list[PointBody], Field(max_length=200)]
    kind: Kind = "after"
    saturation: Annotated[float, Field(ge=0, le=4, strict=False)] = 1.0


class Render(Change):
    """Render the film."""

    only_changed: bool = False


class Compare(Body):
    """Make a comparison film."""

    kind: Literal["side", "wipe"]


class Export(Body):
    """Put a film in the queue of exports."""

    form: Form
    other: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")] | None = None


class Uploads:
    """Read uploads into memory, few at a time, and process them one by one outside the event loop."""

    def __init__(self) -> None:
        self._reading = 0
        self._limiter: anyio.CapacityLimiter | None = None

    async def take(self, request: Request, work: Callable[[bytes], Any]) -> None:
        """Read the body of a request and process it.

        Raises:
            BusyError: too many uploads at the same time.
        """
        if self._reading >= _READING:
            raise BusyError("other pictures are being uploaded; try again in a moment")
        self._limiter = self._limiter or anyio.CapacityLimiter(1)
        self._reading += 1
        try:
            data = b"".join([chunk async for chunk in request.stream()])  # the gate counts the bytes
            await anyio.to_thread.run_sync(work, data, limiter=self._limiter)
        finally:
            self._reading -= 1
