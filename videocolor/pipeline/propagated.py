"""Reference color warped to a frame, with a photometric confidence; and what network and film use of it.

    carried = propagated_input(colors, gray, shape)     # input of the network
    ab = blend_propagated(ab, colors)                   # output of the film

`videocolor.pipeline.propagation` brings coordinates here. Color is looked up once, from the reference frame itself, so
it is not blurred by repeated warping. The confidence is judged at the present frame: how much of its luma the reference
shows at those coordinates. Motion's own trust is that of its steps, and each step of a track that began on the wrong
thing (at a disocclusion) may be right.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import cv2
import numpy as np

from videocolor.motion.flow import exposure, grid, look_up, resize_flow
from videocolor.motion.matching import MatchImage
from videocolor.types import Array

__all__ = [
    "PropagatedColor",
    "PropagatedColors",
    "ReferenceFrame",
    "propagated_input",
    "judge",
    "scaled_places",
    "photometric_residual",
    "missing_grain",
    "blend_propagated",
]

_WINDOW: Final = (9, 9)
_PLAIN: Final = 40.0
"""Variance of prepared luma that counts as none: where both pictures are plain, their levels alone are compared."""
_SOFTER: Final = 3.0
"""How much less variance of its finest grain a picture may have that was looked up between pixels, and so blurred."""
_SMOOTH: Final = 5.0
"""The same as `_PLAIN`, of the finest grain."""
_TAKEN: Final = 0.05
"""Unexplained share of luma at which half of the arrived color is taken.

By least squares over training clips it tells about as much as all that is known (docs/experiments.md, 25).
"""
_TOLD: Final = 0.1
"""The same for what the network is told; it knows well when an arrived color does not fit, if it is not sure to."""
_GRAIN: Final = 0.2
"""Unseen grain at which either is half of that."""


@dataclass(frozen=True, eq=False)
class ReferenceFrame:
    """A hinted frame, or a picture of the scene, whose color goes through a shot."""

    ab: Array
    """(H, W, 2) float32 a*b*, at any size."""
    gray: Array
    """(h, w) uint8, its luma at the working size."""
    picture: Array
    """The same, prepared for motion."""

    @cached_property
    def image(self) -> MatchImage:
        """The same as it is searched for."""
        return MatchImage(self.picture)


@dataclass(frozen=True, eq=False)
class PropagatedColor:
    """What of a hinted frame has arrived at another one, believed as far as that bears it out."""

    hint: ReferenceFrame
    at: Array
    """(h, w, 2) float32, where each pixel stood in the hinted frame, in pixels of this grid."""
    trust: Array
    """(h, w) float32 in 0..1, motion's own."""
    now: Array
    """(h, w) uint8, the frame, prepared for motion."""

    @cached_property
    def judged(self) -> tuple[Array, Array]:
        """`judge`, in the thread that asks first: the network sees few of the frames, the film all of them."""
        return judge(self.hint.picture, self.at, self.trust, self.now)

    @property
    def told(self) -> Array:
        """(h, w) float32 in 0..1: how surely, as the network is told."""
        return self.judged[0]

    @property
    def taken(self) -> Array:
        """(h, w) float32 in 0..1: how much of its color the frame takes."""
        return self.judged[1]

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
        """(height, width) float32 in 0..1: `taken` on this grid."""
        if self.taken.shape == (height, width):
            return self.taken
        return cv2.resize(self.taken, (width, height), interpolation=cv2.INTER_LINEAR)


PropagatedColors = tuple[PropagatedColor, ...]
"""What has arrived at a frame, of different pictures."""


def propagated_input(arrivals: PropagatedColors, gray: Array, shape: tuple[int, int]) -> Array | None:
    """Prepare the colors that were propagated to a frame as network input.

    Args:
        arrivals: of the frame; where there are several, each counts by the fourth power of `PropagatedColor.told`.
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


def blend_propagated(ab: Array, arrivals: PropagatedColors) -> Array:
    """Give a frame the color that has arrived at it, as far as its place there is trusted.

    The network decides on a grid smaller than the film's, from frame to frame again; what motion brought is the painted
    frame's own color, with all its detail.

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


