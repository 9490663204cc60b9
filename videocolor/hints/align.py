"""Lay a picture that was colored elsewhere over the film frame that it was made from, or say why it cannot be that.

A frame comes back from a painting program, a colorizer or a scanner scaled, cropped, letter-boxed, with square
samples instead of the film's, turned by a degree, with another gamma, as JPEG. The place is found by
`videocolor.hints.registration`; a picture is taken only if its luma correlates with the frame's (the rule by which the
coloring counts a hint as its own frame) AND its detail does, which pictures of other shots never reach.

What comes out has the frame's own luma and the picture's color, so nothing of the picture's brightness gets into
the film: a curve of brightness that the program put on all three channels is undone first, for it bends color too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import atan2, degrees, hypot
from typing import Final

import cv2
import numpy as np

from videocolor.color import ab_to_ycbcr, rgb_to_lab, rgb_to_luma, ycbcr_to_rgb
from videocolor.errors import HintError
from videocolor.hints.files import check_hint
from videocolor.hints.registration import (
    Box,
    Picture,
    Place,
    content_box,
    correlation,
    plain_places,
    register,
    scale_matrix,
    warp,
)
from videocolor.types import Array, Hint

__all__ = ["SAME_FRAME", "Aligned", "align_painted", "with_luma"]

SAME_FRAME: Final = 0.9
"""Luma correlation from which a hint counts as its own frame in color: then it is reproduced."""
SAME_DETAIL: Final = 0.5
"""Correlation of detail that is needed; measured, see docs/guides/hints.md."""
CLEAR_DETAIL: Final = 0.8
"""Correlation of detail from which less of luma's will do: parts were painted darker or brighter."""
_LEAST_LUMA: Final = 0.6
"""What luma's must be even then."""
_PLAIN_DETAIL: Final = 0.35
"""The same for a frame that shows next to nothing, laid over it as it is."""
_COVERED: Final = 0.6
"""Least share of the frame that a whole painting must cover."""
_TURNED: Final = 8.0
"""Most degrees of rotation."""
_STRETCHED: Final = 1.75
"""Most that width may be stretched against height: the sample aspect ratios of video stay below."""
_NEGLIGIBLE: Final = 0.3
"""Frame samples under which a place counts as the plain one, so that nothing is interpolated for nothing."""
_EXTENDED: Final = 0.06
"""Share of the frame's height by which color is drawn out where the picture was cropped; the rest stays unpainted."""


@dataclass(frozen=True, eq=False)
class Aligned:
    """A painted picture on its frame."""

    rgb: Array
    """(h, w, 3) float32 R'G'B' in 0..1: the frame's luma, the picture's color; at the frame's size."""
    mask: Array | None
    """(h, w) float32 in 0..1: where it is painted; None: everywhere."""
    correlation: float
    """Of luma, -1..1, where the picture covers the frame; of a color layer without luma of its own: 1."""
    moved: str
    """What was found, for people: `as it is`, or scale, turn, crop."""
    matrix: Array
    """(2, 3) float64: pixel (x, y) of the frame -> of the picture."""
    covered: float
    """Share 0..1 of the frame (without bars) that the picture covers."""
    unchanged: bool = False
    """Nothing was done but scaling: place and tone are the frame's."""


def align_painted(
    rgb: Array,
    mask: Array | None,
    luma: Array,
    *,
    name: str = "the picture",
    frame_name: str = "this frame",
    explain: bool = True,
) -> Aligned:
    """Lay a painted picture over its frame.

    Args:
        rgb: (H, W, 3) R'G'B' in 0..1, sRGB.
        mask: (H, W) in 0..1, what is painted; None: all.
        luma: (h, w) full-range Y' of the frame: uint8 or uint16 over their whole range, or floating point in 0..1.
        name: how messages call the picture.
        frame_name: how they call the frame.
        explain: look for what is wrong with a picture that is refused (mirrored, turned...): some seconds more.

    Returns:
        The picture at the size of `luma`.

    Raises:
        HintError: it has no color, or does not show this frame; with numbers, and with what it is instead if that
            can be recognized (mirrored, turned, negative).
    """
    target = _unit(luma)
    rgb = np.clip(np.asarray(rgb, np.float32), 0, 1)
    check_hint(Hint(name, rgb, None, mask))
    painted = np.clip(rgb_to_luma(np.moveaxis(rgb, -1, 0), "bt709"), 0, 1)
    layer = _color_layer(painted, mask, target)
    if layer is not None:
        words = "as it is (a color layer of the frame's size)"
        return _composed(rgb, mask, None, target, layer, 1.0, 1.0, words, layer=True)
    picture, frame = Picture.of(painted, mask), Picture.of(target, None)
    place = register(picture, frame)
    if place is None or (verdict := _verdict(place, picture, frame, masked=mask is not None)) is not None:
        reason = "it could not be laid over it" if place is None else verdict
        raise HintError(f"{name}: {_refusal(picture, frame, frame_name, reason or '', explain)}")
    place = _plainest(place, picture, frame)
    like, covered = _luma_similarity(place, picture, frame)
    matrix = _full_size(place.matrix, picture, frame)
    box = content_box(painted) if mask is None else None
    return _composed(rgb, mask, box, target, matrix, like, covered, _describe(matrix, painted.shape, target.shape, box))


