"""Stages of the data path: each generator runs in a separate thread with a bounded queue after it.

Decode, network, smoothing and encode release the interpreter lock for most of their time, so plain
threads overlap them; the bound on each queue is what keeps memory flat.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from queue import Empty, Full, Queue
from typing import Final, TypeVar

from videocolor.concurrency.stopping import check_signals
from videocolor.errors import Interrupted

__all__ = ["check_wanted", "lower_priority", "prefetch", "single_threaded_kernels", "spread"]

T = TypeVar("T")
S = TypeVar("S")

_POLL: Final = 0.1
"""Seconds after which a waiting stage looks whether its consumer has gone."""


_LOWER: Final = 5
"""Added to the nice value: a third of the processor's time of a thread of usual priority."""


@dataclass(frozen=True)
class _End:
    error: BaseException | None = None


def lower_priority() -> None:
    """Let this thread, and those that it will start, yield to others (on Linux; elsewhere nothing happens)."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, min(os.getpriority(os.PRIO_PROCESS, thread) + _LOWER, 19))


class _Stage(threading.local):
    """The stage that a thread runs."""

    stop: threading.Event | None = None


_STAGE: Final = _Stage()


def check_wanted() -> None:
    """Raise Interrupted in the thread of a stage whose consumer has gone, or the error of a signal that came."""
    check_signals()
    if _STAGE.stop is not None and _STAGE.stop.is_set():
        raise Interrupted("the run has ended")


def prefetch(items: Iterable[T], depth: int, name: str) -> Generator[T, None, None]:
    """Run an iterable in a thread, at most `depth` items ahead of the consumer.

    An error in the thread is raised in the consumer, at its place in the stream. Closing the generator
    stops the thread and waits for it. Consecutive stages must be closed from the last to the first, each by
    whoever made it: a generator that still runs in a thread must not outlive what it reads from.

    Args:
        items: what to run; closed (if it can be) in its own thread.
        depth: capacity of the queue.
        name: of the thread, for debuggers.
    """
    queue: Queue[T | _End] = Queue(depth)
    stop = threading.Event()
    thread = threading.Thread(target=_fill, args=(items, queue, stop), name=name, daemon=True)
    thread.start()
    try:
        while True:
            try:
                item = queue.get(timeout=_POLL)
            except Empty:
                check_wanted()
                continue
            check_signals()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        stop.set()
        while thread.is_alive():
            try:
                queue.get_nowait()
            except Empty:
                thread.join(_POLL)


def _fill(items: Iterable[T], queue: Queue[T | _End], stop: threading.Event) -> None:
    """Put all items into the queue until `stop`, close what they come from, and put the end."""
    _STAGE.stop = stop
    end, iterator = _End(), iter(items)
    try:
        for item in iterator:
            if not _put(item, queue, stop):
                break
    except BaseException as error:  # handed over to the consumer, which raises it
        end = _End(error)
    try:
        close = getattr(iterator, "close", None)
        if close is not None:
            close()
    except BaseException as error:  # the same; the first error is the one that matters
        end = end if end.error is not None else _End(error)
    _put(end, queue, stop)


def _put(item: T | _End, queue: Queue[T | _End], stop: threading.Event) -> bool:
    """Wait for a free place; False: the consumer has gone."""
    while not stop.is_set():
        try:
            queue.put(item, timeout=_POLL)
        except Full:
            continue
        return True
    return False


def spread(work: Callable[[S], T], items: Iterable[S], workers: int) -> Generator[T, None, None]:
    """`map`, by several threads at once; results in the order of the items.

    Items are taken in the caller's thread, one after the other, at most `workers` ahead of what is given out. An error
    is raised in its place.

    Args:
        work: what to do with each item; items do not wait for each other.
        items: what to work on.
        workers: threads; with one there is no other than the caller's.
    """
    if workers <= 1:
        for item in items:
            yield work(item)
        return
    iterator, begun = iter(items), deque[Future[T]]()
    failure: BaseException | None = None
    with ThreadPoolExecutor(workers) as pool:
        try:
            while failure is None:
                try:
                    begun.append(pool.submit(work, next(iterator)))
                except StopIteration:
                    break
                except BaseException as error:  # raised below, after what came before it
                    failure = error
                if len(begun) > workers:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        finally:
            for future in begun:
                future.cancel()
    if failure is not None:
        raise failure


class _Kernels:
    """Thread counts of OpenCV and of NumPy's BLAS, which are the process's own."""

    def __init__(self) -> None:
        self._lock, self._users, self._restore = threading.Lock(), 0, ExitStack()

    def enter(self) -> None:
        """Limit both to one thread, if nobody has yet."""
        import cv2
        from threadpoolctl import threadpool_limits

        with self._lock:
            if not self._users:
                self._restore.callback(cv2.setNumThreads, cv2.getNumThreads())
                self._restore.enter_context(threadpool_limits(1, user_api="blas"))
                cv2.setNumThreads(1)
            self._users += 1

    def leave(self) -> None:
        """Restore what was before the first user, after the last one."""
        with self._lock:
            self._users -= 1
            if not self._users:
                self._restore.close()


_KERNELS: Final = _Kernels()


@contextmanager
def single_threaded_kernels() -> Iterator[None]:
    """One thread a call of OpenCV and of NumPy's BLAS: the stages are the parallelism; pools inside pools only fight.

    A small matrix product costs several times its own time where a second thread spins for it beside other stages.
    Several threads of a process may be inside at once.
    """
    _KERNELS.enter()
    try:
        yield
    finally:
        _KERNELS.leave()
