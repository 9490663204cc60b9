"""Errors of the studio's requests, and their HTTP status and JSON."""

from __future__ import annotations

from typing import Final

from videocolor.errors import HintError, InputError, OutputError, UsageError, VideocolorError

__all__ = ["BusyError", "NotFoundError", "StaleRevisionError", "TooLargeError", "answer_to"]


class NotFoundError(UsageError):
    """A request names something that does not exist, or not yet."""


class BusyError(UsageError):
    """Two things cannot be done at once."""


class StaleRevisionError(UsageError):
    """The project has changed since the person looked at it."""


class TooLargeError(UsageError):
    """A request carries more than the studio accepts."""


_STATUS: Final[tuple[tuple[type[VideocolorError], int, str], ...]] = (
    (NotFoundError, 404, "not_found"),
    (BusyError, 409, "busy"),
    (StaleRevisionError, 409, "stale"),
    (TooLargeError, 413, "too_large"),
    (HintError, 422, "input"),
    (InputError, 422, "input"),
    (UsageError, 400, "usage"),
    (OutputError, 500, "internal"),
)


def answer_to(error: VideocolorError) -> tuple[int, dict[str, str]]:
    """Return the HTTP status and `{"error": text, "kind": word}` of an expected error."""
    status, word = next(
        ((status, word) for kind, status, word in _STATUS if isinstance(error, kind)), (500, "internal")
    )
    return status, {"error": str(error), "kind": word}
