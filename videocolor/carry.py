"""A hint's colour, brought along by motion: where every pixel of a frame stood in the hinted frame, and how surely.

    carrier = HintCarrier(flow)                              # one for every shot
    for window in windows_of(shot):
        arrivals = carrier.follow(grays, motions, hints)     # what has arrived at each frame
    told = arrival.as_input(gray, shape)                     # what the network gets of it
    ab = with_arrived(ab, arrival)                           # what the film gets of it

Places are composed from frame to frame, and the hint's colour is looked up once, from the hint itself: it is not
blurred by being moved again and again, as a carried picture is.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final

import cv2
import numpy as np

from videocolor.flow import FlowEstimator, Motion, consistency, grid, look_up, resize_flow
from videocolor.types import Array

__all__ = ["RELOCK_EVERY", "Arrival", "HintCarrier", "Painted", "Places", "with_arrived"]

RELOCK_EVERY: Final = 4
"""Frames between comparisons with the hinted frame itself."""
_BETTER: Final = 0.9
"""Misfit against the composed places' under which a newly found place is taken."""
_TAKEN: Final = (0.6, 0.3, 15.0)
"""Share of the arrived colour that is taken where it is trusted: always, at first more, and frames in which that fades.
Least squares over training clips (docs/experiments.md, 17)."""


Step = tuple[Array, Motion | None]
"""A frame as `FlowEstimator.prepare` returns it, and the motion from the frame before (a) to it (b); None at first."""


class Places:
    """Where the pixels of the present frame stood in the first one.

    Args:
        height, width: of the grid of the motions that will follow.
    """

    def __init__(self, height: int, width: int) -> None:
        self.at: Array = grid(height, width).copy()
        """(h, w, 2) float32, (x, y) in the first frame, in pixels of this grid."""
        self.trust: Array = np.ones((height, width), np.float32)
        """(h, w) float32 in 0..1, the product of the trust of all steps."""

    def step(self, motion: Motion) -> None:
        """Go on to the next frame: `motion` is from the present one (a) to that (b)."""
        there = cv2.add(grid(*self.trust.shape), motion.ba)
        self.at = look_up(self.at, there)
        self.trust = look_up(self.trust, there) * motion.trust_b

    def relock(self, now: Array, first: Array, flow: FlowEstimator) -> None:
        """Compare the present frame with the first one itself, and mend what has drifted on the way.

        The composed places are where the search starts. Where luma then agrees better, what was found is taken; and
        what the direct comparison vouches for, forward and backward, is trusted again.

        Args:
            now: (h, w) uint8, the present frame as `FlowEstimator.prepare` returns it.
            first: (h, w) uint8, the first frame likewise.
            flow: what prepared them.
        """
        here = grid(*self.trust.shape)
        found = cv2.add(here, flow.refine(now, first, self.at - here))
        better = (_misfit(found, now, first) < _BETTER * _misfit(self.at, now, first)).astype(np.float32)
        share = cv2.blur(better, (5, 5))[..., None]
        self.at += share * (found - self.at)
        back = flow.refine(first, now, _turned(self.at))
        self.trust = np.maximum(self.trust, consistency(self.at - here, back, now, first))

    def scaled(self, height: int, width: int) -> Array:
        """(height, width, 2) float32: the places on another grid, in pixels of that grid."""
        return _scaled(self.at, height, width)


def _misfit(at: Array, now: Array, first: Array) -> Array:
    """Squared difference of luma around each pixel, (h, w) float32."""
    difference = look_up(first, at).astype(np.float32) - now
    return np.asarray(cv2.blur(difference * difference, (7, 7)))


def _turned(at: Array) -> Array:
    """The way back, about: (h, w, 2) float32 flow from the first frame to the present one."""
    height, width = at.shape[:2]
    here = grid(height, width)
    back = here - at  # where nothing comes from, the way at the same place
    x = np.rint(at[..., 0]).astype(np.intp).clip(0, width - 1)
    y = np.rint(at[..., 1]).astype(np.intp).clip(0, height - 1)
    back[y, x] = here - at
    return back


@dataclass(frozen=True, eq=False)
class Painted:
    """A hinted frame whose colour goes through a shot."""

    ab: Array
    """(H, W, 2) float32 a*b*, at any size."""
    gray: Array
    """(h, w) uint8, its luma at the working size."""
    picture: Array
    """The same, prepared for motion."""


@dataclass(frozen=True, eq=False)
class Arrival:
    """What of a hinted frame has arrived at a later one."""

    hint: Painted
    at: Array
    """(h, w, 2) float32, where each pixel stood in the hinted frame, in pixels of this grid."""
    trust: Array
    """(h, w) float32 in 0..1."""
    age: int
    """Frames since the hinted one."""

    def chroma(self, height: int, width: int) -> Array:
        """(height, width, 2) float32: the hint's a*b*, looked up once on this grid."""
        rows, columns = self.hint.ab.shape[:2]
        where = _scaled(self.at, height, width)
        if (rows, columns) != (height, width):
            factor = np.array([columns / width, rows / height], np.float32)
            where = (where + np.float32(0.5)) * factor - np.float32(0.5)
        return look_up(self.hint.ab, where)

    def as_input(self, gray: Array, shape: tuple[int, int]) -> Array:
        """What the network is told of it.

        Args:
            gray: (h, w) uint8, luma of the frame at the working size.
            shape: (height, width) of the grid that is wanted.

        Returns:
            (4, *shape) float32: a*b*, trust in 0..1, and how much brighter (Y' in -1..1) the carried frame is.
        """
        there = look_up(self.hint.gray, _scaled(self.at, *gray.shape))
        brighter = (there.astype(np.float32) - gray.astype(np.float32)) / np.float32(255)
        planes = [*cv2.split(self.chroma(*gray.shape)), self.trust, brighter]
        return np.stack([cv2.resize(p, shape[::-1], interpolation=cv2.INTER_AREA) for p in planes])