def with_luma(ab: Array, luma: Array) -> Array:
    """Return the color that has this luma and this a*b*, brought into the gamut as the writer of films does.

    Args:
        ab: (2, h, w) CIE a*b*.
        luma: (h, w) Y' (BT.709) in 0..1.

    Returns:
        (h, w, 3) float32 R'G'B' in 0..1.
    """
    cb, cr = ab_to_ycbcr(luma, ab, "bt709")
    out = ycbcr_to_rgb(np.clip(luma, 0, 1), cb, cr, "bt709")
    return np.ascontiguousarray(np.clip(np.moveaxis(out, 0, -1), 0, 1), np.float32)


def _unit(luma: Array) -> Array:
    if luma.ndim != 2 or min(luma.shape) < 1:
        raise ValueError(f"{luma.shape=}: expected (h, w)")
    top = np.iinfo(luma.dtype).max if luma.dtype.kind == "u" else 1
    return np.asarray(np.clip(np.asarray(luma, np.float32) / np.float32(top), 0, 1))


def _color_layer(painted: Array, mask: Array | None, target: Array) -> Array | None:
    """Return the plain map of a layer of flat colors over a transparent ground, saved without the picture under it.

    Its luma says nothing, so its position is taken as it is if it has the frame's size or aspect.
    """
    if mask is None or abs(np.log((painted.shape[1] / painted.shape[0]) / (target.shape[1] / target.shape[0]))) > 0.01:
        return None
    inside = cv2.erode((mask > 0.5).astype(np.uint8), np.ones((5, 5), np.uint8), borderValue=0) > 0
    if inside.any():
        edges = np.abs(cv2.Laplacian(painted, cv2.CV_32F))[inside]
        below = cv2.resize(target, painted.shape[::-1], interpolation=cv2.INTER_AREA)
        there = np.abs(cv2.Laplacian(below, cv2.CV_32F))[inside]
        if float(edges.mean()) > 0.2 * float(there.mean()):
            return None
    return _shrink(painted.shape, target.shape)[:2]


def _shrink(shape: tuple[int, ...], target: tuple[int, ...]) -> Array:
    return scale_matrix(shape[1] / target[1], shape[0] / target[0])


def _luma_similarity(place: Place, picture: Picture, frame: Picture) -> tuple[float, float]:
    """Correlation of luma where both have something, and the share of the frame that is covered."""
    weight = warp(picture.weight, place.matrix, frame.luma.shape) * frame.weight
    covered = float(weight.sum()) / max(float(frame.weight.sum()), 1.0)
    mine = cv2.GaussianBlur(warp(picture.luma, place.matrix, frame.luma.shape, cv2.BORDER_REPLICATE), (0, 0), 1.0)
    return correlation(mine, cv2.GaussianBlur(frame.luma, (0, 0), 1.0), weight), covered


def _verdict(place: Place, picture: Picture, frame: Picture, *, masked: bool) -> str | None:
    """Return why a placement is refused; None where it is accepted."""
    like, covered = _luma_similarity(place, picture, frame)
    need = _PLAIN_DETAIL if frame.is_plain else SAME_DETAIL
    clear = place.score >= CLEAR_DETAIL and like >= _LEAST_LUMA
    if not clear and (like < SAME_FRAME or place.score < need):
        return (
            f"similarity of luma {max(like, 0):.2f} ({SAME_FRAME} is needed), of detail {max(place.score, 0):.2f} "
            f"({need} is needed)"
        )
    turn, stretch, mirrored = _geometry(_full_size(place.matrix, picture, frame))
    if mirrored:
        return "it is mirrored"
    if abs(turn) > _TURNED:
        return f"it is turned by {abs(turn):.0f} degrees; {_TURNED:.0f} at most can be undone"
    if not 1 / _STRETCHED < stretch < _STRETCHED:
        return f"it is stretched {stretch:.2f} to 1; {_STRETCHED} at most can be undone"
    if covered < _COVERED and not masked:
        return f"it shows only {100 * covered:.0f} % of it; {100 * _COVERED:.0f} % is needed"
    return None


