"""What a person can set, in one validated, frozen tree; defaults live here, so an empty YAML is a valid file.

The docstring below a field is its documentation everywhere: in the JSON schema, in `videocolor config show`
and in `configs/colorize/default.yaml`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias

import pydantic
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, Strict, WithJsonSchema

from videocolor.config.parsing import parse_hint, parse_rate, parse_time
from videocolor.errors import UsageError
from videocolor.presets import dump_yaml, load_model
from videocolor.restoration.settings import RestorationConfig
from videocolor.types import Mark, Reach

__all__ = [
    "Affects",
    "Effect",
    "AssignedHint",
    "ChromaConfig",
    "ColorizeConfig",
    "HintsConfig",
    "MarkConfig",
    "InputConfig",
    "ModelConfig",
    "MotionQuality",
    "OutputConfig",
    "ShotChroma",
    "ShotsConfig",
    "SmoothingConfig",
]

MotionQuality: TypeAlias = Literal["auto", "fast", "fine", "detailed"]


def _as_value(parse: Callable[[Any], Fraction]) -> Callable[[Any], Any]:
    def validate(value: Any) -> Any:
        try:
            return parse(value)
        except UsageError as error:
            raise ValueError(str(error).partition(": ")[2]) from None

    return validate


def _as_text(value: Any) -> Any:
    return str(int(value) if isinstance(value, bool) else value) if isinstance(value, int | float) else value


def _exact(value: Fraction) -> str:
    decimal = f"{float(value):.9f}".rstrip("0").rstrip(".")
    return decimal if Fraction(decimal) == value else str(value)


def _flat_times(value: Any) -> Any:
    return Fraction(value) if isinstance(value, str) and re.fullmatch(r"\d+/\d+", value) else value


_SCHEMA = WithJsonSchema({"type": ["string", "number"]})
Time = Annotated[
    Fraction, BeforeValidator(_as_value(lambda v: parse_time(_flat_times(v)))), PlainSerializer(_exact), _SCHEMA
]
Rate = Annotated[Fraction, BeforeValidator(_as_value(parse_rate)), PlainSerializer(str), _SCHEMA]
Text = Annotated[str, BeforeValidator(_as_text)]
Int = Annotated[int, Strict()]
Bool = Annotated[bool, Strict()]
Number = Annotated[int, Strict()] | Annotated[float, Strict()]
Share = Annotated[Number, Field(ge=0, le=1)]
Effect: TypeAlias = Literal["color", "saturation", "shots", "encoding", "rounding", "nothing"]


@dataclass(frozen=True)
class Affects:
    """What a setting changes, as a mark on its field or on the field of its section; see `videocolor.fingerprint`.

    color: a*b* of a frame, or which frames there are. saturation: the factor on it, which is known for each shot.
    shots: where shots begin, and which hints each one gets. encoding: how samples are stored. rounding: the last bits
    of a sum, by what computes it. nothing: no sample at all.
    """

    effect: Effect


COLOR, SATURATION, SHOTS = Affects("color"), Affects("saturation"), Affects("shots")
ENCODING, ROUNDING, NOTHING = Affects("encoding"), Affects("rounding"), Affects("nothing")


class Section(BaseModel):
    """Base of all sections: frozen, unknown keys forbidden, documented by field docstrings."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, protected_namespaces=(), allow_inf_nan=False
    )


class InputConfig(Section):
    """What is read of the source."""

    rate: Annotated[Rate | None, COLOR] = None
    """Frames a second of an image sequence: 24, 23.976 or 24000/1001. Films state their own."""
    start: Annotated[Time | None, COLOR] = None
    """Color from this film time on: seconds or HH:MM:SS.mmm. Null: from the first frame."""
    end: Annotated[Time | None, SHOTS] = None
    """Color up to this film time, itself not included. Null: to the last frame."""

    @pydantic.model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise ValueError(f"end {_exact(self.end)} is not after start {_exact(self.start)}")
        return self


