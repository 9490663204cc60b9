"""The figures of the patch colouriser's paper: what is predicted, seen without lightness, and what codebooks hold."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from videocolor.color import lab_to_rgb, rgb_to_luv
from videocolor.published.patch_data import square
from videocolor.published.patch_fit import nearest
from videocolor.published.patches import PatchColorizer, repaint
from videocolor.types import Array

__all__ = ["patch_sheet"]

_LINE = 22
"""Pixels of a line of text."""


def patch_sheet(
    images: Sequence[Array], colorizer: PatchColorizer, codebooks: Sequence[Array], side: int = 192
) -> Array:
    """A sheet of two blocks, a row an image in each.

    The upper block: original, its (u*, v*) at L* = 50, gray, predicted (u*, v*) at L* = 50, prediction. The lower one:
    original, then repainted with each codebook, every pixel with the codeword nearest to its own colour: the best that
    a classifier could do.

    Args:
        images: (h, w, 3) uint8 R'G'B'; each is brought to `side` x `side`, its middle square.
        colorizer: the network.
        codebooks: (n, 2) u*, v* each.
        side: of a picture in the sheet, in pixels.

    Returns:
        (H, W, 3) uint8 R'G'B'.
    """
    luvs = [rgb_to_luv(square(image, side)) for image in images]
    upper = ["original", "its u*v* at L* = 50", "gray", "predicted u*v* at L* = 50", "prediction"]
    lower = ["original", *(f"{len(codebook)} codewords" for codebook in codebooks)]
    rows = [_titles(upper, side)]
    for luv in luvs:
        lightness, uv = luv[0], np.moveaxis(luv[1:], 0, -1)
        found = colorizer.codebook[colorizer.classifier.classify(lightness)]
        middle, gray = np.full_like(lightness, 50), np.zeros_like(uv)
        rows.append(_row([(lightness, uv), (middle, uv), (lightness, gray), (middle, found), (lightness, found)]))
    blocks = [np.concatenate(rows)]
    rows = [_titles(lower, side)]
    for luv in luvs:
        lightness, uv = luv[0], np.moveaxis(luv[1:], 0, -1)
        spread = np.maximum(uv.reshape(-1, 2).std(axis=0), 1e-6)
        chosen = [book[nearest(uv.reshape(-1, 2) / spread, book / spread)[0]].reshape(uv.shape) for book in codebooks]
        rows.append(_row([(lightness, uv), *((lightness, painted) for painted in chosen)]))
    blocks.append(np.concatenate(rows))
    width = max(block.shape[1] for block in blocks)
    return np.concatenate([_widened(block, width) for block in blocks])


def _row(cells: Sequence[tuple[Array, Array]]) -> Array:
    """Pictures beside each other, from their (L*, (u*, v*))."""
    pictures = (np.moveaxis(lab_to_rgb(repaint(lightness, uv)), 0, -1) for lightness, uv in cells)
    return np.concatenate([np.rint(np.clip(p, 0, 1) * 255).astype(np.uint8) for p in pictures], axis=1)


def _titles(texts: Sequence[str], side: int) -> Array:
    strip = np.full((_LINE, side * len(texts), 3), 255, np.uint8)
    for number, text in enumerate(texts):
        at = (number * side + 4, _LINE - 7)
        cv2.putText(strip, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    return strip


def _widened(block: Array, width: int) -> Array:
    return np.asarray(cv2.copyMakeBorder(block, 0, 0, 0, width - block.shape[1], cv2.BORDER_CONSTANT, value=[255] * 3))
