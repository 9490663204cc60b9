"""Frames as players show them: square pixels, upright, scaled; all frames of a film, or single ones by their time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Final

import cv2
import numpy as np

from videocolor.color import (
    chroma_to_codes,
    codes_to_chroma,
    codes_to_luma,
    luma_to_codes,
    rgb_to_ycbcr,
    ycbcr_to_rgb,
)
from videocolor.errors import InputError, UsageError
from videocolor.hints.plan import frame_to_rgb
from videocolor.images import resized
from videocolor.motion.similarity import correlation
from videocolor.types import Array, ColorSpec, Frame, Matrix, Range, VideoInfo
from videocolor.video import VideoReader
from videocolor.video.opening import clock_restarts

__all__ = [
    "NEUTRAL", "WHITE", "Planes", "Scaler", "display_size", "picture_size", "read_stills", "shown_like", "similarity",
    "still_rgb",
]  # fmt: skip

Planes = tuple[Array, Array, Array]
"""(h, w), (h/2, w/2), (h/2, w/2) uint8: Y', Cb, Cr; limited range, upright, square pixels."""
WHITE, BLACK, NEUTRAL = 235, 16, 128
_FLAT: Final = 3.0
"""Standard deviation in 8-bit levels under which a small picture is flat."""


def display_size(info: VideoInfo) -> tuple[float, float]:
    """Return (width, height) at which a film is shown, in square pixels, after sample aspect and rotation."""
    width, height = float(info.width * info.sar), float(info.height)
    return (height, width) if _turns(info) % 2 else (width, height)


def shown_like(info: VideoInfo, source: VideoInfo) -> VideoInfo:
    """Return a result's description with the source's sample aspect, which some files lose, if sizes are equal."""
    alike = (info.width, info.height) == (source.width, source.height)
    return replace(info, sar=source.sar) if alike and info.sar != source.sar else info


def _turns(info: VideoInfo) -> int:
    """Quarter turns counter-clockwise."""
    return round(info.rotation / 90) % 4


def _even(value: float) -> int:
    return max(2, 2 * round(value / 2))


def picture_size(info: VideoInfo, width: float, height: float = math.inf) -> tuple[int, int]:
    """Return (width, height) of a film's picture of at most this size: even, never larger than it is shown."""
    wide, high = display_size(info)
    scale = min(1.0, width / wide, height / high)
    return _even(wide * scale), _even(high * scale)


@dataclass(frozen=True)
class Scaler:
    """Brings frames of one film to a size and color description.

    Args:
        info: of the film.
        size: (width, height) of the picture, even numbers.
        color: of the result; limited range.
        label: text to write into a lower corner.
        right: write it into the right one.
    """

    info: VideoInfo
    size: tuple[int, int]
    color: ColorSpec
    label: str = ""
    right: bool = False

    def __call__(self, frame: Frame) -> Planes:
        """Return the frame's planes; a frame without color gives neutral ones."""
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
                grays = np.full((2, half[1], half[0]), NEUTRAL, np.uint8)
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
    """Resize a plane to (width, height): area means down, linear up."""
    plane = np.ascontiguousarray(plane)
    if plane.shape[1::-1] == size:
        return plane
    return resized(plane, size[::-1])


@lru_cache(maxsize=8)
def _tables(depth: int, range_: Range) -> tuple[Array, Array]:
    """Map stored codes of luma and of chroma to 8-bit limited ones."""
    codes = np.arange(2 ** (8 if depth <= 8 else 16))
    luma = luma_to_codes(codes_to_luma(codes, depth, range_), 8, "limited")
    return luma, chroma_to_codes(codes_to_chroma(codes, depth, range_), 8, "limited")


@dataclass(frozen=True, eq=False)
class _Ink:
    """Text in a corner: where, opacity, and luma."""

    rows: slice
    columns: slice
    alpha: Array
    """(h, w) float32 in 0..1; h and w even."""
    shade: Array
    """(h, w) float32, luma codes."""


