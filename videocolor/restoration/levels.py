"""What the steps share: samples of any depth on the 8-bit scale of thresholds, and a window that slides over a film."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

import cv2
import numpy as np

from videocolor.motion.similarity import scene_distance
from videocolor.types import Array, ColorSpec, Frame

__all__ = [
    "Exposure",
    "close",
    "distance",
    "eight_bit",
    "exposure_between",
    "nominal",
    "one_shot",
    "sliding",
    "store",
    "thumbnail",
]

_THUMB: Final = (54, 96)
"""(height, width) of the pictures that exposure is judged on: grain, dust and small motion vanish."""
_CUT: Final = 0.48
"""Scene distance from which neighboring frames are two shots, as `CutFinder` has it for a still film."""
_ROUNDS: Final = 6
"""Rounds of reweighting; the fit moves by less than 0.01 level after them."""
_RIDGE: Final = 4.0
"""Squared levels: in a picture of less spread than 2 levels gain says nothing, and stays 1."""
_AGREE: Final = 0.35
"""Least share of blocks that must follow one exposure change; fewer: other content."""
_BLOWN: Final = (2.0, 244.0)
"""8-bit levels outside of which a block may be clipped and tells nothing of exposure."""


def eight_bit(luma: Array, depth: int) -> Array:
    """(h, w) codes of any depth -> (h, w) uint8: the upper eight bits."""
    if luma.dtype == np.uint8:
        return np.ascontiguousarray(luma)
    return (luma >> (depth - 8)).astype(np.uint8)


def nominal(color: ColorSpec, depth: int) -> tuple[int, int]:
    """Codes of black and white."""
    if color.range == "full":
        return 0, 2**depth - 1
    return 16 << (depth - 8), 235 << (depth - 8)


def store(values: Array, like: Frame) -> Array:
    """(h, w) float codes -> the frame's own dtype, rounded, clipped to what its depth holds."""
    codes: Array = np.rint(np.clip(values, 0, 2**like.layout.depth - 1)).astype(like.luma.dtype)
    return codes


def thumbnail(luma: Array, depth: int) -> Array:
    """(h, w) codes -> (54, 96) float32 on the 8-bit scale: means of blocks."""
    small: Array = cv2.resize(luma, (_THUMB[1], _THUMB[0]), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) * np.float32(1 / 2 ** (depth - 8))


def distance(a: Array, b: Array) -> float:
    """Return `videocolor.motion.similarity.scene_distance` of two thumbnails on the 8-bit scale."""
    scale = np.float32(1 / 255)
    return scene_distance(a * scale, b * scale)


def one_shot(a: Array, b: Array) -> bool:
    """Tell whether two neighboring frames (thumbnails on the 8-bit scale) are of one shot.

    From these two alone, so that it does not matter where reading began. Very fast motion may be taken for a cut:
    then a step forgoes a neighbor.
    """
    return distance(a, b) < _CUT


@dataclass(frozen=True)
class Exposure:
    """A change of exposure on the 8-bit scale: level -> gain * level + offset."""

    gain: float = 1.0
    offset: float = 0.0

    def after(self, first: Exposure) -> Exposure:
        """Return the change that `first` and then this one make together."""
        return Exposure(self.gain * first.gain, self.gain * first.offset + self.offset)

    def inverse(self) -> Exposure:
        """Return the inverse change."""
        return Exposure(1 / self.gain, -self.offset / self.gain)

    def most(self, low: float, high: float) -> float:
        """Largest change in levels between two levels."""
        return max(abs((self.gain - 1) * level + self.offset) for level in (low, high))


def exposure_between(a: Array, b: Array) -> Exposure | None:
    """Gain and offset that bring picture a to picture b, from the blocks that moved least.

    Reweighted fit with Tukey's biweight; the gain is the ratio of spreads (reduced major axis), which
    motion, being noise in both pictures alike, does not pull below 1 as least squares would.

    Args:
        a: (h, w) float32 thumbnail on the 8-bit scale.
        b: As `a`.

    Returns:
        None where fewer than a third of the blocks follow one change: another picture.
    """
    x, y = a.ravel().astype(np.float64), b.ravel().astype(np.float64)
    usable = (x > _BLOWN[0]) & (x < _BLOWN[1]) & (y > _BLOWN[0]) & (y < _BLOWN[1])
    if usable.mean() < 0.1:
        return None
    x, y = x[usable], y[usable]
    found = Exposure(1.0, float(np.median(y - x)))
    weight = np.ones_like(x)
    for _ in range(_ROUNDS):
        miss = y - found.gain * x - found.offset
        scale = max(0.5, 1.4826 * float(np.median(np.abs(miss - np.median(miss)))))
        weight = np.clip(1 - (miss / (4 * scale)) ** 2, 0, None) ** 2
        total = float(weight.sum())
        if total < _AGREE * x.size / 2:
            return None
        mean_x, mean_y = float(weight @ x) / total, float(weight @ y) / total
        var_x, var_y = float(weight @ (x - mean_x) ** 2) / total, float(weight @ (y - mean_y) ** 2) / total
        gain = float(np.clip(np.sqrt((var_y + _RIDGE) / (var_x + _RIDGE)), 0.2, 5.0))
        found = Exposure(gain, mean_y - gain * mean_x)
    return found if float(weight.mean()) >= _AGREE else None


T = TypeVar("T")


def close(items: object) -> None:
    """Close a generator, or a reader that can be closed; anything else is left alone."""
    closer = getattr(items, "close", None)
    if closer is not None:
        closer()


def sliding(items: Iterable[T], radius: int) -> Generator[tuple[list[T], int], None, None]:
    """Show every item with its neighbors.

    Args:
        items: A stream; closed (if it can be) when this generator ends.
        radius: Neighbors on each side, 0 or more; fewer only at the ends of the stream.

    Yields:
        (up to 2 * radius + 1 items in order, place of the item in question among them).
    """
    window: list[T] = []
    place = 0
    try:
        for item in items:
            window.append(item)
            if len(window) - 1 - place >= radius:
                yield window, place
                place += 1
                if place > radius:
                    del window[0]
                    place -= 1
        while place < len(window):
            yield window, place
            place += 1
            if place > radius:
                del window[0]
                place -= 1
    finally:
        close(items)
