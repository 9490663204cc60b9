"""Two pictures of one frame in one picture: side by side, or split by a line; `videocolor.reports.compare` films it.

All planes are 8-bit limited-range Y'CbCr, 4:2:0, of the result's matrix, with square pixels and upright.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Final, Literal

import cv2
import numpy as np

from videocolor.color import chroma_to_codes, codes_to_chroma, codes_to_luma, luma_to_codes, rgb_to_ycbcr
from videocolor.hints.plan import frame_to_rgb
from videocolor.types import Array, ColorSpec, Frame, Range, VideoInfo

__all__ = [
    "Kind",
    "Planes",
    "Scaler",
    "beside",
    "display_size",
    "similarity",
    "line_place",
    "picture_size",
    "shown_like",
    "wiped",
]

Kind = Literal["side", "wipe"]
Planes = tuple[Array, Array, Array]
"""(h, w), (h/2, w/2), (h/2, w/2) uint8: Y', Cb, Cr."""
_WHITE, _BLACK, _NEUTRAL = 235, 16, 128
_FLAT: Final = 3.0
"""Standard deviation in 8-bit levels of a small picture under which it says nothing of what it shows."""


def display_size(info: VideoInfo) -> tuple[float, float]:
    """(width, height) at which a film is shown, in square pixels: sample aspect and rotation obeyed."""
    width, height = float(info.width * info.sar), float(info.height)
    return (height, width) if _turns(info) % 2 else (width, height)


def shown_like(info: VideoInfo, source: VideoInfo) -> VideoInfo:
    """A result's description, with the source's sample aspect where both are stored alike: some files lose it."""
    alike = (info.width, info.height) == (source.width, source.height)
    return replace(info, sar=source.sar) if alike and info.sar != source.sar else info


def _turns(info: VideoInfo) -> int:
    """Quarter turns counter-clockwise."""
    return round(info.rotation / 90) % 4


def _even(value: float) -> int:
    return max(2, 2 * round(value / 2))


def picture_size(info: VideoInfo, width: float, height: float = math.inf) -> tuple[int, int]:
    """(width, height) of a film's picture that is at most so large; even numbers, never larger than it is shown."""
    wide, high = display_size(info)
    scale = min(1.0, width / wide, height / high)
    return _even(wide * scale), _even(high * scale)


@dataclass(frozen=True)
class Scaler:
    """Brings frames of one film to the size of the comparison.

    Args:
        info: of the film.
        size: (width, height) of its picture in the comparison, even numbers.
        color: the comparison's; limited range.
        label: words that are written into a lower corner.
        right: into the right one.
    """

    info: VideoInfo
    size: tuple[int, int]
    color: ColorSpec
    label: str = ""
    right: bool = False

    def __call__(self, frame: Frame) -> Planes:
        """The frame's planes; a frame without colour gives neutral ones."""
        turns, (width, height) = _turns(self.info), self.size
        stored = (height, width) if turns % 2 else (width, height)
        half = (stored[0] // 2, stored[1] // 2)
        planes: Planes
        if frame.chroma is not None and frame.color.matrix != self.color.matrix:
            planes = self._by_rgb(frame, stored, half)
        else:
            luma, chroma = _tables(frame.layout.depth, frame.color.range)
            y = np.take(luma, _resized(frame.luma, stored))
            if frame.chroma is None:
                grays = np.full((2, half[1], half[0]), _NEUTRAL, np.uint8)
                planes = y, grays[0], grays[1]
            else:
                cb, cr = (np.take(chroma, _resized(plane, half)) for plane in frame.chroma)
                planes = y, cb, cr
        if turns:
            y, cb, cr = (np.ascontiguousarray(np.rot90(plane, turns)) for plane in planes)
            planes = y, cb, cr
        if self.label:
            _write(planes, _ink(self.label, self.size, self.right))
        return planes

    def _by_rgb(self, frame: Frame, stored: tuple[int, int], half: tuple[int, int]) -> Planes:
        rgb = _resized(frame_to_rgb(frame), stored)
        y, cb, cr = rgb_to_ycbcr(np.moveaxis(rgb, -1, 0), self.color.matrix)
        small = (chroma_to_codes(_resized(plane, half), 8, "limited") for plane in (cb, cr))
        return luma_to_codes(y, 8, "limited"), next(small), next(small)


def _resized(plane: Array, size: tuple[int, int]) -> Array:
    """A plane at (width, height): means of what is made smaller, lines between what is made larger."""
    plane = np.ascontiguousarray(plane)
    if plane.shape[1::-1] == size:
        return plane
    smaller = plane.shape[1] >= size[0] and plane.shape[0] >= size[1]
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR))


