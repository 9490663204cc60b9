"""The values that cross modules: frozen, validated, without torch or FFmpeg in them.

Time is `(pts, time_base)`; seconds are for people. Pixels never travel without their `ColorSpec`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

from numpy.typing import NDArray

__all__ = [
    "Array",
    "ColorSpec",
    "Frame",
    "Given",
    "Hint",
    "HintUse",
    "Mark",
    "Matrix",
    "PixelLayout",
    "Range",
    "Reach",
    "Shot",
    "StreamInfo",
    "VideoInfo",
]

Array = NDArray[Any]
Matrix = Literal["bt601", "bt709", "bt2020"]
Range = Literal["limited", "full"]
Given = Literal["none", "automatic", "style", "reference"]
"""What hints a shot has: none, style references only, or a reference frame."""

Reach = Literal["here", "thing", "alike", "keep"]
"""How far a scribble's color reaches: its place, its thing, everything alike; `keep`: the thing stays as it is."""


@dataclass(frozen=True)
class ColorSpec:
    """How stored samples map to color."""

    matrix: Matrix
    """Luma weights: BT.601, BT.709 or BT.2020 non-constant luminance."""
    range: Range
    """`limited`: 8-bit luma 16..235 and chroma 16..240, scaled by 2**(depth-8); `full`: 0..2**depth-1."""
    primaries: int = 2
    """Number of ITU-T H.273 table 2 that the output is tagged with (1 = BT.709, 5/6 = BT.601 625/525, 9 = BT.2020)."""
    transfer: int = 2
    """Number of ITU-T H.273 table 3 that the output is tagged with (1 = BT.709, 6 = BT.601, 16 = PQ, 18 = HLG)."""
    assumed: tuple[str, ...] = ()
    """Which of `matrix`, `range`, `primaries`, `transfer` the source did not state."""

    def __post_init__(self) -> None:
        if self.matrix not in ("bt601", "bt709", "bt2020"):
            raise ValueError(f"{self.matrix=}: expected bt601, bt709 or bt2020")
        if self.range not in ("limited", "full"):
            raise ValueError(f"{self.range=}: expected limited or full")


@dataclass(frozen=True)
class PixelLayout:
    """What planes a pixel format has."""

    name: str
    """FFmpeg's name: `yuv420p`, `gray10le`, `gbrp`..."""
    depth: int
    """Bits a sample."""
    kind: Literal["yuv", "gray", "rgb"]
    chroma_shift: tuple[int, int]
    """log2 of horizontal and vertical chroma subsampling; (0, 0) for gray and RGB."""


@dataclass(frozen=True)
class StreamInfo:
    """One stream of a container, for the dry run and the report."""

    index: int
    kind: str
    """`video`, `audio`, `subtitle`, `data`, `attachment`."""
    codec: str
    language: str | None = None
    title: str | None = None


@dataclass(frozen=True)
class VideoInfo:
    """What the container and its first frame say about a film."""

    path: Path
    format: str
    width: int
    height: int
    layout: PixelLayout
    color: ColorSpec
    time_base: Fraction
    rate: Fraction | None
    """Average frames a second as the container states it; None where it does not."""
    start_pts: int
    duration: Fraction | None
    """Seconds, from the container; None where it does not say."""
    frames: int | None
    """Number of frames: the container's word, else duration x rate; an estimate for progress, never a promise."""
    codec: str = ""
    sar: Fraction = Fraction(1)
    """Sample aspect ratio."""
    rotation: int = 0
    """Display rotation in degrees, counter-clockwise."""
    crop: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Pixels at the left, top, right and bottom that players hide (Matroska's PixelCrop, the `clap` of MP4)."""
    field_order: str = "progressive"
    """`progressive`, `tt`, `bb`, `tb`, `bt` or `unknown`, as the codec says."""
    streams: tuple[StreamInfo, ...] = ()
    chapters: int = 0
    metadata: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    """What a person should know before the work starts."""
    notes: tuple[str, ...] = ()
    """What was decided about the film, without alarm."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One decoded frame. Arrays are views of the decoder's memory: read them, never write them."""

    index: int
    """Place in the film, counted from 0."""
    pts: int
    time_base: Fraction
    luma: Array = field(repr=False)
    """(height, width) uint8, or uint16 holding `layout.depth` bits; the stored Y' samples (RGB sources: derived)."""
    layout: PixelLayout
    color: ColorSpec
    chroma: tuple[Array, Array] | None = field(default=None, repr=False)
    """The source's own (Cb, Cr) planes, if it has any."""
    native: Any = field(default=None, repr=False)
    """The decoder's own frame, opaque outside `videocolor.video`; keeps the arrays alive."""
    duration: int | None = None
    """Presentation duration in `time_base` units, where the source states one."""
    damaged: bool = False
    """The decoder reported errors in this frame."""
    earlier_field: Literal["", "top", "bottom"] = ""
    """Set where the picture of an interlaced film combs: its fields are of two times, and this one is the earlier."""

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the samples, not the decoder's frame: side data (captions, film grain) stay behind."""
        return {**self.__dict__, "native": None}

    @property
    def seconds(self) -> float:
        """Presentation time in seconds, for people."""
        return float(self.pts * self.time_base)


@dataclass(frozen=True)
class Shot:
    """Frames between two cuts: frames `start` up to but not including `end`."""

    index: int
    start: int
    """Index of the first frame."""
    end: int
    """Exclusive end."""
    start_pts: int
    end_pts: int
    """pts at the end of the last frame (the next shot's `start_pts`, or last pts + its duration)."""
    time_base: Fraction

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise ValueError(f"shot {self.index}: end {self.end} is not after start {self.start}")


@dataclass(frozen=True)
class Mark:
    """A place of a hint, and how far its color reaches."""

    path: tuple[tuple[float, float], ...]
    """(x, y) in 0..1 of the picture: one for a dot, more for a stroke or the outline of an area."""
    radius: float
    """Of dot and stroke, 0..1 of the picture's height."""
    filled: bool = False
    """The path is an outline."""
    reach: Reach = "thing"


SCRIBBLED: Final = 0.1
"""Share of a hint up to which its painted part counts as scribbles, if no mark says so."""


@dataclass(frozen=True, eq=False)
class Hint:
    """A color frame that informs the network."""

    name: str
    """Where it came from, for messages and reports."""
    rgb: Array = field(repr=False)
    """(h, w, 3) float32 R'G'B' in 0..1, sRGB/BT.709 primaries."""
    time: Fraction | None = None
    """Film time in seconds that the hint was made for; None: wherever it fits."""
    mask: Array | None = field(default=None, repr=False)
    """(h, w) float32 in 0..1: which pixels are painted; None: all."""
    marks: tuple[Mark, ...] = field(default=(), repr=False)
    """How far its scribbles reach; those that no mark lies on: the setting `hints.reach`."""

    @property
    def is_whole(self) -> bool:
        """Whether it is painted all over."""
        return self.mask is None

    @cached_property
    def is_painted(self) -> bool:
        """Whether it is a picture, perhaps with holes: with marks, or up to a tenth painted, it is scribbles."""
        return self.mask is None or (not self.marks and float(self.mask.mean()) > SCRIBBLED)


@dataclass(frozen=True)
class HintUse:
    """How a shot uses a hint, and why."""

    hint: str
    """Its name, or the shot whose colors are reused."""
    use: Literal["reference", "scribble", "style", "reused", "unused"]
    reason: str
