"""The keyframe network in use: automatic color, one choice for each region, held through a shot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from threading import Thread
from typing import Final, Protocol

import numpy as np

from videocolor.models.base import Colorizer, HintInput, KeyframeMotion, ModelCard, Prediction
from videocolor.models.keyframe.regions import Evidence, Head, by_regions, choose_chroma, prepare, propose
from videocolor.models.keyframe.together import average_features
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
    head: Head

    def features(self, luma: Array) -> Array:
        """Convert (n, 1, h, w) Y' to the last features (n, c, h/4, w/4)."""


class KeyframeColorizer(Colorizer):
    """Colors frames without a hint.

    Args:
        card: of the weights file.
        runtime: executes the network.
        vividness: 0 (cautious) to 1 (bold).
    """

    def __init__(self, card: ModelCard, runtime: Runtime, vividness: float = DEFAULT_VIVIDNESS) -> None:
        self.card, self.runtime, self.vividness = replace(card, feature_stride=_STRIDE), runtime, vividness
        self._importing: Thread | None = None

    def begin(self, hints: Sequence[HintInput]) -> None:
        """Start a shot; hints are not used."""
        if self._importing is None:  # while the shot's first frames are read
            self._importing = Thread(target=prepare, name="import", daemon=True)
            self._importing.start()

    def step(self, _state: None, luma: Array, _propagated: Array | None = None, /) -> Prediction:
        """Color frames, each by itself."""
        return self._colored([by_regions(self.evidence(frame)) for frame in luma])

    def step_together(self, _state: None, luma: Array, motion: KeyframeMotion) -> Prediction:
        """Color keyframes by what all of them show: a coat does not turn from brown to navy as it walks."""
        # Regions first: they differ from keyframe to keyframe, and the mean over time evens that out.
        evidences = [by_regions(self.evidence(frame)) for frame in luma]
        means, features = average_features(evidences, motion)
        together = [replace(one, features=mean) for one, mean in zip(evidences, means, strict=True)]
        return replace(self._colored(together), features=features)

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

    def _colored(self, evidences: Sequence[Evidence]) -> Prediction:
        found = [choose_chroma(one, self.vividness) for one in evidences]
        ab, spread = (np.stack(planes) for planes in zip(*found, strict=True))
        return Prediction(ab, error=_LEAST_ERROR + spread / 2)
