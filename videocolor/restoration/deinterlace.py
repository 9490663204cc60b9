"""The two fields of a frame: woven ones deinterlaced, pulldown undone.

Deinterlacing is FFmpeg's `bwdif` (Bob Weaver Deinterlacing Filter), of frames that comb: the lines of the upper field
(0, 2, 4...) stay; a line between them is what `bwdif` makes of the frames before and after, of the same shot. Where a
small part of the picture combs, only that part is replaced.

Inverse telecine is FFmpeg's `fieldmatch` (after TIVTC). Pulldown shows film frames for two and three fields in turn, so
that frames arise whose fields come from two film frames. Each frame keeps its upper field and takes the lower field of
the frame before, its own, or the one after. No cadence is remembered: edits that break it do no harm. Frames that the
film has twice stay twice, since dropping them would change the times of the film.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final, Literal

import cv2
import numpy as np

from videocolor.restoration.levels import close, eight_bit, one_shot, sliding, thumbnail
from videocolor.types import Array, Frame
from videocolor.video.filters import filter_planes

__all__ = ["DEINTERLACE_REACH", "TELECINE_REACH", "combed", "deinterlace", "match_fields", "restore_telecine"]

FieldOrder = Literal["auto", "top", "bottom"]
DEINTERLACE_REACH: Final = 3
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
    with closing(sliding(_items(frames), DEINTERLACE_REACH)) as windows:
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


Match = Literal["own", "before", "after"]
"""Where the lower field comes from."""
TELECINE_REACH: Final = 1
_OPTIONS: Final = "order=tff:field=top:mode=pcn:combmatch=full"
"""The upper field stays, and the lower one may come from either neighbor: then the order of fields says nothing.
`combmatch=full` judges combing at every frame, so that a decision depends on three frames alone."""


def restore_telecine(frames: Iterable[Frame]) -> Iterator[Frame]:
    """Put fields back together; frames whose own fields match are the very same objects.

    A neighbor across a cut does no harm: its field is taken only where it combs least.
    """
    with closing(_windows(frames)) as windows:
        for before, frame, after, match in windows:
            other = {"own": None, "before": before, "after": after}[match]
            yield frame if other is None else _woven(frame, other)


def match_fields(frames: Iterable[Frame]) -> Iterator[tuple[Frame, Match]]:
    """Yield every frame with where its lower field should come from; for finding the cadence."""
    with closing(_windows(frames)) as windows:
        for _, frame, _, match in windows:
            yield frame, match


def _windows(frames: Iterable[Frame]) -> Generator[tuple[Frame | None, Frame, Frame | None, Match], None, None]:
    """Yield each frame with its neighbors and its match."""
    held: deque[tuple[Frame, Array]] = deque()

    def grays() -> Iterator[Array]:
        for frame in frames:
            held.append((frame, eight_bit(frame.luma, frame.layout.depth)))
            yield held[-1][1]

    before: tuple[Frame, Array] | None = None
    try:
        for made in filter_planes(grays(), "fieldmatch", _OPTIONS):
            here = held.popleft()
            after = held[0] if held else None
            yield (
                None if before is None else before[0],
                here[0],
                None if after is None else after[0],
                _match(made, here, before, after),
            )
            before = here
    finally:
        close(frames)


def _match(
    made: Array, here: tuple[Frame, Array], before: tuple[Frame, Array] | None, after: tuple[Frame, Array] | None
) -> Match:
    """Tell which lower field FFmpeg took: it hands out the picture, not its choice."""
    choices: list[tuple[Match, tuple[Frame, Array] | None]] = [("own", here), ("before", before), ("after", after)]
    for match, item in choices:
        if item is not None and np.array_equal(made[1::2], item[1][1::2]):
            return match
    raise AssertionError("fieldmatch made a field of its own")


def _woven(frame: Frame, other: Frame) -> Frame:
    return on_planes(frame, lambda index: weave(plane(frame, index), plane(other, index)))


_TOOTH = 5
"""Least height of a comb's tooth in 8-bit levels."""
_FLAT = 2
"""How many times higher teeth must be between neighboring lines than between every second one."""
_AREA = (9, 13)
"""(rows, columns) in which a share of the samples must comb: grain and thin lines do so here and there."""
_DENSE = 0.22


def weave(upper: Array, lower: Array) -> Array:
    """Upper field of one picture and lower field of another, (h, w) each, in one new picture."""
    woven: Array = np.array(upper)
    woven[1::2] = lower[1::2]
    return woven


def teeth(gray: Array, step: int = 1) -> Array:
    """How much every sample stands out from both lines `step` above and below it to one side.

    Args:
        gray: (h, w) uint8.
        step: 1: neighboring lines, which are of two fields; 2: lines of one field.

    Returns:
        (h, w) uint8; 0 on the outermost lines.
    """
    found = np.zeros_like(gray)
    if gray.shape[0] > 2 * step:
        up, here, down = gray[: -2 * step], gray[step:-step], gray[2 * step :]
        over = cv2.min(cv2.subtract(here, up), cv2.subtract(here, down))
        under = cv2.min(cv2.subtract(up, here), cv2.subtract(down, here))
        found[step:-step] = cv2.max(over, under)
    return found


def combed(gray: Array) -> Array:
    """Where a picture combs, with a margin around.

    Args:
        gray: (h, w) uint8.

    Returns:
        (h, w) bool.
    """
    near, far = teeth(gray), teeth(gray, 2)
    comb = ((near > _TOOTH) & (near // _FLAT > far)).astype(np.float32)
    dense = cv2.blur(comb, _AREA[::-1]) > _DENSE
    if not dense.any():
        return np.zeros(gray.shape, bool)
    return np.asarray(cv2.dilate(dense.astype(np.uint8), np.ones((13, 17), np.uint8)) > 0)


def on_planes(frame: Frame, work: Callable[[int], Array]) -> Frame:
    """Return the frame with new planes: `work(0)` makes luma, 1 and 2 Cb and Cr where the frame has them."""
    chroma = (work(1), work(2)) if frame.chroma is not None else None
    return replace(frame, luma=work(0), chroma=chroma)


def plane(frame: Frame, index: int) -> Array:
    """Luma (0), Cb (1) or Cr (2) of a frame that has it."""
    if index == 0:
        return frame.luma
    assert frame.chroma is not None
    return frame.chroma[index - 1]