@lru_cache(maxsize=8)
def _tables(depth: int, range_: Range) -> tuple[Array, Array]:
    """Stored codes of luma and of chroma -> 8-bit limited ones."""
    codes = np.arange(2 ** (8 if depth <= 8 else 16))
    luma = luma_to_codes(codes_to_luma(codes, depth, range_), 8, "limited")
    return luma, chroma_to_codes(codes_to_chroma(codes, depth, range_), 8, "limited")


@dataclass(frozen=True, eq=False)
class _Ink:
    """Words in a corner: where, how strongly, and their shade."""

    rows: slice
    columns: slice
    alpha: Array
    """(h, w) float32 in 0..1; h and w even."""
    shade: Array
    """(h, w) float32, luma codes."""


@lru_cache(maxsize=4)
def _ink(text: str, size: tuple[int, int], right: bool) -> _Ink:
    """White words with a dark edge, a twenty-fifth of the picture high."""
    scale = max(0.35, min(size) / 25 / 22)
    thick = max(1, round(scale))
    (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)
    margin = max(4, round(min(size) / 40))
    box = _even(width + 2 * margin), _even(height + below + 2 * margin)
    inner = np.zeros(box[::-1], np.uint8)
    cv2.putText(inner, text, (margin, margin + height), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, thick, cv2.LINE_AA)
    round_brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * thick + 3, 2 * thick + 3))
    edge = cv2.GaussianBlur(cv2.dilate(inner, round_brush), (0, 0), max(0.6, thick / 2))
    left = max(0, size[0] - box[0]) if right else 0
    top = max(0, size[1] - box[1])
    wide, high = min(box[0], size[0]), min(box[1], size[1])
    white = (inner / np.float32(255))[:high, :wide]
    return _Ink(
        slice(top, top + high),
        slice(left, left + wide),
        np.maximum(edge, inner)[:high, :wide] / np.float32(255),
        _BLACK + white * (_WHITE - _BLACK),
    )


def _write(planes: Planes, ink: _Ink) -> None:
    y, *chroma = planes
    under = y[ink.rows, ink.columns]
    y[ink.rows, ink.columns] = np.rint(under * (1 - ink.alpha) + ink.shade * ink.alpha)
    rows, columns = (slice(s.start // 2, s.stop // 2) for s in (ink.rows, ink.columns))
    alpha = cv2.resize(ink.alpha, (columns.stop - columns.start, rows.stop - rows.start), interpolation=cv2.INTER_AREA)
    for plane in chroma:
        plane[rows, columns] = np.rint(plane[rows, columns] * (1 - alpha) + _NEUTRAL * alpha)


def beside(left: Planes, right: Planes) -> Planes:
    """One picture left of the other."""
    y, cb, cr = (np.hstack(pair) for pair in zip(left, right, strict=True))
    return y, cb, cr


def line_place(time: Fraction | float, period: float, width: int) -> int:
    """Column at which the line of a wipe stands: an even number in 0..width.

    It begins in the middle, goes right first, and slows down where it turns: a sine.

    Args:
        time: seconds since the film's beginning.
        period: seconds of one way to and fro.
        width: of the picture, even.
    """
    share = 0.5 + 0.5 * math.sin(2 * math.pi * (float(time) % period) / period)
    return min(width, 2 * round(width * share / 2))


def wiped(left: Planes, right: Planes, column: int) -> Planes:
    """The one picture left of a white line, the other right of it; the line covers the columns around `column`."""
    width = left[0].shape[1]
    reach = max(1, round(width / 960))  # of each side
    made = []
    for plane, other, step in zip(left, right, (1, 2, 2), strict=True):
        whole = other.copy()
        whole[:, : column // step] = plane[:, : column // step]
        covered = slice(max(0, (column - reach) // step), -(-(column + reach) // step))
        whole[:, covered] = _WHITE if step == 1 else _NEUTRAL
        made.append(whole)
    return made[0], made[1], made[2]


def similarity(a: Array, b: Array) -> float | None:
    """Correlation -1..1 of two pictures' luma (h, w) uint8, seen small; None where one is flat and says nothing."""
    small = [cv2.resize(p, (32, 24), interpolation=cv2.INTER_AREA).astype(np.float32) for p in (a, b)]
    if min(float(p.std()) for p in small) < _FLAT:
        return None
    x, y = (p - p.mean() for p in small)
    return float((x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum()))
