"""Leaving a run before its end, between two steps: after some minutes, or when a signal asks for it."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

from videocolor.errors import Interrupted

__all__ = ["Leaving"]


class Leaving:
    """Knows when to leave. Ctrl-C and SIGTERM are taken note of while it is entered; a second one acts at once.

    Args:
        minutes: after which to leave, counted from now; None: never.
    """

    def __init__(self, minutes: float | None = None) -> None:
        self._until = None if minutes is None else time.monotonic() + 60 * minutes
        self._signal: int | None = None
        self._before: dict[int, Any] = {}

    @property
    def due(self) -> bool:
        """Whether to save and leave now."""
        return self._signal is not None or (self._until is not None and time.monotonic() >= self._until)

    def speak(self, saved: str) -> None:
        """Raise what a signal asked for.

        Raises:
            Interrupted: a signal came; `saved` is the message.
        """
        if self._signal is not None:
            raise Interrupted(saved, 128 + self._signal)

    def __enter__(self) -> Leaving:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._give_back()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._signal = number
        self._give_back()

    def _give_back(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
