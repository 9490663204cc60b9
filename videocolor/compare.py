"""A film to look at: the source and its coloured version beside each other, or parted by a line that wanders."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

from videocolor.report import Observer, ignore

__all__ = ["CompareOptions", "ComparisonResult", "Kind", "write_comparison"]

Kind = Literal["side", "wipe"]


@dataclass(frozen=True)
class CompareOptions:
    """How a comparison film looks and is written."""

    width: int = 1920
    """Largest width of the picture in pixels; nothing is made larger than the film is shown."""
    period: float = 8.0
    """Seconds in which the line of a wipe goes to and fro once."""
    labels: bool = False
    """Write "before" and "after" into the picture."""
    codec: str = "libx264"
    """Encoder, by FFmpeg's name."""
    crf: float | None = 20.0
    """Constant quality of the encoder; None: its default."""
    preset: str | None = "medium"
    """The encoder's preset; None: its default."""
    rate: Fraction | None = None
    """Frames a second, where the source is an image sequence. None: what RESULT's record says."""
    start: Fraction | None = None
    """The result begins at this time of the source, seconds. None: what RESULT's record says, else the beginning."""
    end: Fraction | None = None
    """The result ends before this time of the source, seconds. None: what RESULT's record says, else the end."""
    overwrite: bool = False
    """Replace an existing target."""


@dataclass(frozen=True)
class ComparisonResult:
    """A comparison film that is whole."""

    target: Path
    kind: Kind
    frames: int
    width: int
    """Of its picture; pixels are square."""
    height: int
    seconds: float
    """Wall time."""
    warnings: tuple[str, ...]


def write_comparison(
    source: Path,
    result: Path,
    target: Path,
    *,
    kind: Kind = "side",
    options: CompareOptions | None = None,
    observer: Observer = ignore,
) -> ComparisonResult:
    """Write a film in which the source and its coloured version are seen at the same time.

    H.264, 4:2:0, 8 bits, limited range by default, in MP4 with its index at the front: what browsers play. Frame
    times are the result's, tick for tick; its sound and other streams are copied. Both films are decoded side by
    side, so memory holds a few frames of each. Nothing stands under the target's name before it is whole.

    Args:
        source: the film that was coloured.
        result: what came out.
        target: .mp4, .mkv or .mov.
        kind: `side`: source left, result right. `wipe`: the source left of a line, the result right of it.
        options: size, line, encoder; None: defaults.
        observer: hears `progress` (stage `compare`) and `warning`; what it raises stops the work and leaves nothing.

    Raises:
        InputError: a film cannot be read, or the result was not made from this source: another number of frames,
            other times, another shape, another picture.
        UsageError: an option cannot be used.
        OutputError: the target exists, or cannot be written.
    """
    raise NotImplementedError