class HintCarrier:
    """The latest hint of a shot on its way through it.

    Args:
        flow: what finds the shot's motion.
    """

    def __init__(self, flow: FlowEstimator) -> None:
        self._flow = flow
        self._hint: Painted | None = None
        self._places: Places | None = None
        self._age = 0
        self._waiting: deque[Arrival | None] = deque()

    def follow(self, grays: Sequence[Array], steps: Sequence[Step], hints: Mapping[int, Array]) -> list[Arrival | None]:
        """Go through the next frames of the shot.

        Args:
            grays: (h, w) uint8 each, luma at the working size.
            steps: each frame prepared for motion, and the motion from the frame before it.
            hints: place of a hinted frame -> (2, H, W) float32 its a*b*, at any size.

        Returns:
            What has arrived at each frame; None for hinted frames, and for those that none came before.
        """
        arrivals: list[Arrival | None] = []
        for place, (gray, (picture, motion)) in enumerate(zip(grays, steps, strict=True)):
            if self._places is not None and self._hint is not None and motion is not None:
                self._places.step(motion)
                self._age += 1
                if self._age % RELOCK_EVERY == 0:
                    self._places.relock(picture, self._hint.picture, self._flow)
            if place in hints:
                ab = np.ascontiguousarray(np.moveaxis(hints[place], 0, -1), np.float32)
                self._hint, self._age = Painted(ab, gray, picture), 0
                self._places = Places(*picture.shape)
                arrivals.append(None)
            else:
                arrivals.append(self._arrival())
        self._waiting.extend(arrivals)
        return arrivals

    def leave(self) -> Arrival | None:
        """What has arrived at the next frame that `follow` has seen and that has not left yet."""
        return self._waiting.popleft()

    def memory(self) -> dict[str, Array]:
        """All that the shot's further frames depend on, as arrays; see `ChromaSmoother.memory`."""
        arrivals = [*self._waiting, self._arrival()]
        hints = list({id(a.hint): a.hint for a in arrivals if a is not None}.values())
        arrays = {"frames": np.array(len(self._waiting)), "age": np.array(self._age)}
        for number, hint in enumerate(hints):
            arrays |= {f"hint.{number}.{name}": array for name, array in vars(hint).items()}
        for place, arrival in enumerate(arrivals):
            if arrival is not None:
                source = next(number for number, hint in enumerate(hints) if hint is arrival.hint)
                parts = {"at": arrival.at, "trust": arrival.trust, "about": np.array([source, arrival.age])}
                arrays |= {f"{place}.{name}": array for name, array in parts.items()}
        return arrays

    def recall(self, memory: Mapping[str, Array]) -> None:
        """Take up what another carrier's `memory` returned."""
        hints: list[Painted] = []
        while f"hint.{len(hints)}.ab" in memory:
            head = f"hint.{len(hints)}."
            hints.append(Painted(*(memory[head + field.name] for field in fields(Painted))))
        arrivals = [_arrived(hints, memory, f"{place}.") for place in range(int(memory["frames"]) + 1)]
        latest = arrivals.pop()
        self._age = int(memory["age"])
        self._waiting.extend(arrivals)
        if latest is not None:
            self._hint, self._places = latest.hint, Places(*latest.trust.shape)
            self._places.at, self._places.trust = latest.at, latest.trust

    def _arrival(self) -> Arrival | None:
        """What has arrived at the present frame."""
        if self._hint is None or self._places is None:
            return None
        return Arrival(self._hint, self._places.at.copy(), self._places.trust.copy(), self._age)


def _arrived(hints: Sequence[Painted], memory: Mapping[str, Array], head: str) -> Arrival | None:
    if head + "at" not in memory:
        return None
    source, age = (int(number) for number in memory[head + "about"])
    return Arrival(hints[source], memory[head + "at"], memory[head + "trust"], age)


def with_arrived(ab: Array, arrival: Arrival) -> Array:
    """Give a frame the colour of the painted frame that has arrived at it, as far as its place there is trusted.

    The network decides on a grid smaller than the film's, from frame to frame anew; what motion brought is the painted
    frame's own colour, with all its detail. The longer the way, the less of it is taken, for light changes.

    Args:
        ab: (2, H, W) float32 a*b* of the frame, as decided and brought up.
        arrival: what has arrived at the frame.

    Returns:
        (2, H, W) float32.
    """
    height, width = ab.shape[1:]
    kept, more, frames = _TAKEN
    share = cv2.multiply(arrival.trust, arrival.trust)
    cv2.multiply(share, share, dst=share, scale=kept + more * math.exp(-arrival.age / frames))
    if share.shape != (height, width):
        share = cv2.resize(share, (width, height), interpolation=cv2.INTER_LINEAR)
    out = np.empty_like(ab)
    for decided, came, target in zip(ab, cv2.split(arrival.chroma(height, width)), out, strict=True):
        cv2.subtract(came, decided, dst=target)
        cv2.multiply(target, share, dst=target)
        cv2.add(target, decided, dst=target)
    return out


def _scaled(at: Array, height: int, width: int) -> Array:
    """Places (h, w, 2) on another grid, in pixels of that grid."""
    moved = resize_flow(at - grid(*at.shape[:2]), (height, width))
    return cv2.add(grid(height, width), moved)