@lru_cache(maxsize=4)
def _ink(text: str, size: tuple[int, int], right: bool) -> _Ink:
    """White text with a dark edge, a twenty-fifth of the picture high."""
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
        BLACK + white * (WHITE - BLACK),
    )


def _write(planes: Planes, ink: _Ink) -> None:
    y, *chroma = planes
    under = y[ink.rows, ink.columns]
    y[ink.rows, ink.columns] = np.rint(under * (1 - ink.alpha) + ink.shade * ink.alpha)
    rows, columns = (slice(s.start // 2, s.stop // 2) for s in (ink.rows, ink.columns))
    alpha = cv2.resize(ink.alpha, (columns.stop - columns.start, rows.stop - rows.start), interpolation=cv2.INTER_AREA)
    for plane in chroma:
        plane[rows, columns] = np.rint(plane[rows, columns] * (1 - alpha) + NEUTRAL * alpha)


def similarity(a: Array, b: Array) -> float | None:
    """Correlate the luma (h, w) uint8 of two pictures at 32x24: -1..1; None where one of them is flat."""
    small = [cv2.resize(p, (32, 24), interpolation=cv2.INTER_AREA).astype(np.float32) for p in (a, b)]
    if min(float(p.std()) for p in small) < _FLAT:
        return None
    return correlation(*small)


def read_stills(info: VideoInfo, times: Sequence[Fraction]) -> Iterator[Frame | None]:
    """Yield for each time the first frame at or after it.

    Each is reached by a seek to the keyframe before it. Films whose timestamps restart cannot be sought: they are
    decoded once from the beginning.

    Args:
        info: of the film, as `probe` returns it.
        times: film times in seconds, ascending.

    Yields:
        A frame for each time; None where the film has ended or cannot be read there. Neighboring times may give the
        same frame.
    """
    path = info.path
    if info.format != "image2" and path.is_file() and clock_restarts(path):
        yield from _in_one_go(info, times)
        return
    for time in times:
        yield _frame_at(info, time)


def _frame_at(info: VideoInfo, time: Fraction) -> Frame | None:
    with VideoReader(info, start=time, end=None, fast=False, threads=0) as video:
        try:
            return next(iter(video), None)
        except (InputError, UsageError):  # damaged there, or the film has ended
            return None


def _in_one_go(info: VideoInfo, times: Sequence[Fraction]) -> Iterator[Frame | None]:
    with VideoReader(info, start=None, end=None, fast=False, threads=0) as video:
        frames = iter(video)
        frame = next(frames, None)
        for time in times:
            while frame is not None and frame.pts * frame.time_base < time:
                frame = next(frames, None)
            yield frame


def still_rgb(frame: Frame, info: VideoInfo, width: float, height: float) -> Array:
    """Convert a frame to what is shown: square pixels, upright, sRGB.

    Args:
        frame: of the film `info`.
        info: of the film.
        width: of the picture at most, pixels.
        height: of the picture at most, pixels; it is never made larger than the film is shown.

    Returns:
        (h, w, 3) uint8 R'G'B'.
    """
    size = picture_size(info, width, height)
    # Scaling to another matrix goes by R'G'B' of BT.709's primaries, which is what screens show.
    matrix: Matrix = "bt709" if frame.color.matrix == "bt2020" else frame.color.matrix
    y, cb, cr = Scaler(info, size, replace(frame.color, matrix=matrix, range="limited"))(frame)
    upright = (y.shape[1], y.shape[0])
    blue, red = (
        codes_to_chroma(cv2.resize(plane, upright, interpolation=cv2.INTER_LINEAR), 8, "limited") for plane in (cb, cr)
    )
    rgb = ycbcr_to_rgb(codes_to_luma(y, 8, "limited"), blue, red, matrix)
    return np.ascontiguousarray(np.moveaxis(np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8), 0, -1))
