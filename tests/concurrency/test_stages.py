"""Stages: order, bounds, errors in place, clean stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import cv2
import pytest
from threadpoolctl import threadpool_info

from videocolor.concurrency.stages import check_wanted, prefetch, single_threaded_kernels, spread
from videocolor.errors import Interrupted


def test_order_is_kept() -> None:
    assert list(prefetch(range(100), 3, "count")) == list(range(100))


def test_never_runs_further_ahead_than_the_queue() -> None:
    made: list[int] = []

    def produce() -> Iterator[int]:
        for i in range(50):
            made.append(i)
            yield i

    stream = prefetch(produce(), 4, "produce")
    next(stream)
    time.sleep(0.2)
    assert len(made) <= 6  # one taken, four queued, one waiting to be queued
    stream.close()


def test_an_error_arrives_behind_what_was_made_before_it() -> None:
    def produce() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("third")

    stream = prefetch(produce(), 2, "produce")
    assert [next(stream), next(stream)] == [1, 2]
    with pytest.raises(ValueError, match="third"):
        next(stream)


def test_closing_unwinds_every_stage_in_its_own_thread() -> None:
    closed: list[str] = []

    def produce(name: str, items: Iterator[int]) -> Iterator[int]:
        try:
            yield from items
        finally:
            closed.append(name)
            close = getattr(items, "close", None)
            if close is not None:
                close()

    def endless() -> Iterator[int]:
        n = 0
        while True:
            yield n
            n += 1

    before = set(threading.enumerate())
    inner = prefetch(produce("inner", endless()), 2, "inner")
    outer = prefetch(produce("outer", inner), 2, "outer")
    assert next(outer) == 0
    outer.close()
    assert sorted(closed) == ["inner", "outer"]
    assert set(threading.enumerate()) <= before


def test_closing_reaches_a_stage_that_waits_for_something_else() -> None:
    ended: list[BaseException] = []

    def waiting() -> Iterator[int]:
        yield 1
        try:
            while True:
                check_wanted()
                time.sleep(0.01)
        except Interrupted as error:
            ended.append(error)
            raise

    first = prefetch(waiting(), 1, "first")
    second = prefetch(first, 1, "second")
    assert next(second) == 1
    second.close()
    first.close()
    assert len(ended) == 1


def test_an_error_while_closing_arrives_too() -> None:
    class Source:
        def __init__(self) -> None:
            self.items = iter([1, 2])

        def __iter__(self) -> Source:
            return self

        def __next__(self) -> int:
            return next(self.items)

        def close(self) -> None:
            raise OSError("cannot close")

    stream = prefetch(Source(), 4, "source")
    assert [next(stream), next(stream)] == [1, 2]
    with pytest.raises(OSError, match="cannot close"):
        next(stream)


@pytest.mark.parametrize("workers", [1, 3])
def test_work_that_is_spread_comes_back_in_order(workers: int) -> None:
    def slowly(n: int) -> int:
        time.sleep(0.002 * (n % 3))
        return n * n

    assert list(spread(slowly, range(40), workers)) == [n * n for n in range(40)]


def test_spread_work_runs_in_several_threads_and_never_far_ahead() -> None:
    meeting = threading.Barrier(3, timeout=20)
    taken: list[int] = []

    def produce() -> Iterator[int]:
        for n in range(60):
            taken.append(n)
            yield n

    def meet(n: int) -> int:
        meeting.wait()  # broken unless three work at once
        return n

    stream = spread(meet, produce(), 3)
    assert next(stream) == 0
    assert len(taken) == 4
    meeting.abort()  # the fourth waits for two more
    stream.close()


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("where", ["items", "work"])
def test_an_error_of_spread_work_arrives_in_its_place(workers: int, where: str) -> None:
    def produce() -> Iterator[int]:
        for n in range(10):
            if n == 4 and where == "items":
                raise ValueError("of 4")
            yield n

    def check(n: int) -> int:
        if n == 4 and where == "work":
            raise ValueError("of 4")
        return n

    seen = []
    with pytest.raises(ValueError, match="of 4"):
        for n in spread(check, produce(), workers):
            seen.append(n)
    assert seen == [0, 1, 2, 3]


def test_kernels_are_restored_after_the_last_user() -> None:
    """Two films in threads of one process overlap in any order."""

    def threads() -> list[int]:
        return [cv2.getNumThreads(), *(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")]

    before, first, second = threads(), single_threaded_kernels(), single_threaded_kernels()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert set(threads()) == {1}
    second.__exit__(None, None, None)
    assert threads() == before
