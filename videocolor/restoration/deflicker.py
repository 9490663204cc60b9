"""Exposure that jumps from frame to frame, evened out against the frames around.

Between neighbors the change of exposure (gain and offset) is fitted to the blocks that agree on one, so
that what moves through the picture is not taken for light. Chained outwards from a frame these changes tell
how the same content would look at every frame of the window; a local straight line through them, without
outliers, is the exposure that the frame gets. Gain and offset as a model of flicker: van Roosmalen,
Lagendijk and Biemond, "Correction of intensity flicker in old film sequences", IEEE CSVT 9 (1999); smoothing
against a temporal window instead of the frame before, so that errors do not add up: Delon, "Movie and video
scale-time equalization", IEEE TIP 15 (2006).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from videocolor.restoration.levels import (
    Exposure,
    close,
    exposure_between,
    nominal,
    one_shot,
    sliding,
    store,
    thumbnail,
)
from videocolor.types import Array, Frame

__all__ = ["deflicker"]

_UNSEEN: Final = 0.3
"""Correction in 8-bit levels under which the frame stays as it is."""
_SURE: Final = 2.0
"""Square of the ratio of a slope to its error from which it is kept completely."""
_JUMPY: Final = 2.5
"""Ratio of swing to jumps up to which all counts as flicker: swings of four frames do, of eight hardly."""
_STRAY: Final = 6.0
"""Robust deviations from the line from which a frame of the window does not count."""


@dataclass(eq=False)
class _Item:
    """What is kept of a frame."""

    frame: Frame | None
    """None once the frame has been handed on: later windows need its numbers alone."""
    thumb: Array
    step: Exposure | None
    """From the frame before to this one; None across a cut."""


def deflicker(frames: Iterable[Frame], reach: int, limit: float) -> Iterator[Frame]:
    """Even out exposure.

    Args:
        frames: A film's frames in order.
        reach: Frames on each side that a frame is compared with.
        limit: Largest correction as a share of the frame's mean level; a frame beyond it stays.

    Yields:
        As many frames; those whose correction could not be seen are the very same objects.
    """
    with closing(sliding(_items(frames), reach)) as windows:
        for window, place in windows:
            item = window[place]
            frame = item.frame
            assert frame is not None
            item.frame = None
            change = _correction(window, place, limit)
            yield frame if change is None else _exposed(frame, change)


def _items(frames: Iterable[Frame]) -> Generator[_Item, None, None]:
    before: Array | None = None
    try:
        for frame in frames:
            thumb = thumbnail(frame.luma, frame.layout.depth)
            step = None
            if before is not None and one_shot(before, thumb):
                step = exposure_between(before, thumb)
            before = thumb
            yield _Item(frame, thumb, step)
    finally:
        close(frames)


def _correction(window: list[_Item], place: int, limit: float) -> Exposure | None:
    """Change that brings the frame to the exposure of its surroundings; None: it stays."""
    path = _path(window, place)
    if len(path) < 4:
        return None
    thumb = window[place].thumb
    low, mean, high = (float(v) for v in (np.percentile(thumb, 2), thumb.mean(), np.percentile(thumb, 98)))
    times = np.array([t for t, _ in path], np.float64)
    gains = np.array([e.gain for _, e in path])
    offsets = np.array([e.offset for _, e in path])
    levels = gains * mean + offsets
    slope, level = _line(times, levels)
    miss = levels - level - slope * times
    scale = max(0.5, 1.4826 * float(np.median(np.abs(miss))))
    here = int(np.flatnonzero(times == 0)[0])
    if abs(miss[here]) > limit * max(mean, 1.0):
        return None
    weight = np.cos(times / (np.abs(times).max() + 1) * (np.pi / 2)) * (np.abs(miss) < _STRAY * scale + 1)
    weight[here] = max(weight[here], 1e-3)
    share = _jumps(levels, miss, weight)
    gain, offset = _intercept(times, gains, weight), _intercept(times, offsets, weight)
    change = Exposure(1 + share * (gain - 1), share * offset)
    return None if change.most(low, high) < _UNSEEN else change


def _jumps(levels: Array, miss: Array, weight: Array) -> float:
    """Share of a correction that is made: all of it where exposure jumps, little where it swings smoothly.

    The variance of second differences is six times that of independent jumps, and next to nothing for a light
    that comes and goes within some frames.
    """
    swing = float(weight @ miss**2) / float(weight.sum())
    bends = np.diff(levels, 2) ** 2
    jump = float(weight[1:-1] @ bends) / max(float(weight[1:-1].sum()), 1e-9) / 6
    return min(1.0, _JUMPY * jump / max(swing, 1e-9))


def _path(window: list[_Item], place: int) -> list[tuple[int, Exposure]]:
    """How the frame would look at the times around it: (frames from here, change), within its shot."""
    path = [(0, Exposure())]
    change: Exposure | None = Exposure()
    for k in range(place + 1, len(window)):
        step = window[k].step
        if step is None:
            break
        change = step.after(path[-1][1])
        path.append((k - place, change))
    change = Exposure()
    for k in range(place, 0, -1):
        step = window[k].step
        if step is None:
            break
        change = step.inverse().after(change)
        path.append((k - 1 - place, change))
    return sorted(path, key=lambda item: item[0])


def _line(times: Array, values: Array) -> tuple[float, float]:
    """Slope and value at 0 of a straight line (Theil and Sen): a third of the values may be wild."""
    i, j = np.triu_indices(times.size, 1)
    slope = float(np.median((values[j] - values[i]) / (times[j] - times[i])))
    return slope, float(np.median(values - slope * times))


def _intercept(times: Array, values: Array, weight: Array) -> float:
    """Value at 0 of a weighted straight line whose slope is trusted as far as it stands out from its error."""
    total = float(weight.sum())
    at, mean = float(weight @ times) / total, float(weight @ values) / total
    run = float(weight @ (times - at) ** 2)
    if run <= 0:
        return mean
    slope = float(weight @ ((times - at) * (values - mean))) / run
    miss = values - mean - slope * (times - at)
    error = float(weight @ miss**2) / total * float((weight**2) @ (times - at) ** 2) / run**2
    kept = max(0.0, 1 - _SURE * error / slope**2) if slope else 0.0
    return mean - kept * slope * at


def _exposed(frame: Frame, change: Exposure) -> Frame:
    """Return the frame at another exposure; nothing is pushed beyond black and white that was not there before."""
    depth = frame.layout.depth
    black, white = nominal(frame.color, depth)
    codes = np.arange(2**depth, dtype=np.float64)
    table = change.gain * codes + change.offset * 2 ** (depth - 8)
    table = np.clip(table, np.minimum(codes, black), np.maximum(codes, white))
    return replace(frame, luma=np.take(store(table, frame), frame.luma))
