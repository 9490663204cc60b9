"""Where a picture lies on a frame: an affine map, found coarsely three ways and refined by the best of them.

Pictures are compared by their local detail (luma less its mean around, over its spread around), so that a change of
gamma, contrast or brightness, or a dress that was painted darker, hardly counts. The coarse place comes from

    places      the whole picture, or its part without bars, stretched over the frame, or over the frame without bars
    features    SIFT (Lowe, IJCV 2004), matched and fitted with RANSAC
    templates   cross-correlation over scales, where there are too few features

and ECC (Evangelidis and Psarakis, TPAMI 2008) refines it to a fraction of a sample.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import cv2
import numpy as np

from videocolor.types import Array

__all__ = [
    "Box",
    "Picture",
    "Place",
    "content_box",
    "correlation",
    "detail",
    "place_on",
    "plain_places",
    "register",
    "scale_matrix",
    "warp",
]

_AREA: Final = 480 * 270
"""Pixels at which pictures are registered, about."""
_COARSE: Final = 96
"""Lines at which templates are tried."""
_SPREAD: Final = 5.0
"""Sigma of the neighborhood that detail is relative to, in pixels at `_AREA`."""
_NOISE: Final = 0.012
"""Spread of luma (0..1) under which detail is grain or JPEG."""
_BAR: Final = 0.035
"""Most that luma of a bar strays from the bar's own level."""
_PLAIN: Final = 0.06
"""Share of a picture that must show something, or it is plain."""
_GOOD: Final = 0.65
"""Correlation of detail from which no other place is looked for: pictures of other shots reach 0.4."""
_HOPELESS: Final = 0.3
"""Similarity of blurred detail under which a place is not refined to the last."""
_TRIED: Final = 3
"""Coarse places that are refined."""


class Box(NamedTuple):
    """Part of a picture: rows `top` up to `bottom`, columns `left` up to `right`."""

    top: int
    bottom: int
    left: int
    right: int

    def trims(self, shape: tuple[int, int]) -> bool:
        """Whether it leaves something out of a picture of (height, width) `shape`."""
        return self != (0, shape[0], 0, shape[1])


@dataclass(frozen=True, eq=False)
class Picture:
    """Luma at the size of registration, and what counts of it."""

    luma: Array
    """(h, w) float32 in 0..1."""
    weight: Array
    """(h, w) float32 in 0..1: 0 in bars and where nothing is painted."""
    box: Box
    """Without bars; in pixels of `luma`."""
    scale: tuple[float, float]
    """(x, y) pixels of `luma` for one of the full size."""

    @classmethod
    def of(cls, luma: Array, mask: Array | None) -> Picture:
        """Reduce (H, W) luma 0..1, and its mask 0..1, to the size of registration."""
        height, width = luma.shape
        factor = min(1.0, (_AREA / (height * width)) ** 0.5)
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        small = cv2.resize(np.ascontiguousarray(luma, np.float32), size, interpolation=cv2.INTER_AREA)
        if mask is None:
            weight, box = np.ones_like(small), content_box(small)
        else:
            weight = cv2.resize(np.ascontiguousarray(mask, np.float32), size, interpolation=cv2.INTER_AREA)
            box = Box(0, small.shape[0], 0, small.shape[1])
        inside = np.zeros_like(weight)
        inside[box.top : box.bottom, box.left : box.right] = 1
        return cls(small, weight * inside, box, (size[0] / width, size[1] / height))

    @property
    def is_plain(self) -> bool:
        """Whether it shows so little (a wall, a fade) that it cannot be found wherever it may lie."""
        mean = cv2.GaussianBlur(self.luma, (0, 0), _SPREAD)
        spread = cv2.GaussianBlur((self.luma - mean) ** 2, (0, 0), _SPREAD)
        clear = (spread > (2 * _NOISE) ** 2) * self.weight
        return float(clear.sum()) < _PLAIN * max(float(self.weight.sum()), 1.0)

    def turned(self, turn: int, mirrored: bool = False) -> Picture:
        """Return a copy turned counter-clockwise by `turn` quarters, mirrored first where asked for."""

        def change(plane: Array) -> Array:
            return np.ascontiguousarray(np.rot90(plane[:, ::-1] if mirrored else plane, turn))

        return Picture(change(self.luma), change(self.weight), content_box(change(self.luma)), (1.0, 1.0))


