"""How far each scribble governs a frame: a thing ends where luma has an edge or features change.

    spots = find_spots(hints, keys)               # once per shot
    region = find_region(spots, luma, keys)       # each frame
    ab = region.blend(ab, base)                   # base: the colors without scribbles

The cost from a scribble to a pixel is the geodesic distance over luma (Criminisi, Sharp, Blake, GeoS, ECCV 2008) plus
the difference of the matching features. In frames other than its own a scribble begins where the features fit it best,
near its place. `python benchmarks/points.py` measures it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import cv2
import numpy as np

from videocolor.color import rgb_to_lab
from videocolor.models.base import MOST_SCRIBBLES, HintInput
from videocolor.types import Array, Reach

__all__ = ["Geodesic", "KeptGeodesic", "Region", "Spot", "find_region", "find_spots", "geodesic"]

Geodesic: TypeAlias = Callable[[Array, Array, Array], Array]
"""`geodesic`, or what gives the same."""

_STRIDE: Final = 2
"""Pixels of the working size to a side of the grid of regions, which is that of prediction."""
_TOKEN: Final = 8
_SWEEPS: Final = 2
"""Passes over the grid, each in four directions."""
_FEATURES: Final = 0.6
"""Cost of features that have nothing in common."""
_CROSSING: Final = 1.0
"""Cost of one height of path through features that have nothing in common with the scribble's."""
_DISTANCE: Final[dict[Reach, float]] = {"here": 1.5, "thing": 0.1, "alike": 0.1, "keep": 0.1}
"""Cost of one height of distance."""
_ELSEWHERE: Final = 1.5
"""Cost of one height between a scribble and the place where it begins in another frame."""
_EXTENT: Final[dict[Reach, float]] = {"here": 0.12, "thing": 0.65, "alike": 0.65, "keep": 0.65}
"""Cost at which the governed share has fallen to 1/e."""
_PAINTED: Final = 0.4
"""The same for the scribble's own color; within it the network need not agree."""
_EXACT: Final = 0.03
"""Distance from a scribble, in heights, within which the network has its color more exactly than as one mean."""
_ALIKE, _SOFT = 0.5, 0.1
"""Cosine of features from which distant things count as alike, and how gradually."""
_BESIDE: Final = 0.15
"""Distance from a scribble, in heights, within which luma and features decide alone what its thing is."""
_SAME_COLOR: Final = 15.0
"""Difference of a*b* (Lab units) at which two scribbles agree by 1/e."""


@dataclass(frozen=True, eq=False)
class Spot:
    """A scribble: one painted place, or one that is kept as it is."""

    direction: Array
    """(k,) mean of its matching features, length 1."""
    away: Array
    """(h/2, w/2) float32 distance from it on its own frame, in heights."""
    ab: Array
    """(2,) mean a*b*."""
    lightness: float
    """Mean CIE L*."""
    reach: Reach
    number: tuple[int, int]
    """Of the hint, from 0, and of the scribble in it, from 1."""


@dataclass(frozen=True, eq=False)
class Region:
    """What the scribbles of a shot govern in one frame, on the grid of prediction."""

    governed: Array
    """(h/2, w/2) float32 in 0..1: share of the network's colors with scribbles against those without."""
    painted: Array
    """(h/2, w/2) float32 in 0..1: share of the scribbles' own colors."""
    ab: Array
    """(2, h/2, w/2) float32, the scribbles' own colors."""
    shares: Array
    """(spots, h/2, w/2) float32 in 0..1: what each scribble governs by itself."""

    def blend(self, ab: Array, confidence: Array, base: Array) -> Array:
        """Blend the colors of a frame, on the grid of prediction.

        Args:
            ab: (2, h/2, w/2) a*b* with scribbles.
            confidence: (h/2, w/2) of the network in them, 0..1; where it is low the scribbles' own colors stand in.
            base: (2, h/2, w/2) a*b* without scribbles.
        """
        held = base + self.governed * (ab - base)
        return np.asarray(held + self.painted * (1 - confidence / 2) * (self.ab - held), np.float32)


