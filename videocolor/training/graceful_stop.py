"""Stop a run between two steps: after some minutes, or when a signal asks for it."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType
from typing import Any

from videocolor.errors import Interrupted

__all__ = ["GracefulStop"]


class GracefulStop:
    """Says when to stop. While it is entered, Ctrl-C and SIGTERM are noted; a second one acts at once.

    Args:
        minutes: after which to stop, counted from now; None: never.
    """

    def __init__(self, minutes: float | None = None) -> None:
        self._until = None if minutes is None else time.monotonic() + 60 * minutes
        self._signal: int | None = None
        self._before: dict[int, Any] = {}

    @property
    def due(self) -> bool:
        """Whether to save and stop now."""
        return self._signal is not None or (self._until is not None and time.monotonic() >= self._until)

    def raise_if_signaled(self, message: str) -> None:
        """End the program as the signal asked, if one came.

        Raises:
            Interrupted: a signal came.
        """
        if self._signal is not None:
            raise Interrupted(message, 128 + self._signal)

    def __enter__(self) -> GracefulStop:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_error: object) -> None:
        self._restore()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._signal = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
