"""Two networks as one: hinted shots go to one of them, shots without a hint to the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from videocolor.errors import UsageError
from videocolor.images import resized_planes
from videocolor.models.base import Colorizer, HintInput, KeyframeMotion, Prediction
from videocolor.types import Array

__all__ = ["AutomaticColorizer"]


class _State(NamedTuple):
    colorizer: Colorizer
    own: Any
    held: bool = False
    """The hints are scribbles, held to things: the rest of a frame keeps the colors of the automatic network."""
    base: Any = None
    """The automatic network's state, then."""


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
        state = _State(chosen, chosen.begin(hints))
        held = bool(hints) and self.hinted.holds_scribbles and all(hint.places is not None for hint in hints)
        return state._replace(held=True, base=self.automatic.begin([])) if held else state

    def remember(self, state: _State, frames: Sequence[HintInput]) -> _State:
        """See `Colorizer`."""
        return state._replace(own=state.colorizer.remember(state.own, frames))

    def step(self, state: _State, luma: Array, propagated: Array | None = None, /) -> Prediction:
        """Color frames of the shot."""
        if not state.held:
            return state.colorizer.step(state.own, luma, propagated)
        (height, width), step = luma.shape[1:], self.card.multiple
        factor = min(1.0, ((self.card.area_automatic or self.card.area) / (height * width)) ** 0.5)
        size = max(step, round(height * factor / step) * step), max(step, round(width * factor / step) * step)
        base = self.automatic.step(state.base, resized_planes(luma, size))
        return state.colorizer.step_over(state.own, luma, self._enlarged(base, luma))

    def step_together(self, state: _State, luma: Array, motion: KeyframeMotion) -> Prediction:
        """Color keyframes of the shot, each by what all of them show."""
        if not state.held:
            return state.colorizer.step_together(state.own, luma, motion)
        stride = self.card.feature_stride or 1
        size = (motion.back.shape[2] * stride, motion.back.shape[3] * stride)
        base = self.automatic.step_together(state.base, resized_planes(luma, size), motion)
        large = self._enlarged(base, luma)
        found = [  # one by one: a window may have more keyframes than a batch
            state.colorizer.step_over(
                state.own,
                luma[i : i + 1],
                Prediction(large.ab[i : i + 1], None, None if large.error is None else large.error[i : i + 1]),
            )
            for i in range(len(luma))
        ]
        confidence = [one.confidence for one in found if one.confidence is not None]
        error = [one.error for one in found if one.error is not None]
        return Prediction(
            np.concatenate([one.ab for one in found]),
            np.concatenate(confidence) if confidence else None,
            np.concatenate(error) if error else None,
            features=base.features,
        )

    def regions(self, state: _State, luma: Array) -> dict[tuple[int, int], Array]:
        """See `Colorizer`."""
        return state.colorizer.regions(state.own, luma)

    def unlike(self, hint: HintInput) -> Array | None:
        """See `Colorizer`."""
        return self.hinted.unlike(hint)

    def _enlarged(self, found: Prediction, luma: Array) -> Prediction:
        """Bring a prediction to the grid that the hinted network has for this luma."""
        size = luma.shape[1] // self.card.output_stride, luma.shape[2] // self.card.output_stride
        ab = np.stack([resized_planes(frame, size) for frame in found.ab])
        return Prediction(ab, None, None if found.error is None else resized_planes(found.error, size))

    def propose(self, luma: Array, count: int) -> list[Array]:
        """Color a frame without a hint in several ways."""
        return self.automatic.propose(luma, count)