def judge(picture: Array, at: Array, trust: Array, now: Array) -> tuple[Array, Array]:
    """How far a frame bears out that a picture has arrived at it.

    Args:
        picture: (h, w) uint8, prepared for motion.
        at: (h, w, 2) float32, where in it each pixel of the frame stood.
        trust: (h, w) float32 in 0..1, motion's own.
        now: (h, w) uint8, the frame, prepared for motion.

    Returns:
        (h, w) float32 in 0..1 each: how surely, as the network is told, and how much of its color the film takes.
    """
    here, there = now.astype(np.float32), look_up(picture.astype(np.float32), at)
    # Each was brought to a common exposure by all that it shows, and that is not the same.
    gain, offset = exposure(here, there, trust)
    there *= gain
    there += offset
    amiss, doubt = photometric_residual(here, there), missing_grain(here, there)
    doubt *= np.float32(1 / _GRAIN)  # in place from here on: fresh pages cost more than the sums
    doubt *= doubt
    doubt += 1
    told, taken = trust * trust, amiss * np.float32(1 / _TAKEN)
    taken += 1
    taken *= doubt
    amiss *= np.float32(1 / _TOLD)
    amiss += 1
    amiss *= doubt
    told /= amiss
    return told, np.reciprocal(taken, out=taken)


def photometric_residual(now: Array, there: Array) -> Array:
    """How much of a picture's luma another one does not show, place by place.

    Args:
        now: (h, w) uint8 or float32, prepared for motion.
        there: likewise, the other picture, looked up on the same grid.

    Returns:
        (h, w) float32: mean square of the difference within 9x9 pixels over the sum of both variances; 0 where they are
        alike, 1 where they have nothing in common but their level, more where not even that.
    """
    now, there = now.astype(np.float32, copy=False), there.astype(np.float32, copy=False)
    variance = _mean_square(now)
    variance += _mean_square(there)
    for picture in (now, there):
        mean: Array = cv2.blur(picture, _WINDOW)
        mean *= mean
        variance -= mean
    np.maximum(variance, 0, out=variance)
    variance += np.float32(_PLAIN)
    amiss = _mean_square(cv2.subtract(now, there))
    amiss /= variance
    return amiss


def missing_grain(now: Array, there: Array) -> Array:
    """How much finest texture a picture has that another one does not show, whichever way it lies.

    A way that is wrong stretches what it finds over what it should have found, until it fits at the edges.

    Args:
        now: (h, w) uint8 or float32, prepared for motion.
        there: likewise, the other picture, looked up on the same grid.

    Returns:
        (h, w) float32 from 0: variance within 9x9 pixels of what 3x3 of them differ by, beyond the other's, over that.
    """
    now, there = now.astype(np.float32, copy=False), there.astype(np.float32, copy=False)
    mine, other = (_mean_square(cv2.subtract(p, cv2.blur(p, (3, 3)))) for p in (now, there))
    other *= np.float32(_SOFTER)
    mine -= other
    np.maximum(mine, 0, out=mine)
    other += np.float32(_SMOOTH)
    mine /= other
    return mine


def _mean_square(picture: Array) -> Array:
    """Of the places around each, float32."""
    return np.asarray(cv2.sqrBoxFilter(picture, cv2.CV_32F, _WINDOW))


def scaled_places(at: Array, height: int, width: int) -> Array:
    """Places (h, w, 2) on another grid, in pixels of that grid."""
    moved = resize_flow(at - grid(*at.shape[:2]), (height, width))
    return cv2.add(grid(height, width), moved)


def _planes(arrival: PropagatedColor, gray: Array) -> Array:
    """(h, w, 3) float32: a*b* and how much brighter the carried frame is."""
    height, width = gray.shape
    brighter = (arrival.luma(height, width).astype(np.float32) - gray.astype(np.float32)) / np.float32(255)
    return np.dstack([arrival.chroma(height, width), brighter])


def _resized(plane: Array, shape: tuple[int, int]) -> Array:
    shrinks = plane.shape[0] >= shape[0] and plane.shape[1] >= shape[1]
    return cv2.resize(plane, shape[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
