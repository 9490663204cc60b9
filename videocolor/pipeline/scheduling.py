"""How much is worked on at once: queues, threads, windows, keyframes; and where shards may end.

A shot is worked through in windows. After a window the smoother finishes some frames, and a shard may end before the
first unfinished one. The run over a film and its plan ask the same `ShardCounter`, one with frames, one with counts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from typing import Final, Protocol, TypeVar

import numpy as np

from videocolor.config import ColorizeConfig, SmoothingConfig
from videocolor.hints.flare import AROUND
from videocolor.motion.flow import FlowEstimator, Motion, Quality, warp
from videocolor.pipeline.film import Film, network_threads
from videocolor.pipeline.propagation import PROPAGATORS, Propagator
from videocolor.pipeline.smoothing import CAP, SMOOTHERS, Delay, Smoother
from videocolor.plugins import find
from videocolor.types import Array, VideoInfo

__all__ = [
    "REFERENCE_COST",
    "Border",
    "GreedyShards",
    "KeyframePolicy",
    "ListedShards",
    "ShardCounter",
    "ShardRule",
    "ShotProgress",
    "ShotSchedule",
    "frame_threads",
    "make_propagator",
    "make_smoother",
    "motion_finder",
    "queue_length",
    "shard_starts",
    "shot_schedule",
    "smoothing_method",
    "windows",
]

T = TypeVar("T")

REFERENCE_COST: Final = 4.0
"""Work of a frame in a shot with a reference frame, in frames of a shot without (docs/guides/speed.md)."""
_RATE: Final = Fraction(25)
"""Frames a second of films that do not state theirs."""
_QUEUE_BYTES: Final = 128 * 2**20
"""Memory of the frames between two stages; a queue holds a window where it can, since the network works by windows."""
_WINDOW_BYTES: Final = 512 * 2**20
"""A window of decoded frames may take this much memory; larger films have smaller batches, then closer keyframes."""
_TOGETHER: Final = 2
"""Batches of keyframes that are decided together in a shot without a hint; measured, see docs/research/."""
_LONGEST: Final = 64
"""Most frames of a window for a reference frame's sake: its color is propagated back to the frames before it."""
_AFTER: Final = AROUND[1]
"""Frames after it that such a window has, so that light on it alone is told from light that stays."""
_SPREAD_BYTES: Final = 32 * 2**20
"""Frames that a stage works on at once; in work they take several times as much."""
_MOST_THREADS: Final = 4
"""Threads of such a stage; each frame in work takes memory."""
_PROPAGATED_CAP: Final = 5.0
"""Most precision that smoothing propagates from a reference frame where the network joins its color with its own."""
_LOST: Final = 0.3
"""Confidence, multiplied up since the last keyframe, below which a pixel counts as lost."""
_LOST_SHARE: Final = 0.25
"""Share of lost pixels from which a frame becomes a keyframe."""


