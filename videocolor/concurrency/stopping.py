"""Ctrl-C and SIGTERM as errors of the main thread that do not get lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from videocolor.errors import Interrupted

__all__ = ["check_signals", "note_signal", "signals_raise"]

_NOTED: Final[list[Callable[[], BaseException]]] = []


@contextmanager
def signals_raise() -> Iterator[list[Callable[[], BaseException]]]:
    """Ctrl-C raises KeyboardInterrupt, SIGTERM `Interrupted`, in the main thread; a second SIGTERM ends the process.

    Yields the list of the signals noted so far, as factories of their errors. It is for `check_signals`: an error that
    a handler raises is lost where it meets code that drops errors. Extensions built for Python's stable ABI do so while
    they make a traceback; PyAV does that for each frame that a filter holds back.

    In another thread than the main one, nothing happens.
    """
    if threading.current_thread() is not threading.main_thread():
        yield []
        return

    def stop(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGTERM:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        note_signal(_terminated if number == signal.SIGTERM else KeyboardInterrupt)
        raise _NOTED[-1]()

    noted, before = len(_NOTED), {signal.SIGTERM: signal.getsignal(signal.SIGTERM)}
    signal.signal(signal.SIGTERM, stop)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        before[signal.SIGINT] = signal.signal(signal.SIGINT, stop)
    try:
        yield _NOTED
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: not set by Python
        del _NOTED[noted:]


def note_signal(error: Callable[[], BaseException]) -> None:
    """Note in a handler what `check_signals` is to raise."""
    _NOTED.append(error)


def check_signals() -> None:
    """Raise the error of the first signal that came, if any: loops ask, since its error may have been lost."""
    if _NOTED:
        raise _NOTED[0]()


def _terminated() -> Interrupted:
    return Interrupted(
        "stopped by SIGTERM; nothing was left under the final name, what is finished is kept for the next try", 143
    )
