"""Resizing of planes and pictures: averaged where it shrinks, linear where it grows."""

from __future__ import annotations

import cv2
import numpy as np

from videocolor.types import Array

__all__ = ["resized", "resized_planes"]


def resized(image: Array, size: tuple[int, int]) -> Array:
    """Resize an image by area averages where neither side grows, else linearly.

    OpenCV's area mode repeats pixels where a side grows.

    Args:
        image: (h, w) or (h, w, c), of a type that OpenCV resizes.
        size: (height, width).
    """
    shrinks = image.shape[0] >= size[0] and image.shape[1] >= size[1]
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def resized_planes(planes: Array, size: tuple[int, int]) -> Array:
    """Resize (c, h, w) planes to (c, *size), each as `resized` does."""
    return np.stack([resized(np.ascontiguousarray(plane), size) for plane in planes])
