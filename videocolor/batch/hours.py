"""Hours of work: when a batch may color, in local time.

    20:00-06:00                            every night
    mon-fri 20:00-06:00, sat-sun           nights, and weekends all day

Hours that pass midnight belong to the day on which they begin.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

__all__ = ["Hours"]

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY: Final = 24 * 60
_WEEK: Final = 7 * _DAY
_ENTRY: Final = re.compile(
    r"(?:(?P<first>[a-z]{3})(?:-(?P<last>[a-z]{3}))?)?"
    r"(?:\s*(?P<hour>\d{1,2}):(?P<minute>\d\d)-(?P<to_hour>\d{1,2}):(?P<to_minute>\d\d))?"
)


@dataclass(frozen=True)
class Hours:
    """Weekly hours of work."""

    spans: tuple[tuple[int, int], ...]
    """Begin, in minutes since Monday 00:00, and length in minutes."""

    @classmethod
    def parse(cls, text: str) -> Hours:
        """Read hours as they are written in settings.

        Raises:
            ValueError: they cannot be understood; names the part.
        """
        spans: list[tuple[int, int]] = []
        for part in text.lower().split(","):
            found = _ENTRY.fullmatch(part.strip())
            if found is None or not part.strip():
                raise ValueError(f"hours {part.strip()!r}: expected as in `20:00-06:00` or `mon-fri 20:00-06:00, sat`")
            begin, length = _times(found, part.strip())
            spans += [(day * _DAY + begin, length) for day in _days(found, part.strip())]
        return cls(tuple(spans))

    def opens_in(self, now: datetime) -> float:
        """Return the seconds until work may begin; 0: it may now."""
        minute = _minute(now)
        if any((minute - begin) % _WEEK < length for begin, length in self.spans):
            return 0.0
        return min((begin - minute) % _WEEK for begin, _ in self.spans) * 60

    @property
    def share(self) -> float:
        """Part of the week that is open, 0..1."""
        open_minutes = {(begin + minute) % _WEEK for begin, length in self.spans for minute in range(length)}
        return len(open_minutes) / _WEEK


def _minute(now: datetime) -> float:
    return now.weekday() * _DAY + now.hour * 60 + now.minute + now.second / 60


def _times(found: re.Match[str], part: str) -> tuple[int, int]:
    """Return begin and length in minutes; without times: all day."""
    if found["hour"] is None:
        return 0, _DAY
    begin, end = (
        int(hour) * 60 + int(minute)
        for hour, minute in ((found["hour"], found["minute"]), (found["to_hour"], found["to_minute"]))
    )
    if begin >= _DAY or end > _DAY or int(found["minute"]) > 59 or int(found["to_minute"]) > 59:
        raise ValueError(f"hours {part!r}: expected times from 00:00 to 24:00")
    return begin, (end - begin) % _DAY or _DAY


def _days(found: re.Match[str], part: str) -> list[int]:
    first, last = found["first"], found["last"] or found["first"]
    if first is None:
        return list(range(7))
    if first not in _DAYS or last not in _DAYS:
        raise ValueError(f"hours {part!r}: expected days {', '.join(_DAYS)}")
    begin, end = _DAYS.index(first), _DAYS.index(last)
    return [(begin + day) % 7 for day in range((end - begin) % 7 + 1)]
