"""Networks of a few lines for tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from videocolor.models.base import Colorizer, HintInput, ModelCard, Prediction
from videocolor.types import Array


class Brown(Colorizer):
    """One color."""

    def __init__(self) -> None:
        self.card = ModelCard("brown", "Brown", "many", 0, 0, area=96 * 64, sha256="ab" * 32)

    def begin(self, hints: Sequence[HintInput]) -> None:
        pass

    def step(self, memory: None, luma: Array, propagated: Array | None = None, /) -> Prediction:
        return Prediction(np.full((len(luma), 2, luma.shape[1] // 2, luma.shape[2] // 2), 12, np.float32))
