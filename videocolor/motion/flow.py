"""Motion between two frames, from luma alone, and how far it can be trusted.

Convention (backward warping): `flow_ab[y, x] = (dx, dy)` says that what frame a shows at (x, y) is at
(x + dx, y + dy) in frame b. `warp(image_b, flow_ab)` therefore brings b's image onto a's grid.

Flow is DIS (Kroeger et al., "Fast Optical Flow using Dense Inverse Search", ECCV 2016), as in OpenCV. The
trust is the forward-backward check of Sundaram et al. (ECCV 2010), made soft, times a photometric check.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Literal, TypeAlias, get_args

import cv2
import numpy as np

from videocolor.types import Array

__all__ = [
    "FlowEstimator",
    "Motion",
    "Quality",
    "Step",
    "consistency",
    "exposure",
    "grid",
    "look_up",
    "resize_flow",
    "warp",
]

Quality: TypeAlias = Literal["fast", "fine", "detailed"]

_MEAN: Final = 112.0
_DEVIATION: Final = 48.0
"""Luma level and spread (8 bits) that pictures are brought to, so that exposure is no motion."""
_GAIN: Final = (0.4, 4.0)
"""A nearly flat picture is not blown up into its noise."""
_NOISE: Final = 14.0
"""Residual in normalized 8-bit levels, averaged over 5x5 pixels, at which trust is one half."""
_SLACK: Final = 0.4
"""Squared forward-backward error in pixels of the flow's grid that even a still picture may show."""
_TEXTURE: Final = 40.0
"""Variance of luma in 5x5 pixels (normalized 8-bit levels) from which a missed place is taken seriously."""
_LEAST_SIDE: Final = 32
"""Pixels of a picture that can be halved: the search needs 16."""
_SUM: Final = np.ones((1, 2), np.float32)


@dataclass(frozen=True, eq=False)
class Motion:
    """Motion between two frames a and b, both ways, on one grid: that of the pictures, `detailed` half of it."""

    ab: Array = field(repr=False)
    """(h, w, 2) float32: warps b's image onto a."""
    ba: Array = field(repr=False)
    """(h, w, 2) float32: warps a's image onto b."""
    trust_a: Array = field(repr=False)
    """(h, w) float32 in 0..1, on a's grid: how safely a pixel of a is found in b."""
    trust_b: Array = field(repr=False)
    """(h, w) float32 in 0..1, on b's grid: how safely a pixel of b is found in a."""

    def reversed(self) -> Motion:
        """Return the same motion from b to a."""
        return Motion(self.ba, self.ab, self.trust_b, self.trust_a)


Step: TypeAlias = tuple[Array, Motion | None]
"""A frame as `FlowEstimator.prepare` returns it, and the motion from the frame before (a) to it (b); None at first."""


class _Searches(threading.local):
    """OpenCV's objects keep buffers between calls: every thread has its own."""

    def __init__(self, quality: Quality) -> None:
        super().__init__()
        self.dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self.dis.setFinestScale(0 if quality == "fine" else 1)
        self.halved = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self.halved.setFinestScale(0)
        medium = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self.refining = medium if quality == "detailed" else self.dis