@dataclass(frozen=True, eq=False)
class Place:
    """A registration that was found."""

    matrix: Array
    """(2, 3) float64: pixel (x, y) of the frame -> of the picture, both at the size of registration."""
    score: float
    """Correlation of detail, -1..1."""


def content_box(luma: Array) -> Box:
    """Return the picture without bars: rows and columns at its border that are all of the border's own level.

    At most 45 % go from each side, and a bar that is not at least 1 % is none.
    """

    def edge(lines: Array) -> int:
        level, most = float(np.median(lines[0])), int(0.45 * len(lines))
        count = 0
        while count < most and bool(np.percentile(np.abs(lines[count] - level), 98) <= _BAR):
            count += 1
        # A flat sky or a night goes on until the limit, a ramp ends little by little: pictures, not bars.
        inside = lines[min(count + max(1, len(lines) // 90), len(lines) - 1)]
        ends = bool(np.percentile(np.abs(inside - level), 90) > 2 * _BAR)
        return count if ends and max(1, round(0.01 * len(lines))) <= count < most else 0

    h, w = luma.shape
    top, bottom = edge(luma), h - edge(luma[::-1])
    rows = luma[top:bottom]
    left, right = edge(rows.T), w - edge(rows[:, ::-1].T)
    return Box(top, bottom, left, right)


def detail(luma: Array, spread: float = _SPREAD) -> Array:
    """(h, w) float32: luma less its mean around, over its spread around."""
    mean = cv2.GaussianBlur(luma, (0, 0), spread, borderType=cv2.BORDER_REFLECT)
    fine = cv2.GaussianBlur(luma, (0, 0), 0.7, borderType=cv2.BORDER_REFLECT) - mean
    variance = cv2.GaussianBlur(fine * fine, (0, 0), spread, borderType=cv2.BORDER_REFLECT)
    return np.asarray(fine / np.sqrt(variance + np.float32(_NOISE**2)), np.float32)


def scale_matrix(x: float, y: float) -> Array:
    """(3, 3): pixel centers of a picture -> of the same picture scaled by x and y."""
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])


def place_on(source: Box, target: Box) -> Array:
    """(2, 3): the map that lays box `source` of the picture over box `target` of the frame; frame -> picture."""
    x = (source.right - source.left) / (target.right - target.left)
    y = (source.bottom - source.top) / (target.bottom - target.top)
    return np.array(
        [
            [x, 0, source.left - 0.5 - x * (target.left - 0.5)],
            [0, y, source.top - 0.5 - y * (target.top - 0.5)],
        ]
    )


def warp(plane: Array, matrix: Array, shape: tuple[int, int], border: int = cv2.BORDER_CONSTANT) -> Array:
    """Return a plane of the picture as it lies on the frame of (height, width) `shape`, linearly interpolated."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(plane, matrix, (shape[1], shape[0]), flags=flags, borderMode=border))


def register(picture: Picture, frame: Picture, *, thorough: bool = True) -> Place | None:
    """Return the best place of a picture on a frame; None where not even a bad one was found.

    Args:
        picture: what is laid.
        frame: what it is laid on.
        thorough: try templates too where places and features lead to nothing good.
    """
    pair = _Pair.of(picture, frame)
    starts = plain_places(picture, frame)
    if frame.is_plain:
        return max((Place(m, pair.score(m)) for m in starts), key=lambda place: place.score, default=None)
    best = _best([*starts, *_by_features(picture, frame)], pair, _TRIED if thorough else 1)
    if thorough and (best is None or best.score < _GOOD):
        other = _best(_by_templates(picture, frame, *pair.fine), pair, _TRIED)
        best = max((p for p in (best, other) if p is not None), key=lambda place: place.score, default=None)
    return best


def _best(starts: Iterable[Array], pair: _Pair, most: int) -> Place | None:
    """Return the best place near the likeliest of some, refined; the rest is left as soon as one is good."""
    best: Place | None = None
    for start in sorted(starts, key=pair.rough, reverse=True)[:most]:
        for matrix in (start, *_refined(start, pair)):
            place = Place(matrix, pair.score(matrix))
            best = place if best is None or place.score > best.score else best
        if best is not None and best.score >= _GOOD:
            break
    return best


@dataclass(frozen=True, eq=False)
class _Pair:
    """What is compared of a picture and a frame: detail of two sizes, and the larger one blurred to find the way."""

    picture: Picture
    frame: Picture
    fine: tuple[Array, Array]
    broad: tuple[Array, Array]
    blurred: tuple[Array, Array]

    @classmethod
    def of(cls, picture: Picture, frame: Picture) -> _Pair:
        fine = detail(picture.luma), detail(frame.luma)
        broad = detail(picture.luma, 3 * _SPREAD), detail(frame.luma, 3 * _SPREAD)
        mine, theirs = (cv2.GaussianBlur(plane, (0, 0), 2.5) for plane in broad)
        return cls(picture, frame, fine, broad, (mine, theirs))

    def rough(self, matrix: Array) -> float:
        """Similarity at a place that may be some pixels off."""
        return self._correlation(self.blurred, matrix)

    def score(self, matrix: Array) -> float:
        """Similarity at an exact place."""
        return (self._correlation(self.fine, matrix) + self._correlation(self.broad, matrix)) / 2

    def _correlation(self, planes: tuple[Array, Array], matrix: Array) -> float:
        """Of what both have; 0 where they share little."""
        shape = self.frame.luma.shape
        weight = warp(self.picture.weight, matrix, shape) * self.frame.weight
        total = float(weight.sum())
        if total < 0.1 * float(self.frame.weight.sum()) and total < 0.5 * float(self.picture.weight.sum()):
            return 0.0
        return correlation(warp(planes[0], matrix, shape), planes[1], weight)


def plain_places(picture: Picture, frame: Picture) -> list[Array]:
    """Return the maps that stretch a picture over a frame, each with and without its bars; the simplest first."""
    whole = Box(0, picture.luma.shape[0], 0, picture.luma.shape[1])
    screen = Box(0, frame.luma.shape[0], 0, frame.luma.shape[1])
    sources, targets = dict.fromkeys((whole, picture.box)), dict.fromkeys((screen, frame.box))
    return [place_on(source, target) for source in sources for target in targets]


def correlation(a: Array, b: Array, weight: Array) -> float:
    """Weighted linear correlation -1..1 of two planes; 0 where one is flat."""
    total = float(weight.sum())
    if total < 1:
        return 0.0
    a, b = a - float((a * weight).sum()) / total, b - float((b * weight).sum()) / total
    spread = float((a * a * weight).sum()) * float((b * b * weight).sum())
    return float((a * b * weight).sum() / max(np.sqrt(spread), 1e-9))


def _bytes(luma: Array) -> Array:
    """Equalized 8 bits: SIFT's thresholds know nothing of a faint or dark print."""
    return np.asarray(cv2.equalizeHist(np.rint(np.clip(luma, 0, 1) * 255).astype(np.uint8)))


def _by_features(picture: Picture, frame: Picture) -> Iterator[Array]:
    """Affine maps through matched SIFT features."""
    sift = cv2.SIFT.create(nfeatures=1500, contrastThreshold=0.02)
    points, found = sift.detectAndCompute(_bytes(frame.luma), (frame.weight > 0.5).astype(np.uint8))
    others, seen = sift.detectAndCompute(_bytes(picture.luma), (picture.weight > 0.5).astype(np.uint8))
    if found is None or seen is None or len(points) < 4 or len(others) < 4:
        return
    pairs = cv2.BFMatcher(cv2.NORM_L2).knnMatch(np.sqrt(_unit(found)), np.sqrt(_unit(seen)), k=2)
    good = [pair[0] for pair in pairs if len(pair) == 2 and pair[0].distance < 0.8 * pair[1].distance]
    if len(good) < 6:
        return
    start = np.array([points[m.queryIdx].pt for m in good], np.float32)
    end = np.array([others[m.trainIdx].pt for m in good], np.float32)
    for fit in (cv2.estimateAffine2D, cv2.estimateAffinePartial2D):
        matrix, inliers = fit(start, end, method=cv2.RANSAC, ransacReprojThreshold=2.5, maxIters=3000, confidence=0.999)
        if matrix is not None and int(inliers.sum()) >= 6 and np.isfinite(matrix).all() and _is_sound(matrix):
            yield np.asarray(matrix, np.float64)


def _unit(descriptors: Array) -> Array:
    """RootSIFT (Arandjelovic and Zisserman, CVPR 2012): descriptors of sum 1, whose roots are compared."""
    return np.asarray(descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-6), np.float32)


