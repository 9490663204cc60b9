"""Propagation of a hint's color along motion: for every pixel of a frame, its coordinates in the reference frame.

    propagator = HintPropagator(flow)                                      # one for every shot
    for window in windows_of(shot):
        colors = propagator.follow(grays, steps, references, candidates)   # what reaches each frame

Coordinates are composed from frame to frame. From a reference frame, tracks begin at that frame: one ahead through the
shot, one back through its window, so that frames between two reference frames get the color of both. A picture of the
same scene whose frame is unknown or comes later is searched for in the frames, again and again
(`videocolor.motion.matching`), and is tracked from where it is found. What network and film use of it:
`videocolor.pipeline.propagated`.

Another method is a class with the interface `Propagator` and an entry in `PROPAGATORS`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final, Protocol, Self

import cv2
import numpy as np

from videocolor.images import resized_planes
from videocolor.motion.flow import FlowEstimator, Motion, Quality, Step, consistency, grid, look_up, resize_flow
from videocolor.motion.matching import MatchImage, match_image, matched_texture_share
from videocolor.pipeline.propagated import PropagatedColor, PropagatedColors, ReferenceFrame, scaled_places
from videocolor.types import Array

__all__ = [
    "DRIFT_CORRECTION_EVERY",
    "PROPAGATORS",
    "SEARCH_EVERY",
    "CoordinateMap",
    "HintPropagator",
    "NoPropagation",
    "Propagator",
    "propagate_color",
]

DRIFT_CORRECTION_EVERY: Final = 4
"""Frames between comparisons with the reference frame itself."""
SEARCH_EVERY: Final = 16
"""Frames between searches for a shot's pictures in its frames."""
_BETTER: Final = 0.9
"""Share of the residual at the composed coordinates below which newly found ones replace them."""
_LEAST: Final = 0.05
"""Share of a frame's texture that a picture must match, beyond what is known already, to be tracked."""
_KNOWN: Final = 0.75
"""Weight by which known texture counts less: a second match, from a nearer frame, has some value."""
_CLEARLY: Final = 1.25
"""Factor by which another picture must match more to be tracked instead."""
_NONE: Final[Mapping[int, ReferenceFrame]] = MappingProxyType({})


@dataclass(eq=False)
class CoordinateMap:
    """Where each pixel of the present frame was in the first one."""

    at: Array
    """(h, w, 2) float32, (x, y) in the first frame, in pixels of this grid."""
    trust: Array
    """(h, w) float32 in 0..1, the product of the confidences of all steps."""

    @classmethod
    def identity(cls, height: int, width: int) -> Self:
        """Return the map of the first frame itself."""
        return cls(grid(height, width).copy(), np.ones((height, width), np.float32))

    def merge(self, at: Array, trust: Array) -> None:
        """Take other coordinates where their confidence is higher."""
        better = (trust > self.trust)[..., None]
        self.at = np.where(better, at, self.at)
        self.trust = np.maximum(trust, self.trust)

    def step(self, motion: Motion) -> None:
        """Go on to the next frame: `motion` is from the present one (a) to that (b)."""
        height, width = self.trust.shape
        there, trust = cv2.add(grid(height, width), resize_flow(motion.ba, (height, width))), motion.trust_b
        if trust.shape != self.trust.shape:
            trust = cv2.resize(trust, (width, height), interpolation=cv2.INTER_LINEAR)
        self.at = look_up(self.at, there)
        self.trust = look_up(self.trust, there) * trust

    def correct_drift(self, now: Array, first: Array, flow: FlowEstimator) -> None:
        """Compare the present frame with the first one itself, and correct the drift of the composed coordinates.

        The search starts from the composed coordinates. Where luma then agrees better, the new ones are taken; and
        confidence rises to that of the direct comparison, forward and backward.

        Args:
            now: (h, w) uint8, the present frame as `FlowEstimator.prepare` returns it.
            first: (h, w) uint8, the first frame likewise.
            flow: what prepared them.
        """
        here = grid(*self.trust.shape)
        found = cv2.add(here, flow.refine(now, first, self.at - here))
        better = (_residual(found, now, first) < _BETTER * _residual(self.at, now, first)).astype(np.float32)
        share = cv2.blur(better, (5, 5))
        cv2.subtract(found, self.at, dst=found)
        cv2.add(self.at, cv2.multiply(found, cv2.merge([share, share])), dst=self.at)
        back = flow.refine(first, now, _inverse_flow(self.at))
        self.trust = np.maximum(self.trust, consistency(self.at - here, back, now, first))

    def scaled(self, height: int, width: int) -> Array:
        """(height, width, 2) float32: the coordinates on another grid, in pixels of that grid."""
        return scaled_places(self.at, height, width)


