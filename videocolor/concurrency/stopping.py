"""Ctrl-C and SIGTERM as errors of the main thread that do not get lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from videocolor.errors import Interrupted

__all__ = ["check_signals", "signals_raise"]

_NOTED: Final[list[Callable[[], BaseException]]] = []


@contextmanager
def signals_raise() -> Iterator[list[Callable[[], BaseException]]]:
    """Ctrl-C raises KeyboardInterrupt, SIGTERM `Interrupted`, in the main thread; a second SIGTERM ends the process.

    Both are noted as well, in the list that is given (what makes the error), for `check_signals`: an error that a
    handler raises is lost where it meets code that drops errors. Extensions built for Python's stable ABI do so while
    they make a traceback; PyAV does that for each frame that a filter holds back.

    In another thread than the main one, nothing happens.
    """
    if threading.current_thread() is not threading.main_thread():
        yield []
        return

    def stop(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGTERM:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _NOTED.append(_terminated if number == signal.SIGTERM else KeyboardInterrupt)
        raise _NOTED[-1]()

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    signal.signal(signal.SIGTERM, stop)
    if before[signal.SIGINT] is signal.default_int_handler:
        signal.signal(signal.SIGINT, stop)
    try:
        yield _NOTED
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _NOTED.clear()


def check_signals() -> None:
    """Raise the error of the first signal that came, if any: loops ask, since its error may have been lost."""
    if _NOTED:
        raise _NOTED[0]()


def _terminated() -> Interrupted:
    return Interrupted(
        "stopped by SIGTERM; nothing was left under the final name, what is finished is kept for the next try", 143
    )
