"""Motion between the keyframes of a shot without a hint, for networks that decide several of them together.

It is composed frame by frame on the grid of the network's features, which is coarse: that costs little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from videocolor.models.base import KeyframeMotion
from videocolor.motion.flow import Motion, grid, look_up, resize_flow
from videocolor.types import Array

__all__ = ["KeyframeTracker", "KeyframeTrackerState", "unknown_motion"]


@dataclass(eq=False)
class KeyframeTrackerState:
    """What the last window left."""

    features: Array | None = None
    """(c, h, w) float32, of the network."""
    way: Array | None = None
    """(3, h, w) float32, where each pixel of the last frame was in the last keyframe, and how safely."""


class KeyframeTracker:
    """Follows the motion of one shot."""

    def __init__(self) -> None:
        self.state = KeyframeTrackerState()

    def follow(
        self, motions: Sequence[Motion | None], keyframes: Sequence[int], shape: tuple[int, int]
    ) -> KeyframeMotion:
        """Follow the next frames of the shot.

        Args:
            motions: from the frame before to each frame; None: unknown.
            keyframes: places of the keyframes among them, ascending, at least one.
            shape: (height, width) of the features.
        """
        way, back = self.state.way, []
        for place, motion in enumerate(motions):
            way = _lost(shape) if way is None else _onward(way, motion)
            if place in keyframes:
                back.append(way)
                way = _still(shape)
        self.state.way = way
        ahead = [_lost(shape)]
        for first, last in zip(keyframes[-2::-1], keyframes[:0:-1], strict=True):
            way = _still(shape)
            for motion in motions[last:first:-1]:
                way = _onward(way, None if motion is None else motion.reversed())
            ahead.append(way)
        return KeyframeMotion(np.stack(back), np.stack(ahead[::-1]), self.state.features)


def unknown_motion(frames: int, shape: tuple[int, int]) -> KeyframeMotion:
    """Return motion between some frames that is not known, so that they are compared by likeness alone."""
    lost = np.stack([_lost(shape)] * frames)
    return KeyframeMotion(lost, lost, None)


def _still(shape: tuple[int, int]) -> Array:
    """Return the way of a keyframe to itself."""
    return np.stack([*np.moveaxis(grid(*shape), -1, 0), np.ones(shape, np.float32)])


def _lost(shape: tuple[int, int]) -> Array:
    return np.stack([*np.moveaxis(grid(*shape), -1, 0), np.zeros(shape, np.float32)])


def _onward(way: Array, motion: Motion | None) -> Array:
    """Go on to the next frame, by the motion from the frame before it."""
    shape = way.shape[1:]
    if motion is None:
        return _lost(shape)
    there = cv2.add(grid(*shape), resize_flow(motion.ba, shape))
    x, y, trust = (look_up(plane, there) for plane in way)
    return np.stack([x, y, trust * cv2.resize(motion.trust_b, shape[::-1], interpolation=cv2.INTER_LINEAR)])
