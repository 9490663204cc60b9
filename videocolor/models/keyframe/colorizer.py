"""The keyframe network in use: automatic color, one choice for each region."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np

from videocolor.models.base import Colorizer, HintInput, ModelCard, Prediction
from videocolor.models.hint import AB_SCALE
from videocolor.models.keyframe.regions import Evidence, choose_chroma, find_regions, propose
from videocolor.types import Array

__all__ = ["ARCHITECTURE", "DEFAULT_VIVIDNESS", "KeyframeColorizer", "Runtime"]

ARCHITECTURE: Final = "keyframe-1"

_STRIDE: Final = 4
DEFAULT_VIVIDNESS: Final = 0.5
_LEAST_ERROR: Final = np.float32(3)
"""Error of a*b* where the distribution has one narrow peak."""


class Runtime(Protocol):
    """What executes the network."""

    name: str
    centers: Array
    """(q, 2) float32 a*b* of the bins."""
    weights: Array
    """(q,) float32, what they weighed in training."""

    def colorize(self, luma: Array) -> tuple[Array, Array]:
        """Convert (n, 1, h, w) Y' to mean (n, 2, h/4, w/4) a*b* / 110, and scores (n, q, h/4, w/4)."""


class KeyframeColorizer(Colorizer):
    """Colors frames without a hint.

    Args:
        card: of the weights file.
        runtime: executes the network.
        vividness: 0 (cautious) to 1 (bold).
    """

    def __init__(self, card: ModelCard, runtime: Runtime, vividness: float = DEFAULT_VIVIDNESS) -> None:
        self.card, self.runtime, self.vividness = card, runtime, vividness

    def begin(self, hints: Sequence[HintInput]) -> None:
        """Start a shot; hints are not used."""

    def step(self, _state: None, luma: Array, _propagated: Array | None = None, /) -> Prediction:
        """Color frames, each by itself."""
        ab, error = zip(*(self._colored(frame) for frame in luma), strict=True)
        return Prediction(np.stack(ab), error=np.stack(error))

    def evidence(self, luma: Array) -> Evidence:
        """Compute what the network says of a frame.

        Args:
            luma: (h, w) float32 Y' in 0..1; h and w multiples of 32.
        """
        mean, scores = self.runtime.colorize(luma[None, None].astype(np.float32))
        height, width = luma.shape
        small = luma.reshape(height // _STRIDE, _STRIDE, width // _STRIDE, _STRIDE).mean(axis=(1, 3))
        return Evidence(small, mean[0] * np.float32(AB_SCALE), scores[0])

    def propose(self, luma: Array, count: int) -> list[Array]:
        """Color a frame in several ways; see `Colorizer.propose`."""
        return propose(self.evidence(luma), self.runtime.centers, self.runtime.weights, self.vividness, count)

    def _colored(self, luma: Array) -> tuple[Array, Array]:
        """a*b* and its expected error on the grid of prediction."""
        evidence = self.evidence(luma)
        centers, weights = self.runtime.centers, self.runtime.weights
        ab, spread = choose_chroma(evidence, find_regions(evidence), centers, weights, self.vividness)
        return ab, _LEAST_ERROR + spread / 2
