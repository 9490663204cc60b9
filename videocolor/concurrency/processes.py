"""Worker processes that leave Ctrl-C to the one that started them; the end of other programs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import active_children, get_context
from multiprocessing.process import BaseProcess
from types import FrameType, TracebackType
from typing import Any, Final, ParamSpec, TypeVar

__all__ = ["Crew", "end_group"]

_PATIENCE: Final = 10.0
"""Seconds to wait for a process that is being ended."""

P = ParamSpec("P")
T = TypeVar("T")


class Crew(ProcessPoolExecutor):
    """A pool of spawned processes.

    A forked child of a process with threads may wait forever on a lock that nobody holds there. A terminal sends
    Ctrl-C to every process of a command; these never see it, from their first moment on, and the parent ends them.
    Leaving the `with` block by an error ends them at once, whatever they are doing.

    Args:
        workers: processes.
        initializer, initargs: called in each of them first.
    """

    def __init__(
        self, workers: int, initializer: Callable[..., object] | None = None, initargs: tuple[Any, ...] = ()
    ) -> None:
        super().__init__(workers, get_context("spawn"), _begin, (initializer, initargs))
        self._started: set[BaseProcess] = set()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """As of any executor; processes start in here."""
        with _ctrl_c_held():
            before = set(active_children())
            future = super().submit(fn, *args, **kwargs)
            self._started |= set(active_children()) - before
        return future

    def end(self) -> None:
        """Stop at once: nothing that waits is begun, what has begun is given up."""
        self.shutdown(wait=False, cancel_futures=True)
        for process in self._started:
            process.terminate()
        for process in self._started:
            process.join(_PATIENCE)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.end()
        else:
            self.shutdown(wait=True)


def _begin(initializer: Callable[..., object] | None, initargs: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if initializer is not None:
        initializer(*initargs)


@contextmanager
def _ctrl_c_held() -> Iterator[None]:
    """Ctrl-C of meanwhile comes at the end; processes that start meanwhile inherit that it is held back."""
    came: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        came.append(number)

    # The mask is this thread's alone: with other threads about, the signal still comes, and is heard in the main one.
    usual = signal.getsignal(signal.SIGINT)
    mine = threading.current_thread() is threading.main_thread() and usual is not None
    if mine:
        signal.signal(signal.SIGINT, note)
    try:
        with _masked():
            yield
    finally:
        if mine:
            signal.signal(signal.SIGINT, usual)
        if came:
            signal.raise_signal(signal.SIGINT)


@contextmanager
def _masked() -> Iterator[None]:
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_group(process: subprocess.Popen[Any]) -> None:
    """Kill a process that was started in a session of its own, and what it has started; wait for it."""
    if sys.platform == "win32":
        process.kill()
    else:
        with suppress(ProcessLookupError):  # all of them have ended
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
