"""Keyframes of a shot decided together: features averaged over time, along motion and by likeness.

Logits are linear in the network's last features, so that their mean over the views of a thing is the mean evidence of
its color. Motion loses what moves fast or turns; what it lost is searched for in the neighboring keyframe by features,
luma and place, as in non-local means (A. Buades, B. Coll, J.-M. Morel, CVPR 2005), so that a coat keeps its color while
its wearer walks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from videocolor.models.base import KeyframeMotion
from videocolor.models.keyframe.regions import Evidence
from videocolor.motion.flow import look_up
from videocolor.types import Array

__all__ = ["average_features"]

_FOLLOWED: Final = (0.2, 0.6)
"""Confidence of motion from which features of another keyframe begin to count, and count fully."""
_ALL: Final = 0.98
"""Share of a keyframe from which motion has followed so much that nothing needs to be searched for."""
_MOST: Final = 12.0
"""Keyframes that count, at most, before the present one and after it."""
_SOUGHT: Final = 2
"""Side of the cells that are looked for, in pixels of the grid."""
_SEARCHED: Final = 4
"""Side of the cells among which they are looked for."""
_SIMILARITY: Final = 0.4
"""Difference of the features' cosine that counts as one nat: little, since they change with the color that seems
likely."""
_LUMA: Final = 0.08
"""Standard deviation of Y' between views of a thing."""
_NEAR: Final = 0.15
"""Standard deviation of its way, in widths of the picture."""


@dataclass(frozen=True, eq=False)
class _Seen:
    """A keyframe, and the mean of what it and those on one side of it show."""

    luma: Array
    """(h, w) float32 Y' in 0..1."""
    features: Array
    """(c, h, w) float32, its own."""
    mean: Array
    """(c, h, w) float32."""
    frames: Array
    """(h, w) float32, number of keyframes in the mean."""

    def to_planes(self) -> Array:
        """(2 c + 2, h, w) float32."""
        return np.concatenate([self.luma[None], self.features, self.mean, self.frames[None]])

    @staticmethod
    def of_planes(planes: Array) -> _Seen:
        """Read what `to_planes` returned."""
        features, mean = np.split(planes[1:-1], 2)
        return _Seen(planes[0], features, mean, planes[-1])


def average_features(evidences: Sequence[Evidence], motion: KeyframeMotion) -> tuple[list[Array], Array]:
    """Average the features of consecutive keyframes of a shot.

    Args:
        evidences: of each keyframe, at least one.
        motion: between them, and what this returned of those before.

    Returns:
        (c, h, w) float32 of each keyframe; and what is known after the last one, for `KeyframeMotion.features`.
    """
    before = None if motion.features is None else _Seen.of_planes(motion.features)
    forward = _pass(evidences, list(motion.back), before)
    backward = _pass(evidences[::-1], list(motion.ahead[::-1]), None)[::-1]
    means = []
    for ahead, back in zip(forward, backward, strict=True):
        frames = ahead.frames + back.frames - 1  # its own features are in both
        means.append((ahead.frames * ahead.mean + back.frames * back.mean - ahead.features) / frames)
    return means, forward[-1].to_planes()


def _pass(evidences: Sequence[Evidence], motion: Sequence[Array], before: _Seen | None) -> list[_Seen]:
    """Average in one direction: each keyframe, and those before it on the way."""
    seen = []
    for evidence, way in zip(evidences, motion, strict=True):
        total, frames = evidence.features, np.ones_like(evidence.luma)
        if before is not None:
            followed = _smooth_step(way[2], *_FOLLOWED)
            found = [(_follow(before, way), followed)]
            if followed.mean() < _ALL:
                found.append((_search(before, evidence), 1 - followed))
            for others, weight in found:
                part = np.minimum(others[-1], np.float32(_MOST - 1)) * weight
                total, frames = total + part * others[:-1], frames + part
        before = _Seen(evidence.luma, evidence.features, total / frames, frames)
        seen.append(before)
    return seen


def _follow(before: _Seen, way: Array) -> Array:
    """(c + 1, h, w) mean features and their number, from where motion says."""
    at = np.ascontiguousarray(np.moveaxis(way[:2], 0, -1))
    return np.stack([look_up(plane, at) for plane in (*before.mean, before.frames)])


def _search(before: _Seen, evidence: Evidence) -> Array:
    """(c + 1, h, w) mean features and their number, from where the keyframe before looks alike."""
    here, mine, shape = _described(evidence.luma, evidence.features, _SOUGHT)
    there, theirs, _ = _described(before.luma, before.features, _SEARCHED)
    logits = here.T @ there
    logits += mine.T @ theirs
    logits -= np.square(there).sum(axis=0) / 2
    best = logits.max(axis=1, keepdims=True)
    logits -= best
    shares = np.exp(logits, out=logits)
    values = _cells(np.concatenate([before.mean, before.frames[None]]), _SEARCHED)
    found = values.reshape(len(values), -1) @ shares.T
    found /= shares.sum(axis=1)
    likeness = best[:, 0] - np.square(here).sum(axis=0) / 2 - np.float32(1 / _SIMILARITY)
    found[-1] *= np.exp(np.minimum(likeness, 0))
    size = evidence.luma.shape[::-1]
    return np.stack([cv2.resize(p.reshape(shape), size, interpolation=cv2.INTER_LINEAR) for p in found])


def _described(luma: Array, features: Array, cell: int) -> tuple[Array, Array, tuple[int, int]]:
    """Place and luma (3, n), and directions of features (c, n), of n cells; their grid."""
    small = _cells(np.concatenate([luma[None], features]), cell)
    height, width = small.shape[1:]
    place = (np.indices((height, width), np.float32) + np.float32(0.5)) / np.float32(width * _NEAR)
    look = np.concatenate([place, small[:1] / np.float32(_LUMA)]).reshape(3, -1)
    return look, _unit(small[1:]) / np.float32(np.sqrt(_SIMILARITY)), (height, width)


def _cells(planes: Array, cell: int) -> Array:
    """(c, h, w) -> means of square cells, `cell` a power of two."""
    while cell > 1:
        rows = planes[:, ::2] + planes[:, 1::2]
        planes, cell = (rows[..., ::2] + rows[..., 1::2]) * np.float32(0.25), cell // 2
    return planes


def _unit(planes: Array) -> Array:
    """(c, h, w) -> (c, h w), vectors of length 1."""
    vectors = planes.reshape(len(planes), -1)
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=0), np.float32(1e-6)), np.float32)


def _smooth_step(x: Array, low: float, high: float) -> Array:
    """0 up to `low`, 1 from `high` on, a cubic between."""
    t = np.clip((x - np.float32(low)) / np.float32(high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
