"""One shot: its frames in, window by window, the same frames with their chroma out; and what a run knows of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Final

import numpy as np

from videocolor.events import RunLog, ShotRecord
from videocolor.hints.plan import hint_input, scribble_warnings
from videocolor.hints.uses import hints_used
from videocolor.models.base import HintInput, Prediction
from videocolor.pipeline.film import Film
from videocolor.pipeline.frames import ColoredFrame, ReferenceColor, ShotFrame
from videocolor.pipeline.keyframe_motion import KeyframeTracker
from videocolor.pipeline.memory import ShotMemory
from videocolor.pipeline.propagated import PropagatedColors, propagated_input, unpainted_share
from videocolor.pipeline.references import ShotHints
from videocolor.pipeline.reuse import ReferenceShots, SeenReferenceShots, reused_hints
from videocolor.pipeline.scheduling import (
    KeyframePolicy,
    ShardCounter,
    ShotProgress,
    make_propagator,
    make_smoother,
    shot_schedule,
    smoothing_method,
)
from videocolor.pipeline.smoothing import Moment, check_chroma
from videocolor.pipeline.state import from_arrays, to_arrays
from videocolor.shots.prepare import Cuts
from videocolor.types import Array

__all__ = ["Run", "ShotColorizer", "ShotState"]

_REFERENCE_PRECISION: Final = 1e4
"""Precision of a reference frame against the network's 1: it is propagated, and nothing averages it away."""
ShotState = Mapping[str, Array]
"""What the rest of a shot depends on where a shard ends inside it; see `videocolor.pipeline.state`."""


def _not_kept(*_: object) -> None:
    raise ValueError("no shard ends inside a shot here")


@dataclass(eq=False)
class Run:
    """The part of a film that is colored in one go, and what it must know of the rest."""

    cuts: Cuts
    log: RunLog
    references: ReferenceShots = field(default_factory=SeenReferenceShots)
    shards: ShardCounter = field(default_factory=ShardCounter)
    first_shot: int = 0
    """Number of the first shot."""
    state: ShotState | None = None
    """Of the shot that the run begins inside of."""
    keep: Callable[[int, ShotState], None] = _not_kept
    """Called with the number of a shard that ends inside a shot."""
    reused: dict[int, list[HintInput]] = field(default_factory=dict)
    """Colors of reference shots that were asked for."""

    def may_pause(self, shot: ShotColorizer, following: ShotFrame) -> None:
        """End the shard before a shot's first unfinished frame, where it is due.

        Args:
            shot: between two windows.
            following: its next frame.
        """
        shard = self.shards.shard
        if self.shards.may_pause(shot.progress):
            self.keep(shard, shot.state())
            self.log.shot_done(shot.split(following), goes_on=True)


@dataclass(eq=False)
class _Held:
    """What is known of an unfinished frame, but for the frame itself."""

    moment: Moment
    propagated: PropagatedColors


@dataclass(eq=False)
class _Waiting:
    """All unfinished frames."""

    frames: list[_Held]


