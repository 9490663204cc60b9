"""The interface through which every network is used, and the card that says what it needs.

    state = colorizer.begin(hints)                           # once per shot
    prediction = colorizer.step(state, luma, propagated)     # once per batch of frames

The data path follows the card; it never asks for a name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from videocolor.errors import PluginError
from videocolor.plugins import identify
from videocolor.types import Array, Reach

__all__ = [
    "LEAST_REMEMBERED",
    "MOST_SCRIBBLES",
    "USUAL_ERROR",
    "Colorizer",
    "HintInput",
    "KeyframeMotion",
    "ModelCard",
    "Prediction",
    "check_prediction",
]


MOST_SCRIBBLES = 64
"""Scribbles of a shot that are used; of more, the largest."""
LEAST_REMEMBERED = 0.3
"""Confidence below which a place of a colored frame is not remembered as a hint."""
USUAL_ERROR = 8.0
"""Typical mean absolute error of a*b* of an automatic network."""
_PRECISION = (0.25, 25.0)
"""Bounds of an observation's precision."""
_ABSURD = 128.0
"""Mean of |a*b*| that no picture has."""
_ROUNDED = 1e-3
"""By which arithmetic may leave a range."""


@dataclass(frozen=True)
class ModelCard:
    """Properties and requirements of a network."""

    name: str
    title: str
    hints: Literal["none", "one", "many"]
    """How many hints a shot may have."""
    parameters: int
    """Number of trained parameters."""
    macs: int | None
    """Multiply-accumulates for one 256x256 frame without hints; None: not measured."""
    area: int = 288 * 160
    """Working size in pixels: frames are scaled to about this area, aspect kept."""
    area_reference: int | None = None
    """The same for shots with a reference frame, where detail pays; None: `area`."""
    area_style: int | None = None
    """The same for shots whose hints are other pictures: matching needs detail; None: `area`."""
    area_automatic: int | None = None
    """The same for shots without a hint; None: `area`."""
    multiple: int = 32
    """Height and width must be multiples of this."""
    output_stride: int = 2
    """How many times coarser than the working size the grid of prediction is; colors are fused over time there."""
    propagates: bool = False
    """Whether `step` uses chroma that motion propagated from a hint."""
    feature_stride: int | None = None
    """Where the network decides several keyframes of a shot without a hint together (`Colorizer.step_together`): how
    many times coarser than the working size the grid is on which it needs the motion between them."""
    size: tuple[int, int] | None = None
    """(height, width) where the network takes one size only; overrides `area`."""
    licence: str = ""
    sha256: str = ""
    """Of the weights file, or of all files that the network is made of; empty where there is none."""
    source: str = ""
    """Paper or origin."""

    @property
    def max_hints(self) -> int | None:
        """How many hints a shot may have; None: any number."""
        return {"none": 0, "one": 1, "many": None}[self.hints]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class HintInput:
    """A hint as network input, at the working size."""

    luma: Array = field(repr=False)
    """(h, w) float32, full-range Y' in 0..1."""
    ab: Array = field(repr=False)
    """(2, h, w) float32, CIE Lab a*b* (D65)."""
    mask: Array | None = field(default=None, repr=False)
    """(h, w) float32 in 0..1, which pixels count; None: all."""
    in_shot: bool = False
    """Painted on a frame of this shot: scribbles are applied locally regardless of the relevance gate."""
    places: Array | None = field(default=None, repr=False)
    """(h, w) uint8: number of the scribble at each pixel, from 1; 0: none. None: no scribbles, or of another shot."""
    reaches: tuple[Reach, ...] = ()
    """How far each scribble reaches."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """Chroma for a batch of frames."""

    ab: Array = field(repr=False)
    """(n, 2, h', w') float32, CIE Lab a*b* (D65); h' and w' may be a fraction of the working size."""
    confidence: Array | None = field(default=None, repr=False)
    """(n, h', w') float32 in 0..1: how well a hint supports each pixel; None for automatic networks."""
    error: Array | None = field(default=None, repr=False)
    """(n, h', w') float32, expected mean absolute error of a*b*; None where the network does not predict it."""
    features: Array | None = field(default=None, repr=False)
    """(c, h", w") float32, what `step_together` needs for the next keyframes; None from `step`."""

    def __post_init__(self) -> None:
        if self.ab.ndim != 4 or self.ab.shape[1] != 2:
            raise ValueError(f"{self.ab.shape=}: expected (n, 2, h, w)")
        for name, plane in (("confidence", self.confidence), ("error", self.error)):
            if plane is not None and plane.shape != (self.ab.shape[0], *self.ab.shape[2:]):
                raise ValueError(f"{name} {plane.shape} does not belong to {self.ab.shape=}")

    def observations(self) -> list[tuple[Array, Array | float]]:
        """Pair each frame's a*b* with its precision, for fusion over time: 1 where the error is `USUAL_ERROR`.

        A Gaussian's precision goes with the inverse square of its error.
        """
        if self.error is None:
            return [(ab, 1.0) for ab in self.ab]
        ratio = np.float32(USUAL_ERROR) / np.maximum(self.error, np.float32(0.05))
        return list(zip(self.ab, np.clip(ratio * ratio, *_PRECISION), strict=True))


def check_prediction(found: Any, luma: Array, name: str) -> Prediction:
    """Return what a network's `step` returned for (n, h, w) luma, if it is what it must be.

    Raises:
        PluginError: another type, number of frames or size, values that are not finite or out of range.
    """
    if not isinstance(found, Prediction):
        raise PluginError(f"network {name}: step returned {type(found).__name__}; expected a Prediction")
    n, _, h, w = found.ab.shape
    planes = {"ab": found.ab, "confidence": found.confidence, "error": found.error, "features": found.features}
    for key, plane in planes.items():
        if plane is None:
            continue
        if not isinstance(plane, np.ndarray) or plane.dtype != np.float32:
            kind = getattr(plane, "dtype", type(plane).__name__)
            raise PluginError(f"network {name}: {key} is {kind}; expected a NumPy array of float32")
        if not np.isfinite(plane).all():
            raise PluginError(f"network {name}: {key} has values that are not finite")
    if n != len(luma) or not (0 < h <= luma.shape[1] and 0 < w <= luma.shape[2]):
        size = f"{len(luma)} frames of at most {luma.shape[1]}x{luma.shape[2]}"
        raise PluginError(f"network {name}: returned {n} frames of {h}x{w}; expected {size}")
    if n and (mean := float(np.abs(found.ab).mean())) > _ABSURD:
        raise PluginError(f"network {name}: the mean of |a*b*| is {mean:.0f}; expected CIE Lab units, about -110..110")
    low, high = (0.0, 0.0) if found.confidence is None or not n else (found.confidence.min(), found.confidence.max())
    if low < -_ROUNDED or high > 1 + _ROUNDED or (found.error is not None and n and found.error.min() < -_ROUNDED):
        raise PluginError(f"network {name}: confidence {low:.3g}..{high:.3g}; expected 0..1, and an error of 0 or more")
    return found


@dataclass(frozen=True, eq=False)
class KeyframeMotion:
    """Motion between n consecutive keyframes of a shot, on the grid (h", w") of the network's features.

    Of each pixel of a keyframe: its x and y in another one, and a confidence in 0..1.
    """

    back: Array
    """(n, 3, h", w") float32, in the keyframe before; that of the first one was among the keyframes before these."""
    ahead: Array
    """(n, 3, h", w") float32, in the next keyframe; without confidence for the last one."""
    features: Array | None
    """What the network returned of the keyframes before these (`Prediction.features`); None: there were none."""


class Colorizer(ABC):
    """A network in use. One object serves one film at a time."""

    card: ModelCard

    @property
    def plugins(self) -> tuple[str, ...]:
        """Code that it is made of and that is not ours; see `videocolor.plugins.identify`."""
        code = identify(type(self))
        return () if code is None else (code,)

    @abstractmethod
    def begin(self, hints: Sequence[HintInput]) -> Any:
        """Start a shot.

        Args:
            hints: as many as the card admits, all of one working size.

        Returns:
            The shot's state, opaque to the caller, bounded in size.
        """

    def remember(self, state: Any, frames: Sequence[HintInput]) -> Any:
        """Match frames of the shot that were colored on the way, beside the hints. Ignored by default.

        Args:
            state: what `begin` returned; it stays valid.
            frames: their masks say how far each place's color came from a hint.

        Returns:
            The shot's state from now on.
        """
        del frames
        return state

    @abstractmethod
    def step(self, state: Any, luma: Array, propagated: Array | None = None, /) -> Prediction:
        """Color a batch of frames of the shot, in film order.

        Args:
            state: what `begin` returned.
            luma: (n, h, w) float32, full-range Y' in 0..1, h and w as the card asks.
            propagated: (n, 4, h', w') float32 on the grid of prediction: a*b* that motion propagated from a hint
                (`videocolor.pipeline.propagation`), its confidence in 0..1 and how much brighter (Y') it is than the
                frame; zeros where there is none. Networks whose card does not say `propagates` ignore it.

        Raises:
            DeviceError: the device's memory does not hold this batch; the caller may halve it.
        """

    @property
    def holds_scribbles(self) -> bool:
        """Whether scribbles govern things, by `step_over`, and the rest of a frame keeps other colors."""
        return False

    def step_over(self, state: Any, luma: Array, base: Prediction) -> Prediction:
        """Color frames of a shot whose hints are scribbles alone.

        Args:
            state: as of `step`.
            luma: as of `step`.
            base: the frames' colors without hints, on the grid of prediction; they stay where no scribble reaches.
        """
        del base
        return self.step(state, luma)

    def regions(self, state: Any, luma: Array) -> dict[tuple[int, int], Array]:
        """Return what each scribble of a shot governs of a frame by itself; by default nothing.

        Args:
            state: as of `step`.
            luma: (h, w) float32, full-range Y' in 0..1.

        Returns:
            (number of the hint from 0, of the scribble in it from 1) -> (h', w') float32 in 0..1.
        """
        del state, luma
        return {}

    def unlike(self, hint: HintInput) -> Array | None:
        """Tell which places of a partly painted hint look like nothing that is painted of it; by default nothing.

        Returns:
            (h', w') float32 in 0..1; None: not known.
        """
        del hint
        return None

    def step_together(self, state: Any, luma: Array, motion: KeyframeMotion) -> Prediction:
        """Color consecutive keyframes of a shot without a hint, each by what all of them show. By default: `step`.

        They are those of one window; what the windows before have shown is in `motion.features`.

        Args:
            state: as of `step`.
            luma: as of `step`.
            motion: between the keyframes.

        Raises:
            DeviceError: the device's memory does not hold them; the caller does not try fewer.
        """
        del motion
        return self.step(state, luma)

    def propose(self, luma: Array, count: int) -> list[Array]:
        """Color a frame without a hint in up to `count` ways that differ as wholes, the likeliest first.

        Args:
            luma: (h, w) float32, full-range Y' in 0..1, at the size for shots without a hint.
            count: how many are wanted; a network that has one answer returns that.

        Returns:
            (2, h', w') float32 a*b* each.
        """
        return [self.step(self.begin([]), luma[None]).ab[0]][:count]
