"""The scene check: the Euclidean distance between two frames, computed on thumbnails."""

from __future__ import annotations

import cv2
import numpy as np

from videocolor.types import Array

__all__ = ["THUMB", "frame_distance", "thumbnail"]

THUMB = 16
"""Side of the thumbnails in pixels."""


def thumbnail(rgb: Array) -> Array:
    """Shrink a frame to what the scene check compares.

    Args:
        rgb: (h, w, 3) uint8.

    Returns:
        (THUMB, THUMB, 3) uint8, area-averaged.
    """
    return np.asarray(cv2.resize(rgb, (THUMB, THUMB), interpolation=cv2.INTER_AREA))


def frame_distance(a: Array, b: Array) -> Array:
    """Euclidean distance between thumbnails, as root mean square over pixels and channels.

    Args:
        a: (..., THUMB, THUMB, 3) uint8.
        b: the same; leading axes broadcast.

    Returns:
        (...) float32 in 0..1; frames of one scene are usually below 0.2, black against white is 1.
    """
    difference = a.astype(np.float32) - b.astype(np.float32)
    return np.asarray(np.sqrt(np.mean(difference**2, axis=(-3, -2, -1))) / np.float32(255))
