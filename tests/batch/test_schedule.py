"""Who works on what next: tasks of consecutive shards, the order of the queue, pauses, disk space."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from videocolor.batch.inspection import space_needed
from videocolor.batch.schedule import Order, Piece, Queue, Retries, cut_into_tasks, missing_shards
from videocolor.shards.types import Shard


def shard(number: int, cost: float = 1.0, opens: bool = False) -> Shard:
    return Shard(number, number, number + 1, number, number + 1, number, number, opens, False, cost, f"k{number}")


@given(
    st.lists(st.tuples(st.floats(0.5, 500), st.booleans()), min_size=1, max_size=60),
    st.sets(st.integers(0, 59)),
    st.integers(1, 9),
    st.none() | st.integers(1, 7),
)
def test_tasks_hold_every_missing_shard_once(
    kinds: list[tuple[float, bool]], done: set[int], workers: int, per_task: int | None
) -> None:
    shards = [shard(n, cost, opens and n > 0) for n, (cost, opens) in enumerate(kinds)]
    missing = missing_shards(shards, done)
    tasks = cut_into_tasks(missing, workers, per_task)
    assert [n for task in tasks for n in task] == [s.number for s in missing]
    begins = {task[0] for task in tasks}
    for task in tasks:
        assert list(task) == list(range(task[0], task[-1] + 1)), "consecutive"
    for s in missing:
        if s.opens_inside and s.number - 1 not in done:
            assert s.number not in begins, "what begins inside a shot stays behind the shard that it goes on from"


def test_workers_share_a_film() -> None:
    even = [shard(n) for n in range(60)]
    assert cut_into_tasks(even, 1, None) == [tuple(range(60))]
    sizes = [len(task) for task in cut_into_tasks(even, 4, None)]
    assert len(sizes) == 12 and set(sizes) == {5}
    assert [len(task) for task in cut_into_tasks(even[:7], 4, 3)] == [3, 3, 1]


def test_the_queue_keeps_order_and_pauses() -> None:
    queue = Queue()
    order = {"long": Order(0, 1, -9.0, 0), "short": Order(0, 1, -1.0, 1), "begun": Order(0, 0, -1.0, 2)}
    order["urgent"] = Order(-5, 1, -1.0, 3)
    for name, place in order.items():
        queue.put(Piece(name, "color", None), place)
    queue.put(Piece("later", "color", None), Order(-9, 0, 0.0, 0), at=100.0)
    queue.drop("short")
    assert [piece.film for _ in range(3) if (piece := queue.take(99.0))] == ["urgent", "begun", "long"]
    assert queue.take(99.0) is None and len(queue) == 1
    assert (queue.take(100.0) or Piece("", "color", None)).film == "later"


def test_pauses_double_and_end() -> None:
    retries = Retries(3, 5.0)
    assert [retries.failed("a", 7) for _ in range(4)] == [5.0, 10.0, 20.0, None]
    assert retries.attempt("a", 7) == 5 and retries.attempt("a", 8) == 1 and retries.attempt("b", 7) == 1
    patient = Retries(99, 5.0)
    assert max(patient.failed("a", 0) or 0 for _ in range(20)) == 600


def test_space_at_the_fullest_moment() -> None:
    assert space_needed([], at_once=2) == 0
    assert space_needed([10], at_once=2) == 20, "shards and the film that is made of them"
    assert space_needed([1, 10, 4], at_once=2) == 15 + 14
