"""Anchors through the network, batch by batch, halving the batch when memory runs out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from videocolor.errors import DeviceError
from videocolor.models.base import Colorizer, Prediction
from videocolor.runlog import RunLog
from videocolor.types import Array

__all__ = ["Predictor"]


class Predictor:
    """Runs one film's anchors through the network, at most `batch` frames at once.

    Args:
        colorizer: the network.
        grid: (height, width) that the colour is wanted on.
        batch: frames at once; halved for good when the device's memory does not hold them.
        log: is told when that happens.
    """

    def __init__(self, colorizer: Colorizer, grid: tuple[int, int], batch: int, log: RunLog) -> None:
        self.batch = batch
        self._colorizer, self._grid, self._log = colorizer, grid, log

    def predict(self, memory: Any, lumas: Sequence[Array]) -> Prediction:
        """Colour frames of one shot.

        Args:
            memory: what the network's `begin` returned for this shot.
            lumas: (h, w) float32 each, Y' in 0..1, in film order; may be empty.

        Returns:
            a*b* (n, 2, *grid) and the network's confidence (n, *grid).

        Raises:
            DeviceError: not even one frame fits.
        """
        done: list[Prediction] = []
        start = 0
        while start < len(lumas):
            part = lumas[start : start + self.batch]
            try:
                done.append(self._step(memory, np.stack(part)))
            except DeviceError:
                if len(part) == 1:
                    raise
                self.batch = len(part) // 2
                self._log.warn(f"out of memory with {len(part)} frames at once: halved to {self.batch}")
                continue
            start += len(part)
        if not done:
            return Prediction(np.zeros((0, 2, *self._grid), np.float32))
        confidences = [p.confidence for p in done if p.confidence is not None]
        confidence = np.concatenate(confidences) if len(confidences) == len(done) else None
        return Prediction(np.concatenate([p.ab for p in done]), confidence)

    def _step(self, memory: Any, luma: Array) -> Prediction:
        prediction = self._colorizer.step(memory, luma)
        if prediction.ab.shape[2:] == self._grid:
            return prediction
        grid, confidence = self._grid, prediction.confidence
        ab = np.stack([np.stack([_resized(channel, grid) for channel in frame]) for frame in prediction.ab])
        return Prediction(ab, None if confidence is None else np.stack([_resized(c, grid) for c in confidence]))


def _resized(image: Array, grid: tuple[int, int]) -> Array:
    shrinks = image.shape[0] >= grid[0] and image.shape[1] >= grid[1]
    return cv2.resize(image, grid[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