def _residual(at: Array, now: Array, first: Array) -> Array:
    """Squared difference of luma around each pixel, (h, w) float32."""
    difference = look_up(first, at).astype(np.float32) - now
    return np.asarray(cv2.blur(difference * difference, (7, 7)))


def _inverse_flow(at: Array) -> Array:
    """Approximate flow from the first frame to the present one, (h, w, 2) float32."""
    height, width = at.shape[:2]
    here = grid(height, width)
    back = here - at  # where no pixel comes from, the inverse at the same pixel
    x = np.rint(at[..., 0]).astype(np.intp).clip(0, width - 1)
    y = np.rint(at[..., 1]).astype(np.intp).clip(0, height - 1)
    back[y, x] = here - at
    return back


@dataclass(eq=False)
class Track:
    """A picture that is tracked through the shot."""

    reference: ReferenceFrame
    coordinates: CoordinateMap
    age: int = 0
    """Frames since the track began, at the reference frame itself or where that was found."""
    number: int = -1
    """Which candidate it is; -1: none, a reference frame of the shot."""

    def step(self, motion: Motion, picture: Array, flow: FlowEstimator) -> None:
        """Go on to the next frame."""
        self.coordinates.step(motion)
        self.age += 1
        if self.age % DRIFT_CORRECTION_EVERY == 0:
            self.coordinates.correct_drift(picture, self.reference.picture, flow)

    def step_back(self, motion: Motion, picture: Array, flow: FlowEstimator) -> None:
        """Go back to the frame before, by the motion from that one; look for what motion has lost now and then."""
        self.step(motion.reversed(), picture, flow)
        if self.age % SEARCH_EVERY == 0:  # in a flash, or behind something
            self.coordinates.merge(*match_image(MatchImage(picture), self.reference.image, flow))

    @property
    def is_whole(self) -> bool:
        """Whether the picture is painted all over."""
        return self.reference.painted is None

    def known(self) -> Array:
        """(h, w) float32 in 0..1: how far the color of the present frame is known."""
        painted, places = self.reference.painted, self.coordinates
        return places.trust if painted is None else places.trust * look_up(painted, places.at)

    def color(self, picture: Array) -> PropagatedColor:
        """Return the color that reaches the present frame."""
        return PropagatedColor(self.reference, self.coordinates.at.copy(), self.coordinates.trust, picture)


def _arrived(tracks: Sequence[Track], picture: Array) -> PropagatedColors:
    """Return the colors that reach a frame; the first track, painted in part, covers what the others bring."""
    colors = tuple(track.color(picture) for track in tracks)
    if len(colors) < 2 or tracks[0].is_whole:
        return colors
    covered = tracks[0].known()
    return (colors[0], *(replace(color, covered=covered) for color in colors[1:]))


