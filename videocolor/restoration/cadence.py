"""How a film came to its frame rate: pulldown in fields, or frames shown more than once."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from itertools import islice
from typing import Final

import numpy as np

from videocolor.restoration.deinterlace import match_fields
from videocolor.restoration.levels import one_shot, thumbnail
from videocolor.types import Array, Frame

__all__ = ["describe_cadence", "find_cadence"]

_LONGEST: Final = 12
"""Frames of the longest cadence that is looked for."""
_ROUNDS: Final = 4
"""Times that a cadence must be seen to count."""
_KEPT: Final = 0.9
"""Share of frames that must follow it."""
_REPEAT: Final = 0.08
"""Difference of small pictures, as a share of what is usual around, up to which a frame is shown again."""
_MANY: Final = 40
"""Frames that must be judged before a share of repeats is stated..."""
_OFTEN: Final = 0.1
"""...and the least share."""
_STILL: Final = 0.15
"""Mean difference of small pictures in 8-bit levels up to which nothing moves, so that nothing is known."""


def find_cadence(frames: Iterable[Frame], most: int = 240) -> str | None:
    """Say how fields or frames repeat.

    Args:
        frames: Frames of a film in order, as decoded; read up to `most`.
        most: Frames that are looked at.

    Returns:
        For example "3:2 pulldown, repeats every 5 frames", or "1 frame in 5 is the one before, shown again"; None
        for a film without a cadence, and for one in which too little moves to see it.
    """
    woven: list[bool | None] = []
    changes: list[float | None] = []
    last: Array | None = None
    for frame, match in match_fields(_first(frames, most)):
        thumb = thumbnail(frame.luma, frame.layout.depth)
        cut = last is not None and not one_shot(last, thumb)
        changes.append(None if last is None or cut else float(np.abs(thumb - last).mean()))
        woven.append(match != "own")
        last = thumb
    return describe_cadence(*_known(woven, changes))


def _first(frames: Iterable[Frame], most: int) -> Generator[Frame, None, None]:
    yield from islice(frames, most)


def _known(
    woven: Sequence[bool | None], changes: Sequence[float | None]
) -> tuple[list[bool | None], list[bool | None]]:
    """Return what is known of each frame: None where nothing moves."""
    known: list[bool | None] = []
    repeats: list[bool | None] = []
    for i, change in enumerate(changes):
        near = [c for c in changes[max(0, i - 3) : i + 4] if c is not None]
        usual = max(near, default=0.0)
        moving = usual > _STILL
        known.append(woven[i] if moving else None)
        repeats.append(change <= _REPEAT * usual if moving and change is not None else None)
    return known, repeats


def describe_cadence(woven: Sequence[bool | None], repeats: Sequence[bool | None]) -> str | None:
    """Put a cadence into words.

    Args:
        woven: For each frame, whether its fields belong to two pictures; None: unknown.
        repeats: For each frame, whether it is the one before, shown again; None: unknown.

    Returns:
        None where neither follows a cadence.
    """
    found = _period(woven)
    if found is not None:
        length, count = found
        name = {(5, 2): "3:2 pulldown", (5, 1): "3:2 pulldown of mixed fields"}.get(found, "pulldown in fields")
        detail = "" if found == (5, 2) else f" ({count} of them woven)"
        return f"{name}, repeats every {length} frames{detail}"
    found = _period(repeats)
    if found is not None:
        length, count = found
        if length == count + 1:
            return f"every frame is shown {length} times"
        verb = "frame" if count == 1 else "frames"
        return f"{count} {verb} in {length} {'is' if count == 1 else 'are'} the one before, shown again"
    known = [flag for flag in repeats if flag is not None]
    if len(known) >= _MANY and sum(known) >= _OFTEN * len(known):
        return f"{100 * sum(known) // len(known)} % of the frames are the one before, shown again, in no fixed order"
    return None


def _period(flags: Sequence[bool | None]) -> tuple[int, int] | None:
    """(length, flagged frames in it) of the shortest cadence that the flags follow."""
    known = [(i, flag) for i, flag in enumerate(flags) if flag is not None]
    for length in range(2, _LONGEST + 1):
        places: list[list[bool]] = [[] for _ in range(length)]
        for i, flag in known:
            places[i % length].append(flag)
        if min(len(place) for place in places) < _ROUNDS:
            return None
        pattern = [2 * sum(place) > len(place) for place in places]
        if not 0 < sum(pattern) < length:
            continue
        if all(
            sum(flag == wanted for flag in place) >= _KEPT * len(place)
            for place, wanted in zip(places, pattern, strict=True)
        ):
            return length, sum(pattern)
    return None