class ModelConfig(Section):
    """Which network colors, and where it runs."""

    name: Annotated[str, COLOR] = Field(default="hint", min_length=1)
    """A model that `videocolor models` lists, or a weights file (.safetensors)."""
    automatic: Annotated[str | None, COLOR] = None
    """The model for shots without a hint, named as `name` is. Null: `keyframe` beside `hint`, else `name` itself."""
    vividness: Annotated[Number, Field(ge=0, le=1), COLOR] = 0.5
    """Of automatic color by the keyframe network, 0..1: 0 is cautious (common, pale colors), 1 bold."""
    device: Annotated[str, ROUNDING] = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    """auto (a GPU where there is one), cpu, cuda or cuda:N."""
    runtime: Annotated[Literal["auto", "torch", "onnxruntime", "openvino"], COLOR] = "auto"
    """What executes the network: auto (onnxruntime on a CPU, torch on a GPU), torch, onnxruntime or openvino."""
    batch: Annotated[Int, COLOR] = Field(default=2, ge=1, le=256)
    """Frames that go through the network at once, 1..256. Halved by itself when memory runs out."""
    keyframe_interval: Annotated[Int, COLOR] = Field(default=32, ge=1, le=32)
    """The network sees every n-th frame, 1..32; color in between follows motion. 1: every frame."""
    keyframe_interval_painted: Annotated[Int, COLOR] = Field(default=8, ge=1, le=32)
    """The same in shots with a reference frame, if less: there the network also mends what motion carried."""
    memory: Annotated[Int, COLOR] = Field(default=1, ge=0, le=8)
    """In a shot with a reference frame, how many of the frames colored last are hints for the next, 0..8. 0: none."""
    threads: Annotated[Annotated[Int, Field(ge=1, le=256)] | None, ROUNDING] = None
    """CPU threads of the network, 1..256. Null: half the cores, the other stages need the rest."""


class ShotsConfig(Section):
    """Where the cuts are."""

    file: Annotated[Path | None, SHOTS] = None
    """A shot list as `videocolor shots` writes it, perhaps edited; it is used in place of detection."""
    detector: Annotated[Literal["content", "transnet", "none"], SHOTS] = "content"
    """content, transnet (learned; extra `shots`) or none (the film is one shot)."""
    shard: Annotated[Number, Field(ge=1, le=3600), NOTHING] = 60
    """Seconds of film after which the next cut ends a shard: what a crash costs at most, about."""
    max_shard: Annotated[Number, Field(ge=4, le=7200), NOTHING] = 120
    """Seconds of film after which a shard ends inside its shot, at the next pause of the fusion."""


class MarkConfig(Section):
    """A place of a hint whose colors reach as far as it says: a dot, a stroke, or an area."""

    x: Share
    """0..1 of the picture's width, from the left."""
    y: Share
    """0..1 of the picture's height, from the top."""
    path: tuple[tuple[Share, Share], ...] = Field(default=(), max_length=500)
    """More places (x, y): a stroke from (x, y) along them, or the outline of an area."""
    filled: Bool = False
    """The path is an outline of at least three places with (x, y)."""
    radius: Annotated[Number, Field(gt=0, le=1)] = 0.035
    """Of the dot or the stroke, 0..1 of the picture's height."""
    reach: Reach = "thing"
    """here: the place alone; thing: the thing that it is on; alike: everything alike, too; keep: the thing stays as
    it is without the hint, and nothing need be painted there."""

    @pydantic.model_validator(mode="after")
    def _closed(self) -> Self:
        if self.filled and len(self.path) < 2:
            raise ValueError("filled: an area needs a path of two more places at least")
        return self

    def mark(self) -> Mark:
        """Return it as a value of the engine."""
        return Mark(((self.x, self.y), *self.path), self.radius, self.filled, self.reach)


class AssignedHint(Section):
    """A hint that goes exactly where a person says. Frames are counted from the film's first, which is 0."""

    image: str = Field(min_length=1)
    """IMAGE or FILM@TIME, as in hints.items, without the film's own time."""
    frame: Annotated[Int, Field(ge=0)] | None = None
    """The film's frame that it is, painted: its shot gets the hint, and the frame comes back as it was painted."""
    shots: tuple[Annotated[Int, Field(ge=0)], ...] = ()
    """Further shots that get it, each named by the index of any frame of it."""
    marks: tuple[MarkConfig, ...] = Field(default=(), max_length=200)
    """How far its scribbles reach on `frame`, a list of {x: X, y: Y, reach: REACH}; see docs/guides/hints.md."""

    @pydantic.model_validator(mode="after")
    def _somewhere(self) -> Self:
        if self.marks and self.frame is None:
            raise ValueError(f"{self.image}: marks are of scribbles on a frame of the film; name its frame")
        if self.frame is None and not self.shots:
            raise ValueError(f"{self.image}: goes nowhere; name its frame, or shots by a frame of each")
        try:
            time, _, _ = parse_hint(self.image)
        except UsageError as error:
            raise ValueError(str(error).removeprefix("--hint ")) from None
        if time is not None:
            raise ValueError(f"{self.image}: holds a film time; frame and shots say where an assigned hint goes")
        return self


