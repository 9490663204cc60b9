"""Timecode of SMPTE ST 12-1, section 7: hours, minutes, seconds and frames, with and without dropped frame numbers."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

__all__ = ["DAY", "frame_at", "is_drop", "nominal_rate", "timecode_at"]

_TIMECODE: Final = re.compile(r"(\d\d):(\d\d):(\d\d)([:;.,])(\d\d\d?)")
DAY: Final = 86_400
"""Seconds after which timecode begins again."""


def nominal_rate(rate: Fraction) -> int:
    """Return the frame numbers in a second: 24 for 23.976 frames a second."""
    return max(1, int(rate + Fraction(1, 2)))


def is_drop(timecode: str) -> bool:
    """Tell by its last separator whether a timecode drops frame numbers."""
    found = _TIMECODE.fullmatch(timecode.strip())
    return found is not None and found[4] in ";,"


def timecode_at(frame: int, rate: Fraction, *, drop: bool) -> str:
    """Return the timecode of a frame.

    Args:
        frame: counted from 00:00:00:00; a day later timecode begins again.
        rate: frames a second.
        drop: skip the first numbers of every minute but each tenth: for 30000/1001 and its multiples.
    """
    base = nominal_rate(rate)
    if drop:
        skipped = base // 15
        tens, rest = divmod(frame, 600 * base - 9 * skipped)
        frame += 9 * skipped * tens
        if rest >= 60 * base:
            frame += skipped * (1 + (rest - 60 * base) // (60 * base - skipped))
    seconds, number = divmod(frame, base)
    minutes, second = divmod(seconds % DAY, 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{second:02d}{';' if drop else ':'}{number:02d}"


def frame_at(timecode: str, rate: Fraction, *, drop: bool) -> int:
    """Return the frame of a timecode, counted from 00:00:00:00.

    Raises:
        ValueError: it is no timecode, or one that this rate does not have.
    """
    found, base = _TIMECODE.fullmatch(timecode.strip()), nominal_rate(rate)
    if found is None:
        raise ValueError(f"{timecode} is no timecode")
    hours, minutes, seconds, number = (int(found[place]) for place in (1, 2, 3, 5))
    skipped = base // 15 if drop else 0
    if minutes > 59 or seconds > 59 or number >= base or (minutes % 10 and not seconds and number < skipped):
        raise ValueError(f"there is no {timecode} at {float(rate):.5g} frames a second")
    minutes += 60 * hours
    return (minutes * 60 + seconds) * base + number - skipped * (minutes - minutes // 10)