def queue_length(info: VideoInfo, config: ColorizeConfig) -> int:
    """Frames between two stages: a window of the network, or what a bounded queue holds of this film's frames."""
    return max(2, min(config.model.batch * config.model.keyframe_interval, _QUEUE_BYTES // _frame_bytes(info)))


def frame_threads(info: VideoInfo, config: ColorizeConfig) -> int:
    """Threads of a stage whose frames do not wait for each other: half as many as the network has, within bounds."""
    return max(1, min(_MOST_THREADS, network_threads(config) // 2, _SPREAD_BYTES // _frame_bytes(info)))


def _frame_bytes(info: VideoInfo) -> int:
    return info.width * info.height * (1 if info.layout.depth == 8 else 2) * 3 // 2


def motion_finder(film: Film, number: int) -> FlowEstimator | None:
    """Make what finds a shot's motion; None: nothing needs it."""
    smoothing = film.config.smoothing
    if smoothing_method(film) == "none":
        return None
    quality: Quality = "detailed" if film.hints.propagates(number) else "fast"
    return FlowEstimator(quality if smoothing.motion == "auto" else smoothing.motion)


def make_smoother(film: Film, number: int) -> Smoother:
    """Make what smooths a shot's chroma over time."""
    settings, cap = film.config.smoothing, _PROPAGATED_CAP if _propagates(film, number) else CAP
    make: Callable[[SmoothingConfig, float], Smoother]
    make = find(smoothing_method(film), "smoothers", "smoothing.method", SMOOTHERS)
    return make(settings, cap)


def make_propagator(film: Film, number: int) -> Propagator:
    """Make what propagates the color of a shot's hints."""
    flow = motion_finder(film, number) or FlowEstimator()
    chosen: Callable[[FlowEstimator], Propagator]
    chosen = find(film.config.smoothing.propagation, "propagators", "smoothing.propagation", PROPAGATORS)
    return (chosen if _propagates(film, number) else PROPAGATORS["none"])(flow)


def _propagates(film: Film, number: int) -> bool:
    return smoothing_method(film) != "none" and film.colorizer.card.propagates and film.hints.propagates(number)


def smoothing_method(film: Film) -> str:
    """Return the name of the method of smoothing, `none` where it is off."""
    return film.config.smoothing.method if film.config.smoothing.enabled else "none"


@dataclass(frozen=True)
class ShotSchedule:
    """How a shot is worked through."""

    interval: int
    """Frames from keyframe to keyframe."""
    window: int
    """Frames that are worked on together."""
    delay: Delay
    """When their chroma is finished."""
    references: tuple[int, ...] = ()
    """Frames of the film that may be reference frames of the shot, ascending."""
    longest: int = 0
    """Most frames of a window for the sake of one of them."""
    cost: float = 1.0
    """Work of a frame, in frames of a shot without a hint."""

    def length(self, first: int) -> int:
        """Return how many frames the window that begins at frame `first` of the film has.

        It ends soon after the last reference frame for which `longest` is enough, but has no less than `window`.
        """
        after = min(_AFTER, self.longest // 2)
        lengths = (frame + 1 + after - first for frame in self.references if frame >= first)
        return max([self.window, *(length for length in lengths if length <= self.longest)])


def shot_schedule(film: Film, number: int) -> ShotSchedule:
    """Plan a shot: denser keyframes where it has a reference frame, smaller windows of larger frames."""
    model, info = film.config.model, film.info
    every = film.takes_chroma(number) or smoothing_method(film) == "none"
    interval = 1 if every else model.keyframe_interval
    if film.colorizer.card.propagates and film.hints.has_reference(number):
        interval = min(interval, model.keyframe_interval_painted)
    held = info.width * info.height * (1 if info.layout.depth <= 8 else 2) * 3  # of a frame
    interval = max(1, min(interval, _WINDOW_BYTES // held))
    # A reused hint is not known yet, and does not mind.
    together = film.colorizer.card.feature_stride is not None and not film.hints.for_shot(number)
    most = model.batch * _TOGETHER if together else model.batch
    window = interval * max(1, min(most, _WINDOW_BYTES // (held * interval)))
    cost = REFERENCE_COST if film.hints.propagates(number) else 1.0
    references = film.hints.references(number) if _propagates(film, number) else ()
    longest = min(_LONGEST, _WINDOW_BYTES // held) if references else 0
    return ShotSchedule(interval, window, make_smoother(film, number).delay, references, longest, cost)


def windows(frames: Iterable[T], schedule: ShotSchedule, first: int) -> Iterator[list[T]]:
    """Divide the next frames of a shot, of which the first has the number `first` in the film, into windows."""
    iterator = iter(frames)
    while window := list(islice(iterator, schedule.length(first))):
        yield window
        first += len(window)


@dataclass(eq=False)
class KeyframeState:
    """What is in reach of the keyframes so far."""

    reach: Array | None = None
    """(h, w) float32 in 0..1: confidence that a pixel was seen in the last keyframe; None: that was the last frame."""


class KeyframePolicy:
    """Chooses the frames of one shot that the network sees: every n-th, and those that motion does not reach from it.

    Args:
        interval: n.
    """

    def __init__(self, interval: int) -> None:
        self.interval, self.state = interval, KeyframeState()

    def choose(self, steps: Sequence[tuple[Array, Motion | None]]) -> list[int]:
        """Keyframes among the shot's next frames.

        Args:
            steps: of each frame: (h, w) uint8 prepared for motion, and the motion from the frame before it.

        Returns:
            Places in `steps`, ascending; the first frame always is one.
        """
        keyframes, state = [], self.state
        for place, (_, motion) in enumerate(steps):
            if motion is not None:
                before = np.ones_like(motion.trust_b) if state.reach is None else state.reach
                state.reach = warp(before, motion.ba) * motion.trust_b
            lost = 0.0 if state.reach is None else float((state.reach < _LOST).mean())
            if place % self.interval == 0 or lost > _LOST_SHARE:
                keyframes.append(place)
                state.reach = None
        return keyframes


class ShotProgress:
    """Counts a shot's frames: those that were taken in and those that are finished.

    Args:
        schedule: of the shot.
        start: index of its first frame, or of the first unfinished one where it is continued.
    """

    def __init__(self, schedule: ShotSchedule, start: int) -> None:
        self.schedule, self.next = schedule, start
        self.waiting = 0
        """Frames that were taken in and are not finished."""
        self.paused = False
        """Frames were finished after the latest window, so a shard may end before frame `next`."""

    def take(self, frames: int) -> int:
        """Take in a window; how many frames are finished after it."""
        self.waiting += frames
        count = self.schedule.delay.ready(self.waiting)
        self.paused = bool(count)
        return self._finish(count)

    def finish(self) -> int:
        """End the shot; how many frames were left."""
        return self._finish(self.waiting)

    def _finish(self, count: int) -> int:
        self.waiting -= count
        self.next += count
        return count


@dataclass(frozen=True)
class Border:
    """A place where a shard may end."""

    index: int
    """Of the frame after it: a shot's first, or the first unfinished one inside a shot."""
    passed: float
    """Cost of the frames since the last such place."""
    inside: bool
    """It is inside a shot."""


class ShardRule(Protocol):
    """Decides where shards end, in film order and without looking ahead."""

    def ends(self, border: Border) -> bool:
        """Whether a shard ends there."""


class ListedShards:
    """Known beforehand: the first frames of all shards but the first one."""

    def __init__(self, starts: Collection[int] = ()) -> None:
        self._starts = frozenset(starts)

    def ends(self, border: Border) -> bool:
        """See `ShardRule`."""
        return border.index in self._starts


class GreedyShards:
    """A shard ends at the first cut after `wanted`, or at the first pause after `most`; both in seconds of film."""

    def __init__(self, wanted: Fraction, most: Fraction, rate: Fraction | None) -> None:
        rate = rate or _RATE
        self._wanted, self._most = float(wanted * rate), float(most * rate)
        self._cost = 0.0

    def ends(self, border: Border) -> bool:
        """See `ShardRule`."""
        self._cost += border.passed
        if self._cost < (self._most if border.inside else self._wanted):
            return False
        self._cost = 0.0
        return True


class ShardCounter:
    """The only statement of where shards may end: before a shot, and where a shot pauses between two windows.

    Args:
        rule: decides; None: the entire film is one shard.
        shard: number of the first shard.
    """

    def __init__(self, rule: ShardRule | None = None, shard: int = 0) -> None:
        self._rule, self._passed = rule or ListedShards(), 0.0
        self.shard = shard
        """Number of the shard that the next frame belongs to."""

    def passed(self, shot: ShotProgress, frames: int) -> None:
        """Count frames of a shot that were finished."""
        self._passed += shot.schedule.cost * frames

    def begins(self, shot: ShotProgress) -> bool:
        """Whether a shard ends before a shot; ask at each shot's first frame."""
        return self._ends(shot.next, inside=False)

    def may_pause(self, shot: ShotProgress) -> bool:
        """Whether a shard ends before a shot's first unfinished frame; ask before each of its windows."""
        return shot.paused and self._ends(shot.next, inside=True)

    def _ends(self, index: int, *, inside: bool) -> bool:
        ends = self._rule.ends(Border(index, self._passed, inside))
        self._passed = 0.0
        self.shard += ends
        return ends


def shard_starts(shots: Iterable[tuple[range, ShotSchedule]], rule: ShardRule) -> list[int]:
    """First frames of the shards that a film will have, from the frames of its shots alone."""
    counter, starts = ShardCounter(rule), [0]
    for frames, schedule in shots:
        shot = ShotProgress(schedule, frames.start)
        if counter.begins(shot):
            starts.append(shot.next)
        for window in windows(frames, schedule, frames.start):
            if counter.may_pause(shot):
                starts.append(shot.next)
            counter.passed(shot, shot.take(len(window)))
        counter.passed(shot, shot.finish())
    return starts
