"""What a request can be refused for, and how that reads in JSON."""

from __future__ import annotations

from typing import Final

from videocolor.errors import HintError, InputError, OutputError, UsageError, VideocolorError

__all__ = ["BusyError", "NotFoundError", "TooLargeError", "answer_to"]


class NotFoundError(UsageError):
    """Asked for something that is not there (yet)."""


class BusyError(UsageError):
    """Two things that cannot be done at once."""


class TooLargeError(UsageError):
    """A request carries more than the studio takes."""


_STATUS: Final[tuple[tuple[type[VideocolorError], int, str], ...]] = (
    (NotFoundError, 404, "not_found"),
    (BusyError, 409, "busy"),
    (TooLargeError, 413, "too_large"),
    (HintError, 422, "input"),
    (InputError, 422, "input"),
    (UsageError, 400, "usage"),
    (OutputError, 500, "internal"),
)


def answer_to(error: VideocolorError) -> tuple[int, dict[str, str]]:
    """HTTP status and `{"error": text, "kind": word}` of an error that was raised on purpose."""
    # A revision that is not the current one: its class lies in a module that a request should not have to import.
    if type(error).__name__ == "StaleRevisionError":
        return 409, {"error": str(error), "kind": "stale"}
    for kind, status, word in _STATUS:
        if isinstance(error, kind):
            return status, {"error": str(error), "kind": word}
    return 500, {"error": str(error), "kind": "internal"}
