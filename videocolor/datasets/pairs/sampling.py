"""Which frames become pairs: drawn by time, bounded by time, the sharpest nearby taken."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from videocolor.datasets.pairs.manifest import uniforms
from videocolor.datasets.pairs.settings import SamplingConfig
from videocolor.types import Array

__all__ = ["Choice", "Timeline", "choose_pairs"]


@dataclass(frozen=True, eq=False)
class Timeline:
    """What was seen of a film's frames, frame by frame."""

    pts: Array
    """(n,) int64, strictly rising presentation times in `time_base`."""
    sharpness: Array
    """(n,) float32, variance of the Laplacian; larger is sharper."""
    usable: Array
    """(n,) bool, False for damaged frames."""
    time_base: Fraction
    starts: tuple[int, ...]
    """Indices of the shots' first frames, 0 first."""

    def shots(self) -> list[tuple[int, int]]:
        """(first, exclusive end) frame indices of each shot."""
        return list(zip(self.starts, (*self.starts[1:], len(self.pts)), strict=True))


@dataclass(frozen=True, order=True)
class Choice:
    """A pair of frames of one shot."""

    original: int
    """Frame index."""
    hint: int
    """Frame index."""
    shot: int
    """Counted from 0."""


def choose_pairs(line: Timeline, settings: SamplingConfig, key: str) -> tuple[list[Choice], Counter[str]]:
    """Draw the pairs of a film.

    A shot of d seconds gets floor(rate * d + u) originals, one at random in each equal part of it. The hint's offset
    is uniform over those offsets in [min_s, max_s] (on either side, or the one that `direction` names) that
    stay inside the shot. Both times then move to the sharpest usable frame of the window around them, the hint's only
    to frames whose distance in time from the original is still within the bounds. Where no frame is shown
    within the window (variable frame rates), the nearest frame within the bounds is taken.

    Args:
        line: the film's frames.
        settings: rate, bounds, direction, window and seed.
        key: what the draw depends on besides the seed: the sha256 of the source, so that no source changes another's.

    Returns:
        Choices without repetition, sorted; and how many draws came to nothing, by reason.
    """
    choices: set[Choice] = set()
    skipped: Counter[str] = Counter()
    for shot, (start, end) in enumerate(line.shots()):
        span = int(line.pts[end - 1] - line.pts[start])
        seconds = span * line.time_base
        if seconds < Fraction(str(settings.min_s)):
            skipped["shots shorter than min_s"] += 1
            continue
        (extra,) = uniforms(1, settings.seed, key, shot, "count")
        count = math.floor(float(seconds) * float(settings.rate) + extra)
        for number in range(count):
            place, offset = uniforms(2, settings.seed, key, shot, number)
            wanted = int(line.pts[start]) + int((number + place) / count * span)
            choice = _choose(line, settings, (start, end), wanted, offset)
            if choice is None:
                skipped["originals without a hint within the bounds"] += 1
            else:
                choices.add(Choice(*choice, shot))
    return sorted(choices), skipped


def _choose(
    line: Timeline, settings: SamplingConfig, shot: tuple[int, int], wanted: int, place: float
) -> tuple[int, int] | None:
    """(original, hint) frame indices for an original wanted at a time in ticks; `place` in [0, 1) draws the offset."""
    start, end = shot
    half = int(Fraction(str(settings.window_s)) / 2 / line.time_base)
    low = math.ceil(Fraction(str(settings.min_s)) / line.time_base)
    high = math.floor(Fraction(str(settings.max_s)) / line.time_base)
    original = _sharpest(line, start, end, wanted, half)
    if original is None:
        return None
    time = int(line.pts[original])
    before = max(0, min(high, time - int(line.pts[start])) - low + 1) if settings.direction != "after" else 0
    after = max(0, min(high, int(line.pts[end - 1]) - time) - low + 1) if settings.direction != "before" else 0
    if before + after == 0:
        return None
    ticks = int(place * (before + after))
    if ticks < before:
        wanted, first, last = time - low - ticks, time - high, time - low
    else:
        wanted, first, last = time + low + ticks - before, time + low, time + high
    # Only frames of this shot whose time is within the bounds, whatever the sharpness says.
    begin = max(start, int(np.searchsorted(line.pts, first, "left")))
    stop = min(end, int(np.searchsorted(line.pts, last, "right")))
    hint = _sharpest(line, begin, stop, wanted, half)
    return None if hint is None else (original, hint)


def _sharpest(line: Timeline, start: int, end: int, wanted: int, half: int) -> int | None:
    """Find the sharpest usable frame of [start, end) within `half` ticks, else the nearest usable one, if any."""
    if end <= start:
        return None
    begin = max(start, int(np.searchsorted(line.pts, wanted - half, "left")))
    stop = min(end, int(np.searchsorted(line.pts, wanted + half, "right")))
    near = [i for i in range(begin, stop) if line.usable[i]]
    if near and half > 0:
        return max(near, key=lambda i: (float(line.sharpness[i]), -abs(int(line.pts[i]) - wanted), -i))
    middle = int(np.searchsorted(line.pts, wanted, "left"))
    left = next((i for i in range(min(middle, end) - 1, start - 1, -1) if line.usable[i]), None)
    right = next((i for i in range(max(middle, start), end) if line.usable[i]), None)
    found: Sequence[int] = [i for i in (left, right) if i is not None]
    return min(found, key=lambda i: (abs(int(line.pts[i]) - wanted), i)) if found else None
