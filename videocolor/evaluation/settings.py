"""Settings of an evaluation: `configs/evaluate/*.yaml`, `--set`, and the flags of `videocolor evaluate`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from videocolor.config import Bool, Int, Number, Section
from videocolor.evaluation.scoring import ScoreOptions

__all__ = ["PROTOCOLS", "ClipSettings", "EvaluateConfig", "NetworkSettings", "PageSettings", "ProtocolSettings"]

ProtocolName = Literal["auto", "e1", "e1-far", "ek", "cuts", "robust", "similar", "points"]
PROTOCOLS: tuple[ProtocolName, ...] = ("auto", "e1", "e1-far", "ek", "cuts", "robust", "similar", "points")


class Pair(Section):
    """A clip and its hint."""

    clip: str
    """File name of the clip that is colored."""
    hint: str
    """Path of the picture or clip that the hint is taken from, relative to the clips' folder."""
    at: Annotated[Number, Field(ge=0)] = 0
    """Seconds, where the hint is a frame of a clip."""


class ClipSettings(Section):
    """Which part of which clips."""

    listed: str | None = None
    """A YAML file with `clips: [{file: ...}]`, or the name of a packaged one; null: every video of the folder."""
    most: Annotated[Int, Field(ge=1)] | None = None
    """Largest number of clips, evenly chosen. Null: all."""
    seconds: Annotated[Number, Field(gt=0, le=600)] = 3
    """Largest length of the part of a clip that is scored."""
    short_side: Int = Field(default=240, ge=32, le=4320)
    """Clips are scaled down to this many pixels on the short side, never up."""
    detector: Literal["content", "none"] = "content"
    """How cuts in a clip are found; its longest shot is scored."""


class ProtocolSettings(Section):
    """Which hints the methods get."""

    name: ProtocolName = "e1"
    """auto, e1, e1-far, ek, cuts, robust, similar or points; see docs/evaluation.md."""
    every: Int = Field(default=50, ge=1)
    """ek: frames from hint to hint."""
    reach: Annotated[Number, Field(gt=0, le=600)] = 10
    """e1-far: the hint is the shot's last frame within this many seconds."""
    film_shots: Int = Field(default=3, ge=2, le=100)
    """cuts: clips joined to a film."""
    shot_seconds: Annotated[Number, Field(gt=0, le=600)] = 1.0
    """cuts: length of each of them."""
    counts: tuple[Annotated[Int, Field(ge=1, le=100_000)], ...] = (1, 5, 10, 50)
    """points: numbers of points; each is a row of the table."""
    point_size: Int = Field(default=7, ge=1, le=101)
    """points: side of a point's square at 240 lines, in pixels; it grows with the picture."""
    places: Annotated[Int, Field(ge=1)] | None = None
    """robust: the hint's clip is this many places before in the list. Null: a third of it, to be another scene."""
    timed: Bool = True
    """robust, similar: the hint gets the first frame's time; false: no time."""
    pairs: tuple[Pair, ...] = ()
    """similar: clips and their hints."""


class NetworkSettings(Section):
    """How networks run, in `network` and `videocolor`."""

    device: str = Field(default="cpu", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    """auto, cpu, cuda or cuda:N."""
    runtime: Literal["auto", "torch", "onnxruntime", "openvino"] = "auto"
    """auto, torch, onnxruntime or openvino."""
    area: Annotated[Int, Field(ge=1024)] | None = None
    """Working size of `network` in pixels, in place of its card's."""


class PageSettings(Section):
    """Table and page."""

    seed: Int = 1
    """Of points, bootstrap and everything else that is drawn."""
    resamples: Int = Field(default=2000, ge=100, le=1_000_000)
    """Bootstrap samples of the 95 % intervals."""
    stills: Int = Field(default=2, ge=1, le=20)
    """Frames of each clip kept as pictures, evenly chosen."""
    hints: Int = Field(default=4, ge=0, le=100)
    """Hints of each case kept as pictures, the first ones."""
    shown: Int = Field(default=12, ge=0, le=1000)
    """Clips with pictures on the page, worst first."""
    height: Int = Field(default=160, ge=32, le=1080)
    """Largest height of the page's pictures."""


class EvaluateConfig(Section):
    """Settings of `videocolor evaluate`."""

    methods: tuple[str, ...] = (
        "gray",
        "copy",
        "table",
        "reinhard",
        "welsh",
        "flow",
        "lightness",
        "network",
        "videocolor",
    )
    """Methods to compare; docs/evaluation.md has the forms."""
    clips: ClipSettings = ClipSettings()
    protocol: ProtocolSettings = ProtocolSettings()
    scores: ScoreOptions = ScoreOptions()
    network: NetworkSettings = NetworkSettings()
    page: PageSettings = PageSettings()