class HintsConfig(Section):
    """Color frames that the network gets."""

    items: Annotated[tuple[str, ...], SHOTS] = ()
    """A list of [TIME=]IMAGE or [TIME=]FILM@TIME. --hint replaces the list."""
    folder: Annotated[Path | None, SHOTS] = None
    """A folder of hints as `videocolor keyframes` lays it out, colored by a person."""
    sources: Annotated[tuple[str, ...], SHOTS] = ()
    """More hints: a list of SOURCE=ARGUMENT; folder, or a plug-in as module:function (docs/developing/adding.md)."""
    min_similarity: Annotated[float, Strict(), SHOTS] = Field(default=0.5, ge=0, le=1)
    """How similar a shot must be to a hint not made for it, 0..1, to use it. A film of one shot does not ask."""
    align: Annotated[Bool, SHOTS] = True
    """Look for the frame of hints without a time, and register hints to their frame: programs crop and grade them."""
    reach: Annotated[Literal["here", "thing", "alike"], COLOR] = "thing"
    """How far scribbles without a mark reach: here, thing, alike (docs/guides/hints.md)."""
    remove_flare: Annotated[Bool, COLOR] = True
    """Where colored light is on a hinted frame alone (a leak, a flash), its shot gets the hint without it."""
    assigned: Annotated[tuple[AssignedHint, ...], SHOTS] = ()
    """Hints assigned to shots by hand, a list of {image: IMAGE, frame: N, shots: [N]}; see docs/guides/hints.md."""


class ShotChroma(Section):
    """The color strength of one shot."""

    frame: Int = Field(ge=0)
    """Index of any frame of the shot, counted from the film's first, which is 0."""
    saturation: Annotated[float, Strict()] = Field(ge=0, le=4)
    """Factor on chroma there, 0..4, in place of chroma.saturation."""


class ChromaConfig(Section):
    """What becomes of the predicted color."""

    saturation: Annotated[float, Strict(), SATURATION] = Field(default=1.0, ge=0, le=4)
    """Factor on chroma, 0..4; hinted frames are reproduced exactly at 1."""
    upsample: Annotated[Literal["guided", "bilinear"], COLOR] = "guided"
    """How chroma reaches the film's size: guided (stops at the edges of luma) or bilinear."""
    source: Annotated[Path | None, COLOR] = None
    """A film in color of the same shots: its chroma is used where it fits (--chroma-from, docs/guides/merge.md)."""
    keep_source: Annotated[Bool, COLOR] = False
    """Keep the color that the source already has (tints, toning) instead of replacing it."""
    by_shot: Annotated[tuple[ShotChroma, ...], SHOTS] = ()
    """Other saturations for single shots, a list of {frame: N, saturation: X}; N is any frame of the shot."""


class SmoothingConfig(Section):
    """How color is held still over time."""

    enabled: Bool = True
    """Smooth chroma along motion; cuts reset it."""
    method: str = Field(default="kalman", min_length=1)
    """How chroma is smoothed: kalman, none, or a plug-in (docs/developing/adding.md)."""
    propagation: str = Field(default="flow", min_length=1)
    """How reference frames reach other frames: flow, none, or a method of yours."""
    decay: Annotated[float, Strict()] = Field(default=0.93, ge=0, lt=1)
    """Weight of the past, 0 up to but not including 1."""
    motion: MotionQuality = "auto"
    """How finely motion is found: fast, fine, detailed. auto: detailed in shots with a reference frame, else fast."""