class ShotColorizer:
    """Colors one shot: the network sees the keyframes, motion propagates their chroma to the frames between.

    Args:
        frames: of the shot; the first one is taken at once.
        film: opened.
        run: says what the shot reuses, and whether the run begins inside it.
    """

    def __init__(self, frames: Iterator[ShotFrame], film: Film, run: Run) -> None:
        first = next(frames)
        number, item = first.shot, first.item
        self._number, self._film, self._run = number, film, run
        self._first, self._last = (item if run.state is None else None), item
        self.frames = chain([first], frames)
        """Those that `step` takes next."""
        self.schedule = shot_schedule(film, number)
        self.progress = ShotProgress(self.schedule, item.frame.index)
        run.shards.begins(self.progress)
        begin = (item.frame.index, item.frame.pts, item.frame.time_base)
        self.record = ShotRecord(number, *begin, saturation=film.saturation(number))
        self._smoother, self._propagator = make_smoother(film, number), make_propagator(film, number)
        self._keyframes = KeyframePolicy(self.schedule.interval)
        self._hints = ShotHints(number, self._inputs(), film, run.log, self._propagator.flow)
        self.record.uses = hints_used(film.hints, number, film.colorizer.card, self.record.reuses)
        self._memory, self._tracker = ShotMemory(film.memory(number)), KeyframeTracker()
        self._waiting: list[ShotFrame] = []
        state, run.state = run.state, None
        if state is not None:
            self._restore(state)
        self._begin()

    def step(self, window: list[ShotFrame]) -> Iterator[ColoredFrame]:
        """Color the next frames of the shot; the frames that are finished by then."""
        steps = [(frame.picture, frame.moment.motion) for frame in window]
        references = self._find_references(window)
        keyframes = [i for i in self._keyframes.choose(steps) if window[i].reference is None]
        pictures = {place: color.picture for place, color in references.items()}
        pictures |= self._hints.parts([frame.item for frame in window])
        candidates = self._hints.candidates(window[-1].item)
        grays = [frame.item.gray for frame in window]
        for frame, colors in zip(window, self._propagator.follow(grays, steps, pictures, candidates), strict=True):
            frame.propagated = colors
        lumas, seen = self._predict(window, keyframes)
        for i, observation in zip(keyframes, seen.observations(), strict=True):
            self._smoother.observe(window[i].moment, *observation)
        for i, color in references.items():
            self._smoother.observe(window[i].moment, color.small, _REFERENCE_PRECISION)
        self._last = window[-1].item
        self.record.add(self._last.frame, seen.confidence)
        if self._memory.look([window[i] for i in keyframes], lumas, seen):
            self._recall()
        self._waiting += window
        return self._release(self.progress.take(len(window)))

    def finish(self) -> Iterator[ColoredFrame]:
        """End the shot; the frames that are left."""
        yield from self._release(self.progress.finish(), last=True)
        size = self._film.reuse_size
        first = None if self._first is None else self._first.at(size)
        self._run.references.leave(self._number, first, self._last.at(size), self.record.reuses)
        self._run.log.shot_done(self.record)

    def state(self) -> ShotState:
        """All that the rest of the shot depends on, between two windows."""
        waiting = _Waiting([_Held(frame.moment, frame.propagated) for frame in self._waiting])
        return to_arrays({**{name: part.state for name, part in self._parts().items()}, "waiting": waiting})

    def split(self, following: ShotFrame) -> ShotRecord:
        """End the record before the first unfinished frame, and begin another one there; the one that ended.

        Args:
            following: the next frame that `step` takes.
        """
        before, frame = self.record, (self._waiting or [following])[0].item.frame
        self.record = before.continued(frame)
        return before.cut(frame)

    def _restore(self, state: ShotState) -> None:
        """Take up what `state` of the same shot returned; unfinished frames are read again."""
        parts = self._parts()
        found = from_arrays({**{name: type(part.state) for name, part in parts.items()}, "waiting": _Waiting}, state)
        for name, part in parts.items():
            part.state = found[name]
        for held, frame in zip(found["waiting"].frames, self.frames, strict=False):
            frame.moment, frame.propagated = held.moment, held.propagated
            frame.reference = self._hints.reference(frame.item)
            self._waiting.append(frame)
        self.progress.waiting = len(self._waiting)

    def _parts(self) -> dict[str, Any]:
        """Return everything that has a state, by name."""
        return {
            "smoothing": self._smoother,
            "keyframes": self._keyframes,
            "propagation": self._propagator,
            "hints": self._hints,
            "memory": self._memory,
            "tracker": self._tracker,
        }

    def _inputs(self) -> list[HintInput]:
        """Choose the network's hints: the shot's, else those of an earlier shot that it reuses."""
        film, number, most = self._film, self._number, self._film.colorizer.card.max_hints
        if most == 0:
            return []
        planned = film.hints.for_shot(number)[:most]
        self.record.hints = [p.hint.name for p in planned]
        if planned:
            size, reach = film.seen_size(number), film.config.hints.reach
            inputs = [hint_input(p.hint, size, in_shot=p.own == number, reach=reach) for p in planned]
            self._run.log.warn(*scribble_warnings([p.hint for p in planned], inputs))
            return inputs
        self.record.reuses = reference = self._run.references.reference(number, self._last)
        return [] if reference is None else reused_hints(film, self._run.references, reference, self._run.reused)[:most]

    def _begin(self) -> None:
        hints, colorizer = self._hints.inputs, self._film.colorizer
        self._begun = colorizer.begin(hints)
        scribbled = all(hint.places is not None for hint in hints)  # automatic where no scribble reaches, at least
        self._automatic = scribbled and not self._film.hints.has_reference(self._number)
        self._recall()

    def _recall(self) -> None:
        """Let the network match what is remembered, beside the hints."""
        remembered, colorizer = self._memory.state.frames, self._film.colorizer
        self._network = colorizer.remember(self._begun, remembered) if remembered else self._begun

    def _find_references(self, window: list[ShotFrame]) -> dict[int, ReferenceColor]:
        """Note the reference frames; place -> the color that they give to others."""
        for frame in window:
            frame.reference = self._hints.reference(frame.item)
        found = {i: frame.reference for i, frame in enumerate(window) if frame.reference is not None}
        cleaned = self._hints.without_flare([frame.item for frame in window], found)
        if cleaned:
            self._begin()
        return found | cleaned

    def _predict(self, window: list[ShotFrame], keyframes: list[int]) -> tuple[list[Array], Prediction]:
        """Let the network color keyframes; also return their luma as it sees them."""
        film, size = self._film, self._film.seen_size(self._number)
        grid, frames = film.grid(film.size(self._number)), [window[i] for i in keyframes]
        lumas = [frame.item.luma_at(size) for frame in frames]
        if film.other is not None and film.takes_chroma(self._number) and frames:
            taken = film.other.colors([frame.item.frame for frame in frames], grid)
            if taken is not None:
                return lumas, Prediction(taken)
        stride = film.colorizer.card.feature_stride
        if keyframes and stride is not None and self._automatic and smoothing_method(film) != "none":
            shape = film.reuse_size[0] // stride, film.reuse_size[1] // stride
            motion = self._tracker.follow([frame.moment.motion for frame in window], keyframes, shape)
            seen = film.predictor.predict_together(self._network, lumas, grid, motion)
            self._tracker.state.features = seen.features
            return lumas, seen
        propagated = [propagated_input(frame.propagated, frame.item.gray, film.grid(size)) for frame in frames]
        return lumas, self._without_holes(frames, film.predictor.predict(self._network, lumas, grid, propagated))

    def _without_holes(self, frames: list[ShotFrame], seen: Prediction) -> Prediction:
        """Color what was left unpainted as without a hint: a street must not take the color of the lawn."""
        film, grid = self._film, (seen.ab.shape[2], seen.ab.shape[3])
        found = [unpainted_share(frame.propagated, grid) for frame in frames]
        if all(share is None for share in found):
            return seen
        shares = np.stack([np.zeros(grid, np.float32) if share is None else share for share in found])
        lumas = [frame.item.luma_at(film.reuse_size) for frame in frames]
        own = film.predictor.predict(film.colorizer.begin([]), lumas, grid)
        ab = seen.ab + shares[:, None] * (own.ab - seen.ab)
        return replace(seen, ab=ab, confidence=None if seen.confidence is None else seen.confidence * (1 - shares))

    def _release(self, count: int, *, last: bool = False) -> Iterator[ColoredFrame]:
        """Finish the first frames that wait."""
        found = self._smoother.smooth([frame.moment for frame in self._waiting], count, last=last)
        chroma = check_chroma(found, count, self._film.config.smoothing.method)
        done, self._waiting = self._waiting[:count], self._waiting[count:]
        self._run.shards.passed(self.progress, count)
        where = (self.record, self._run.shards.shard)
        colored = deque(
            ColoredFrame(frame.item, ab, frame.reference, frame.propagated, *where)
            for frame, ab in zip(done, chroma, strict=True)
        )
        del done
        while colored:
            yield colored.popleft()
