"""What a person can set about a data set of pairs; `videocolor config show pairs/default` prints it all."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from videocolor.config import Bool, Int, Number, Section

__all__ = [
    "InputConfig",
    "PairsConfig",
    "SamplingConfig",
    "SceneConfig",
    "SplitConfig",
    "StoreConfig",
    "settings_id",
]

_FORMAT: Final = 1
"""Raised whenever the same settings give other bytes than before."""

_Share = Annotated[Number, Field(ge=0, le=1)]


class InputConfig(Section):
    """Which footage is let in."""

    min_fps: Annotated[Number, Field(ge=0, le=1000)] = 60
    """Least frames a second, by timestamps and by content; refused below 0.98 of it (60000/1001 counts as 60)."""
    damaged: Literal["skip", "use"] = "skip"
    """What happens to films that could not be read completely: skip, or use (damaged frames are never drawn)."""


class SamplingConfig(Section):
    """Which frames become pairs. All times are presentation times."""

    rate: Annotated[Number, Field(gt=0, le=100)] = 0.5
    """Originals drawn from each second of a shot."""
    min_s: Annotated[Number, Field(gt=0, le=3600)] = 1
    """Least seconds between original and hint."""
    max_s: Annotated[Number, Field(gt=0, le=3600)] = 5
    """Most seconds between original and hint."""
    direction: Literal["either", "before", "after"] = "either"
    """Side of the hint, seen from the original: either, before or after."""
    window_s: Annotated[Number, Field(ge=0, le=10)] = 0.1
    """Seconds around a drawn time (half before, half after) in which the sharpest frame is taken. 0: the nearest."""
    seed: Int = 0
    """Another seed draws other pairs."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.max_s < self.min_s:
            raise ValueError(f"max_s {self.max_s} is less than min_s {self.min_s}")
        return self


class SceneConfig(Section):
    """Do the two frames of a pair show one scene? docs/guides/pairs.md says how the thresholds were found."""

    check: Literal["distance", "histogram"] = "distance"
    """What decides: distance (Euclidean, CIE delta E) or histogram (colors alone; always used for pictures)."""
    accept: Annotated[Number, Field(ge=0, le=200)] | None = None
    """Pairs up to this value are accepted. Null: as calibrated for the check."""
    reject: Annotated[Number, Field(ge=0, le=200)] | None = None
    """Pairs above this value are rejected, those between are doubtful and go to review. Null: as calibrated."""
    detector: Literal["content", "transnet", "none"] = "content"
    """What finds the cuts: content, transnet (learned; extra `shots`) or none."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.accept is not None and self.reject is not None and self.reject < self.accept:
            raise ValueError(f"reject {self.reject} is less than accept {self.accept}")
        return self


class StoreConfig(Section):
    """What is written beside the manifest."""

    mode: Literal["frames", "references"] = "frames"
    """frames (every picture is stored) or references (pictures are decoded from the source videos when read)."""
    short_side: Annotated[Int, Field(ge=16, le=8192)] | None = 512
    """Pixels of the short side, at most; smaller pictures are never blown up. Null: the source's own size."""
    format: Literal["jpeg", "png"] = "jpeg"
    """jpeg (4:4:4) or png (lossless, three times the size, four times slower to read)."""
    quality: Annotated[Int, Field(ge=50, le=100)] = 95
    """Of JPEG."""


class SplitConfig(Section):
    """How sources are divided; a source and its near-duplicates are in one split."""

    val: _Share = 0.05
    """Share of sources for validation."""
    test: _Share = 0.05
    """Share of sources for the test; the rest is trained on."""
    seed: Int = 0
    """Another seed divides otherwise."""
    held_back: tuple[str, ...] = ("evaluate/held_back", "evaluate/held_back_more")
    """Lists of what is never trained on: presets, or YAML files with `clips` and `images`. []: none."""
    held_back_root: Path | None = None
    """Folder with the clips of those lists, so that footage that looks like them is found too."""
    likeness: Annotated[Int, Field(ge=0, le=32)] = 6
    """Bits (of 64) by which the perceptual hashes of near-duplicates may differ."""
    near_duplicates: Bool = True
    """Look for near-duplicate sources."""

    @model_validator(mode="after")
    def _shares(self) -> Self:
        if self.val + self.test >= 1:
            raise ValueError(f"val {self.val} and test {self.test} leave nothing to train on")
        return self


class PairsConfig(Section):
    """Settings of `videocolor pairs build`."""

    input: InputConfig = InputConfig()
    sampling: SamplingConfig = SamplingConfig()
    scene: SceneConfig = SceneConfig()
    store: StoreConfig = StoreConfig()
    split: SplitConfig = SplitConfig()


def settings_id(config: PairsConfig) -> str:
    """Hash the settings that the pairs of a source depend on (all but `split`) to twelve hex digits."""
    values = config.model_dump(mode="json", exclude={"split"})
    text = json.dumps([_FORMAT, values], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
