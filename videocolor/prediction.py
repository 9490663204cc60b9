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

__all__ = ["predict"]


def predict(
    colorizer: Colorizer, memory: Any, lumas: Sequence[Array], grid: tuple[int, int], log: RunLog
) -> Prediction:
    """Colour frames of one shot.

    Args:
        colorizer: the network.
        memory: what its `begin` returned for this shot.
        lumas: (h, w) float32 each, Y' in 0..1, in film order; may be empty.
        grid: (height, width) that the colour is wanted on.
        log: is told when the batch had to be halved.

    Returns:
        a*b* (n, 2, *grid) and the network's confidence (n, *grid).

    Raises:
        DeviceError: not even one frame fits.
    """
    if not lumas:
        return Prediction(np.zeros((0, 2, *grid), np.float32))
    try:
        prediction = colorizer.step(memory, np.stack(lumas))
    except DeviceError:
        if len(lumas) == 1:
            raise
        half = len(lumas) // 2
        log.warn(f"out of memory with {len(lumas)} frames at once: halved to {half}")
        first = predict(colorizer, memory, lumas[:half], grid, log)
        return _join(first, predict(colorizer, memory, lumas[half:], grid, log))
    confidence = prediction.confidence
    if prediction.ab.shape[2:] == grid:
        return prediction
    ab = np.stack([np.stack([_resized(channel, grid) for channel in frame]) for frame in prediction.ab])
    return Prediction(ab, None if confidence is None else np.stack([_resized(c, grid) for c in confidence]))


def _resized(image: Array, grid: tuple[int, int]) -> Array:
    shrinks = image.shape[0] >= grid[0] and image.shape[1] >= grid[1]
    return cv2.resize(image, grid[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def _join(first: Prediction, second: Prediction) -> Prediction:
    confidence = None
    if first.confidence is not None and second.confidence is not None:
        confidence = np.concatenate([first.confidence, second.confidence])
    return Prediction(np.concatenate([first.ab, second.ab]), confidence)
