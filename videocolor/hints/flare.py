"""Stray light on a hinted frame, and its color taken off what the frame gives to others.

A leak of the camera, a reflection, or the first frames of a take lie on a frame as light that is not the scene's. A
hint that was taken from such a frame, or painted over it, has that light's color in it, and would give it to the whole
shot. Luma of the frames around says where the light lies and how strong it is: it lifts the blacks, which no exposure
does. What color it has is read off the hint's darkest places, which have next to none of their own: the dark-object
subtraction of remote sensing (Chavez, Remote Sensing of Environment 24, 1988). The frame itself keeps its hint.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from videocolor.color import to_display, to_linear
from videocolor.types import Array, Hint

__all__ = ["AROUND", "without_flare"]

AROUND: Final = (2, 12)
"""Frames from a hinted frame to those that it is compared with, on both sides."""

_DARK: Final = 3.0
"""Percent of a picture that its darkest places are."""
_LIFTED: Final = 0.05
"""Y' (0..1) by which the darkest places must be brighter than around."""
_SHARE: Final = 0.5
"""Share of the darkest places' light, linear, that must be stray."""
_EVERYWHERE: Final = (0.01, 0.9)
"""Y' by which a place must be brighter than around to count as lit, and the share of places that must be."""
_SATURATION: Final = 0.8
"""Saturation of the light, linear, from which it changes hues: paler light is left, colors hold under it."""
_LEFT: Final = 0.1
"""Least of a place's light, linear and channel by channel, that stays."""
_LUMINANCE: Final = np.array([0.2126, 0.7152, 0.0722], np.float32)


def without_flare(hint: Hint, gray: Array, around: Sequence[Array]) -> Hint | None:
    """Return the hint as it would be without colored light that lay on its frame alone.

    Args:
        hint: a whole frame, painted.
        gray: (h, w) uint8, luma of that frame at the working size.
        around: (h, w) uint8 each, luma of frames near it in its shot.

    Returns:
        The hint with other colors; None where no such light is seen, or nothing could tell.
    """
    if not around or hint.mask is not None:
        return None
    blacks = np.array([np.percentile(picture, _DARK) for picture in (gray, *around)], np.float32) / np.float32(255)
    middle = 1 + int(np.argsort(blacks[1:])[(len(around) - 1) // 2])
    lit, unlit = gray.astype(np.float32) / 255, around[middle - 1].astype(np.float32) / 255
    black, before = (float(to_linear(blacks[[place]])[0]) for place in (0, middle))
    if blacks[0] - blacks[middle] < _LIFTED or black - before < _SHARE * black:
        return None
    least, share = _EVERYWHERE
    if float((_smooth(lit) - _smooth(unlit) > least).mean()) < share:
        return None
    amount = np.maximum(_smooth(to_linear(lit)) - _smooth(to_linear(unlit)), 0)
    rgb = to_linear(hint.rgb)
    color = _color_of_the_dark(rgb)
    if float(color.max()) <= 0 or 1 - float(color.min() / color.max()) < _SATURATION:
        return None
    amount = cv2.resize(amount, rgb.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    amount = np.minimum(amount, (1 - _LEFT) * (rgb / np.maximum(color, 1e-3)).min(axis=-1))
    cleaned = to_display(np.maximum(rgb - amount[..., None] * color, 0))
    return Hint(hint.name, cleaned, hint.time)


def _color_of_the_dark(rgb: Array) -> Array:
    """Mean color of the darkest places of (h, w, 3) linear R, G, B, with luminance 1."""
    brightest = rgb.max(axis=-1)  # what is dark in luma alone may be deep blue
    mean = rgb[brightest <= np.percentile(brightest, _DARK)].mean(axis=0)
    return np.asarray(mean / max(float(mean @ _LUMINANCE), 1e-6), np.float32)


def _smooth(plane: Array) -> Array:
    """Light that does not belong to the scene has no edges of the scene."""
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), min(plane.shape) / 8))
