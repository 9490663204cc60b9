"""Motion from frame to frame, found ahead of the colour that needs it.

    for number, item in find_motion(marked, flow_of, workers): ...     # item.step is known now

A frame's motion depends on nothing but the frame before it, so while the network looks at one window of a shot, the
next windows' motion is found in other threads. The smoother takes what it is given and finds the rest itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from videocolor.concurrency.stages import spread
from videocolor.motion.flow import FlowEstimator
from videocolor.pipeline.prepare import Prepared
from videocolor.types import Array

__all__ = ["with_motion"]


@dataclass(frozen=True, eq=False)
class _Pair:
    """A frame of a shot, and the one before it."""

    number: int
    item: Prepared
    flow: FlowEstimator | None
    before: Array | None
    """Prepared luma of the frame before; None at a shot's first."""
    luma: Array | None

    def moved(self) -> tuple[int, Prepared]:
        """The frame with its motion."""
        if self.flow is None or self.luma is None:
            return self.number, self.item
        motion = None if self.before is None else self.flow.motion(self.before, self.luma)
        return self.number, replace(self.item, step=(self.luma, motion))


def with_motion(
    marked: Iterable[tuple[int, Prepared]], flow_of: Callable[[int], FlowEstimator | None], workers: int = 1
) -> Iterator[tuple[int, Prepared]]:
    """Frames with `Prepared.step`: luma as motion is searched on, and the motion from the frame before.

    Args:
        marked: (shot number, frame) in film order, as `mark_shots` gives them.
        flow_of: number of a shot -> what finds its motion; None: nothing does.
        workers: threads; the result does not depend on how many.

    Yields:
        The same pairs in the same order. A shot's first frame has no motion.
    """
    return spread(_Pair.moved, _pairs(marked, flow_of), workers)


def _pairs(marked: Iterable[tuple[int, Prepared]], flow_of: Callable[[int], FlowEstimator | None]) -> Iterator[_Pair]:
    shot: int | None = None
    flow: FlowEstimator | None = None
    before: Array | None = None
    for number, item in marked:
        if number != shot:
            shot, flow, before = number, flow_of(number), None
        luma = None if flow is None else flow.prepare(item.gray)
        yield _Pair(number, item, flow, before, luma)
        before = luma
