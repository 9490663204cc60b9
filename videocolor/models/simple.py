"""Colorizers without weights: one colour everywhere, for tests and benchmarks; and none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from videocolor.models.base import Colorizer, HintInput, ModelCard, Prediction
from videocolor.types import Array

__all__ = ["CONSTANT_CARD", "GRAY_CARD", "ConstantColorizer"]

CONSTANT_CARD = ModelCard(
    name="constant",
    title="One a*b* everywhere (a tint); for tests and benchmarks",
    hints="none",
    parameters=0,
    macs=0,
    licence="Apache-2.0",
)
GRAY_CARD = ModelCard(
    name="gray",
    title="No colour at all; the floor that others are measured by",
    hints="none",
    parameters=0,
    macs=0,
    licence="Apache-2.0",
)


class ConstantColorizer(Colorizer):
    """The same a*b* for every place of every frame.

    Args:
        card: `CONSTANT_CARD` or `GRAY_CARD`.
        ab: CIE Lab a*, b*.
    """

    def __init__(self, card: ModelCard, ab: tuple[float, float]) -> None:
        self.card = card
        self._ab = np.asarray(ab, np.float32)[None, :, None, None]

    def begin(self, hints: Sequence[HintInput]) -> None:
        """Nothing to remember."""

    def step(self, memory: None, luma: Array, carried: Array | None = None) -> Prediction:
        """(n, 2, h/2, w/2) of the constant."""
        n, h, w = luma.shape
        return Prediction(np.broadcast_to(self._ab, (n, 2, h // 2, w // 2)).copy())