class FlowEstimator:
    """Dense motion of small luma pictures; threads may share one.

    Args:
        quality: `fast` searches down to a quarter of the picture's grid, `fine` down to half of it:
            an eighth less error for three times the time. `detailed` is `fine`, for color that is propagated far: its
            `refine` works on the whole grid, and also refines (DIS medium).
    """

    def __init__(self, quality: Quality = "fast") -> None:
        if quality not in get_args(Quality):
            raise ValueError(f"{quality=}: expected one of {', '.join(get_args(Quality))}")
        self.quality = quality
        self._searches = _Searches(quality)

    def prepare(self, luma: Array) -> Array:
        """Bring a frame to half its size (`detailed`: its own) and to a common exposure; do it once a frame.

        Args:
            luma: (h, w) uint8.

        Returns:
            ((h + 1) // 2, (w + 1) // 2) or (h, w) uint8, never under 16 pixels a side.
        """
        h, w = luma.shape
        if self.quality == "detailed":
            h, w = 2 * h, 2 * w
        half = cv2.resize(luma, (max(16, (w + 1) // 2), max(16, (h + 1) // 2)), interpolation=cv2.INTER_AREA)
        mean, deviation = cv2.meanStdDev(half)
        gain = float(np.clip(_DEVIATION / max(float(deviation[0, 0]), 1e-3), *_GAIN))
        return cv2.addWeighted(half, gain, half, 0.0, _MEAN - gain * float(mean[0, 0]))

    def motion(self, a: Array, b: Array) -> Motion:
        """Motion between two prepared pictures, on their grid; `detailed`: on half of it, where its search ends."""
        shape = a.shape[0], a.shape[1]
        if self.quality != "detailed" or min(shape) < _LEAST_SIDE:
            return self._motion(a, b, self._searches.dis)
        half = (shape[1] + 1) // 2, (shape[0] + 1) // 2
        a, b = (cv2.resize(picture, half, interpolation=cv2.INTER_AREA) for picture in (a, b))
        return self._motion(a, b, self._searches.halved)

    @staticmethod
    def _motion(a: Array, b: Array, dis: cv2.DISOpticalFlow) -> Motion:
        ab, ba = _search(dis, a, b), _search(dis, b, a)
        return Motion(ab, ba, consistency(ab, ba, a, b), consistency(ba, ab, b, a))

    def flow(self, a: Array, b: Array) -> Array:
        """Find the flow from frame a to frame b: `warp` by it aligns an image of b to a.

        Args:
            a: (h, w) uint8 luma.
            b: (h, w) uint8 luma.

        Returns:
            (h, w, 2) float32, in pixels of this grid.
        """
        flow = _search(self._searches.dis, self.prepare(a), self.prepare(b))
        return resize_flow(flow, (a.shape[0], a.shape[1]))

    def refine(self, a: Array, b: Array, start: Array) -> Array:
        """Flow between two prepared pictures, searched for around a first guess.

        Args:
            a: (h, w) uint8.
            b: (h, w) uint8.
            start: (h, w, 2) float32 flow from a to b, about.

        Returns:
            (h, w, 2) float32.
        """
        return np.asarray(self._searches.refining.calc(a, b, np.array(start, np.float32)), np.float32)


def _search(dis: cv2.DISOpticalFlow, a: Array, b: Array) -> Array:
    # The field handed over is where the search starts: nothing of an earlier call goes into a result.
    return np.asarray(dis.calc(a, b, np.zeros((*a.shape, 2), np.float32)), np.float32)


@lru_cache(maxsize=8)
def grid(h: int, w: int) -> Array:
    """(h, w, 2) float32: each pixel's own (x, y)."""
    x, y = np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32))
    grid = np.stack([x, y], axis=-1)
    grid.setflags(write=False)
    return grid


def resize_flow(flow: Array, shape: tuple[int, int]) -> Array:
    """Bring a flow field (h, w, 2) to another grid (height, width); vectors are scaled along."""
    h, w = flow.shape[:2]
    if (h, w) == tuple(shape):
        return flow
    large: Array = cv2.resize(flow, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    x, y = np.float32(shape[1] / w), np.float32(shape[0] / h)
    # NumPy takes three times as long; OpenCV's stubs do not know of numbers for each channel.
    return cv2.multiply(large, (float(x), float(y), 0.0, 0.0), dst=large)  # type: ignore[call-overload,no-any-return]


def look_up(image: Array, places: Array) -> Array:
    """Bilinear look-up of an image at (h, w, 2) places; beyond the border the edge is repeated."""
    # OpenCV's stubs want a second map. None is right: an empty array makes 5.0 read outside its buffers.
    mode, border = cv2.INTER_LINEAR, cv2.BORDER_REPLICATE
    return cv2.remap(image, places, None, mode, borderMode=border)  # type: ignore[call-overload,no-any-return]


def warp(image: Array, flow: Array) -> Array:
    """Bring b's image onto a's grid by the flow from a to b; beyond the border the edge is repeated.

    Args:
        image: (c, h, w) or (h, w, c) or (h, w) float32, up to four channels.
        flow: (h, w, 2) float32.

    Returns:
        float32 of the image's layout.
    """
    shape = flow.shape[:2]
    places = cv2.add(grid(*shape), flow)
    if image.shape[:2] == shape:
        return look_up(image, places)
    if image.ndim != 3 or image.shape[1:] != shape:
        raise ValueError(f"{image.shape=} is not on the grid of {flow.shape=}")
    planes = [look_up(p, places) for p in image]
    return np.stack(planes)


def consistency(flow_ab: Array, flow_ba: Array, luma_a: Array, luma_b: Array) -> Array:
    """How safely each pixel of a is found in b.

    A pixel is trusted if the way back ends where it began (less strictly where the picture is flat: motion
    is not visible there and does not matter), if it lies inside b, and if luma agrees there. Luma is
    compared after the best common gain and offset of the trusted pixels, so that a flash or a fade is not
    a change of content.

    Args:
        flow_ab: (h, w, 2) float32.
        flow_ba: (h, w, 2) float32.
        luma_a: (h, w) uint8, or float32 on the 8-bit scale.
        luma_b: as `luma_a`.

    Returns:
        (h, w) float32 in 0..1.
    """
    places = cv2.add(grid(*flow_ab.shape[:2]), flow_ab)
    back = look_up(flow_ba, places)
    there = look_up(luma_b.astype(np.float32), places)
    here: Array = luma_a.astype(np.float32)
    # 0.01 of the squared lengths as in Sundaram et al.: long ways may miss by more.
    allowed: Array = cv2.transform(flow_ab * flow_ab + back * back, _SUM)
    allowed *= np.float32(0.01)
    allowed += np.float32(_SLACK)
    back += flow_ab
    miss: Array = cv2.transform(back * back, _SUM)
    miss /= allowed
    miss *= _structure(here)
    miss *= miss
    miss += 1
    trust = np.reciprocal(miss, out=miss)
    trust *= _inside(places)
    gain, offset = exposure(here, there, trust)
    here -= offset
    here -= gain * there
    here *= here
    residual: Array = cv2.blur(here, (5, 5), borderType=cv2.BORDER_REPLICATE)
    residual *= np.float32(1 / _NOISE**2)
    residual *= residual
    residual += 1
    trust /= residual
    return trust


def _structure(luma: Array) -> Array:
    """How much a wrong place would matter, (h, w) float32 in 0.1..1: little where all around is alike."""
    mean: Array = cv2.blur(luma, (5, 5), borderType=cv2.BORDER_REPLICATE)
    variance: Array = cv2.blur(luma * luma, (5, 5), borderType=cv2.BORDER_REPLICATE)
    variance -= mean * mean
    np.maximum(variance, 0, out=variance)
    variance /= variance + np.float32(_TEXTURE)
    variance *= np.float32(0.9)
    variance += np.float32(0.1)
    return variance


def _inside(places: Array) -> Array:
    """1 for places in the picture or up to half a pixel beside it, 0 from one and a half, (h, w) float32."""
    x, y = cv2.split(places)
    for plane, size in ((x, places.shape[1]), (y, places.shape[0])):  # how far beyond the border
        middle = np.float32(size * 0.5) - np.float32(0.5)
        plane -= middle
        np.abs(plane, out=plane)
        plane -= middle
    beyond = cv2.max(x, y, dst=x)
    return np.asarray(np.clip(np.float32(1.5) - beyond, 0, 1, out=y))


def exposure(here: Array, there: Array, weight: Array) -> tuple[np.float32, np.float32]:
    """Gain and offset that bring `there` to `here`, by weighted least squares.

    Args:
        here: (h, w) float32 luma.
        there: likewise, at the same places.
        weight: (h, w) float32 from 0.
    """
    total = float(weight.sum())
    if total < 0.02 * weight.size:
        return np.float32(1), np.float32(0)
    flat = weight.ravel()
    mean_h, mean_t = float(flat @ here.ravel()) / total, float(flat @ there.ravel()) / total
    dh, dt = here.ravel() - np.float32(mean_h), (there.ravel() - np.float32(mean_t)) * flat
    spread = float(dt @ (there.ravel() - np.float32(mean_t)))
    gain = float(np.clip(float(dt @ dh) / spread, 0.5, 2.0)) if spread > total else 1.0
    return np.float32(gain), np.float32(mean_h - gain * mean_t)
