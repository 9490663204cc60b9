"""Inverse telecine: fields of one film frame put back together, matched by FFmpeg's `fieldmatch` (after TIVTC).

Pulldown shows film frames for two and three fields in turn, so that frames arise whose fields come from two film
frames. Each frame keeps its upper field and takes the lower field of the frame before, its own, or the one after. Every
film frame is seen in the result, and no cadence is remembered: edits that break it do no harm. Frames that the film has
twice stay twice, since dropping them would change the times of the film.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from typing import Final, Literal

import numpy as np

from videocolor.restoration.fields import on_planes, plane, weave
from videocolor.restoration.levels import eight_bit
from videocolor.restoration.window import close
from videocolor.types import Array, Frame
from videocolor.video.filters import filter_planes

__all__ = ["REACH", "Match", "match_fields", "restore_telecine"]

Match = Literal["own", "before", "after"]
"""Where the lower field comes from."""
REACH: Final = 1
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