class OutputConfig(Section):
    """How the film is written. Names and values are FFmpeg's; null: what suits the container."""

    codec: Annotated[str | None, ENCODING] = None
    """Encoder: libx264, libx265, ffv1, prores_ks... Null: .mkv and .mp4 libx264, .mov prores_ks."""
    crf: Annotated[Annotated[Number, Field(ge=0, le=63)] | None, ENCODING] = None
    """Constant quality of x264 (0..51), x265, SVT-AV1 and VP9; smaller is better."""
    preset: Annotated[Text | None, ENCODING] = None
    """The encoder's preset: veryfast, medium, slow..."""
    pix_fmt: Annotated[str | None, ENCODING] = None
    """Pixel format: yuv420p, yuv422p10le... Null: the smallest color format that holds luma exactly."""
    only_chroma: Annotated[Bool, ENCODING] = False
    """Write Cb and Cr alone, at their own size, for a compositor to lay over the scan (docs/guides/editing.md)."""
    options: Annotated[dict[str, Text], ENCODING] = {}
    """Further options of the encoder, by FFmpeg's names."""
    muxer: Annotated[dict[str, Text], NOTHING] = {}
    """Options of the container's muxer, by FFmpeg's names: {movflags: +write_colr}."""
    bitexact: Annotated[Bool, NOTHING] = False
    """Write no random numbers and dates, so that two runs give the same bytes."""
    overwrite: Annotated[Bool, NOTHING] = False
    """Replace an existing output."""
    sidecar: Annotated[Bool, NOTHING] = True
    """Write OUTPUT.json: merged configuration, hashes, shots, hints, assumptions, warnings."""
    c2pa: Annotated[Bool, NOTHING] = False
    """Sign the film: C2PA manifest in .mp4 and .mov, else OUTPUT.c2pa (extra `provenance`)."""
    certificate: Annotated[Path | None, NOTHING] = None
    """The certificate chain (PEM) that signs it. Null: one made on the spot, which proves integrity and no identity."""
    key: Annotated[Path | None, NOTHING] = None
    """Its private key (PEM, no password)."""
    slate: Annotated[Number, Field(ge=0, le=60), COLOR] = 0
    """Seconds at the film's beginning with a visible notice over the picture, 0..60. 0: none; luma stays exact."""
    report: Annotated[Bool, NOTHING] = False
    """Write OUTPUT.html: one page with every shot before and after, hints, timing, assumptions, warnings."""
    resume: Annotated[Bool, NOTHING] = True
    """Work in shards, so that a run that was stopped goes on where it stood. False: write the film in one go."""
    keep_shards: Annotated[Bool, NOTHING] = False
    """Leave the shards in place when the film is whole: other shots are then recolored sooner, for twice the disk."""

    @pydantic.model_validator(mode="after")
    def _comparable(self) -> Self:
        if self.only_chroma and self.report:
            raise ValueError("only_chroma: the report compares pictures, and chroma alone is none; leave one out")
        return self


class ColorizeConfig(Section):
    """All settings of `videocolor colorize`."""

    input: InputConfig = InputConfig()
    model: ModelConfig = ModelConfig()
    shots: ShotsConfig = ShotsConfig()
    hints: HintsConfig = HintsConfig()
    restoration: Annotated[RestorationConfig, COLOR] = RestorationConfig()
    chroma: ChromaConfig = ChromaConfig()
    smoothing: Annotated[SmoothingConfig, COLOR] = SmoothingConfig()
    output: OutputConfig = OutputConfig()

    @classmethod
    def load(
        cls,
        name_or_path: str | Path | None = None,
        overrides: Sequence[str] = (),
        flags: Mapping[str, Any] | None = None,
    ) -> ColorizeConfig:
        """Defaults < preset or file < overrides < flags.

        Args:
            name_or_path: `master`, `colorize/master`, `my.yaml`; None: defaults alone.
            overrides: `section.key=value`, the value parsed as YAML.
            flags: dotted key to value; None values are ignored.

        Raises:
            ConfigError: names the file, the key, the value and what is allowed.
        """
        return load_model(cls, "colorize", name_or_path, overrides, flags)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; `ColorizeConfig.model_validate` reads them back."""
        return self.model_dump(mode="json")

    def to_yaml(self, *, comments: bool = False) -> str:
        """YAML of every key; with the fields' documentation as comments where asked."""
        return dump_yaml(self, comments=comments)
