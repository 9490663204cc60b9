"""Times, frame rates and hints as people write them."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

from videocolor.errors import UsageError

__all__ = ["parse_hint", "parse_rate", "parse_time"]

_NTSC = {
    name: Fraction(round(float(name)) * 1000, 1001)
    for name in ("23.976", "23.98", "29.97", "47.95", "47.952", "59.94", "119.88")
}
"""Rates that people round: 23.976 means 24000/1001."""
_CLOCK = re.compile(r"(?:(?P<hours>\d+):(?=\d+:))?(?:(?P<minutes>\d+):)?(?P<seconds>\d+(?:\.\d*)?|\.\d+)")
_TIMELIKE = re.compile(r"[\d:.,;\s+-]+")


def parse_time(text: str | float | Fraction) -> Fraction:
    """Seconds, exactly, from `3.5`, `1:02.5` or `00:01:02.500`.

    Raises:
        UsageError: not a time, negative, or minutes or seconds of 60 and more after a colon.
    """
    if isinstance(text, bool):
        raise UsageError(f"{text!r}: not a time; expected seconds (3.5) or HH:MM:SS.mmm")
    match = _CLOCK.fullmatch(str(text).strip())
    if match is None:
        if isinstance(text, Fraction) and text >= 0:
            return text
        raise UsageError(f"{text}: not a time; expected seconds (3.5) or HH:MM:SS.mmm, not negative")
    hours, minutes, seconds = match["hours"], match["minutes"], Fraction(match["seconds"])
    if (minutes is not None and seconds >= 60) or (hours is not None and int(minutes) >= 60):
        raise UsageError(f"{text}: not a time; minutes and seconds of HH:MM:SS.mmm stay below 60")
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + seconds


def parse_rate(text: str | float | Fraction) -> Fraction:
    """Frames a second, exactly, from `24`, `24000/1001` or `18.5`; `23.976`, `29.97`, `59.94` mean n * 1000/1001.

    Raises:
        UsageError: not a rate above 0 and up to 1000.
    """
    name = str(text).strip()
    try:
        rate = _NTSC.get(name) or Fraction(name)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if isinstance(text, bool) or not 0 < rate <= 1000:
        raise UsageError(f"{text}: not a frame rate; expected 24, 23.976 or 24000/1001")
    return rate


def parse_hint(text: str) -> tuple[Fraction | None, Path, Fraction | None]:
    r"""Split `[TIME=]IMAGE` or `[TIME=]FILM@TIME` into (film time, file, time in that file).

    A file that exists under the whole text wins, so `a=b.png` and `C:\stills\x.png` need no quoting.

    Raises:
        UsageError: empty, or a time that is not one (`3,5=frame.png`).
    """
    time: Fraction | None = None
    rest = text
    if not Path(text).is_file():
        head, equals, tail = text.partition("=")
        if equals and _TIMELIKE.fullmatch(head):
            time, rest = _hint_time(text, head), tail
    if not rest.strip():
        raise UsageError(f"--hint {text!r}: no file named; expected [TIME=]IMAGE")
    other = None
    if not Path(rest).is_file():
        name, at, tail = rest.rpartition("@")
        if at and name and _TIMELIKE.fullmatch(tail):
            other, rest = _hint_time(text, tail), name
    return time, Path(rest), other


def _hint_time(hint: str, text: str) -> Fraction:
    try:
        return parse_time(text)
    except UsageError as error:
        raise UsageError(f"--hint {hint}: {error}") from None
