"""The one interface that every network is used through, and the card that says what it needs.

    memory = colorizer.begin(hints)              # once a shot
    prediction = colorizer.step(memory, luma, carried)    # once a batch of frames

The data path obeys the card; it never asks for a name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from videocolor.types import Array

__all__ = ["USUAL_ERROR", "Colorizer", "HintInput", "ModelCard", "Prediction"]


USUAL_ERROR = 8.0
"""Mean absolute error of a*b* of an automatic network, about."""
_PRECISION = (0.25, 25.0)


@dataclass(frozen=True)
class ModelCard:
    """What a network is and what it takes."""

    name: str
    title: str
    hints: Literal["none", "one", "many"]
    """How many hints a shot may have."""
    parameters: int
    """Number of trained numbers."""
    macs: int | None
    """Multiply-accumulates for one 256x256 frame without hints; None: not measured."""
    area: int = 288 * 160
    """Pixels that the network wants to see: the film is scaled to about this area, aspect kept."""
    area_reference: int | None = None
    """The same for films of which a frame was painted, where detail pays; None: `area`."""
    area_style: int | None = None
    """The same for shots whose hints are other pictures: what is matched is found in detail; None: `area`."""
    multiple: int = 32
    """Height and width must be multiples of this."""
    output_stride: int = 2
    """Predictions come on a grid this many times coarser than the working size; colour is fused over time there."""
    propagates: bool = False
    """Whether `step` uses chroma that motion carried from a hint."""
    size: tuple[int, int] | None = None
    """(height, width) where the network takes one size only; overrides `area`."""
    licence: str = ""
    sha256: str = ""
    """Of the weights file; empty where there is none."""
    source: str = ""
    """Paper or origin."""

    @property
    def max_hints(self) -> int | None:
        """How many hints a shot may have; None: any number."""
        return {"none": 0, "one": 1, "many": None}[self.hints]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class HintInput:
    """A hint as a network receives it, at the working size."""

    luma: Array
    """(h, w) float32, full-range Y' in 0..1."""
    ab: Array
    """(2, h, w) float32, CIE Lab a*b* (D65)."""
    mask: Array | None = None
    """(h, w) float32 in 0..1, which pixels count; None: all."""
    in_shot: bool = False
    """Painted on a frame of this shot: scribbles are applied locally regardless of the relevance gate."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """Chroma for a batch of frames."""

    ab: Array
    """(n, 2, h', w') float32, CIE Lab a*b* (D65); h' and w' may be a fraction of the working size."""
    confidence: Array | None = None
    """(n, h', w') float32 in 0..1: how well a hint supports each place; None for automatic networks."""
    error: Array | None = None
    """(n, h', w') float32, expected mean absolute error of a*b*; None where the network does not say."""

    def __post_init__(self) -> None:
        if self.ab.ndim != 4 or self.ab.shape[1] != 2:
            raise ValueError(f"{self.ab.shape=}: expected (n, 2, h, w)")
        for name, plane in (("confidence", self.confidence), ("error", self.error)):
            if plane is not None and plane.shape != (self.ab.shape[0], *self.ab.shape[2:]):
                raise ValueError(f"{name} {plane.shape} does not belong to {self.ab.shape=}")
        if not np.isfinite(self.ab).all():
            raise ValueError("the network returned values that are not finite")

    def observations(self) -> list[tuple[Array, Array | float]]:
        """Each frame's a*b* and its precision, for fusion over time: 1 where the error is `USUAL_ERROR`.

        A Gaussian's precision goes with the inverse square of its error.
        """
        if self.error is None:
            return [(ab, 1.0) for ab in self.ab]
        ratio = np.float32(USUAL_ERROR) / np.maximum(self.error, np.float32(0.05))
        return list(zip(self.ab, np.clip(ratio * ratio, *_PRECISION), strict=True))


class Colorizer(ABC):
    """A network in use. One object serves one film at a time."""

    card: ModelCard

    @abstractmethod
    def begin(self, hints: Sequence[HintInput]) -> Any:
        """Start a shot.

        Args:
            hints: as many as the card admits, all of one working size.

        Returns:
            The shot's memory, opaque to the caller, bounded in size.
        """

    @abstractmethod
    def step(self, memory: Any, luma: Array, carried: Array | None = None) -> Prediction:
        """Colour a batch of frames of the shot, in film order.

        Args:
            memory: what `begin` returned.
            luma: (n, h, w) float32, full-range Y' in 0..1, h and w as the card asks.
            carried: (n, 4, h', w') float32 on the grid of prediction: a*b*, trust in 0..1 and excess of Y' of what
                motion propagated from a hint (`videocolor.pipeline.propagation`), zeros for frames without;
                networks whose card does not carry ignore it.

        Raises:
            DeviceError: the device's memory does not hold this batch; the caller may halve it.
        """
