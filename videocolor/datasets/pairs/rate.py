"""How many frames a second a film really has: by its timestamps, and by frames that are the one before again."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from videocolor.datasets.pairs.settings import InputConfig
from videocolor.types import Array

__all__ = ["RateMeter", "RateReport", "refusal"]

_SIZE: Final = (36, 64)
"""(height, width) of the pictures compared: area averaging takes off grain and most of the codec's noise."""
_RANK: Final = 23
"""The change of a frame is the 23rd largest of its 2304 cells' (the 99th percentile): a small mover counts."""
_SMALL, _LOW, _HIGH = 0.15, 2.1, 5.0
"""A frame may be a repeat if its change is below this share of what moves nearby, within these 8-bit levels."""
_MOVING: Final = 6.0
"""Levels of change from which a frame surely is a new one."""
_CONTRAST: Final = 3.0
"""How many times larger the change on both sides of a repeat must be than within it."""
_STILL: Final = Fraction(1, 5)
"""Seconds: nothing new for longer is a picture that stands still, and says nothing about the rate."""
_LEAST: Final = 30
"""Frames that must have been judged before the content has a say."""
_TOLERATED: Final = 0.02
"""Share of repeats that is reported and not refused."""
_SLACK: Final = 0.98
_BLOCK: Final = 4096


@dataclass(frozen=True)
class RateReport:
    """What was measured."""

    stamped: float
    """Frames a second by timestamps."""
    judged: int
    """Frames whose surroundings move, so that a repeat would be seen."""
    repeats: float
    """Share of the judged frames that repeat the one before, 0..1."""

    @property
    def fps(self) -> float:
        """The true rate: frames a second that show something new."""
        return self.stamped * (1 - self.repeats)


class RateMeter:
    """Fed with every frame of a film; keeps five bytes a frame."""

    def __init__(self) -> None:
        self._last: Array | None = None
        self._means = array("f")
        self._peaks = bytearray()

    def push(self, luma: Array, depth: int) -> None:
        """Take the next frame.

        Args:
            luma: (h, w) stored samples, uint8 or uint16.
            depth: bits a sample.
        """
        small = cv2.resize(luma, (_SIZE[1], _SIZE[0]), interpolation=cv2.INTER_AREA)
        if depth > 8:
            small = np.right_shift(small.astype(np.uint16), depth - 8).astype(np.uint8)
        if self._last is not None:
            change = cv2.absdiff(small, self._last).ravel()
            self._means.append(float(change.mean()))
            self._peaks.append(int(np.partition(change, -_RANK)[-_RANK]))
        self._last = small

    def report(self, pts: Array, time_base: Fraction) -> RateReport:
        """What the film's rate is.

        Args:
            pts: (n,) int64, the times of all frames pushed.
            time_base: their unit in seconds.
        """
        if len(pts) < 2:
            return RateReport(0.0, 0, 0.0)
        stamped = float((len(pts) - 1) / ((int(pts[-1]) - int(pts[0])) * time_base))
        means, peaks = np.frombuffer(self._means, np.float32), np.frombuffer(self._peaks, np.uint8)
        repeats, moving = _count(means, peaks, stamped)
        judged = repeats + moving
        return RateReport(stamped, judged, repeats / judged if judged >= _LEAST else 0.0)


def _count(means: Array, peaks: Array, rate: float) -> tuple[int, int]:
    """(repeated frames, new frames).

    A run of frames with hardly any change is a repetition if it is short and stands between two frames that changed
    much more: slow movement comes to rest gradually, a frame shown twice does not.
    """
    low = peaks <= np.clip(_SMALL * _moving_nearby(peaks, max(3, int(rate / 2))), _LOW, _HIGH)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], low, [False])).astype(np.int8)))
    repeats = 0
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        if start == 0 or end == len(low) or end - start > max(1, _STILL * rate):
            continue
        around, around_mean = min(peaks[start - 1], peaks[end]), min(means[start - 1], means[end])
        steady = around >= max(_MOVING, _CONTRAST * peaks[start:end].max())
        if steady and around_mean >= _CONTRAST * means[start:end].max():
            repeats += int(end - start)
    return repeats, int((~low & (peaks >= _MOVING)).sum())


def _moving_nearby(peaks: Array, half: int) -> Array:
    """The third largest change within `half` frames: a cut and a flash on their own do not count."""
    padded = np.pad(peaks, half)
    found = np.empty(len(peaks), np.uint8)
    for start in range(0, len(peaks), _BLOCK):
        part = padded[start : start + _BLOCK + 2 * half]
        found[start : start + _BLOCK] = np.partition(sliding_window_view(part, 2 * half + 1), -3, axis=1)[:, -3]
    return found


def refusal(report: RateReport, settings: InputConfig) -> str | None:
    """Why a film of this rate is not let in, with the setting that would; None where it is."""
    least = _SLACK * float(settings.min_fps)
    slow = report.stamped < least
    repeated = report.repeats > _TOLERATED and report.fps < least
    if not slow and not repeated:
        return None
    measured = f"{report.stamped:.2f} frames a second by its timestamps"
    if report.repeats > _TOLERATED:
        measured += f", {report.fps:.2f} by content ({report.repeats:.0%} of the frames repeat the one before)"
    admit = int(report.fps if report.repeats > _TOLERATED else report.stamped)
    return f"{measured}; input.min_fps is {settings.min_fps:g}: admit it with --set input.min_fps={admit}"
