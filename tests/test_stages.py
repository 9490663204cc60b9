"""Stages: order, bounds, errors in place, clean stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from videocolor._stages import prefetch


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

    before = threading.active_count()
    inner = prefetch(produce("inner", endless()), 2, "inner")
    outer = prefetch(produce("outer", inner), 2, "outer")
    assert next(outer) == 0
    outer.close()
    assert sorted(closed) == ["inner", "outer"]
    assert threading.active_count() == before


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