def find_spots(hints: Sequence[HintInput], keys: Sequence[Array | None]) -> list[Spot]:
    """Find the scribbles of hints that were painted on frames of this shot.

    Args:
        hints: of the shot, of one working size.
        keys: (h/8 * w/8, k + 3) float32 each, keys of all tokens of each picture; None for hints without scribbles.
    """
    found: list[tuple[int, Spot]] = []
    for place_in_shot, (hint, own) in enumerate(zip(hints, keys, strict=True)):
        if hint.places is None or own is None:
            continue
        for number, reach in enumerate(hint.reaches, 1):
            place: Array = hint.places == number
            if place.any():
                found.append((int(place.sum()), _spot(hint, place, reach, own, (place_in_shot, number))))
    found.sort(key=lambda pair: -pair[0])
    return [spot for _, spot in found[:MOST_SCRIBBLES]]


def _spot(hint: HintInput, place: Array, reach: Reach, keys: Array, number: tuple[int, int]) -> Spot:
    height, width = place.shape
    weight = cv2.resize(place.astype(np.float32), (width // _TOKEN, height // _TOKEN), interpolation=cv2.INTER_AREA)
    direction = weight.ravel() @ keys[:, :-3]
    half = cv2.resize(place.astype(np.float32), (width // _STRIDE, height // _STRIDE), interpolation=cv2.INTER_AREA)
    away = cv2.distanceTransform((half < half.max() / 2).astype(np.uint8), cv2.DIST_L2, 5)
    lightness = float(_lightness(hint.luma[place]).mean())
    length = max(float(np.linalg.norm(direction)), 1e-6)
    return Spot(direction / length, away / len(away), hint.ab[:, place].mean(axis=1), lightness, reach, number)


def find_region(spots: Sequence[Spot], luma: Array, keys: Array, distance: Geodesic | None = None) -> Region:
    """Find what scribbles govern in a frame.

    Args:
        spots: of the shot, at least one.
        luma: (h, w) float32 Y' in 0..1, at the working size.
        keys: (h/8 * w/8, k + 3) float32, keys of all tokens of the frame.
        distance: see `KeptGeodesic`; None: `geodesic`.
    """
    grid = luma.shape[1] // _STRIDE, luma.shape[0] // _STRIDE
    small = cv2.resize(luma, grid, interpolation=cv2.INTER_AREA)
    cosine, away = _cosine(spots, keys, luma.shape, grid), np.stack([spot.away for spot in spots])
    unlike = _FEATURES * (1 - cosine)
    begin = unlike + _ELSEWHERE * away
    begin -= begin.min(axis=(1, 2), keepdims=True)
    extent, far = (
        np.array([table[spot.reach] for spot in spots], np.float32)[:, None, None] for table in (_EXTENT, _DISTANCE)
    )
    toll = unlike * (_CROSSING / _FEATURES / len(small))
    cost = (distance or geodesic)(begin, small, toll) + unlike + far * away
    shares = np.asarray(np.exp(-np.square(cost / extent)), np.float32)
    colored = [i for i, spot in enumerate(spots) if spot.reach != "keep"]
    pins = [i for i, spot in enumerate(spots) if spot.reach == "keep"]
    if not colored:
        none = np.zeros_like(small)
        return Region(none, none, np.stack([none, none]), shares)
    mine, near = [spots[i] for i in colored], away[colored]
    # What is near a scribble and not of its thing is no other thing of its kind either.
    beside = np.exp(-np.square(near / _BESIDE)) * (1 - shares[colored])
    alike = (1 - beside) / (1 + np.exp((_ALIKE - cosine[colored]) / _SOFT))
    most = shares[colored].max(axis=0)
    own = np.exp(-np.square(cost[colored] / np.minimum(extent[colored], _PAINTED)))
    painted = own.max(axis=0) * (1 - np.exp(-np.square(near.min(axis=0) / _EXACT)))
    free = np.float32(1)
    if pins:
        free = np.square(most) / (np.square(most) + np.square(shares[pins].max(axis=0)) + 1e-6)
    governed = np.maximum(most, _agreed(mine, alike)) * free
    for i, plane in zip(colored, alike, strict=True):
        if spots[i].reach == "alike":
            shares[i] = np.maximum(shares[i], plane)
    return Region(governed, painted * free, _own_colors(mine, own, small), shares)


def _cosine(spots: Sequence[Spot], keys: Array, size: tuple[int, ...], grid: tuple[int, int]) -> Array:
    """(spots, *grid) cosine of each pixel's matching features with those of each scribble; `grid`: (width, height)."""
    cosine = np.stack([spot.direction for spot in spots]) @ keys[:, :-3].T
    planes = cosine.reshape(len(spots), size[0] // _TOKEN, size[1] // _TOKEN)
    return np.stack([cv2.resize(plane, grid, interpolation=cv2.INTER_LINEAR) for plane in planes])


def _agreed(spots: Sequence[Spot], alike: Array) -> Array:
    """Share that scribbles govern beyond their things.

    One speaks for everything alike only if it is meant to; two of one color on alike places do.
    """
    best = np.zeros(alike.shape[1:], np.float32)
    for i, spot in enumerate(spots):
        if spot.reach == "alike":
            best = np.maximum(best, alike[i])
        for j, other in enumerate(spots[:i]):
            if "here" in (spot.reach, other.reach):
                continue
            apart = np.square(float(np.hypot(*(spot.ab - other.ab))) / _SAME_COLOR)
            if apart < 3:
                best = np.maximum(best, np.float32(np.exp(-apart)) * np.minimum(alike[i], alike[j]))
    return best


def _own_colors(spots: Sequence[Spot], own: Array, luma: Array) -> Array:
    """(2, h, w) color of the scribbles near each pixel; chroma falls toward black as under less light."""
    weight = np.square(np.square(own)) + 1e-12
    weight /= weight.sum(axis=0)
    lightness = _lightness(luma)
    dim = np.stack([np.minimum(1, (lightness + 16) / (spot.lightness + 16)) for spot in spots])
    ab = np.stack([spot.ab for spot in spots])
    return np.asarray(np.einsum("sc,shw->chw", ab, weight * dim), np.float32)


def geodesic(begin: Array, luma: Array, toll: Array) -> Array:
    """Least cost to each pixel: to begin somewhere, and from there the sum along a path.

    Args:
        begin: (n, h, w) float32 cost to begin at each pixel.
        luma: (h, w) float32, whose steps cost what they are.
        toll: (n, h, w) float32 cost of each pixel passed.

    Returns:
        (n, h, w) float32, by sweeps over the grid (raster scan, as in GeoS), over paths of eight neighbors.
    """
    cost = np.ascontiguousarray(begin, np.float32)
    for _ in range(_SWEEPS):
        for axis in (1, 2):
            view = cost if axis == 1 else np.ascontiguousarray(cost.transpose(0, 2, 1))
            tolls = toll if axis == 1 else toll.transpose(0, 2, 1)
            lines = luma if axis == 1 else np.ascontiguousarray(luma.T)
            count = len(lines)
            for order in (range(1, count), range(count - 2, -1, -1)):
                before = -1 if order.step > 0 else 1
                for line in order:
                    _relax(view[:, line], view[:, line + before] + tolls[:, line], lines[line], lines[line + before])
            cost = view if axis == 1 else np.ascontiguousarray(view.transpose(0, 2, 1))
    return cost


class KeptGeodesic:
    """`geodesic` that remembers its last results: a click adds one scribble to those that there were."""

    def __init__(self) -> None:
        self._known: dict[int, Array] = {}

    def __call__(self, begin: Array, luma: Array, toll: Array) -> Array:
        """As `geodesic`."""
        frame, known = hash(luma.tobytes()), self._known
        # Rounded, for the last digits of a matrix product may depend on its number of rows.
        rounded = np.rint(np.stack([begin, toll], axis=1) * 1e5).astype(np.int32)
        names = [hash((frame, row.tobytes())) for row in rounded]
        fresh = [i for i, name in enumerate(names) if name not in known]
        found = geodesic(begin[fresh], luma, toll[fresh]) if fresh else ()
        known = known | dict(zip((names[i] for i in fresh), found, strict=True))
        self._known = {name: known[name] for name in names}
        return np.stack([self._known[name] for name in names])


def _relax(cost: Array, other: Array, luma: Array, other_luma: Array) -> None:
    """Reach a line's pixels from the three nearest of the line beside it, in place."""
    np.minimum(cost, other + np.abs(luma - other_luma), out=cost)
    np.minimum(cost[:, 1:], other[:, :-1] + np.abs(luma[1:] - other_luma[:-1]), out=cost[:, 1:])
    np.minimum(cost[:, :-1], other[:, 1:] + np.abs(luma[:-1] - other_luma[1:]), out=cost[:, :-1])


def _lightness(luma: Array) -> Array:
    """Return CIE L* of neutral pixels."""
    return np.asarray(rgb_to_lab(np.repeat(luma[None], 3, axis=0))[0])
