"""Where a film that was colored elsewhere shows the same shots: in time by luma, in space by registration.

Frames of the other film are compared as tiny pictures. Views of each shot vote for a speed (frame rates, PAL) and an
offset; a shot keeps the film's offset unless another fits clearly better, and none if neither fits.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from videocolor.errors import HintError
from videocolor.hints.align import align_painted
from videocolor.hints.files import frame_to_luma, frame_to_rgb, nearest_frame
from videocolor.hints.registration import Box, content_box
from videocolor.motion.similarity import thumbnail
from videocolor.shots.scan import ScanResult, ShotView
from videocolor.types import Array, Frame
from videocolor.video import open_video, probe

__all__ = ["ChromaMap", "map_chroma"]

_SIZE: Final = (24, 14)
"""Width and height of the pictures that are compared: 672 bytes a frame are kept."""
_LOOKS: Final = 12
"""Frames of the other film in which bars are sought."""
_CHUNK: Final = 20_000
"""Frames that are compared at once."""
_SPEEDS: Final = tuple(
    Fraction(text) for text in ("1", "24/25", "25/24", "960/1001", "1001/960", "1000/1001", "1001/1000")
)
"""Seconds of the other film for a second of this one: equal, PAL against 24 or 23.976, NTSC's thousandth."""
_ALIKE: Final = 0.85
"""Correlation from which a frame votes."""
_FITS: Final = 0.8
"""Mean correlation of a shot's views with the other film that is needed."""
_BETTER: Final = 0.03
"""By how much another offset must fit better than that of the film."""
_CLOSE: Final = 0.1
"""Seconds within which offsets agree."""
_REGISTERED: Final = 5
"""Shots that are registered; the other film is cropped alike throughout."""


@dataclass(frozen=True, eq=False)
class ChromaMap:
    """Times and places of a film in another one."""

    other: Path
    speed: Fraction
    starts: tuple[Fraction, ...]
    """First time of each shot, seconds."""
    offsets: tuple[Fraction | None, ...]
    """Of each shot: the other film shows time t at t * speed + offset; None: the shot does not fit."""
    matrix: Array = field(repr=False)
    """(2, 3) float64: pixel (x, y) of the film -> of the other."""

    def time(self, moment: Fraction) -> Fraction | None:
        """Return the other film's time of a film time, seconds; None: it does not show that shot."""
        offset = self.offsets[max(0, bisect_right(self.starts, moment) - 1)]
        return None if offset is None else moment * self.speed + offset

    def lines(self) -> list[str]:
        """Say what was found, and what does not fit."""
        known = [offset for offset in self.offsets if offset is not None]
        usual = max(set(known), key=known.count)
        said = [
            f"chroma of {len(known)} of {len(self.offsets)} shots is taken from {self.other}: "
            f"offset {float(usual):+.3f} s, speed {float(self.speed):.4f}"
        ]
        moved = [str(i + 1) for i, offset in enumerate(self.offsets) if offset is not None and offset != usual]
        return said + ([f"{self.other}: shots with an offset of their own: {', '.join(moved)}"] if moved else [])

    def missing(self) -> list[str]:
        """Warn of the shots that do not fit."""
        lost = [str(i + 1) for i, offset in enumerate(self.offsets) if offset is None]
        return [f"{self.other}: does not show shots {', '.join(lost)}; the network colors them"] if lost else []


def map_chroma(
    other: Path, scan: ScanResult, luma_at: Callable[[int], Array], progress: Callable[[int], None]
) -> ChromaMap:
    """Find the shots of a scanned film in another film.

    Args:
        other: the film in color.
        scan: of the film that gets its chroma.
        luma_at: reads the luma of a frame of it, (h, w) in 0..1.
        progress: hears how many frames of the other film were read.

    Raises:
        HintError: nothing of it fits, with the reason.
        InputError: it cannot be read.
    """
    index, times = _index(other, progress)
    base, box = scan.info.time_base, content_box(_mean([v / 255 for shot in scan.shots for _, v in shot.views]))
    views = [[(scan.pts[i] * base, _tiny(v, box)) for i, v in shot.views] for shot in scan.shots]
    speed, usual = _vote(views, index, times)
    found = [_offset(shot, index, times, speed, usual) for shot in views]
    if all(offset is None for offset, _ in found):
        best = max(score for _, score in found)
        raise HintError(
            f"{other}: shows no shot of {scan.info.path} (best correlation {best:.2f}, {_FITS} is needed); "
            "is it the same film?"
        )
    starts = tuple(view.shot.start_pts * base for view in scan.shots)
    offsets = tuple(offset for offset, _ in found)
    matched = [(score, view) for view, (offset, score) in zip(scan.shots, found, strict=True) if offset is not None]
    best_first = [view for _, view in sorted(matched, key=lambda pair: -pair[0])]
    placed = ChromaMap(other, speed, starts, offsets, np.eye(3)[:2])
    matrix = _register(placed, best_first[:_REGISTERED], scan, luma_at)
    return ChromaMap(other, speed, starts, offsets, matrix)


