"""The keyframe network in use: automatic color, one choice for each region, held through a shot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Protocol

import numpy as np

from videocolor.models.base import Colorizer, HintInput, ModelCard, Prediction
from videocolor.models.keyframe.regions import Evidence, Head, choose_chroma, find_regions, propose
from videocolor.types import Array

__all__ = ["ARCHITECTURE", "DEFAULT_VIVIDNESS", "KeyframeColorizer", "Runtime"]

ARCHITECTURE: Final = "keyframe-1"

_STRIDE: Final = 4
DEFAULT_VIVIDNESS: Final = 0.5
_LEAST_ERROR: Final = np.float32(3)
"""Error of a*b* where the distribution has one narrow peak."""
_FOLLOWED: Final = (0.2, 0.6)
"""Confidence of motion from which features of the keyframe before begin to count, and count fully."""
_MOST: Final = 12.0
"""Keyframes that the features are averaged over, at most."""


class Runtime(Protocol):
    """What executes the network."""

    name: str
    head: Head

    def features(self, luma: Array) -> Array:
        """Convert (n, 1, h, w) Y' to the last features (n, c, h/4, w/4)."""


class KeyframeColorizer(Colorizer):
    """Colors frames without a hint.

    A shot is decided as a whole: features, in which the logits of all colors are linear, are averaged along motion over
    the keyframes so far, so that a coat does not turn from brown to navy as it walks.

    Args:
        card: of the weights file.
        runtime: executes the network.
        vividness: 0 (cautious) to 1 (bold).
    """

    def __init__(self, card: ModelCard, runtime: Runtime, vividness: float = DEFAULT_VIVIDNESS) -> None:
        self.card, self.runtime, self.vividness = replace(card, recurrent=True), runtime, vividness

    def begin(self, hints: Sequence[HintInput]) -> None:
        """Start a shot; hints are not used."""

    def step(self, _state: None, luma: Array, propagated: Array | None = None, /) -> Prediction:
        """Color frames, each with the features that motion brings it, or by itself."""
        given = [None] * len(luma) if propagated is None else propagated
        found = [self._colored(frame, planes) for frame, planes in zip(luma, given, strict=True)]
        ab, error, features = (np.stack(planes) for planes in zip(*found, strict=True))
        return Prediction(ab, error=error, features=features)

    def evidence(self, luma: Array) -> Evidence:
        """Compute what the network says of a frame.

        Args:
            luma: (h, w) float32 Y' in 0..1; h and w multiples of 32.
        """
        features = self.runtime.features(luma[None, None].astype(np.float32))
        height, width = luma.shape
        small = luma.reshape(height // _STRIDE, _STRIDE, width // _STRIDE, _STRIDE).mean(axis=(1, 3))
        return Evidence(small, features[0], self.runtime.head)

    def propose(self, luma: Array, count: int) -> list[Array]:
        """Color a frame in several ways; see `Colorizer.propose`."""
        return propose(self.evidence(luma), self.vividness, count)

    def _colored(self, luma: Array, propagated: Array | None) -> tuple[Array, Array, Array]:
        """a*b*, its expected error, and averaged features with the number of keyframes that they are averaged over."""
        evidence = self.evidence(luma)
        frames = np.ones((1, *evidence.luma.shape), np.float32)
        if propagated is not None:
            before, others, trust = propagated[:-2], propagated[-2], propagated[-1]
            others = np.minimum(others, np.float32(_MOST - 1)) * _smooth_step(trust, *_FOLLOWED)
            frames += others
            evidence = replace(evidence, features=evidence.features + (before - evidence.features) * (others / frames))
        ab, spread = choose_chroma(evidence, find_regions(evidence), self.vividness)
        return ab, _LEAST_ERROR + spread / 2, np.concatenate([evidence.features, frames])


def _smooth_step(x: Array, low: float, high: float) -> Array:
    """0 up to `low`, 1 from `high` on, a cubic between."""
    t = np.clip((x - np.float32(low)) / np.float32(high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
