"""Reference color warped to a frame, with a photometric confidence; and what network and film use of it.

    planes = propagated_input(colors, gray, shape)      # input of the network
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

from videocolor.images import resized
from videocolor.motion.flow import exposure, grid, look_up, resize_flow
from videocolor.motion.matching import MatchImage
from videocolor.types import Array

__all__ = [
    "PropagatedColor",
    "PropagatedColors",
    "ReferenceFrame",
    "propagated_input",
    "judge",
    "unpainted_share",
    "scaled_places",
    "photometric_residual",
    "missing_grain",
    "blend_propagated",
]

_WINDOW: Final = (9, 9)
_PLAIN: Final = 40.0
"""Variance of prepared luma that counts as none: where both pictures are plain, their levels alone are compared."""
_SOFTER: Final = 3.0
"""Factor by which interpolation between pixels may lower the variance of the finest grain."""
_SMOOTH: Final = 5.0
"""The same as `_PLAIN`, of the finest grain."""
_FILM_RESIDUAL: Final = 0.05
"""Photometric residual at which half of the propagated color is used in the film.

By least squares over training clips it explains about as much as all that is known.
"""
_NETWORK_RESIDUAL: Final = 0.1
"""The same for the network's input; the network knows well when a propagated color does not fit, given a doubt."""
_GRAIN: Final = 0.2
"""Missing grain at which either is half of that."""


@dataclass(frozen=True, eq=False)
class ReferenceFrame:
    """A reference frame, or a picture of the scene, whose color is propagated through a shot."""

    ab: Array
    """(H, W, 2) float32 a*b*, at any size."""
    gray: Array
    """(h, w) uint8, its luma at the working size."""
    picture: Array
    """The same, prepared for motion."""
    painted: Array | None = None
    """(h, w) float32 in 0..1, how far its color counts, on the picture's grid; None: all of it."""
    strange: Array | None = None
    """(h, w) float32 in 0..1: what was left unpainted, and looks like nothing that was painted."""

    @cached_property
    def image(self) -> MatchImage:
        """The same as it is searched for."""
        return MatchImage(self.picture)


@dataclass(frozen=True, eq=False)
class PropagatedColor:
    """Reference color warped to a frame, with a photometric confidence."""

    reference: ReferenceFrame
    at: Array
    """(h, w, 2) float32, where each pixel was in the reference frame, in pixels of this grid."""
    trust: Array
    """(h, w) float32 in 0..1, the confidence of the motion alone."""
    picture: Array
    """(h, w) uint8, the frame, prepared for motion."""
    covered: Array | None = None
    """(h, w) float32 in 0..1: where a newer reference frame, painted in part, counts in its place."""

    @cached_property
    def judged(self) -> tuple[Array, Array]:
        """`judge`, in the thread that asks first: the network sees few of the frames, the film all of them."""
        return judge(self.reference.picture, self.at, self.trust, self.picture)

    @cached_property
    def painted(self) -> Array | None:
        """(h, w) float32 in 0..1: how far its color counts, for what is painted and not covered; None: all of it."""
        painted = None if self.reference.painted is None else look_up(self.reference.painted, self.at)
        if self.covered is None:
            return painted
        return 1 - self.covered if painted is None else painted * (1 - self.covered)

    @property
    def confidence(self) -> Array:
        """(h, w) float32 in 0..1: confidence, as the network receives it."""
        return self.judged[0] if self.painted is None else self.judged[0] * self.painted

    @property
    def weight(self) -> Array:
        """(h, w) float32 in 0..1: share of its color in the film."""
        return self.judged[1] if self.painted is None else self.judged[1] * self.painted

    def chroma(self, height: int, width: int) -> Array:
        """(height, width, 2) float32: the reference's a*b*, looked up once on this grid."""
        rows, columns = self.reference.ab.shape[:2]
        where = scaled_places(self.at, height, width)
        if (rows, columns) != (height, width):
            factor = np.array([columns / width, rows / height], np.float32)
            where = (where + np.float32(0.5)) * factor - np.float32(0.5)
        return look_up(self.reference.ab, where)

    def luma(self, height: int, width: int) -> Array:
        """(height, width) uint8: the reference's luma, looked up on this grid, which must be the reference's own."""
        return look_up(self.reference.gray, scaled_places(self.at, height, width))

    def share(self, height: int, width: int) -> Array:
        """(height, width) float32 in 0..1: `weight` on this grid."""
        if self.weight.shape == (height, width):
            return self.weight
        return cv2.resize(self.weight, (width, height), interpolation=cv2.INTER_LINEAR)


PropagatedColors = tuple[PropagatedColor, ...]
"""What reaches a frame, of different pictures."""


def propagated_input(colors: PropagatedColors, gray: Array, shape: tuple[int, int]) -> Array | None:
    """Prepare the colors that were propagated to a frame as network input.

    Args:
        colors: of the frame; of several, each counts by the fourth power of its confidence.
        gray: (h, w) uint8, luma of the frame at the working size.
        shape: (height, width) of the grid that is wanted.

    Returns:
        (4, *shape) float32: a*b*, confidence in 0..1, and how much brighter (Y' in -1..1) the warped reference is; None
        where no color reaches the frame.
    """
    if not colors:
        return None
    height, width = gray.shape
    planes = [_planes(color, gray) for color in colors]
    ab_and_brighter, confidence = planes[0], colors[0].confidence
    for color, others in zip(colors[1:], planes[1:], strict=True):
        mine, theirs = cv2.pow(confidence, 4), cv2.pow(color.confidence, 4)
        part = cv2.divide(theirs, mine + theirs + np.float32(1e-6))
        part = cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR)[..., None]
        ab_and_brighter = ab_and_brighter + part * (others - ab_and_brighter)
        confidence = cv2.max(confidence, color.confidence)
    a, b, brighter = cv2.split(ab_and_brighter)
    return np.stack([resized(plane, shape) for plane in (a, b, confidence, brighter)])