def _begun(color: Array, gray: Array, picture: Array) -> Track:
    """Begin a track at a reference frame: its color as `follow` takes it, its luma, and that prepared for motion."""
    ab, painted = np.ascontiguousarray(np.moveaxis(color[:2], 0, -1), np.float32), None
    if len(color) > 2:  # what is half painted at an edge is not: its color is mixed with that of the hole
        opacity = cv2.resize(color[2], picture.shape[::-1], interpolation=cv2.INTER_AREA)
        painted = np.clip(2 * opacity - 1, 0, 1).astype(np.float32)
    strange = cv2.resize(color[3], picture.shape[::-1], interpolation=cv2.INTER_LINEAR) if len(color) > 3 else None
    return Track(ReferenceFrame(ab, gray, picture, painted, strange), CoordinateMap.identity(*picture.shape))


class Propagator(Protocol):
    """Propagates the color of reference frames through one shot."""

    state: Any
    """A dataclass with all that later frames depend on; see `videocolor.pipeline.state`."""

    @property
    def flow(self) -> FlowEstimator | None:
        """Prepares candidates for the search; None: candidates are not used."""

    def follow(
        self,
        grays: Sequence[Array],
        steps: Sequence[Step],
        references: Mapping[int, Array],
        candidates: Mapping[int, ReferenceFrame] = _NONE,
    ) -> list[PropagatedColors]:
        """Process the next frames of the shot.

        Args:
            grays: (h, w) uint8 each, luma at the working size.
            steps: each frame prepared for motion, and the motion from the frame before it.
            references: place of a reference frame in `grays` -> (2, H, W) float32 its a*b*, at any size; where it is
                painted in part, (3, H, W) with its opacity in 0..1, or (4, H, W) with `ReferenceFrame.strange`, too.
            candidates: number -> a picture that may show the scene of these frames, of none of them or an earlier one.

        Returns:
            The colors that reach each frame; none at reference frames that are painted all over.
        """


@dataclass(eq=False)
class _Nothing:
    """No state."""


class NoPropagation:
    """Nothing reaches any frame."""

    def __init__(self) -> None:
        self.flow, self.state = None, _Nothing()

    def follow(
        self,
        grays: Sequence[Array],
        steps: Sequence[Step],
        references: Mapping[int, Array],
        candidates: Mapping[int, ReferenceFrame] = _NONE,
    ) -> list[PropagatedColors]:
        """See `Propagator`."""
        return [()] * len(grays)


@dataclass(eq=False)
class TrackState:
    """What is tracked at the last frame that was processed."""

    latest: Track | None = None
    """From the latest reference frame of the shot."""
    found: Track | None = None
    """Of the candidate that was found."""
    since: int = 0
    """Frames since the latest reference frame or the shot's first frame."""


