"""Scores of colour in time: colour distribution consistency, warp error, flicker.

Flow is DIS (Kroeger et al., ECCV 2016), OpenCV's medium preset, on the luma of the TRUTH's frames, so that no method's
own errors move the measuring grid; the published numbers of BTC's score used FlowNet2 and are not comparable.

Flow convention: `flow_ab[y, x] = (dx, dy)` says that what frame a shows at (x, y) stands at (x + dx, y + dy) in b.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from videocolor.evaluation.metrics import peak_of
from videocolor.motion.flow import warp
from videocolor.types import Array

__all__ = [
    "CDC_STEPS",
    "FLOW",
    "FLOW_SMALLEST",
    "CdcMeter",
    "cdc",
    "flicker",
    "histograms",
    "jensen_shannon",
    "occluded",
    "truth_flow",
    "warp_error",
]

CDC_STEPS: Final = (1, 2, 4)
"""Frame distances whose divergences are averaged."""
FLOW: Final = "dis-medium"
"""Name of the flow in results."""
FLOW_SMALLEST: Final = 16
"""Pixels a side under which OpenCV's DIS does not work."""


def histograms(rgb: Array) -> Array:
    """Share of pixels at each of 256 levels of R, G and B: (3, 256) float64, each row sums to 1.

    Args:
        rgb: (h, w, 3) R'G'B': uint8, or uint16 / float 0..1, which are rounded to 8 bits first.
    """
    if rgb.dtype != np.uint8:
        rgb = np.rint(np.clip(rgb.astype(np.float32) * np.float32(255 / peak_of(rgb)), 0, 255)).astype(np.uint8)
    picture = np.ascontiguousarray(rgb)
    counts = [cv2.calcHist([picture], [c], None, [256], [0, 256]).ravel() for c in range(3)]
    return np.asarray(np.stack(counts), np.float64) / float(rgb.shape[0] * rgb.shape[1])


def jensen_shannon(p: Array, q: Array) -> Array:
    """Jensen-Shannon divergence of distributions along the last axis: KL(p:m)/2 + KL(q:m)/2 with m = (p + q)/2.

    Natural logarithm; 0 for equal distributions, ln 2 for disjoint ones.

    Args:
        p: (..., n) shares that sum to 1.
        q: the same.
    """
    m = (p + q) / 2
    total = np.zeros(p.shape[:-1])
    for side in (p, q):
        ratio = np.divide(side, m, out=np.ones_like(side), where=side > 0)
        total += (side * np.log(ratio)).sum(axis=-1)
    return np.asarray(total / 2)


class CdcMeter:
    """Colour distribution consistency of a film, frame by frame; holds the histograms of four frames.

    Y. Liu et al.: Temporally consistent video colorization (TCVC, IJCV 2024), as its `compute_hist.py` computes it
    (ColorMNet's `cdc.py` is the same): per channel the Jensen-Shannon divergence of the histograms of frames i and
    i + t, mean over i; then mean over R, G, B and over t = 1, 2, 4. Lower is steadier, but motion alone is not 0:
    compare with the truth's own value.
    """

    def __init__(self) -> None:
        self._past: deque[Array] = deque(maxlen=max(CDC_STEPS))
        self._sums = dict.fromkeys(CDC_STEPS, 0.0)
        self._counts = dict.fromkeys(CDC_STEPS, 0)

    def add(self, shares: Array, *, count: bool = True) -> None:
        """Take the next frame's histograms.

        Args:
            shares: (3, 256), from `histograms`.
            count: False: the frame is only a predecessor of later ones.
        """
        if count:
            for step in CDC_STEPS:
                if len(self._past) >= step:
                    self._sums[step] += float(jensen_shannon(self._past[-step], shares).mean())
                    self._counts[step] += 1
        self._past.append(shares)

    def result(self) -> float | None:
        """The score; None for films too short to have a pair at every distance."""
        if not all(self._counts.values()):
            return None
        return sum(self._sums[step] / self._counts[step] for step in CDC_STEPS) / len(CDC_STEPS)


