"""Keyframes through the network in batches, which are halved when memory runs out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from videocolor.errors import DeviceError
from videocolor.events import RunLog
from videocolor.images import resized
from videocolor.models.base import Colorizer, KeyframeMotion, Prediction, check_prediction
from videocolor.types import Array

__all__ = ["Predictor"]

_DARK: Final = 0.1
"""Mean luma up to which frames need have no color."""
_COLORLESS: Final = 1.2
"""A hundredth of the strongest colors, about."""


class Predictor:
    """Runs one film's keyframes through the network, at most `batch` frames at once.

    Args:
        colorizer: the network.
        batch: frames at once; halved for good when the device's memory does not hold them.
        log: receives a warning when that happens.
    """

    def __init__(self, colorizer: Colorizer, batch: int, log: RunLog) -> None:
        self.batch = batch
        self._colorizer, self._log = colorizer, log

    def predict(
        self,
        memory: Any,
        lumas: Sequence[Array],
        grid: tuple[int, int],
        propagated: Sequence[Array | None] | None = None,
    ) -> Prediction:
        """Color frames of one shot.

        Args:
            memory: what the network's `begin` returned for this shot.
            lumas: (h, w) float32 each, Y' in 0..1, in film order; may be empty.
            grid: (height, width) of the result.
            propagated: (4, h', w') each, of `propagated_input`, on the network's grid; None for frames that no color
                reaches.

        Returns:
            a*b* (n, 2, *grid), the network's confidence and expected error (n, *grid).

        Raises:
            DeviceError: not even one frame fits.
        """
        done: list[Prediction] = []
        start = 0
        while start < len(lumas):
            part = lumas[start : start + self.batch]
            given = None if propagated is None else _stacked(propagated[start : start + self.batch])
            try:
                done.append(self._step(memory, np.stack(part), grid, given))
            except DeviceError:
                if len(part) == 1:
                    raise
                self.batch = len(part) // 2
                self._log.warn(f"out of memory with {len(part)} frames at once: halved to {self.batch}")
                continue
            start += len(part)
        if not done:
            return Prediction(np.zeros((0, 2, *grid), np.float32))
        return Prediction(
            np.concatenate([p.ab for p in done]),
            _joined([p.confidence for p in done]),
            _joined([p.error for p in done]),
        )

    def predict_together(
        self, memory: Any, lumas: Sequence[Array], grid: tuple[int, int], motion: KeyframeMotion
    ) -> Prediction:
        """Color consecutive keyframes of one shot, each by what all of them show.

        Args:
            memory: as of `predict`.
            lumas: as of `predict`, at least one.
            grid: as of `predict`.
            motion: between the keyframes.

        Raises:
            DeviceError: the device's memory does not hold them.
        """
        luma = np.stack(lumas)
        return self._checked(self._colorizer.step_together(memory, luma, motion), luma, grid)

    def _step(self, memory: Any, luma: Array, grid: tuple[int, int], propagated: Array | None) -> Prediction:
        # Networks that do not use propagated color need not know of it.
        step = self._colorizer.step
        found = step(memory, luma) if propagated is None else step(memory, luma, propagated)
        return self._checked(found, luma, grid)

    def _checked(self, found: Prediction, luma: Array, grid: tuple[int, int]) -> Prediction:
        prediction = check_prediction(found, luma, self._colorizer.card.name)
        self._look_for_gray(prediction, luma)
        return _resized(prediction, grid)

    def _look_for_gray(self, prediction: Prediction, luma: Array) -> None:
        """Warn of a network that colors nothing, as one whose values are scaled to a hundredth."""
        card = self._colorizer.card
        if card.parameters and luma.mean() > _DARK and np.abs(prediction.ab).max() < _COLORLESS:
            self._log.warn(
                f"network {card.name}: some frames come back without color (no |a*b*| above {_COLORLESS:g}); if there "
                "should be some, check that it returns CIE Lab units (output.scale of an ONNX file's card)"
            )


def _resized(prediction: Prediction, grid: tuple[int, int]) -> Prediction:
    """Bring a prediction to another grid (height, width)."""
    if prediction.ab.shape[2:] == grid:
        return prediction
    ab = np.stack([np.stack([resized(channel, grid) for channel in frame]) for frame in prediction.ab])
    confidence, error = (
        None if planes is None else np.stack([resized(plane, grid) for plane in planes])
        for planes in (prediction.confidence, prediction.error)
    )
    return Prediction(ab, confidence, error, prediction.features)


def _stacked(propagated: Sequence[Array | None]) -> Array | None:
    """Stack to (n, 4, h', w'), zeros where no color reaches a frame; None where none reaches any."""
    known = next((item for item in propagated if item is not None), None)
    return None if known is None else np.stack([np.zeros_like(known) if item is None else item for item in propagated])


def _joined(parts: list[Array | None]) -> Array | None:
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if len(known) == len(parts) else None
