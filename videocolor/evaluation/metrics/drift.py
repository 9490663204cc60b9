"""Drift: how far the colors of things change within a second.

A color that turns slowly from brown to navy has next to no flicker. As in the long-term term of W.-S. Lai et al.:
Learning Blind Video Temporal Consistency (ECCV 2018), frames far apart are compared; motion is composed of that from
frame to frame, since large motion is not found in one step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import cv2
import numpy as np

from videocolor.evaluation.metrics.base import Column, Metric, MetricOptions, Picture, ScoredFrame
from videocolor.evaluation.metrics.temporal import byte_luma
from videocolor.motion.flow import FlowEstimator, grid, look_up
from videocolor.types import Array

__all__ = ["Drift"]

_FRAMES: Final = 24
"""From the first frame that is compared to the second."""
_LINES: Final = 160
"""Shorter side of the pictures that motion is prepared of; it is found, and a*b* are compared, on half of that."""
_SAFE: Final = 0.3
"""Confidence of the composed motion from which a pixel is compared."""
_LEAST: Final = 0.1
"""Share of such pixels under which two frames are not compared."""
_SMALLEST: Final = 16


class Drift(Metric):
    """Mean distance of a*b* between frames 0 and 24, 24 and 48 and so on, along the truth's motion."""

    name = "drift"
    keys = ("drift", "drift_truth")
    columns = (Column("drift", "drift", 2, "lower"),)
    frames = "all"
    missing = f"no two frames {_FRAMES} apart between which motion can be followed"

    def __init__(self, options: MetricOptions) -> None:
        super().__init__(options)
        self._flow = FlowEstimator("fast")
        self._first: tuple[Array, Array] | None = None
        """a*b* of result and truth in the first frame of a pair."""
        self._way = np.zeros((0, 0, 3), np.float32)
        """(h, w, 3), x and y in it of the present frame's pixels, and their confidence."""
        self._passed = 0

    def measure(self, frame: ScoredFrame) -> Mapping[str, Any]:
        """Take small a*b* of both pictures, and the truth's motion from the frame before."""
        if frame.side < _SMALLEST:
            return {}
        scale = min(1.0, _LINES / frame.side)
        height, width = (round(scale * side) for side in frame.truth.rgb.shape[:2])
        now = self._prepared(frame.truth, (width, height))
        step = None
        if frame.before is not None:
            motion = self._flow.motion(self._prepared(frame.before[0], (width, height)), now)
            step = np.dstack([grid(*now.shape) + motion.ba, motion.trust_b])
        return {"step": step, "ab": tuple(_small_ab(picture, now.shape) for picture in (frame.test, frame.truth))}

    def update(self, measured: Mapping[str, Any]) -> None:
        """Follow motion, and compare where the second frame is reached."""
        if not measured:
            return
        step, now = measured["step"], measured["ab"]
        if self._first is not None and step is not None:
            self._passed += 1
            at = np.ascontiguousarray(step[..., :2])
            self._way = look_up(self._way, at)
            self._way[..., 2] *= step[..., 2]
            if self._passed < _FRAMES:
                return
            followed = self._way[..., 2] > _SAFE
            if followed.mean() > _LEAST:
                at = np.ascontiguousarray(self._way[..., :2])
                apart = [
                    np.linalg.norm(look_up(old, at) - new, axis=-1) for old, new in zip(self._first, now, strict=True)
                ]
                names = ("drift", "drift_truth")
                super().update({name: float(a[followed].mean()) for name, a in zip(names, apart, strict=True)})
        shape = now[0].shape[:2]
        self._first, self._passed = now, 0
        self._way = np.dstack([grid(*shape), np.ones(shape, np.float32)])

    def _prepared(self, picture: Picture, size: tuple[int, int]) -> Array:
        return self._flow.prepare(cv2.resize(byte_luma(picture.rgb), size, interpolation=cv2.INTER_AREA))


def _small_ab(picture: Picture, shape: tuple[int, ...]) -> Array:
    planes = [cv2.resize(p, shape[1::-1], interpolation=cv2.INTER_AREA) for p in picture.lab[1:]]
    return np.dstack(planes)
