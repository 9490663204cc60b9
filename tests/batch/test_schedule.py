"""Who works on what next: tasks of consecutive shards, the order of the queue, pauses, disk space."""

from __future__ import annotations

from videocolor.batch.inspection import space_needed
from videocolor.batch.schedule import Order, Piece, Queue, Retries


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