def _is_sound(matrix: Array) -> bool:
    """Neither collapsed nor blown up."""
    return 0.05 < abs(float(np.linalg.det(matrix[:, :2]))) < 20


def _by_templates(picture: Picture, frame: Picture, mine: Array, theirs: Array) -> Iterator[Array]:
    """Search maps without rotation: the best for each ratio of sides, over scales."""
    down = _COARSE / frame.luma.shape[0]
    target = cv2.resize(theirs * frame.weight, None, fx=down, fy=down, interpolation=cv2.INTER_AREA)
    h, w = target.shape
    pad_x, pad_y = w // 6, h // 6
    ground = cv2.copyMakeBorder(target, pad_y, pad_y, pad_x, pad_x, cv2.BORDER_CONSTANT, value=0)
    box = picture.box
    part = (mine * picture.weight)[box.top : box.bottom, box.left : box.right]
    side_y, side_x = part.shape
    for ratio in _ratios(side_x / side_y, w / h):
        best, place = 0.0, None
        for share in np.geomspace(0.7, 1.25, 24):
            # `share` of the frame's longer fit is covered; `ratio` is how much wider it is shown than it is stored.
            tall = min(h, w / (side_x / side_y * ratio)) * share
            size = (round(tall * side_x / side_y * ratio), round(tall))
            if size[0] < 16 or size[1] < 16 or size[0] > ground.shape[1] or size[1] > ground.shape[0]:
                continue
            template = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
            seen = cv2.matchTemplate(ground, template, cv2.TM_CCOEFF_NORMED)
            _, value, _, (x, y) = cv2.minMaxLoc(seen)
            if value > best:
                best, place = value, (x - pad_x, y - pad_y, *size)
        if place is not None:
            x, y, wide, tall_ = (v / down for v in place)
            yield place_on(box, Box(y, y + tall_, x, x + wide))


