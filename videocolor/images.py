"""Planes and pictures: resized, by averages where they shrink and linearly where they grow; and encoded."""

from __future__ import annotations

import cv2
import numpy as np

from videocolor.errors import OutputError
from videocolor.types import Array

__all__ = ["encode_image", "resized", "resized_planes"]


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


def encode_image(image: Array, suffix: str = ".png", *, quality: int | None = None, full_chroma: bool = False) -> bytes:
    """Encode a picture.

    Args:
        image: (h, w) gray, (h, w, 3) R'G'B' or (h, w, 4) with opacity; uint8, or uint16 for a PNG.
        suffix: `.png` or `.jpg`.
        quality: of a JPEG, 0..100; None: OpenCV's 95.
        full_chroma: a JPEG without chroma subsampling.

    Raises:
        OutputError: it cannot be encoded, or the suffix is another one.
    """
    if image.ndim == 3:
        image = image[..., (2, 1, 0, 3)[: image.shape[2]]]
    jpeg, options = suffix.lower() in (".jpg", ".jpeg"), list[int]()
    if jpeg and quality is not None:
        options += [cv2.IMWRITE_JPEG_QUALITY, quality]
    if jpeg and full_chroma:
        options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    if jpeg or suffix.lower() == ".png":
        done, data = cv2.imencode(suffix.lower(), np.ascontiguousarray(image), options)
        if done:
            return bytes(data)
    size = f"{image.shape[1]}x{image.shape[0]}"
    raise OutputError(f"a picture of {size} cannot be written as {suffix or 'a file without suffix'}; use .jpg or .png")