def cdc(frames: Sequence[Array]) -> float | None:
    """Colour distribution consistency of a few frames at once, see `CdcMeter`.

    Args:
        frames: (h, w, 3) R'G'B', see `histograms`; at least 5.
    """
    meter = CdcMeter()
    for rgb in frames:
        meter.add(histograms(rgb))
    return meter.result()


def truth_flow(first: Array, second: Array) -> tuple[Array, Array]:
    """Motion between two true frames, both ways: DIS, medium preset, on 8-bit luma (BT.601 weights).

    Args:
        first: (h, w, 3) R'G'B' of frame t, at least `FLOW_SMALLEST` a side, see `videocolor.evaluation.metrics`.
        second: of frame t + 1.

    Returns:
        Flow t -> t+1 and t+1 -> t, (h, w, 2) float32 each.
    """
    a, b = (_luma(picture) for picture in (first, second))
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    # A field of zeros to start from: nothing of an earlier call goes into the result.
    forward, backward = (dis.calc(p, q, np.zeros((*a.shape, 2), np.float32)) for p, q in ((a, b), (b, a)))
    return np.asarray(forward, np.float32), np.asarray(backward, np.float32)


def _luma(rgb: Array) -> Array:
    scaled = rgb if rgb.dtype == np.uint8 else rgb.astype(np.float32) * np.float32(255 / peak_of(rgb))
    luma: Array = cv2.transform(scaled.astype(np.float32), np.array([[0.299, 0.587, 0.114]]))
    return np.clip(np.rint(luma), 0, 255).astype(np.uint8)


def occluded(flow_ab: Array, flow_ba: Array) -> Array:
    """Pixels of a that cannot be compared with b: hidden there, or on a boundary of motion.

    BTC's rule (Lai et al.: Learning blind video temporal consistency, ECCV 2018, `detect_occlusion`; the thresholds are
    those of Sundaram et al., ECCV 2010, and Ruder et al., GCPR 2016): with F = a -> b and Bw = (b -> a) looked up where
    F leads, occluded if |Bw + F|^2 > 0.01 (|Bw|^2 + |F|^2) + 0.5, or, with forward differences of F = (u, v),
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


def warp_error(first: Array, second: Array, flow: Array, hidden: Array) -> float | None:
    """How far frame t+1, moved back onto frame t, differs from it where both can be seen.

    BTC's score (`evaluate_WarpError.py`): sum(M (x_t - w)^2) / sum(M), x in 0..1, M repeated over the three channels.
    A gray or frozen film scores well here: compare with the truth's own value. A pair with every pixel hidden (a cut)
    is no measurement; BTC's code counts it as an error of 0.

    Args:
        first: (h, w, 3) R'G'B' of frame t, see `videocolor.evaluation.metrics`.
        second: of frame t + 1.
        flow: (h, w, 2) float32, t -> t+1.
        hidden: (h, w) bool from `occluded`; M is its complement.

    Returns:
        The mean squared difference, 0..1; None where every pixel is hidden.
    """
    seen = ~hidden
    if not seen.any():
        return None
    scale = np.float32(1 / peak_of(first))
    x, moved = first.astype(np.float32) * scale, warp(second.astype(np.float32) * scale, flow)
    difference = (x - moved)[seen]
    return float(np.mean(difference * difference, dtype=np.float64))


def flicker(before: Array, now: Array, flow: Array, hidden: Array) -> float | None:
    """How much colour changes from frame to frame where the picture only moves.

    The mean length of ab(t) - warp(ab(t-1)) in CIE a*b* over the pixels that are not hidden.

    Args:
        before: (3, h, w) CIE L*a*b* of frame t-1; L* is not used.
        now: of frame t.
        flow: (h, w, 2) float32, t -> t-1.
        hidden: (h, w) bool from `occluded(flow, flow of t-1 -> t)`.

    Returns:
        CIE units, >= 0; None where every pixel is hidden.
    """
    seen = ~hidden
    if not seen.any():
        return None
    difference = (now[1:] - warp(before[1:], flow))[:, seen]
    return float(np.mean(np.sqrt((difference * difference).sum(axis=0)), dtype=np.float64))
