"""A hint's colour, brought along by motion: where every pixel of a frame stood in the hinted frame, and how surely.

    carrier = HintCarrier(flow)                                      # one for every shot
    for window in windows_of(shot):
        arrivals = carrier.follow(grays, steps, hints, pictures)     # what has arrived at each frame

Places are composed from frame to frame. From a painted frame the way begins at that frame. A picture of the same scene
whose frame is not known, or lies ahead, is looked for in the frames themselves, again and again
(`videocolor.motion.matching`), and goes the same way from where it is found. What is made of it:
`videocolor.pipeline.propagated`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import cv2
import numpy as np

from videocolor.motion.flow import FlowEstimator, Motion, Step, consistency, grid, look_up
from videocolor.motion.matching import MatchImage, match_image, matched_texture_share
from videocolor.pipeline.propagated import PropagatedColor, PropagatedColors, ReferenceFrame, scaled_places
from videocolor.types import Array

__all__ = ["DRIFT_CORRECTION_EVERY", "SEARCH_EVERY", "HintPropagator", "CoordinateMap"]

DRIFT_CORRECTION_EVERY: Final = 4
"""Frames between comparisons with the hinted frame itself."""
SEARCH_EVERY: Final = 16
"""Frames between searches for a shot's pictures in its frames."""
_BETTER: Final = 0.9
"""Misfit against the composed places' under which a newly found place is taken."""
_LEAST: Final = 0.05
"""Share of a frame's texture that a picture must vouch for, beyond what is known already, to be followed."""
_KNOWN: Final = 0.75
"""How much less that counts which is known already: a second opinion, from a nearer frame, is worth something."""
_CLEARLY: Final = 1.25
"""How much more that another picture must vouch for to be followed instead."""


class CoordinateMap:
    """Where the pixels of the present frame stood in the first one.

    Args:
        height, width: of the grid of the motions that will follow.
    """

    def __init__(self, height: int, width: int) -> None:
        self.at: Array = grid(height, width).copy()
        """(h, w, 2) float32, (x, y) in the first frame, in pixels of this grid."""
        self.trust: Array = np.ones((height, width), np.float32)
        """(h, w) float32 in 0..1, the product of the trust of all steps."""

    @classmethod
    def of(cls, at: Array, trust: Array) -> CoordinateMap:
        """Places that are known, (h, w, 2), and how far they are trusted, (h, w)."""
        places = cls(*trust.shape)
        places.at, places.trust = at, trust
        return places

    def mend(self, at: Array, trust: Array) -> None:
        """Take other places where they are trusted more."""
        better = (trust > self.trust)[..., None]
        self.at = np.where(better, at, self.at)
        self.trust = np.maximum(trust, self.trust)

    def step(self, motion: Motion) -> None:
        """Go on to the next frame: `motion` is from the present one (a) to that (b)."""
        there = cv2.add(grid(*self.trust.shape), motion.ba)
        self.at = look_up(self.at, there)
        self.trust = look_up(self.trust, there) * motion.trust_b

    def correct_drift(self, now: Array, first: Array, flow: FlowEstimator) -> None:
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
        return scaled_places(self.at, height, width)


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


@dataclass(eq=False)
class _Track:
    """A picture that is followed through the shot."""

    hint: ReferenceFrame
    places: CoordinateMap
    age: int = 0
    """Frames since its beginning, which is the hint itself or where that was found."""
    number: int = -1
    """Which of the pictures that may be found it is; -1: none, a painted frame that was passed."""

    def go(self, motion: Motion, picture: Array, flow: FlowEstimator) -> None:
        """To the next frame."""
        self.places.step(motion)
        self.age += 1
        if self.age % DRIFT_CORRECTION_EVERY == 0:
            self.places.correct_drift(picture, self.hint.picture, flow)

    def arrival(self, picture: Array) -> PropagatedColor:
        """What has arrived at the present frame."""
        return PropagatedColor(self.hint, self.places.at.copy(), self.places.trust, picture)

    def as_arrays(self, hints: list[ReferenceFrame]) -> dict[str, Array]:
        """What `of` makes the same way of; its hint is one of `hints`."""
        about = np.array([_place_of(self.hint, hints), self.age, self.number])
        return {"at": self.places.at.copy(), "trust": self.places.trust.copy(), "about": about}

    @classmethod
    def of(cls, hints: list[ReferenceFrame], at: Array, trust: Array, about: Array) -> _Track:
        """See `as_arrays`."""
        source, age, number = (int(value) for value in about)
        return cls(hints[source], CoordinateMap.of(at, trust), age, number)


