"""Inverse telecine: fields of one film frame put back together.

Pulldown shows film frames for two and three fields in turn, so that frames arise whose fields come from two film
frames. Each frame keeps its upper field and takes the lower field of the frame before, its own, or the one behind:
the one that combs least (field matching as in TIVTC and FFmpeg's `fieldmatch`). Because the upper field always
stays, every film frame is seen in the result, and the choice needs no memory of a cadence: edits that break the
cadence do no harm. Frames that the film has twice stay twice, for taking them out would take the sound and the
times of the film apart.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from videocolor.restoration.fields import combed, on_planes, plane, teeth, weave
from videocolor.restoration.levels import eight_bit
from videocolor.restoration.window import close, sliding
from videocolor.types import Array, Frame

__all__ = ["REACH", "Match", "match_fields", "restore_telecine"]

Match = Literal["own", "before", "after"]
"""Where the lower field comes from."""
REACH: Final = 1
_TOOTH: Final = 8
"""Height of a tooth, 8-bit levels, from which a sample combs; under half of it does not."""
_LEAST: Final = 1e-4
"""Share of the picture that must stop combing before a field is exchanged."""
_CLEARLY: Final = 2.5
"""How many samples must stop combing for one that begins to: in video from two fields a frame nobody wins."""

_PURELY: Final = 25
"""The same where what stops is not dense; by mere vertical motion, thin lines of another frame may fit better than
a frame's own, some seven times as often as worse."""
_DENSELY: Final = 0.5
"""Share of what stops combing that must lie where the frame combs densely."""


@dataclass(frozen=True, eq=False)
class _Look:
    frame: Frame
    gray: Array


def restore_telecine(frames: Iterable[Frame]) -> Iterator[Frame]:
    """Put fields back together; frames whose own fields match are the very same objects.

    A neighbour across a cut is of no harm here: its field is taken only where it stops the combing, that is where
    it belongs to this picture.
    """
    with closing(sliding(_looks(frames), REACH)) as windows:
        for window, place in windows:
            frame = window[place].frame
            match = _match(window, place)
            if match == "own":
                yield frame
                continue
            other = window[place + (1 if match == "after" else -1)].frame
            yield _woven(frame, other)


def match_fields(frames: Iterable[Frame]) -> Iterator[tuple[Frame, Match]]:
    """Every frame with where its lower field should come from; for finding the cadence."""
    with closing(sliding(_looks(frames), REACH)) as windows:
        for window, place in windows:
            yield window[place].frame, _match(window, place)


def _looks(frames: Iterable[Frame]) -> Generator[_Look, None, None]:
    try:
        for frame in frames:
            yield _Look(frame, eight_bit(frame.luma, frame.layout.depth))
    finally:
        close(frames)


def _match(window: list[_Look], place: int) -> Match:
    gray = window[place].gray
    own = teeth(gray)
    if np.count_nonzero(own > _TOOTH) <= _LEAST * own.size:
        return "own"
    best: tuple[Match, Array] = ("own", own)
    where = combed(gray)
    choices: list[tuple[Match, int]] = [("before", place - 1), ("after", place + 1)]
    for name, k in choices:
        if 0 <= k < len(window):
            tried = teeth(weave(gray, window[k].gray))
            if _beats(tried, best[1], where):
                best = (name, tried)
    return best[0]


def _beats(new: Array, old: Array, where: Array) -> bool:
    """Tell whether clearly more stops combing than begins to: with nothing beginning, or where combing is dense."""
    stops = (old > _TOOTH) & (new < _TOOTH // 2)
    begins = np.count_nonzero((new > _TOOTH) & (old < _TOOTH // 2))
    total = np.count_nonzero(stops)
    if total <= _LEAST * new.size + _CLEARLY * begins:
        return False
    return bool(total > _PURELY * begins or np.count_nonzero(stops & where) > _DENSELY * total)


def _woven(frame: Frame, other: Frame) -> Frame:
    return on_planes(frame, lambda index: weave(plane(frame, index), plane(other, index)))
