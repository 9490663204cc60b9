"""Metrics of color in time: color distribution consistency, warp error, flicker.

Drift compares frames a second apart, as the long-term term of W.-S. Lai et al.: Learning Blind Video Temporal
Consistency (ECCV 2018): a color that turns slowly from brown to navy has next to no flicker. Its motion is composed of
that from frame to frame, since large motion is not found in one step.

A gray or frozen film scores well on all of them, so the truth's own value is always given beside.

Flow is DIS (Kroeger et al., ECCV 2016), OpenCV's medium preset, on luma of the TRUTH, so that a method's own errors do
not move the measuring grid. `flow_ab[y, x] = (dx, dy)`: what frame a shows at (x, y) is at (x + dx, y + dy) in b.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, Final

import cv2
import numpy as np

from videocolor.evaluation.metrics.base import Column, Metric, MetricOptions, Picture, Score, ScoredFrame
from videocolor.evaluation.metrics.lab import peak_of
from videocolor.motion.flow import FlowEstimator, grid, look_up, warp
from videocolor.types import Array

__all__ = [
    "Cdc",
    "Drift",
    "Flicker",
    "WarpError",
    "byte_luma",
    "flicker",
    "histograms",
    "jensen_shannon",
    "occluded",
    "truth_flow",
    "warp_error",
]

_STEPS: Final = (1, 2, 4)
"""Frame distances whose divergences are averaged."""
_FLOW: Final = "dis-medium"
"""Name of the flow in results."""
_SMALLEST: Final = 16
"""Pixels a side under which OpenCV's DIS does not work."""


class Cdc(Metric):
    """Color distribution consistency; holds the histograms of four frames.

    Y. Liu et al.: Temporally consistent video colorization (TCVC, IJCV 2024), as its `compute_hist.py` computes it
    (ColorMNet's `cdc.py` is the same): per channel the Jensen-Shannon divergence of the histograms of frames i and
    i + t, mean over i; then mean over R, G, B and over t = 1, 2, 4. A reference frame counts only as a predecessor.
    """

    name = "cdc"
    keys = ("cdc", "cdc_truth", "cdc_delta")
    columns = (Column("cdc_delta", "CDC difference", 5, "lower"),)
    frames = "all"
    missing = "the film has fewer than five frames whose neighbors can be compared"

    def __init__(self, options: MetricOptions) -> None:
        super().__init__(options)
        self._past: deque[tuple[Array, Array]] = deque(maxlen=max(_STEPS))

    def measure(self, frame: ScoredFrame) -> Mapping[str, Any]:
        """Take the histograms of both pictures."""
        return {"shares": (histograms(frame.test.rgb), histograms(frame.truth.rgb)), "reference": frame.reference}

    def update(self, measured: Mapping[str, Any]) -> None:
        """Compare with the frames before."""
        if not measured["reference"]:
            for step in _STEPS:
                if len(self._past) >= step:
                    pairs = zip(("cdc", "cdc_truth"), self._past[-step], measured["shares"], strict=True)
                    super().update({f"{key} {step}": float(jensen_shannon(p, q).mean()) for key, p, q in pairs})
        self._past.append(measured["shares"])

    def result(self) -> dict[str, Score]:
        """Return the result's, the truth's, and |cdc - cdc_truth|; None for films without a pair at every distance."""
        test, truth = (self._over_steps(key) for key in ("cdc", "cdc_truth"))
        delta = None if test is None or truth is None else abs(test - truth)
        return {"cdc": test, "cdc_truth": truth, "cdc_delta": delta}

    def _over_steps(self, key: str) -> float | None:
        means = [self.mean(f"{key} {step}") for step in _STEPS]
        known = [mean for mean in means if mean is not None]
        return sum(known) / len(_STEPS) if len(known) == len(_STEPS) else None


class _Motion(Metric):
    """A metric between a frame and the one before, on every Nth pair, in the truth's flow."""

    missing = f"no two neighboring frames of at least {_SMALLEST} pixels a side in which anything can be compared"

    def measure(self, frame: ScoredFrame) -> Mapping[str, Any]:
        """Score truth and result; nothing for pairs that are not sampled."""
        if frame.before is None or frame.side < _SMALLEST or (frame.index - 1) % self.options.flow_every:
            return {}
        pairs = (("_truth", frame.before[0], frame.truth), ("", frame.before[1], frame.test))
        forward, backward = frame.once(_flow)
        values = self.compare(forward, backward, [pair[1:] for pair in pairs])
        return {f"{self.name}{pair[0]}": v for pair, v in zip(pairs, values, strict=True) if v is not None}

    def compare(self, forward: Array, backward: Array, pairs: list[Any]) -> list[float | None]:
        """Score (before, now) of truth and result."""
        raise NotImplementedError

    def result(self) -> dict[str, Score]:
        """Return the means, and which pairs they are of."""
        about: dict[str, Score] = {
            "flow_every": self.options.flow_every,
            "flow_pairs": self.count(self.name),
            "warp_error_flow": _FLOW,
        }
        return super().result() | about


