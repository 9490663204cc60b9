"""The record of a frame on its way through its shot, and the first stage that makes it: motion."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from videocolor.concurrency.stages import spread
from videocolor.events import ShotRecord
from videocolor.motion.flow import FlowEstimator
from videocolor.pipeline.propagated import PropagatedColors
from videocolor.pipeline.smoothing import Moment, moment_of
from videocolor.shots.prepare import Prepared
from videocolor.types import Array

__all__ = ["ColoredFrame", "ReferenceColor", "ShotFrame", "with_motion"]


@dataclass(frozen=True, eq=False)
class ReferenceColor:
    """The color of a reference frame."""

    small: Array
    """(2, h, w) float32 a*b* on the grid of prediction."""
    picture: Array
    """(2, H, W) float32 a*b* on the chroma plane's grid."""


@dataclass(eq=False)
class ShotFrame:
    """A frame and what is known of it until its chroma is finished."""

    shot: int
    """Number of its shot."""
    item: Prepared
    picture: Array
    """(h, w) uint8, its luma prepared for the search of motion."""
    moment: Moment
    """Its motion and its own chroma, for smoothing."""
    reference: ReferenceColor | None = None
    """The color of the hint that is this very frame."""
    propagated: PropagatedColors = ()
    """What motion brings here of reference frames and of pictures of the scene."""


@dataclass(frozen=True, eq=False)
class ColoredFrame:
    """A frame and its chroma on the grid of prediction."""

    item: Prepared
    ab: Array
    """(2, h, w) float32 CIE a*b*."""
    reference: ReferenceColor | None
    """See `ShotFrame`."""
    propagated: PropagatedColors
    """See `ShotFrame`."""
    shot: ShotRecord
    shard: int
    """Number of the shard that it belongs to."""


@dataclass(frozen=True, eq=False)
class _Pair:
    """A frame of a shot and the one before it, prepared for the search."""

    shot: int
    item: Prepared
    flow: FlowEstimator | None
    before: Array | None
    """None at a shot's first frame."""
    picture: Array

    def frame(self) -> ShotFrame:
        """Find the frame's motion."""
        motion = None if self.flow is None or self.before is None else self.flow.motion(self.before, self.picture)
        return ShotFrame(self.shot, self.item, self.picture, moment_of(self.item.gray, motion))


def with_motion(
    marked: Iterable[tuple[int, Prepared]], flow_of: Callable[[int], FlowEstimator | None], workers: int = 1
) -> Iterator[ShotFrame]:
    """Find the motion from each frame of a shot to the next, ahead of the stages that need it.

    Args:
        marked: (shot number, frame) in film order, as `mark_shots` returns them.
        flow_of: shot number -> what finds its motion; None: its frames have none.
        workers: threads; the result does not depend on how many.

    Yields:
        The frames in the same order. A shot's first frame has no motion.
    """
    return spread(_Pair.frame, _pairs(marked, flow_of), workers)


def _pairs(marked: Iterable[tuple[int, Prepared]], flow_of: Callable[[int], FlowEstimator | None]) -> Iterator[_Pair]:
    shot: int | None = None
    flow: FlowEstimator | None = None
    before: Array | None = None
    for number, item in marked:
        if number != shot:
            shot, flow, before = number, flow_of(number), None
        picture = item.gray if flow is None else flow.prepare(item.gray)
        yield _Pair(number, item, flow, before, picture)
        before = picture