class HintPropagator:
    """Propagates reference color along optical flow.

    Args:
        flow: finds the shot's motion.
    """

    def __init__(self, flow: FlowEstimator) -> None:
        self.flow: FlowEstimator = flow
        self.state = TrackState()

    def follow(
        self,
        grays: Sequence[Array],
        steps: Sequence[Step],
        references: Mapping[int, Array],
        candidates: Mapping[int, ReferenceFrame] = _NONE,
    ) -> list[PropagatedColors]:
        """See `Propagator`."""
        state, colors = self.state, list[PropagatedColors]()
        back = self._back(grays, steps, references, candidates)
        for place, (gray, (picture, motion)) in enumerate(zip(grays, steps, strict=True)):
            for track in self._tracks():
                if motion is not None:
                    track.step(motion, picture, self.flow)
            if place in references:
                begun, before = _begun(references[place], gray, picture), state.latest
                if begun.is_whole:
                    state.latest, state.found, state.since = begun, None, 0
                    colors.append(())
                    continue
                if before is not None and (before.is_whole or state.found is None):
                    state.found = before  # what the holes get
                state.latest, state.since = begun, 0
                colors.append((*_arrived(self._tracks(), picture), *back.get(place, ())))
                continue
            frame = MatchImage(picture)
            if state.since % SEARCH_EVERY or not candidates:
                state.since += 1
            elif frame.texture.mean() > _LEAST:  # a black frame matches nothing: the next one is searched
                self._search(frame, candidates)
                state.since += 1
            colors.append((*_arrived(self._tracks(), picture), *back.get(place, ())))
        return colors

    def _back(
        self,
        grays: Sequence[Array],
        steps: Sequence[Step],
        references: Mapping[int, Array],
        candidates: Collection[int],
    ) -> dict[int, PropagatedColors]:
        """Place -> the color of the next reference frame, tracked back through the window.

        Of one that is painted in part, also that of the next whole one, for its holes.
        """
        colors, tracks, found = dict[int, PropagatedColors](), list[Track](), self.state.found
        if references and found is not None and found.number >= 0 and found.number not in candidates:
            self.state.found = None  # it is one of these reference frames
        for place in range(max(references, default=-1), -1, -1):
            picture = steps[place][0]
            for track in tracks:
                if (motion := steps[place + 1][1]) is not None:
                    track.step_back(motion, picture, self.flow)
            if place not in references:
                colors[place] = _arrived(tracks, picture)
                continue
            begun = _begun(references[place], grays[place], picture)
            kept = [] if begun.is_whole else [track for track in tracks if track.is_whole]
            tracks = [begun, *kept]
            colors[place] = _arrived(tracks, picture)[1:]
        return colors

    def _tracks(self) -> list[Track]:
        return [track for track in (self.state.latest, self.state.found) if track is not None]

    def _search(self, frame: MatchImage, candidates: Mapping[int, ReferenceFrame]) -> None:
        """Search for the candidates in the present frame, and track the one that matches most new texture."""
        latest, current = self.state.latest, self.state.found
        known = np.zeros(frame.picture.shape, np.float32) if latest is None else latest.known()
        found = {number: match_image(frame, hint.image, self.flow) for number, hint in candidates.items()}
        most = _LEAST
        if current is not None:
            if current.number in found:
                current.coordinates.merge(*found.pop(current.number))
            most = max(most, _CLEARLY * _new_coverage(frame, current.coordinates.trust, known))
        for number, (at, trust) in found.items():
            if (coverage := _new_coverage(frame, trust, known)) > most:
                self.state.found = Track(candidates[number], CoordinateMap(at, trust), number=number)
                most = coverage


def _new_coverage(frame: MatchImage, trust: Array, known: Array) -> float:
    """Share of the frame's texture that `trust` covers beyond what is known, about."""
    return matched_texture_share(frame, np.maximum(trust - np.float32(_KNOWN) * known, 0))


def propagate_color(lumas: Iterable[Array], ab: Array, quality: Quality = "detailed") -> Iterator[tuple[Array, Array]]:
    """Carry the color of a shot's first frame to the next ones, along motion.

    Args:
        lumas: (h, w) uint8 each, consecutive frames; the first one is that which is colored.
        ab: (2, H, W) float32 CIE a*b* of the first frame, at any size.
        quality: of the motion, see `FlowEstimator`.

    Yields:
        Of each frame: (2, h, w) float32 a*b*, and (h, w) float32 in 0..1, how far its own luma bears that color out.
    """
    propagator, before = HintPropagator(FlowEstimator(quality)), None
    for place, luma in enumerate(lumas):
        picture = propagator.flow.prepare(luma)
        motion = None if before is None else propagator.flow.motion(before, picture)
        (colors,) = propagator.follow([luma], [(picture, motion)], {} if place else {0: ab})
        before = picture
        if not colors:
            yield resized_planes(ab, luma.shape), np.ones(luma.shape, np.float32)
        for color in colors:
            yield np.ascontiguousarray(np.moveaxis(color.chroma(*luma.shape), -1, 0)), color.share(*luma.shape)


PROPAGATORS: Final[dict[str, Callable[[FlowEstimator], Propagator]]] = {
    "flow": HintPropagator,
    "none": lambda _: NoPropagation(),
}
"""Methods by name."""