class WarpError(_Motion):
    """BTC's warp error, and its ratio to the truth's own; see `warp_error`."""

    name = "warp_error"
    keys = ("warp_error", "warp_error_truth", "warp_error_ratio")
    columns = (Column("warp_error", "warp error", 5), Column("warp_error_ratio", "warp error over truth's", 2))

    def compare(self, forward: Array, backward: Array, pairs: list[Any]) -> list[float | None]:
        """Call `warp_error`."""
        hidden = occluded(forward, backward)
        return [warp_error(old.rgb, new.rgb, forward, hidden) for old, new in pairs]

    def result(self) -> dict[str, Score]:
        """Return the means, and their ratio."""
        test, truth = self.mean("warp_error"), self.mean("warp_error_truth")
        return {**super().result(), "warp_error_ratio": test / truth if test is not None and truth else None}

    def reasons(self) -> dict[str, str]:
        """Say that a still film has no ratio."""
        still = {"warp_error_ratio": "the truth's warp error is 0"} if self.count("warp_error") else {}
        return super().reasons() | still


class Flicker(_Motion):
    """How much color changes from frame to frame where the picture only moves; see `flicker`."""

    name = "flicker"
    keys = ("flicker", "flicker_truth")
    columns = (Column("flicker", "flicker", 3, "lower", on_page=True),)

    def compare(self, forward: Array, backward: Array, pairs: list[Any]) -> list[float | None]:
        """Call `flicker`."""
        hidden = occluded(backward, forward)
        return [flicker(old.lab, new.lab, backward, hidden) for old, new in pairs]


def _flow(frame: ScoredFrame) -> tuple[Array, Array]:
    """Flow of the truth from the frame before, and back."""
    assert frame.before is not None
    return truth_flow(frame.before[0].rgb, frame.truth.rgb)


def histograms(rgb: Array) -> Array:
    """Return the share of pixels at each of 256 levels of R, G and B: (3, 256) float64, each row sums to 1.

    Args:
        rgb: (h, w, 3) R'G'B': uint8, or uint16 / float 0..1, which are rounded to 8 bits first.
    """
    if rgb.dtype != np.uint8:
        rgb = np.rint(np.clip(rgb.astype(np.float32) * np.float32(255 / peak_of(rgb)), 0, 255)).astype(np.uint8)
    picture = np.ascontiguousarray(rgb)
    counts = [cv2.calcHist([picture], [c], None, [256], [0, 256]).ravel() for c in range(3)]
    return np.asarray(np.stack(counts), np.float64) / float(rgb.shape[0] * rgb.shape[1])


def jensen_shannon(p: Array, q: Array) -> Array:
    """Return the Jensen-Shannon divergence along the last axis: KL(p:m)/2 + KL(q:m)/2 with m = (p + q)/2.

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


def truth_flow(first: Array, second: Array) -> tuple[Array, Array]:
    """Estimate the motion between two true frames, both ways, on 8-bit luma (BT.601 weights).

    Args:
        first: (h, w, 3) R'G'B' of frame t (uint8, uint16 or float 0..1), at least 16 pixels a side.
        second: of frame t + 1.

    Returns:
        Flow t -> t+1 and t+1 -> t, (h, w, 2) float32 each.
    """
    a, b = (byte_luma(picture) for picture in (first, second))
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    # Start from a field of zeros, so that nothing of an earlier call gets into the result.
    forward, backward = (dis.calc(p, q, np.zeros((*a.shape, 2), np.float32)) for p, q in ((a, b), (b, a)))
    return np.asarray(forward, np.float32), np.asarray(backward, np.float32)


def byte_luma(rgb: Array) -> Array:
    """Convert (h, w, 3) R'G'B' (uint8, uint16 or float 0..1) to 8-bit luma of BT.601's weights."""
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


def warp_error(first: Array, second: Array, flow: Array, hidden: Array) -> float | None:
    """Score how far frame t+1, warped to frame t, differs from it where both can be seen.

    BTC's score (`evaluate_WarpError.py`): sum(M (x_t - w)^2) / sum(M), x in 0..1, M repeated over the three channels.
    A pair with every pixel hidden (a cut) is not measured; BTC's code counts it as an error of 0. The numbers that BTC
    published used FlowNet2 and are not comparable.

    Args:
        first: (h, w, 3) R'G'B' of frame t: uint8, uint16 or float 0..1.
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
    """Return the mean length of ab(t) - warp(ab(t-1)) in CIE a*b* over the pixels that are not hidden.

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


_FRAMES: Final = 24
"""From the first frame that is compared to the second."""
_LINES: Final = 160
"""Shorter side of the pictures that motion is prepared of; it is found, and a*b* are compared, on half of that."""
_SAFE: Final = 0.3
"""Confidence of the composed motion from which a pixel is compared."""
_LEAST: Final = 0.1
"""Share of such pixels under which two frames are not compared."""


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
