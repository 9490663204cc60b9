"""The scene check of a data set: do two color frames show one scene?

Two checks. The Euclidean distance decides unless settings say otherwise; the histogram ignores where colors are, so
pans and zooms hardly touch it. docs/guides/pairs.md has their error rates; `pipelines/calibrate_scene_check.py` made
the thresholds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from videocolor.color import rgb_to_lab
from videocolor.datasets.pairs.manifest import Decision
from videocolor.datasets.pairs.settings import SceneConfig
from videocolor.types import Array

__all__ = ["THRESHOLDS", "SceneLook", "decide", "histogram_distance", "look_at", "scene_delta"]

_THUMB: Final = 8
"""Side of the thumbnails; of 8, 16 and 32 the one that separates scenes best (docs/guides/pairs.md)."""
_PICTURE: Final = (72, 96)
"""(height, width) of the picture whose colors are counted."""
_BINS: Final = (8, 10, 10)
"""Bins of L*, a*, b*."""
_LOW: Final = np.array([0, -60, -60], np.float32)
_HIGH: Final = np.array([100, 60, 60], np.float32)

THRESHOLDS: Final[dict[str, tuple[float, float]]] = {"distance": (21.0, 33.0), "histogram": (0.55, 0.7)}
"""(accept, reject) of each check, as calibrated."""


@dataclass(frozen=True, eq=False)
class SceneLook:
    """Input of the checks for one frame: 4 KB, whatever its size."""

    thumb: Array
    """(8, 8, 3) float32 CIE L*a*b*."""
    colors: Array
    """(800,) float32, square roots of the shares of colors."""


def look_at(rgb: Array) -> SceneLook:
    """Reduce a frame to what the scene checks compare.

    Args:
        rgb: (h, w, 3) uint8 R'G'B' (sRGB), any size.
    """
    small = cv2.resize(rgb.astype(np.float32), (_PICTURE[1], _PICTURE[0]), interpolation=cv2.INTER_AREA)
    lab = np.moveaxis(rgb_to_lab(np.moveaxis(small, -1, 0) / np.float32(255)), 0, -1)
    bins = np.array(_BINS)
    place = ((np.clip(lab, _LOW, _HIGH) - _LOW) / (_HIGH - _LOW) * bins).astype(np.int64)
    place = np.minimum(place, bins - 1).reshape(-1, 3)
    flat = (place[:, 0] * _BINS[1] + place[:, 1]) * _BINS[2] + place[:, 2]
    shares = np.bincount(flat, minlength=math.prod(_BINS)) / np.float32(len(flat))
    tiny = cv2.resize(rgb.astype(np.float32), (_THUMB, _THUMB), interpolation=cv2.INTER_AREA) / np.float32(255)
    thumb = np.moveaxis(rgb_to_lab(np.moveaxis(tiny, -1, 0)), 0, -1)
    return SceneLook(thumb.astype(np.float32), np.sqrt(shares).astype(np.float32))


def scene_delta(a: SceneLook, b: SceneLook) -> float:
    """Compute the Euclidean distance of two frames.

    Each frame is area-averaged to 8x8 pixels in R'G'B' and brought to CIE L*a*b* (D65). The result is the root mean
    square over the 64 pixels of the color difference (CIE 1976 delta E): sqrt(mean(dL^2 + da^2 + db^2)). Aspect
    ratio and resolution do not enter.

    Returns:
        0 for equal frames. Half of the pairs of one shot are below 8, half of the pairs of two clips above 37 (on the
        footage of docs/guides/pairs.md); black and white are 100 apart.
    """
    return float(np.sqrt(((a.thumb - b.thumb) ** 2).sum(axis=-1).mean()))


def histogram_distance(a: SceneLook, b: SceneLook) -> float:
    """Hellinger distance of color histograms (8x10x10 bins of CIE L*a*b* at 96x72 pixels; a*b* clipped at 60).

    Returns:
        0 for the same colors in the same amounts, 1 for no color in common.
    """
    return math.sqrt(max(0.0, 1.0 - float((a.colors * b.colors).sum(dtype=np.float64))))


def decide(a: SceneLook, b: SceneLook, settings: SceneConfig) -> tuple[float, Decision]:
    """(Euclidean distance, decision of the check that the settings name)."""
    distance = scene_delta(a, b)
    value = distance if settings.check == "distance" else histogram_distance(a, b)
    accept, reject = THRESHOLDS[settings.check]
    accept = accept if settings.accept is None else float(settings.accept)
    reject = max(accept, reject) if settings.reject is None else float(settings.reject)
    return distance, "accepted" if value <= accept else "doubtful" if value <= reject else "rejected"