def _geometry(matrix: Array) -> tuple[float, float, bool]:
    """Degrees that the picture is turned against the frame, how much wider it is scaled than high, mirrored."""
    (a, b, _), (c, d, _) = matrix
    x, y = hypot(a, c), hypot(b, d)
    return degrees(atan2(c, a)), x / max(y, 1e-9), a * d - b * c < 0


def _refusal(picture: Picture, frame: Picture, name: str, reason: str, explain: bool) -> str:
    """Return the words of a refusal: what the picture is instead, if another look at it tells."""
    for other, words in _other_looks(picture) if explain else ():
        place = register(other, frame, thorough=False)
        if place is not None and _verdict(place, other, frame, masked=True) is None:
            return f"it shows {name}, but {words}; undo that and drop it again"
    if frame.is_plain:
        reason += (
            "; it shows too little to be found at another place or size than its own, so give a frame that shows more"
        )
    return f"does not show {name}: {reason}. Or drop it as a loose photo"


def _other_looks(picture: Picture) -> Iterator[tuple[Picture, str]]:
    yield picture.turned(0, mirrored=True), "it is mirrored"
    yield picture.turned(1), "it is turned by 90 degrees clockwise"
    yield picture.turned(3), "it is turned by 90 degrees counter-clockwise"
    yield picture.turned(2), "it is upside down"
    yield Picture(1 - picture.luma, picture.weight, picture.box, picture.scale), "it is a negative"


def _plainest(place: Place, picture: Picture, frame: Picture) -> Place:
    """Return the plain stretch instead of a place that differs from it by less than is measurable."""
    h, w = frame.luma.shape
    corners = np.array([[0, w - 1, 0, w - 1], [0, 0, h - 1, h - 1], [1, 1, 1, 1]], np.float64)
    back = np.linalg.inv(np.vstack([place.matrix, [0, 0, 1]]))
    for plain in plain_places(picture, frame):
        missed = (back @ np.vstack([plain @ corners, np.ones(4)]) - corners)[:2]
        off = missed / np.array(frame.scale)[:, None]
        if float(np.hypot(*off).max()) < max(_NEGLIGIBLE, 0.3 / min(frame.scale) * _NEGLIGIBLE):
            return Place(plain, place.score)
    return place


def _full_size(matrix: Array, picture: Picture, frame: Picture) -> Array:
    full = np.linalg.inv(scale_matrix(*picture.scale)) @ np.vstack([matrix, [0, 0, 1]]) @ scale_matrix(*frame.scale)
    return np.asarray(full[:2])