def blend_propagated(ab: Array, colors: PropagatedColors) -> Array:
    """Blend propagated colors into a frame's chroma, by their weights.

    The network decides on a grid smaller than the film's, and again for every keyframe; propagated color is the
    reference frame's own, with all its detail.

    Args:
        ab: (2, H, W) float32 a*b* of the frame, smoothed and upsampled.
        colors: of the frame.

    Returns:
        (2, H, W) float32.
    """
    height, width = ab.shape[1:]
    shares = [color.share(height, width) for color in colors]
    if len(shares) > 1:
        kept = np.prod([1 - share for share in shares], axis=0, dtype=np.float32)
        scale = (1 - kept) / np.maximum(np.sum(shares, axis=0, dtype=np.float32), np.float32(1e-6))
        shares = [share * scale for share in shares]
    out = ab.copy()
    for color, share in zip(colors, shares, strict=True):
        for decided, came, target in zip(ab, cv2.split(color.chroma(height, width)), out, strict=True):
            difference = cv2.subtract(came, decided)
            cv2.multiply(difference, share, dst=difference)
            cv2.add(target, difference, dst=target)
    return out


def unpainted_share(colors: PropagatedColors, shape: tuple[int, int]) -> Array | None:
    """Find the places of a frame that were left unpainted in its reference frame, and of which nothing else tells.

    Args:
        colors: of the frame.
        shape: (height, width) of the grid that is wanted.

    Returns:
        (height, width) float32 in 0..1; None where no reference frame has holes.
    """
    holes = [
        np.maximum(color.judged[1], color.trust) * look_up(color.reference.strange, color.at)
        for color in colors
        if color.reference.strange is not None
    ]
    if not holes:
        return None
    share = np.max(holes, axis=0)
    for color in colors:
        share = share * (1 - color.weight)
    return resized(share, shape)


def judge(picture: Array, at: Array, trust: Array, now: Array) -> tuple[Array, Array]:
    """Compare a frame with a picture at the coordinates that motion gave: the photometric confidence of these.

    Args:
        picture: (h, w) uint8, prepared for motion.
        at: (h, w, 2) float32, where in it each pixel of the frame was.
        trust: (h, w) float32 in 0..1, the confidence of the motion alone.
        now: (h, w) uint8, the frame, prepared for motion.

    Returns:
        (h, w) float32 in 0..1 each: confidence for the network, and share of the color in the film.
    """
    here, there = now.astype(np.float32), look_up(picture.astype(np.float32), at)
    # Each was brought to a common exposure by all that it shows, and that is not the same.
    gain, offset = exposure(here, there, trust)
    there *= gain
    there += offset
    residual, doubt = photometric_residual(here, there), missing_grain(here, there)
    doubt *= np.float32(1 / _GRAIN)  # in place from here on: fresh pages cost more than the sums
    doubt *= doubt
    doubt += 1
    confidence, share = trust * trust, residual * np.float32(1 / _FILM_RESIDUAL)
    share += 1
    share *= doubt
    residual *= np.float32(1 / _NETWORK_RESIDUAL)
    residual += 1
    residual *= doubt
    confidence /= residual
    return confidence, np.reciprocal(share, out=share)


def photometric_residual(now: Array, there: Array) -> Array:
    """Measure how much of a picture's luma another one does not show, pixel by pixel.

    Args:
        now: (h, w) uint8 or float32, prepared for motion.
        there: likewise, the other picture, looked up on the same grid.

    Returns:
        (h, w) float32: mean square of the difference within 9x9 pixels over the sum of both variances; 0 where they are
        equal, 1 where they have only their level in common, more where not even that.
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
    residual = _mean_square(cv2.subtract(now, there))
    residual /= variance
    return residual


def missing_grain(now: Array, there: Array) -> Array:
    """Measure how much of a picture's finest texture another one lacks, wherever it is.

    A wrong track stretches what it finds over what it should have found, until it fits at the edges.

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
    """Within the window around each pixel, float32."""
    return np.asarray(cv2.sqrBoxFilter(picture, cv2.CV_32F, _WINDOW))


def scaled_places(at: Array, height: int, width: int) -> Array:
    """Resize coordinates (h, w, 2) to another grid, in pixels of that grid."""
    moved = resize_flow(at - grid(*at.shape[:2]), (height, width))
    return cv2.add(grid(height, width), moved)


def _planes(color: PropagatedColor, gray: Array) -> Array:
    """(h, w, 3) float32: a*b* and how much brighter the warped reference is."""
    height, width = gray.shape
    brighter = (color.luma(height, width).astype(np.float32) - gray.astype(np.float32)) / np.float32(255)
    return np.dstack([color.chroma(height, width), brighter])
