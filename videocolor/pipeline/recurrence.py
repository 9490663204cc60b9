"""Features of a shot without a hint, propagated along motion from one keyframe to the next.

A network that says `recurrent` gets back what it returned of the keyframe before (`Prediction.features`), on the
present frame's pixels. Motion is composed frame by frame at the features' own size, and features are looked up once, so
that repeated warping does not blur them.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from videocolor.models.base import Prediction
from videocolor.motion.flow import Motion, grid, look_up, resize_flow
from videocolor.types import Array

__all__ = ["FeaturePropagation", "FeatureState"]


@dataclass(eq=False)
class FeatureState:
    """What the last keyframe left."""

    features: Array | None = None
    """(c, h, w) float32."""
    at: Array | None = None
    """(h, w, 2) float32, where each pixel of the present frame was in it."""
    trust: Array | None = None
    """(h, w) float32 in 0..1, how safely."""


class FeaturePropagation:
    """Follows the motion of one shot."""

    def __init__(self) -> None:
        self.state = FeatureState()

    def follow(self, motion: Motion | None) -> None:
        """Go on to the next frame, by the motion from the frame before it; None forgets."""
        state = self.state
        if state.at is None or state.trust is None:
            return
        if motion is None:
            self.state = FeatureState()
            return
        shape = state.trust.shape
        there = cv2.add(grid(*shape), resize_flow(motion.ba, shape))
        trust = cv2.resize(motion.trust_b, shape[::-1], interpolation=cv2.INTER_LINEAR)
        state.at, state.trust = look_up(state.at, there), cv2.multiply(look_up(state.trust, there), trust)

    def propagated(self) -> Array | None:
        """(c + 1, h, w) float32: features on the present frame, then their confidence; None: there are none."""
        features, at, trust = self.state.features, self.state.at, self.state.trust
        if features is None or at is None or trust is None:
            return None
        return np.concatenate([*(look_up(plane, at)[None] for plane in features), trust[None]])

    def keep(self, seen: Prediction) -> None:
        """Begin again at a keyframe.

        Args:
            seen: what the network made of it.
        """
        if seen.features is None:
            self.state = FeatureState()
            return
        features = seen.features[0]
        shape = features.shape[1:]
        self.state = FeatureState(features, grid(*shape), np.ones(shape, np.float32))