class HintPropagator:
    """The colours that a person gave to a shot on their way through it.

    Args:
        flow: what finds the shot's motion.
    """

    def __init__(self, flow: FlowEstimator) -> None:
        self.flow = flow
        self._latest: _Track | None = None
        self._found: _Track | None = None
        self._since = 0
        self._waiting: deque[PropagatedColors] = deque()

    def follow(
        self,
        grays: Sequence[Array],
        steps: Sequence[Step],
        hints: Mapping[int, Array],
        pictures: Mapping[int, ReferenceFrame] = MappingProxyType({}),
    ) -> list[PropagatedColors]:
        """Go through the next frames of the shot.

        Args:
            grays: (h, w) uint8 each, luma at the working size.
            steps: each frame prepared for motion, and the motion from the frame before it.
            hints: place of a hinted frame -> (2, H, W) float32 its a*b*, at any size.
            pictures: number -> a hint that may show the scene of these frames, from wherever but a frame before them.

        Returns:
            What has arrived at each frame; nothing at hinted frames.
        """
        arrivals: list[PropagatedColors] = []
        for place, (gray, (picture, motion)) in enumerate(zip(grays, steps, strict=True)):
            for way in (self._latest, self._found):
                if way is not None and motion is not None:
                    way.go(motion, picture, self.flow)
            if place in hints:
                ab = np.ascontiguousarray(np.moveaxis(hints[place], 0, -1), np.float32)
                self._latest, self._found = (
                    _Track(ReferenceFrame(ab, gray, picture), CoordinateMap(*picture.shape)),
                    None,
                )
                self._since = 0
                arrivals.append(())
                continue
            frame = MatchImage(picture)
            if self._since % SEARCH_EVERY or not pictures:
                self._since += 1
            elif frame.texture.mean() > _LEAST:  # a black frame tells nothing: the next one is asked
                self._search(frame, pictures)
                self._since += 1
            arrivals.append(self._arrivals(picture))
        self._waiting.extend(arrivals)
        return arrivals

    def leave(self) -> PropagatedColors:
        """What has arrived at the next frame that `follow` has seen and that has not left yet."""
        return self._waiting.popleft()

    def memory(self) -> dict[str, Array]:
        """All that the shot's further frames depend on, as arrays; see `ChromaSmoother.memory`."""
        ways = {"latest": self._latest, "found": self._found}
        under_way = {name: way for name, way in ways.items() if way is not None}
        carried = [a.hint for arrivals in self._waiting for a in arrivals] + [w.hint for w in under_way.values()]
        hints = list({id(hint): hint for hint in carried}.values())
        arrays = {"frames": np.array(len(self._waiting)), "since": np.array(self._since)}
        for number, hint in enumerate(hints):
            arrays |= {f"hint.{number}.{name}": array for name, array in hint.as_arrays().items()}
        for name, way in under_way.items():
            arrays |= {f"{name}.{part}": array for part, array in way.as_arrays(hints).items()}
        for place, arrivals in enumerate(self._waiting):
            for which, arrival in enumerate(arrivals):
                source = np.array(_place_of(arrival.hint, hints))
                parts = {"source": source, "at": arrival.at, "trust": arrival.trust, "now": arrival.now}
                arrays |= {f"{place}.{which}.{name}": array for name, array in parts.items()}
        return arrays

    def recall(self, memory: Mapping[str, Array]) -> None:
        """Take up what another carrier's `memory` returned."""
        hints: list[ReferenceFrame] = []
        while f"hint.{len(hints)}.ab" in memory:
            head = f"hint.{len(hints)}."
            hints.append(ReferenceFrame(*(memory[head + name] for name in ("ab", "gray", "picture"))))
        self._since = int(memory["since"])
        self._latest, self._found = (_way(hints, memory, name) for name in ("latest", "found"))
        self._waiting.extend(_arrived(hints, memory, str(place)) for place in range(int(memory["frames"])))

    def _search(self, frame: MatchImage, pictures: Mapping[int, ReferenceFrame]) -> None:
        """Look for the pictures in the present frame, and follow the one that vouches for most, known things less."""
        known = np.zeros(frame.picture.shape, np.float32) if self._latest is None else self._latest.places.trust
        found = {number: match_image(frame, hint.sight, self.flow) for number, hint in pictures.items()}
        most = _LEAST
        if (followed := self._found) is not None:
            if followed.number in found:
                followed.places.mend(*found.pop(followed.number))
            most = max(most, _CLEARLY * _beyond(frame, followed.places.trust, known))
        for number, (at, trust) in found.items():
            if (told := _beyond(frame, trust, known)) > most:
                self._found, most = _Track(pictures[number], CoordinateMap.of(at, trust), number=number), told

    def _arrivals(self, picture: Array) -> PropagatedColors:
        """What has arrived at the present frame."""
        return tuple(way.arrival(picture) for way in (self._latest, self._found) if way is not None)


def _beyond(frame: MatchImage, trust: Array, known: Array) -> float:
    """Share of the frame, by what tells anything in it, that `trust` adds to what is known, about."""
    return matched_texture_share(frame, np.maximum(trust - np.float32(_KNOWN) * known, 0))


def _place_of(hint: ReferenceFrame, hints: Sequence[ReferenceFrame]) -> int:
    return next(number for number, other in enumerate(hints) if other is hint)


def _arrived(hints: Sequence[ReferenceFrame], memory: Mapping[str, Array], head: str) -> PropagatedColors:
    arrivals: list[PropagatedColor] = []
    while (start := f"{head}.{len(arrivals)}.") + "at" in memory:
        at, trust, now = (memory[start + name] for name in ("at", "trust", "now"))
        arrivals.append(PropagatedColor(hints[int(memory[start + "source"])], at, trust, now))
    return tuple(arrivals)


def _way(hints: list[ReferenceFrame], memory: Mapping[str, Array], name: str) -> _Track | None:
    if f"{name}.at" not in memory:
        return None
    return _Track.of(hints, *(memory[f"{name}.{part}"] for part in ("at", "trust", "about")))
