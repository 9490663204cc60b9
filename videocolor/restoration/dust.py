"""Dust and specks: what is in one frame alone, replaced from the frames before and after along the motion.

A sample is dirt if the frame before and the frame after, brought onto this one by motion, agree with each
other and both differ from it to the same side: the spike detection index of Kokaram ("Motion Picture
Restoration", Springer 1998, SDIp), with the range of 3x3 neighbors in place of single samples against small
errors of motion (the rank order detector of Nadenau and Mitra, 1997). The threshold rises where the
surroundings do not fit either (water, wings, a shaken cloth). A spot that is found again elsewhere in both
neighbors is something that flies past, and stays.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Final

import cv2
import numpy as np

from videocolor.motion.flow import FlowEstimator, grid, resize_flow
from videocolor.restoration.levels import (
    Exposure,
    close,
    distance,
    eight_bit,
    exposure_between,
    sliding,
    store,
    thumbnail,
)
from videocolor.types import Array, Frame

__all__ = ["REACH", "remove_dust"]

REACH: Final = 2
"""Frames on each side among which the neighbors are looked for: a repeated frame is passed over."""
_FLOW_WIDTH: Final = 1100
"""Motion is found on half of a picture that is halved until it is no wider than this."""
_CUT: Final = 0.8
"""Scene distance between the frames before and after from which they are two shots. Two frames apart, fast motion
reaches 0.7; pictures that have nothing in common stand at 1.2. What a cut leaves agreeing is no dirt anyway."""
_REPEAT: Final = 1.5
"""Largest difference of two small pictures, in 8-bit levels, up to which a frame is shown again."""
_AROUND: Final = 2.0
"""Levels by which the threshold rises for each level that the surroundings are off."""
_CLIP: Final = 24
"""Levels from which a misfit of the surroundings counts no more: dirt is no measure of them."""
_WEAK: Final = 0.4
"""Share of the threshold at which a spot ends."""
_LARGEST: Final = 0.004
"""Share of the picture that one spot may cover; larger things are no dust..."""
_LARGE: Final = 400
"""...unless they are of no more samples than this."""
_UPROAR: Final = (0.13, 81, 0.05)
"""(side of a square as a share of the picture's width, at least so many samples, share of it): where more than this
around a spot fits neither neighbor, a thing moves too fast to be followed, and the spot is no dirt."""
_EDGE: Final = 0.5
"""Share of a spot's height that its edge must climb from a sample to the next but one."""
_EDGE_WIDTH: Final = 1100
"""Width of a picture from which an edge may take a sample more on both sides; twice that, two."""
_MOST: Final = 0.05
"""Share of the picture that all spots may cover; beyond it the frame is another picture and stays."""
_SEARCH: Final = 0.06
"""Share of the picture's width within which a flying thing is looked for in the neighbors."""
_FOUND: Final = 0.3
"""Share of a spot's energy that may remain where it is found again."""
_SURROUNDINGS: Final = (31, 31)
"""Samples around a spot that tell how well the neighbors fit."""
_CROSS: Final = np.ones((3, 3), np.uint8)


@dataclass(frozen=True, eq=False)
class _Item:
    """What is kept of a frame."""

    frame: Frame
    gray: Array
    """(h, w) uint8."""
    small: Array
    """Prepared for motion."""
    thumb: Array


def remove_dust(frames: Iterable[Frame], contrast: float) -> Iterator[Frame]:
    """Remove dust.

    Args:
        frames: A film's frames in order.
        contrast: Least contrast of dust in 8-bit levels, where the surroundings fit perfectly.

    Yields:
        As many frames; those without dust, and the first and last of a shot, are the very same objects.
    """
    flow = FlowEstimator("fast")
    motions: dict[tuple[int, int], Array] = {}
    with closing(sliding(_items(frames, flow), REACH)) as windows:
        for window, place in windows:
            before, after = _neighbor(window, place, -1), _neighbor(window, place, 1)
            here = window[place]
            if before is None or after is None or _cut(before, after):
                yield here.frame
                continue
            motions = {k: m for k, m in motions.items() if min(k) >= window[0].frame.index}
            pictures = (
                _brought(before, here, _motion(motions, flow, here, before)),
                _brought(after, here, _motion(motions, flow, here, after)),
            )
            yield _repaired(here, before, after, pictures, contrast)


def _items(frames: Iterable[Frame], flow: FlowEstimator) -> Generator[_Item, None, None]:
    try:
        for frame in frames:
            gray = eight_bit(frame.luma, frame.layout.depth)
            small = gray
            while small.shape[1] > _FLOW_WIDTH:
                small = cv2.resize(small, (small.shape[1] // 2, small.shape[0] // 2), interpolation=cv2.INTER_AREA)
            yield _Item(frame, gray, flow.prepare(small), thumbnail(frame.luma, frame.layout.depth))
    finally:
        close(frames)


def _cut(a: _Item, b: _Item) -> bool:
    return distance(a.thumb, b.thumb) > _CUT


def _motion(known: dict[tuple[int, int], Array], flow: FlowEstimator, a: _Item, b: _Item) -> Array:
    """Flow that warps b onto a, by pairs that may be asked for again."""
    key = (a.frame.index, b.frame.index)
    if key not in known:
        known[key] = flow.refine(a.small, b.small, np.zeros((*a.small.shape, 2), np.float32))
    return known[key]


def _neighbor(window: list[_Item], place: int, way: int) -> _Item | None:
    """Find the nearest frame that is not this one shown again."""
    k = place + way
    while 0 <= k < len(window):
        if float(np.abs(window[k].thumb - window[place].thumb).max()) > _REPEAT:
            return window[k]
        k += way
    return window[place + way] if 0 <= place + way < len(window) else None


@dataclass(frozen=True, eq=False)
class _Brought:
    """A neighbor on this frame's grid."""

    gray: Array
    """(h, w) uint8, at this frame's exposure."""
    places: Array
    """(h, w, 2) float32: coordinates of each sample in the neighbor."""
    change: Exposure


def _brought(other: _Item, here: _Item, flow: Array) -> _Brought:
    change = exposure_between(other.thumb, here.thumb) or Exposure()
    shape = here.gray.shape
    places = cv2.add(grid(*shape), resize_flow(flow, (shape[0], shape[1])))
    gray = _look_up(other.gray, places)
    if change.most(0, 255) >= 0.5:
        levels = np.arange(256) * change.gain + change.offset
        gray = cv2.LUT(gray, np.rint(np.clip(levels, 0, 255)).astype(np.uint8))
    return _Brought(gray, places, change)


def _look_up(image: Array, places: Array) -> Array:
    """Sample an image at coordinates (x, y), with cubic interpolation: grain stays sharper than with linear."""
    unused: Any = None
    return cv2.remap(image, places, unused, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def _repaired(here: _Item, before: _Item, after: _Item, pictures: tuple[_Brought, _Brought], contrast: float) -> Frame:
    spots = find_spots(here.gray, pictures[0].gray, pictures[1].gray, contrast)
    flying = [
        k for k in range(len(spots.boxes)) if _flies(here.gray, (before.gray, after.gray), pictures, spots.boxes[k])
    ]
    mask = spots.mask(leave=flying)
    if not mask.any() or mask.mean() > _MOST:
        return here.frame
    cover: Array = cv2.dilate(mask.astype(np.uint8), _CROSS).astype(np.float32)
    cover = cv2.GaussianBlur(cover, (3, 3), 0)
    frame = here.frame
    fill = _fill(frame, (before.frame, after.frame), pictures)
    luma = frame.luma.astype(np.float32)
    touched = cover > 0
    repaired = luma + cover * (fill - luma)
    return replace(frame, luma=np.where(touched, store(repaired, frame), frame.luma))


def _fill(frame: Frame, others: tuple[Frame, Frame], pictures: tuple[_Brought, _Brought]) -> Array:
    """(h, w) float32 codes: the mean of both neighbors, in the film's own depth."""
    if frame.layout.depth == 8:
        return cv2.addWeighted(pictures[0].gray, 0.5, pictures[1].gray, 0.5, 0, dtype=cv2.CV_32F)
    parts = []
    for other, brought in zip(others, pictures, strict=True):
        part = _look_up(other.luma, brought.places)
        offset = brought.change.offset * 2 ** (frame.layout.depth - 8)
        parts.append(part.astype(np.float32) * np.float32(brought.change.gain) + np.float32(offset))
    return np.asarray((parts[0] + parts[1]) * np.float32(0.5))


@dataclass(frozen=True, eq=False)
class Spots:
    """What looks like dirt."""

    labels: Array
    """(h, w) int32: number of the connected patch that a sample belongs to, 0 for none."""
    chosen: Array
    """(n,) numbers of the patches that are dirt."""
    boxes: list[tuple[int, int, int, int]]
    """Their (x, y, width, height)."""

    def mask(self, leave: Sequence[int] = ()) -> Array:
        """(h, w) bool: the dirt, without the spots of the given places in `chosen`."""
        hit = np.zeros(int(self.labels.max()) + 1, bool)
        hit[np.delete(self.chosen, list(leave))] = True
        return np.asarray(hit[self.labels])


def find_spots(here: Array, before: Array, after: Array, contrast: float) -> Spots:
    """Patches that are dirt as far as the aligned neighbors tell.

    Args:
        here: (h, w) uint8.
        before: (h, w) uint8, the frame before on this grid.
        after: (h, w) uint8, the frame after on this grid.
        contrast: Threshold in levels.
    """
    high, low = cv2.max(before, after), cv2.min(before, after)
    spike = cv2.max(
        cv2.subtract(here, cv2.dilate(high, _CROSS)),  # saturating: 0 where not above
        cv2.subtract(cv2.erode(low, _CROSS), here),
    )
    likely = (spike > contrast).astype(np.uint8)
    if not likely.any():
        return Spots(np.zeros(here.shape, np.int32), np.zeros(0, int), [])
    height = cv2.max(cv2.subtract(here, high), cv2.subtract(low, here))
    misfit = cv2.min(cv2.absdiff(here, before), cv2.absdiff(here, after))
    unfit = (misfit > contrast).astype(np.float32)
    misfit = np.minimum(misfit, np.uint8(_CLIP)).astype(np.float32)
    clear = (cv2.dilate(likely, np.ones((7, 7), np.uint8)) == 0).astype(np.float32)
    around = cv2.blur(misfit * clear, _SURROUNDINGS) / (cv2.blur(clear, _SURROUNDINGS) + np.float32(0.02))
    threshold = np.float32(contrast) + np.float32(_AROUND) * around + cv2.blur(cv2.subtract(high, low), (5, 5))
    weak = (height > np.float32(_WEAK) * threshold).astype(np.uint8)
    _, labels, stats, middles = cv2.connectedComponentsWithStats(weak, connectivity=8)
    chosen = np.unique(labels[spike > threshold])
    areas = stats[chosen, cv2.CC_STAT_AREA]
    chosen = chosen[(chosen > 0) & (areas <= max(_LARGE, _LARGEST * here.size))]
    chosen = _in_calm(chosen, unfit, labels, middles)
    boxes = [(int(x), int(y), int(w), int(h)) for x, y, w, h in stats[chosen, :4]]
    sharp = [_sharp(height, labels, int(k), box) for k, box in zip(chosen, boxes, strict=True)]
    return Spots(labels, chosen[sharp], [box for box, wanted in zip(boxes, sharp, strict=True) if wanted])


def _sharp(height: Array, labels: Array, number: int, box: tuple[int, int, int, int]) -> bool:
    """Tell whether a patch has the edge of something that lay on the film, not the slope of a blurred motion."""
    x, y, w, h = box
    rows, columns = slice(max(0, y - 2), y + h + 2), slice(max(0, x - 2), x + w + 2)
    inside = labels[rows, columns] == number
    part = height[rows, columns]
    side = 3 + 2 * (height.shape[1] // _EDGE_WIDTH)
    slope = cv2.morphologyEx(part, cv2.MORPH_GRADIENT, np.ones((side, side), np.uint8))
    return float(np.percentile(slope[inside], 90)) >= _EDGE * float(part[inside].max())


def _in_calm(chosen: Array, unfit: Array, labels: Array, middles: Array) -> Array:
    """Those of the patches around which, such patches aside, nearly everything fits a neighbor."""
    if not chosen.size:
        return chosen
    spots = np.zeros(int(labels.max()) + 1, np.float32)
    spots[chosen] = 1
    rest = cv2.subtract(unfit, cv2.dilate(spots[labels], _CROSS))
    side = max(2 * round(_UPROAR[0] * unfit.shape[1] / 2) + 1, _UPROAR[1])
    share = cv2.blur(np.maximum(rest, 0), (side, side), borderType=cv2.BORDER_REFLECT)
    at = np.rint(middles[chosen]).astype(np.int64)
    return np.asarray(chosen[share[at[:, 1], at[:, 0]] <= _UPROAR[2]])


def _flies(
    here: Array,
    others: tuple[Array, Array],
    pictures: tuple[_Brought, _Brought],
    box: tuple[int, int, int, int],
) -> bool:
    """Tell whether both neighbors show a spot too, elsewhere: then it is a thing that flies past."""
    x, y, w, h = box
    top, bottom, left, right = max(0, y - 2), y + h + 2, max(0, x - 2), x + w + 2
    patch = here[top:bottom, left:right]
    reach = max(8, round(_SEARCH * here.shape[1]))
    for other, brought in zip(others, pictures, strict=True):
        energy = float(cv2.norm(patch, brought.gray[top:bottom, left:right], cv2.NORM_L2SQR))
        area = other[max(0, top - reach) : bottom + reach, max(0, left - reach) : right + reach]
        if float(cv2.matchTemplate(area, patch, cv2.TM_SQDIFF).min()) > _FOUND * energy:
            return False
    return True