def _ratios(mine: float, theirs: float) -> list[float]:
    """How much wider the picture may be shown than it is stored: not at all, to the frame's own sides, and between."""
    stretched = theirs / mine
    out: list[float] = []
    for ratio in (1.0, stretched, *np.geomspace(0.68, 1.47, 13)):
        if all(abs(np.log(ratio / other)) > 0.015 for other in out):
            out.append(float(ratio))
    return out


def _refined(start: Array, pair: _Pair) -> Iterator[Array]:
    """ECC from coarse to fine; the map by detail of the larger size, and the one by that of the smaller."""
    matrix = start
    counts = (pair.picture.weight > 0.5).astype(np.uint8)
    for planes, scale in ((pair.broad, 0.25), (pair.broad, 0.5), (pair.broad, 1.0), (pair.fine, 1.0)):
        if scale == 1.0 and pair.rough(matrix) < _HOPELESS:
            return
        try:
            matrix = _ecc(*planes, counts, matrix, scale)
        except cv2.error:  # did not converge here; the next step may
            continue
        if scale == 1.0:
            yield matrix


def _ecc(mine: Array, theirs: Array, counts: Array, matrix: Array, scale: float) -> Array:
    size = (round(theirs.shape[1] * scale), round(theirs.shape[0] * scale))
    other = (round(mine.shape[1] * scale), round(mine.shape[0] * scale))
    down = scale_matrix(size[0] / theirs.shape[1], size[1] / theirs.shape[0])
    down_mine = scale_matrix(other[0] / mine.shape[1], other[1] / mine.shape[0])
    full = np.vstack([matrix, [0, 0, 1]])
    start = (down_mine @ full @ np.linalg.inv(down))[:2].astype(np.float32)
    template = cv2.resize(theirs, size, interpolation=cv2.INTER_AREA)
    moving = cv2.resize(mine, other, interpolation=cv2.INTER_AREA)
    mask = cv2.resize(counts, other, interpolation=cv2.INTER_NEAREST)
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-4)
    _, found = cv2.findTransformECC(template, moving, start, cv2.MOTION_AFFINE, criteria, mask, 3)
    back = np.linalg.inv(down_mine) @ np.vstack([found, [0, 0, 1]]).astype(np.float64) @ down
    return np.asarray(back[:2])