def _composed(
    rgb: Array,
    mask: Array | None,
    box: Box | None,
    target: Array,
    matrix: Array,
    like: float,
    covered: float,
    moved: str,
    *,
    layer: bool = False,
) -> Aligned:
    """Return the picture's color on the frame's luma; a layer has no luma whose curve could be undone."""
    height, width = rgb.shape[:2]
    box = box or Box(0, height, 0, width)
    inset = Box(*(edge + step for edge, step in zip(box, _inset(box, height, width), strict=True)))
    part = rgb[inset.top : inset.bottom, inset.left : inset.right]
    shift = np.array([[1, 0, -inset.left], [0, 1, -inset.top], [0, 0, 1]])
    to_part = (shift @ np.vstack([matrix, [0, 0, 1]]))[:2]
    laid, there = _laid(part, to_part, target.shape)
    opacity = None if mask is None else _laid(mask, matrix, target.shape)[0] * there
    toned = laid if layer else _undo_tone(laid, target, there if opacity is None else opacity)
    unchanged = toned is laid and bool(np.allclose(matrix, _shrink(rgb.shape, target.shape)[:2], atol=1e-6))
    ab = rgb_to_lab(np.moveaxis(toned, -1, 0))[1:]
    if opacity is None and float(there.min()) < 0.5:
        reach = round(_EXTENDED * target.shape[0])
        near = cv2.dilate((there > 0.5).astype(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
        near = np.maximum(near, _bars(target)).astype(np.float32)
        opacity = None if near.min() > 0 else near
    return Aligned(with_luma(ab, target), opacity, like, moved, np.asarray(matrix, np.float64), covered, unchanged)


def _inset(box: Box, height: int, width: int) -> tuple[int, int, int, int]:
    """One pixel more from each side that has a bar: the bar's blur."""
    return int(box.top > 0), -int(box.bottom < height), int(box.left > 0), -int(box.right < width)


def _bars(luma: Array) -> Array:
    """(h, w) uint8: 1 in the frame's own bars, which no painting need cover."""
    box, out = content_box(luma), np.ones(luma.shape, np.uint8)
    out[box.top : box.bottom, box.left : box.right] = 0
    return out


def _laid(plane: Array, matrix: Array, shape: tuple[int, int]) -> tuple[Array, Array]:
    """Return a picture on the frame, its border extended, and where it is; area-averaged before it shrinks."""
    x, y = hypot(*matrix[:, 0]), hypot(*matrix[:, 1])
    size = (max(1, round(plane.shape[1] / max(x, 1.0))), max(1, round(plane.shape[0] / max(y, 1.0))))
    if size != (plane.shape[1], plane.shape[0]):
        down = scale_matrix(size[0] / plane.shape[1], size[1] / plane.shape[0])
        plane = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
        matrix = (down @ np.vstack([matrix, [0, 0, 1]]))[:2]
    if plane.shape[:2] == shape and bool(np.abs(matrix - np.eye(3)[:2]).max() < 1e-6):
        return np.asarray(plane, np.float32), np.ones(shape, np.float32)
    solid = np.pad(np.ones(plane.shape[:2], np.float32), 1, mode="edge")  # half a pixel at the border is the picture
    offset = matrix + np.array([[0, 0, 1], [0, 0, 1]])
    there = warp(solid, offset, shape)
    return warp(np.ascontiguousarray(plane, np.float32), matrix, shape, cv2.BORDER_REPLICATE), there


def _undo_tone(rgb: Array, target: Array, weight: Array) -> Array:
    """Take back a curve o + g x^gamma between the picture's luma and the frame's, from all three channels.

    Fitted through the medians of 24 classes of the picture's luma, so what was painted darker hardly counts. A curve
    that is nearly none is left alone.
    """
    small = cv2.resize(rgb, (240, 135), interpolation=cv2.INTER_AREA)
    mine = np.clip(rgb_to_luma(np.moveaxis(small, -1, 0), "bt709"), 0, 1)
    theirs = cv2.resize(target, (240, 135), interpolation=cv2.INTER_AREA)
    counts = cv2.resize(np.ascontiguousarray(weight, np.float32), (240, 135), interpolation=cv2.INTER_AREA) > 0.9
    if int(counts.sum()) < 500:
        return rgb
    order = np.argsort(mine[counts], kind="stable")
    x, y = (np.array([np.median(part) for part in np.array_split(v[counts][order], 24)]) for v in (mine, theirs))
    if float(np.abs(x - y).mean()) < 0.008 or float(np.ptp(x)) < 0.1:
        return rgb
    best: tuple[float, float, float, float] | None = None
    for gamma in np.geomspace(0.4, 2.5, 41):
        basis = np.stack([np.ones_like(x), x**gamma], axis=1)
        (offset, gain), *_ = np.linalg.lstsq(basis, y, rcond=None)
        miss = float(np.abs(basis @ (offset, gain) - y).mean())
        if gain > 0.2 and (best is None or miss < best[0]):
            best = (miss, float(gamma), float(offset), float(gain))
    if best is None or best[0] > 0.6 * float(np.abs(x - y).mean()):
        return rgb
    _, gamma, offset, gain = best
    return np.clip(offset + gain * np.power(rgb, np.float32(gamma)), 0, 1).astype(np.float32)


def _describe(matrix: Array, shape: tuple[int, ...], target: tuple[int, ...], box: Box | None) -> str:
    """In words: what was done to a picture to lay it over its frame."""
    words: list[str] = []
    height, width = shape[0], shape[1]
    x, y = 1 / hypot(*matrix[:, 0]), 1 / hypot(*matrix[:, 1])
    if abs(x - 1) > 0.002 or abs(y - 1) > 0.002:
        same = abs(x / y - 1) < 0.004
        words.append(f"scaled to {100 * x:.1f} %" if same else f"scaled to {100 * x:.1f} % x {100 * y:.1f} %")
    turn = _geometry(matrix)[0]
    if abs(turn) > 0.05:
        words.append(f"turned back by {abs(turn):.1f} degrees")
    if box is not None and box.trims((height, width)):
        words.append("bars taken off")
    back = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))
    box = box or Box(0, height, 0, width)
    left, top, _ = back @ (box.left - 0.5, box.top - 0.5, 1)
    right, bottom, _ = back @ (box.right - 0.5, box.bottom - 0.5, 1)
    gaps = {"left": left + 0.5, "top": top + 0.5, "right": target[1] - 0.5 - right, "bottom": target[0] - 0.5 - bottom}
    cut = [f"{value:.0f} px {side}" for side, value in gaps.items() if value >= 1]
    over = [f"{-value:.0f} px {side}" for side, value in gaps.items() if value <= -1]
    words += [f"cropped by {', '.join(cut)}"] if cut and abs(turn) <= 0.05 else []
    words += [f"laps over by {', '.join(over)}"] if over and abs(turn) <= 0.05 else []
    return "; ".join(words) or "as it is"
