"""Two networks as one: hinted shots go to one of them, shots without a hint to the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from videocolor.errors import UsageError
from videocolor.models.base import Colorizer, HintInput, KeyframeMotion, Prediction
from videocolor.types import Array

__all__ = ["AutomaticColorizer"]


class _State(NamedTuple):
    colorizer: Colorizer
    own: Any


class AutomaticColorizer(Colorizer):
    """Colors each shot with the network that suits it.

    Args:
        hinted: colors shots that have a hint; the pair has its card, whose title names the other network, too.
        automatic: colors the others.

    Raises:
        UsageError: one of them takes pictures of one size only.
    """

    def __init__(self, hinted: Colorizer, automatic: Colorizer) -> None:
        self.hinted, self.automatic = hinted, automatic
        other = automatic.card
        if other.size != hinted.card.size:
            raise UsageError(f"model.automatic {other.name}: its size {other.size} is not that of {hinted.card.name}")
        self.card = replace(
            hinted.card,
            multiple=math.lcm(hinted.card.multiple, other.multiple),
            title=f"{hinted.card.title}; without a hint: {other.name}, sha256 {other.sha256}",
            area_automatic=other.area_automatic or other.area,
            feature_stride=other.feature_stride,
        )
        self.runtime = getattr(hinted, "runtime", None)

    @property
    def plugins(self) -> tuple[str, ...]:
        """Those of both."""
        return (*self.hinted.plugins, *self.automatic.plugins)

    def begin(self, hints: Sequence[HintInput]) -> _State:
        """Start a shot with the network that suits it."""
        chosen = self.hinted if hints else self.automatic
        return _State(chosen, chosen.begin(hints))

    def remember(self, state: _State, frames: Sequence[HintInput]) -> _State:
        """See `Colorizer`."""
        return _State(state.colorizer, state.colorizer.remember(state.own, frames))

    def step(self, state: _State, luma: Array, propagated: Array | None = None, /) -> Prediction:
        """Color frames of the shot."""
        return state.colorizer.step(state.own, luma, propagated)

    def step_together(self, state: _State, luma: Array, motion: KeyframeMotion) -> Prediction:
        """Color keyframes of the shot, each by what all of them show."""
        return state.colorizer.step_together(state.own, luma, motion)

    def propose(self, luma: Array, count: int) -> list[Array]:
        """Color a frame without a hint in several ways."""
        return self.automatic.propose(luma, count)
