"""The first pass over a film: times, sharpness, cuts, true rate, perceptual hashes. Keeps twenty bytes per frame."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from videocolor.config import ColorizeConfig, ShotsConfig
from videocolor.datasets.pairs.sampling import Timeline
from videocolor.datasets.pairs.settings import InputConfig, PairsConfig
from videocolor.errors import NoVideoError
from videocolor.shots.prepare import small_luma, working_size
from videocolor.shots.scan import cuts_for
from videocolor.types import Array, VideoInfo
from videocolor.video import open_video

__all__ = [
    "FilmLook",
    "PrintCollector",
    "RateMeter",
    "RateReport",
    "film_prints",
    "fingerprint",
    "look_at_film",
    "refusal",
    "sharpness",
]

_SIDE: Final = 32
_KEEP: Final = 8
_FLAT: Final = 6.0
"""Spread of luma (8-bit levels) under which a picture has no fingerprint: black, fog, a title card's ground."""
_MOST: Final = 48
"""Fingerprints kept of one film."""

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
"""Seconds: a longer still picture says nothing about the rate."""
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
        """Measure the film's rate.

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

    A run of frames with hardly any change is a repetition if it is short and between two frames that changed
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
    """Take the third largest change within `half` frames: a single cut or flash does not count."""
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


_SHARP_SIDE: Final = 360
"""Short side on which sharpness is measured, at most: grain finer than that is not sharpness."""


def fingerprint(luma: Array) -> int | None:
    """Compute the perceptual hash of a picture.

    pHash (Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010): the signs, against their
    median, of the 8x8 lowest frequencies of a 32x32 thumbnail, without the mean.

    Args:
        luma: (h, w) uint8.

    Returns:
        64 bits, of which two versions of one picture share nearly all; None for a flat picture.
    """
    small = cv2.resize(luma, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    if float(small.std()) < _FLAT:
        return None
    low = cv2.dct(small)[:_KEEP, :_KEEP].ravel()
    bits = low > np.median(low[1:])
    bits[0] = False
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


class PrintCollector:
    """Perceptual hashes of a film of unknown length, evenly spread: when full, every second one is dropped."""

    def __init__(self) -> None:
        self.prints: list[int] = []
        self._step = 0.5
        self._due = float("-inf")

    def push(self, seconds: float, luma: Array) -> None:
        """Hash a frame where one is due.

        Args:
            seconds: presentation time.
            luma: (h, w) uint8.
        """
        if seconds < self._due:
            return
        self._due = seconds + self._step
        value = fingerprint(luma)
        if value is None or (self.prints and self.prints[-1] == value):
            return
        self.prints.append(value)
        if len(self.prints) > _MOST:
            self.prints = self.prints[::2]
            self._step *= 2


@dataclass(frozen=True, eq=False)
class FilmLook:
    """What the first pass found."""

    info: VideoInfo
    timeline: Timeline
    rate: RateReport
    prints: tuple[int, ...]
    losses: tuple[str, ...]
    """What could not be read."""


def sharpness(luma: Array, depth: int = 8) -> float:
    """Variance of the Laplacian (Pech-Pacheco et al., ICPR 2000) of a frame's stored luma, short side at most 360.

    Args:
        luma: (h, w) uint8 or uint16.
        depth: bits a sample; the result is in 8-bit levels squared.
    """
    scale = _SHARP_SIDE / min(luma.shape)
    if scale < 1:
        size = (round(luma.shape[1] * scale), round(luma.shape[0] * scale))
        luma = cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
    edges = cv2.Laplacian(luma, cv2.CV_16S if luma.dtype == np.uint8 else cv2.CV_32F)
    _, deviation = cv2.meanStdDev(edges)
    return float(deviation[0, 0] / 2 ** (depth - 8)) ** 2


def look_at_film(path: Path, config: PairsConfig, tick: Callable[[int], None] = lambda _frames: None) -> FilmLook:
    """Decode a film once and describe its frames.

    Args:
        path: the film.
        config: names the cut detector.
        tick: called with the number of frames so far.

    Raises:
        InputError: and its kinds, as `open_video` raises them.
    """
    pts, sharp, usable = array("q"), array("f"), bytearray()
    meter, prints, starts = RateMeter(), PrintCollector(), [0]
    cuts = cuts_for(ColorizeConfig(shots=ShotsConfig(detector=config.scene.detector)))
    with open_video(path) as video:
        info = video.info
        size = working_size(info.width, info.height)
        for frame in video:
            pts.append(frame.pts)
            sharp.append(sharpness(frame.luma, info.layout.depth))
            usable.append(not frame.damaged)
            meter.push(frame.luma, info.layout.depth)
            gray = np.rint(small_luma(frame, size) * 255).astype(np.uint8)
            prints.push(frame.seconds, gray)
            starts += cuts.push(gray)
            tick(len(pts))
        losses = tuple(video.losses)
    starts += cuts.finish()
    if not pts:
        raise NoVideoError(f"{path}: not one frame could be decoded")
    times = np.array(pts, np.int64)
    line = Timeline(
        times,
        np.array(sharp, np.float32),
        np.frombuffer(bytes(usable), np.uint8).astype(bool),
        info.time_base,
        tuple(sorted({start for start in starts if start < len(times)})),
    )
    return FilmLook(info, line, meter.report(times, info.time_base), tuple(prints.prints), losses)


def film_prints(path: Path) -> list[int]:
    """Fingerprints of a film alone, as `look_at_film` collects them.

    Raises:
        InputError: and its kinds, as `open_video` raises them.
    """
    prints = PrintCollector()
    with open_video(path) as video:
        size = working_size(video.info.width, video.info.height)
        for frame in video:
            prints.push(frame.seconds, np.rint(small_luma(frame, size) * 255).astype(np.uint8))
    return prints.prints
