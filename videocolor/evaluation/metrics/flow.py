"""Motion between frames of the truth, by which temporal metrics compare neighbouring frames.

Flow is DIS (Kroeger et al., ECCV 2016), OpenCV's medium preset, on luma of the TRUTH, so that a method's own errors do
not move the measuring grid.

Flow convention: `flow_ab[y, x] = (dx, dy)`: what frame a shows at (x, y) is at (x + dx, y + dy) in b.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from videocolor.evaluation.metrics.lab import peak_of
from videocolor.motion.flow import warp
from videocolor.types import Array

__all__ = ["FLOW", "FLOW_SMALLEST", "occluded", "truth_flow"]

FLOW: Final = "dis-medium"
"""Name of the flow in results."""
FLOW_SMALLEST: Final = 16
"""Pixels a side under which OpenCV's DIS does not work."""


def truth_flow(first: Array, second: Array) -> tuple[Array, Array]:
    """Estimate the motion between two true frames, both ways, on 8-bit luma (BT.601 weights).

    Args:
        first: (h, w, 3) R'G'B' of frame t (uint8, uint16 or float 0..1), at least `FLOW_SMALLEST` pixels a side.
        second: of frame t + 1.

    Returns:
        Flow t -> t+1 and t+1 -> t, (h, w, 2) float32 each.
    """
    a, b = (_luma(picture) for picture in (first, second))
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    # Start from a field of zeros, so that nothing of an earlier call gets into the result.
    forward, backward = (dis.calc(p, q, np.zeros((*a.shape, 2), np.float32)) for p, q in ((a, b), (b, a)))
    return np.asarray(forward, np.float32), np.asarray(backward, np.float32)


def _luma(rgb: Array) -> Array:
    scaled = rgb if rgb.dtype == np.uint8 else rgb.astype(np.float32) * np.float32(255 / peak_of(rgb))
    luma: Array = cv2.transform(scaled.astype(np.float32), np.array([[0.299, 0.587, 0.114]]))
    return np.clip(np.rint(luma), 0, 255).astype(np.uint8)


def occluded(flow_ab: Array, flow_ba: Array) -> Array:
    """Find the pixels of a that cannot be compared with b: occluded there, or on a motion boundary.

    BTC's rule (Lai et al.: Learning blind video temporal consistency, ECCV 2018, `detect_occlusion`; the thresholds are
    those of Sundaram et al., ECCV 2010, and Ruder et al., GCPR 2016): with F = a -> b and Bw = (b -> a) warped by F,
    occluded if |Bw + F|^2 > 0.01 (|Bw|^2 + |F|^2) + 0.5, or, with forward differences of F = (u, v),
    |grad u|^2 + |grad v|^2 > 0.01 |F|^2 + 0.002.

    Args:
        flow_ab: (h, w, 2) float32, pixels.
        flow_ba: the same.

    Returns:
        (h, w) bool.
    """
    back = warp(flow_ba, flow_ab)
    missed = _squared(back + flow_ab) > 0.01 * (_squared(back) + _squared(flow_ab)) + 0.5
    slope = np.zeros(flow_ab.shape[:2], np.float32)
    slope[:, :-1] += _squared(flow_ab[:, 1:] - flow_ab[:, :-1])
    slope[:-1] += _squared(flow_ab[1:] - flow_ab[:-1])
    return np.asarray(missed | (slope > 0.01 * _squared(flow_ab) + 0.002))


def _squared(vectors: Array) -> Array:
    """|v|^2 of (h, w, 2)."""
    return np.asarray(vectors[..., 0] ** 2 + vectors[..., 1] ** 2)