def _index(other: Path, progress: Callable[[int], None]) -> tuple[Array, Array]:
    """(n, k) float16 tiny pictures of all frames, and their times in seconds, float64."""
    box, tiny, times = _bars(other), list[Array](), list[float]()
    with open_video(other) as video:
        for frame in video:
            if frame.chroma is None:
                raise HintError(f"{other}: is black and white; --chroma-from takes a film in color")
            tiny.append(_tiny(_view(frame), box).astype(np.float16))
            times.append(frame.seconds)
            progress(len(times))
    return np.stack(tiny), np.array(times)


def _mean(views: Sequence[Array]) -> Array:
    """(h, w) float32 mean of pictures: bars are what stays."""
    return np.asarray(np.mean(views, axis=0), np.float32)


def _bars(other: Path) -> Box:
    """Find the picture between the bars, in the mean of a few frames."""
    info = probe(other)
    first, length = info.start_pts * info.time_base, info.duration or Fraction(0)
    frames = (nearest_frame(other, first + length * place / _LOOKS) for place in range(_LOOKS))
    views = [_view(frame) / 255 for frame in frames if frame is not None]
    return content_box(_mean(views)) if views else Box(0, 90, 0, 160)


def _view(frame: Frame) -> Array:
    """(90, 160) uint8 luma, as of a scan."""
    return thumbnail(np.rint(frame_to_luma(frame) * 255).astype(np.uint8))


def _like(index: Array, tiny: Array) -> Array:
    """Correlation of all frames of the other film with some pictures, (n, k) or (n,)."""
    parts = [part.astype(np.float32) @ tiny for part in np.array_split(index, max(1, len(index) // _CHUNK))]
    return np.concatenate(parts)


def _tiny(view: Array, box: Box) -> Array:
    """Return a picture without bars as a vector of zero mean and length 1."""
    inside = view[box.top : box.bottom, box.left : box.right].astype(np.float32)
    small = cv2.resize(inside, _SIZE, interpolation=cv2.INTER_AREA).ravel()
    small -= small.mean()
    return np.asarray(small / max(float(np.linalg.norm(small)), 1e-3))


Views = Sequence[tuple[Fraction, Array]]


def _vote(shots: Sequence[Views], index: Array, times: Array) -> tuple[Fraction, float]:
    """Return the speed and the offset that most views agree on."""
    pairs = []
    for moment, tiny in (view for shot in shots for view in shot):
        like = _like(index, tiny)
        place = int(like.argmax())
        if like[place] >= _ALIKE:
            pairs.append((float(moment), float(times[place])))
    best, speed, usual = 0, Fraction(1), 0.0
    here, there = np.array(pairs).reshape(-1, 2).T
    for candidate in _SPEEDS:
        offsets = np.sort(there - float(candidate) * here)
        counts = np.searchsorted(offsets, offsets + _CLOSE, "right") - np.searchsorted(offsets, offsets - _CLOSE)
        if len(counts) and counts.max() > best:
            best, speed = int(counts.max()), candidate
            usual = float(np.median(offsets[np.abs(offsets - offsets[int(counts.argmax())]) <= _CLOSE]))
    return speed, usual


def _offset(views: Views, index: Array, times: Array, speed: Fraction, usual: float) -> tuple[Fraction | None, float]:
    """Return the offset of a shot, None where none fits, and how well it fits."""
    rows = _like(index, np.stack([tiny for _, tiny in views]).T)
    moments = np.array([float(moment) for moment, _ in views]) * float(speed)

    def score(offset: float) -> float:
        places = np.clip(np.searchsorted(times, moments + offset - 1e-6), 0, len(times) - 1)
        near = np.clip(places[:, None] + np.arange(-1, 2), 0, len(times) - 1)
        inside = np.abs(times[near] - (moments + offset)[:, None]).min(axis=1) <= _CLOSE
        return float((rows[near, np.arange(len(views))[:, None]].max(axis=1) * inside).mean())

    fit = score(usual)
    own = float(np.median(times[rows.argmax(axis=0)] - moments))
    if (other := score(own)) > fit + _BETTER:
        fit, usual = other, own
    return (Fraction(usual).limit_denominator(100_000) if fit >= _FITS else None), fit


def _register(placed: ChromaMap, views: Sequence[ShotView], scan: ScanResult, luma_at: Callable[[int], Array]) -> Array:
    """Return the map of the shot that is registered best."""
    found, refused = list[tuple[float, Array]](), ""
    for view in views:
        index = view.views[len(view.views) // 2][0]
        time = placed.time(scan.pts[index] * scan.info.time_base)
        frame = None if time is None else nearest_frame(placed.other, time)
        if frame is None:
            continue
        try:
            laid = align_painted(frame_to_rgb(frame), None, luma_at(index), name=str(placed.other), explain=False)
            found.append((laid.correlation, laid.matrix))
        except HintError as error:
            refused = str(error).partition(". Or ")[0]
    if not found:
        raise HintError(f"{refused or placed.other}; its chroma cannot be laid over the film")
    return max(found, key=lambda pair: pair[0])[1]
