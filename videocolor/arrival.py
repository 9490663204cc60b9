"""What of a hinted picture has arrived at a frame, and what the network and the film take of it.

    told = as_input(arrivals, gray, shape)      # what the network gets of it
    ab = with_arrived(ab, arrivals)             # what the film gets of it

`videocolor.carry` brings it here. Its colour is looked up once, from the hint itself: it is not blurred by being moved
again and again, as a carried picture is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import cv2
import numpy as np

from videocolor.flow import grid, look_up, resize_flow
from videocolor.sighting import Sight
from videocolor.types import Array

__all__ = ["LONG_AGO", "Arrival", "Arrivals", "Painted", "as_input", "scaled_places", "with_arrived"]

LONG_AGO: Final = 1000
"""Frames since a picture whose way did not begin at its own frame: it was found in another."""
_TAKEN: Final = (0.6, 0.3, 15.0)
"""Share of the arrived colour that is taken where it is trusted: always, at first more, and frames in which that fades.
Least squares over training clips (docs/experiments.md, 17)."""


@dataclass(frozen=True, eq=False)
class Painted:
    """A hinted frame, or a picture of the scene, whose colour goes through a shot."""

    ab: Array
    """(H, W, 2) float32 a*b*, at any size."""
    gray: Array
    """(h, w) uint8, its luma at the working size."""
    picture: Array
    """The same, prepared for motion."""

    @cached_property
    def sight(self) -> Sight:
        """The same, as it is searched for."""
        return Sight(self.picture)

    def as_arrays(self) -> dict[str, Array]:
        """What `Painted` makes the same of."""
        return {"ab": self.ab, "gray": self.gray, "picture": self.picture}


@dataclass(frozen=True, eq=False)
class Arrival:
    """What of a hinted frame has arrived at another one."""

    hint: Painted
    at: Array
    """(h, w, 2) float32, where each pixel stood in the hinted frame, in pixels of this grid."""
    trust: Array
    """(h, w) float32 in 0..1."""
    age: int
    """Frames since the hinted one, or `LONG_AGO` and more."""

    @property
    def told(self) -> Array:
        """(h, w) float32 in 0..1: `trust` as the network, which learnt of ways from the hinted frame on, is told of it.

        What was found is either right or altogether wrong, so half trust in it is worth less.
        """
        return self.trust * self.trust if self.age >= LONG_AGO else self.trust

    def chroma(self, height: int, width: int) -> Array:
        """(height, width, 2) float32: the hint's a*b*, looked up once on this grid."""
        rows, columns = self.hint.ab.shape[:2]
        where = scaled_places(self.at, height, width)
        if (rows, columns) != (height, width):
            factor = np.array([columns / width, rows / height], np.float32)
            where = (where + np.float32(0.5)) * factor - np.float32(0.5)
        return look_up(self.hint.ab, where)

    def luma(self, height: int, width: int) -> Array:
        """(height, width) uint8: the hint's luma, looked up on this grid, which must be the hint's own."""
        return look_up(self.hint.gray, scaled_places(self.at, height, width))

    def share(self, height: int, width: int) -> Array:
        """(height, width) float32 in 0..1: how much of its colour a frame takes.

        Less after a long way, for light changes.
        """
        kept, more, frames = _TAKEN
        share = cv2.multiply(self.trust, self.trust)
        cv2.multiply(share, share, dst=share, scale=kept + more * math.exp(-self.age / frames))
        if share.shape != (height, width):
            share = cv2.resize(share, (width, height), interpolation=cv2.INTER_LINEAR)
        return share


Arrivals = tuple[Arrival, ...]
"""What has arrived at a frame, of different pictures."""


def as_input(arrivals: Arrivals, gray: Array, shape: tuple[int, int]) -> Array | None:
    """What the network is told of what has arrived at a frame.

    Args:
        arrivals: of the frame; where there are several, each counts by the fourth power of its trust.
        gray: (h, w) uint8, luma of the frame at the working size.
        shape: (height, width) of the grid that is wanted.

    Returns:
        (4, *shape) float32: a*b*, trust in 0..1, and how much brighter (Y' in -1..1) the carried frame is; None where
        nothing has arrived.
    """
    if not arrivals:
        return None
    height, width = gray.shape
    planes = [_planes(arrival, gray) for arrival in arrivals]
    ab_and_brighter, trust = planes[0], arrivals[0].told
    for arrival, others in zip(arrivals[1:], planes[1:], strict=True):
        mine, theirs = cv2.pow(trust, 4), cv2.pow(arrival.told, 4)
        part = cv2.divide(theirs, mine + theirs + np.float32(1e-6))
        part = cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR)[..., None]
        ab_and_brighter = ab_and_brighter + part * (others - ab_and_brighter)
        trust = cv2.max(trust, arrival.told)
    a, b, brighter = cv2.split(ab_and_brighter)
    return np.stack([_resized(plane, shape) for plane in (a, b, trust, brighter)])


def with_arrived(ab: Array, arrivals: Arrivals) -> Array:
    """Give a frame the colour that has arrived at it, as far as its place there is trusted.

    The network decides on a grid smaller than the film's, from frame to frame anew; what motion brought is the painted
    frame's own colour, with all its detail.

    Args:
        ab: (2, H, W) float32 a*b* of the frame, as decided and brought up.
        arrivals: what has arrived at the frame; of several, each gives by its share.

    Returns:
        (2, H, W) float32.
    """
    height, width = ab.shape[1:]
    shares = [arrival.share(height, width) for arrival in arrivals]
    if len(shares) > 1:
        kept = np.prod([1 - share for share in shares], axis=0, dtype=np.float32)
        scale = (1 - kept) / np.maximum(np.sum(shares, axis=0, dtype=np.float32), np.float32(1e-6))
        shares = [share * scale for share in shares]
    out = ab.copy()
    for arrival, share in zip(arrivals, shares, strict=True):
        for decided, came, target in zip(ab, cv2.split(arrival.chroma(height, width)), out, strict=True):
            difference = cv2.subtract(came, decided)
            cv2.multiply(difference, share, dst=difference)
            cv2.add(target, difference, dst=target)
    return out


def scaled_places(at: Array, height: int, width: int) -> Array:
    """Places (h, w, 2) on another grid, in pixels of that grid."""
    moved = resize_flow(at - grid(*at.shape[:2]), (height, width))
    return cv2.add(grid(height, width), moved)


def _planes(arrival: Arrival, gray: Array) -> Array:
    """(h, w, 3) float32: a*b* and how much brighter the carried frame is."""
    height, width = gray.shape
    brighter = (arrival.luma(height, width).astype(np.float32) - gray.astype(np.float32)) / np.float32(255)
    return np.dstack([arrival.chroma(height, width), brighter])


def _resized(plane: Array, shape: tuple[int, int]) -> Array:
    shrinks = plane.shape[0] >= shape[0] and plane.shape[1] >= shape[1]
    return cv2.resize(plane, shape[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
