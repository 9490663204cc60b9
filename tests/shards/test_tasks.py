"""Tasks of consecutive shards: every missing shard in one of them, none begun before the one whose state it needs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from videocolor.shards.plan import cut_into_tasks, missing_shards
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
