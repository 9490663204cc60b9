"""Woven fields made into one picture, in frames that comb.

The lines of the upper field stay. A line between them is predicted from the lines around it and, for fine
detail, from the lower fields before and after (the three-field filter of M. Weston, BBC R&D, as
FFmpeg's `w3fdif` and `bwdif` have it), and held within what these two fields show, widened by the motion seen
around (the temporal limit of `yadif`): a still picture comes out as it was woven.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np

from videocolor.restoration.fields import combed, on_planes, plane, teeth, weave
from videocolor.restoration.levels import eight_bit, one_shot, thumbnail
from videocolor.restoration.window import close, sliding
from videocolor.types import Array, Frame

__all__ = ["REACH", "deinterlace"]

FieldOrder = Literal["auto", "top", "bottom"]
REACH: Final = 3
"""Frames on each side that vote on which field is the earlier one; samples are taken from the next ones alone."""
_WHOLE: Final = 0.1
"""Share of the picture that combs from which all of it is taken for woven: slow motion combs too little to be seen
as such, and fine texture may comb by itself in up to some hundredths of a progressive picture."""
_GRAIN: Final = 4
"""Teeth up to this height, 8-bit levels, say nothing of the order of fields."""
_LOW: Final = (0.526, -0.026)
"""Weston's weights of the lines 1 and 3 away, of this field: coarse detail."""
_HIGH: Final = (0.340, -0.232, 0.062)
"""Of the lines 0, 2 and 4 away in the mean of the other fields: fine vertical detail; they sum to zero."""
_SPATIAL: Final = (0.620, -0.120)
"""Cubic interpolation, where the other fields show something else."""


@dataclass(frozen=True, eq=False)
class _Look:
    frame: Frame
    gray: Array
    thumb: Array
    top_first: float
    """How much less the fields of this frame and the one before comb if the upper field is the earlier one."""
    cut: bool
    """Another shot than the frame before."""


def deinterlace(frames: Iterable[Frame], order: FieldOrder) -> Iterator[Frame]:
    """Make one picture of the two fields, at the time of the upper one, where they comb.

    Args:
        frames: A film's frames in order.
        order: Which field is the earlier one; auto: seen from the motion around.

    Yields:
        As many frames; those that do not comb are the very same objects.
    """
    with closing(sliding(_looks(frames), REACH)) as windows:
        for window, place in windows:
            here = window[place]
            where = combed(here.gray)
            if not where.any():
                yield here.frame
                continue
            if where.mean() > _WHOLE:
                where = np.ones_like(where)
            before = window[place - 1].frame if place > 0 and not here.cut else None
            after = None
            if place + 1 < len(window) and not window[place + 1].cut:
                after = window[place + 1].frame
            top_first = _vote(window, place) if order == "auto" else order == "top"
            yield _mended(here.frame, before, after, where, top_first)


def _looks(frames: Iterable[Frame]) -> Generator[_Look, None, None]:
    last: _Look | None = None
    try:
        for frame in frames:
            gray = eight_bit(frame.luma, frame.layout.depth)
            thumb = thumbnail(frame.luma, frame.layout.depth)
            cut = last is not None and not one_shot(last.thumb, thumb)
            top_first = 0.0
            if last is not None and not cut:
                # The lower field of the last frame and the upper one of this are neighbours if the upper comes first.
                top_first = _combing(last.gray, gray) - _combing(gray, last.gray)
            last = _Look(frame, gray, thumb, top_first, cut)
            yield last
    finally:
        close(frames)


def _combing(upper: Array, lower: Array) -> float:
    return float(np.maximum(teeth(weave(upper, lower)), _GRAIN).mean())


def _vote(window: list[_Look], place: int) -> bool:
    """Whether the upper field is the earlier one, by the frames of this shot."""
    total = 0.0
    for k in range(place, 0, -1):
        if window[k].cut:
            break
        total += window[k].top_first
    for k in range(place + 1, len(window)):
        if window[k].cut:
            break
        total += window[k].top_first
    return total >= 0


def _mended(frame: Frame, before: Frame | None, after: Frame | None, where: Array, top_first: bool) -> Frame:
    peak = 2**frame.layout.depth - 1

    def work(index: int) -> Array:
        here = plane(frame, index)
        mask = where
        if mask.shape != here.shape:
            mask = cv2.resize(where.astype(np.uint8), here.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
        sides = [plane(other, index).astype(np.float32) if other is not None else None for other in (before, after)]
        lines = _predicted(here.astype(np.float32), sides[0], sides[1], top_first)
        made: Array = here.copy()
        made[1::2] = np.where(mask[1::2], np.rint(np.clip(lines, 0, peak)), here[1::2]).astype(here.dtype)
        return made

    return on_planes(frame, work)


def _predicted(here: Array, before: Array | None, after: Array | None, top_first: bool) -> Array:
    """(h // 2, w) float32: what the lines of the lower field would show at the time of the upper one."""
    # The lower fields just before and just after the upper field's time.
    first, second = (before, here) if top_first else (here, after)
    first, second = (second if first is None else first), (first if second is None else second)
    assert first is not None and second is not None
    early, late = first[1::2], second[1::2]
    up, down = _around(here)
    mean = (early + late) * np.float32(0.5)
    apart = np.abs(early - late)
    moved = apart * np.float32(0.5)
    for other in (before, after):
        if other is not None:
            other_up, other_down = _around(other)
            moved = np.maximum(moved, (np.abs(other_up - up) + np.abs(other_down - down)) * np.float32(0.5))
    if before is None and after is None:
        moved = np.full_like(mean, np.inf)
    far_up, far_down = _shifted(up, -1), _shifted(down, 1)
    low = _LOW[0] * (up + down) + _LOW[1] * (far_up + far_down)
    high = _HIGH[0] * mean + _HIGH[1] * (_shifted(mean, -1) + _shifted(mean, 1))
    high += _HIGH[2] * (_shifted(mean, -2) + _shifted(mean, 2))
    spatial = _SPATIAL[0] * (up + down) + _SPATIAL[1] * (far_up + far_down)
    guess = np.where(np.abs(up - down) > apart, low + high, spatial)
    moved = np.maximum(moved, _overshoot(mean, up, down))
    return np.asarray(np.clip(guess, mean - moved, mean + moved), np.float32)


def _overshoot(mean: Array, up: Array, down: Array) -> Array:
    """By how much the other fields' line lies beyond both lines around, while their next lines do so too."""
    above, below = _shifted(mean, -1) - up, _shifted(mean, 1) - down
    over_up, over_down = mean - up, mean - down
    high = np.maximum(np.maximum(over_up, over_down), np.minimum(above, below))
    low = np.minimum(np.minimum(over_up, over_down), np.maximum(above, below))
    return np.asarray(np.maximum(low, -high))


def _around(frame: Array) -> tuple[Array, Array]:
    """The upper field's lines above and below each line of the lower field, (h // 2, w) each."""
    count = frame.shape[0] // 2
    upper = frame[0::2]
    down = upper[1:] if len(upper) > count else np.concatenate([upper[1:], upper[-1:]])
    return upper[:count], down


def _shifted(lines: Array, by: int) -> Array:
    """Lines `by` places further down (negative: up); the last one repeats at the border."""
    if by < 0:
        return np.concatenate([np.repeat(lines[:1], min(-by, len(lines)), axis=0), lines[:by]])
    return np.concatenate([lines[by:], np.repeat(lines[-1:], min(by, len(lines)), axis=0)])
