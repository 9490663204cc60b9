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
from videocolor.upsample import upsample_chroma

__all__ = ["predict"]


def predict(colorizer: Colorizer, memory: Any, lumas: Sequence[Array], log: RunLog) -> Prediction:
    """Colour frames of one shot at the working size.

    Args:
        colorizer: the network.
        memory: what its `begin` returned for this shot.
        lumas: (h, w) float32 each, Y' in 0..1, in film order; may be empty.
        log: is told when the batch had to be halved.

    Returns:
        a*b* brought to (n, 2, h, w), guided by luma, and the network's confidence (n, h, w).

    Raises:
        DeviceError: not even one frame fits.
    """
    if not lumas:
        return Prediction(np.zeros((0, 2, 1, 1), np.float32))
    try:
        prediction = colorizer.step(memory, np.stack(lumas))
    except DeviceError:
        if len(lumas) == 1:
            raise
        half = len(lumas) // 2
        log.warn(f"out of memory with {len(lumas)} frames at once: halved to {half}")
        return _join(predict(colorizer, memory, lumas[:half], log), predict(colorizer, memory, lumas[half:], log))
    ab = [_to_working_size(ab, luma) for ab, luma in zip(prediction.ab, lumas, strict=True)]
    h, w = lumas[0].shape
    confidence = None
    if prediction.confidence is not None:
        confidence = np.stack([cv2.resize(c, (w, h), interpolation=cv2.INTER_LINEAR) for c in prediction.confidence])
    return Prediction(np.stack(ab), confidence)


def _to_working_size(ab: Array, luma: Array) -> Array:
    if ab.shape[1:] == luma.shape:
        return ab
    small = cv2.resize(luma, (ab.shape[2], ab.shape[1]), interpolation=cv2.INTER_AREA)
    return upsample_chroma(ab, small, luma)


def _join(first: Prediction, second: Prediction) -> Prediction:
    confidence = None
    if first.confidence is not None and second.confidence is not None:
        confidence = np.concatenate([first.confidence, second.confidence])
    return Prediction(np.concatenate([first.ab, second.ab]), confidence)
