"""Whether the times of a film's frames can be meant."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Final

import numpy as np

__all__ = ["odd_times"]

_SHORTEST: Final = 0.002
"""Seconds below which no frame of a film lasts."""
_GAP: Final = 60.0
"""Seconds above which a frame lasts oddly long, where the others do not."""
_USUAL: Final = 500
"""How many times longer than usual such a frame lasts."""


def odd_times(pts: Sequence[int], time_base: Fraction) -> str | None:
    """Describe times that can hardly be meant; None: they are plausible.

    Args:
        pts: time of every frame, in ticks.
        time_base: seconds per tick.
    """
    steps = np.diff(np.asarray(pts, np.float64)) * float(time_base)
    if steps.size < 2:
        return None
    short, gaps = steps < _SHORTEST, steps > max(_GAP, _USUAL * float(np.median(steps)))
    if short.sum() > 1:
        what = f"{int(short.sum())} of {len(pts)} frames last less than {_SHORTEST:g} s, the first at frame"
        first = int(np.argmax(short))
    elif gaps.any():
        first = int(np.argmax(gaps))
        what = f"{steps[first]:.0f} s pass after frame"
    else:
        return None
    remedy = "Each frame keeps its time; if that is not meant, repair the film first"
    return f"the film's times look wrong: {what} {first}. {remedy}"
