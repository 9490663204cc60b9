"""Worker processes that leave Ctrl-C to the one that started them."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any, ParamSpec, TypeVar

__all__ = ["Crew"]

P = ParamSpec("P")
T = TypeVar("T")


class Crew(ProcessPoolExecutor):
    """A pool of processes, spawned: a forked child of a process with threads may wait for ever on a lock that nobody
    holds there.

    A terminal sends Ctrl-C to every process of a command. These never see it, from their first moment on, whatever
    they are importing then; the parent ends them.

    Args:
        workers: processes.
        initializer, initargs: called in each of them first.
    """

    def __init__(
        self, workers: int, initializer: Callable[..., object] | None = None, initargs: tuple[Any, ...] = ()
    ) -> None:
        super().__init__(workers, get_context("spawn"), initializer, initargs)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """As of any executor; processes start in here."""
        with _ctrl_c_held():
            return super().submit(fn, *args, **kwargs)


@contextmanager
def _ctrl_c_held() -> Iterator[None]:
    """Ctrl-C of meanwhile comes at the end; processes that start meanwhile inherit that it is held back."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
