"""Deinterlace frames that comb, with FFmpeg's `bwdif` (Bob Weaver Deinterlacing Filter).

The lines of the upper field stay; a line between them is what `bwdif` makes of the frames before and after, of the same
shot. Where a small part of the picture combs, only that part is replaced.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Final, Literal

import cv2
import numpy as np

from videocolor.restoration.fields import combed, on_planes, plane, teeth, weave
from videocolor.restoration.levels import eight_bit, one_shot, thumbnail
from videocolor.restoration.window import close, sliding
from videocolor.types import Array, Frame
from videocolor.video.filters import filter_planes

__all__ = ["REACH", "deinterlace"]

FieldOrder = Literal["auto", "top", "bottom"]
REACH: Final = 3
"""Frames on each side that vote on which field is the earlier one; samples are taken from the next ones alone."""
_WHOLE: Final = 0.1
"""Share of the picture that combs from which all of it is taken for woven: slow motion combs too little to be seen
as such, and fine texture may comb by itself in up to some hundredths of a progressive picture."""
_GRAIN: Final = 4
"""Teeth up to this height, 8-bit levels, say nothing of the order of fields."""


@dataclass(frozen=True, eq=False)
class _Item:
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
    with closing(sliding(_items(frames), REACH)) as windows:
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
            yield _deinterlaced(here.frame, before, after, where, top_first)


def _items(frames: Iterable[Frame]) -> Generator[_Item, None, None]:
    last: _Item | None = None
    try:
        for frame in frames:
            gray = eight_bit(frame.luma, frame.layout.depth)
            thumb = thumbnail(frame.luma, frame.layout.depth)
            cut = last is not None and not one_shot(last.thumb, thumb)
            top_first = 0.0
            if last is not None and not cut:
                # The lower field of the last frame and the upper one of this are neighbors if the upper comes first.
                top_first = _combing(last.gray, gray) - _combing(gray, last.gray)
            last = _Item(frame, gray, thumb, top_first, cut)
            yield last
    finally:
        close(frames)


def _combing(upper: Array, lower: Array) -> float:
    return float(np.maximum(teeth(weave(upper, lower)), _GRAIN).mean())


def _vote(window: list[_Item], place: int) -> bool:
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


def _deinterlaced(frame: Frame, before: Frame | None, after: Frame | None, where: Array, top_first: bool) -> Frame:
    around = [other for other in (before, frame, after) if other is not None]
    if len(around) == 1:  # bwdif alone with a frame takes it for still, and keeps its combs
        around = [_doubled(frame), frame, _doubled(frame)]
    place = around.index(frame)
    parity = "tff" if top_first else "bff"
    # A picture for each field: the upper field's is the first of the two where that field is the earlier one.
    wanted = 2 * place + (0 if top_first else 1)

    def work(index: int) -> Array:
        here = plane(frame, index)
        mask = where
        if mask.shape != here.shape:
            mask = cv2.resize(where.astype(np.uint8), here.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
        planes = (plane(other, index) for other in around)
        options = f"mode=send_field:parity={parity}:deint=all"
        pictures = filter_planes(planes, "bwdif", options, depth=frame.layout.depth)
        made = next(islice(pictures, wanted, None))
        return np.where(mask, made, here)

    return on_planes(frame, work)


def _doubled(frame: Frame) -> Frame:
    """Return the frame with the lines of its lower field made from the upper one's around them."""

    def work(index: int) -> Array:
        lines: Array = np.array(plane(frame, index))
        upper = lines[0::2].astype(np.float32)
        count = len(lines) // 2
        down = np.concatenate([upper[1:], upper[-1:]])[:count]
        lines[1::2] = np.rint((upper[:count] + down) / 2)
        return lines

    return on_planes(frame, work)
