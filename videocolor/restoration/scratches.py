"""Vertical scratches: thin lines that run through the picture, repaired from their sides.

A scratch is at the same place for many frames, so frames before and after say nothing of what it hides; it
is known by its shape (Kokaram, "Detection and removal of line scratches in degraded motion picture sequences",
EUSIPCO 1996): thin, upright, long, its sides alike. The picture is averaged over bands of lines, what is thin in
each band stands out by a top-hat, and dynamic programming joins bands to lines that may lean and wander. A line
must be long, and be there in most frames around. Repair takes off what the line adds to the straight way from
side to side, as a running median along it, so that grain and detail under a translucent scratch stay.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np

from videocolor.restoration.levels import close, one_shot, sliding, store, thumbnail
from videocolor.types import Array, Frame

__all__ = ["REACH", "Line", "find_lines", "remove_scratches"]

REACH: Final = 2
"""Frames on each side in which a scratch is looked for."""
_PRESENT: Final = 3
"""Frames of the window that must show it (fewer where the shot has fewer)."""
_WANDER: Final = 0.006
"""Share of the picture's width by which a scratch may move in two frames."""
_BANDS: Final = 24
_WIDEST: Final = 0.006
"""Share of the picture's width that the widest scratch covers."""
_FAINT: Final = 3.0
"""Least mean height of a line over its surroundings in a band, 8-bit levels."""
_STANDS_OUT: Final = 3.0
"""How much higher than everything thin around a line must be."""
_SIDES: Final = 1.0
"""Largest difference of a line's sides as a share of its height: an edge has no like sides."""
_LINES: Final = 12
"""Most lines of a frame."""
_ALONG: Final = 9
"""Rows of the running median."""


@dataclass(frozen=True, eq=False)
class Line:
    """A scratch in one frame."""

    columns: Array
    """(bands,) int: its position in each band."""
    hits: Array
    """(bands,) bool: where it was seen."""
    bright: bool

    @property
    def middle(self) -> float:
        """Mean column."""
        return float(self.columns.mean())


@dataclass(frozen=True, eq=False)
class _Item:
    frame: Frame
    thumb: Array
    lines: list[Line]


def remove_scratches(frames: Iterable[Frame], height: float) -> Iterator[Frame]:
    """Remove vertical scratches.

    Args:
        frames: A film's frames in order.
        height: Share of the picture's height that a scratch runs through at least.

    Yields:
        As many frames; those without a scratch are the very same objects.
    """
    with closing(sliding(_items(frames, height), REACH)) as windows:
        for window, place in windows:
            here = window[place]
            shot = _shot(window, place)
            wander = max(2.0, _WANDER * here.frame.luma.shape[1])
            needed = min(_PRESENT, len(shot))
            lines = [line for line in here.lines if sum(_shows(other, line, wander) for other in shot) >= needed]
            yield _repaired(here.frame, lines) if lines else here.frame


def _items(frames: Iterable[Frame], height: float) -> Generator[_Item, None, None]:
    try:
        for frame in frames:
            lines = find_lines(_levels(frame), height)
            yield _Item(frame, thumbnail(frame.luma, frame.layout.depth), lines)
    finally:
        close(frames)


def _levels(frame: Frame) -> Array:
    """(h, w) float32 luma on the 8-bit scale."""
    return frame.luma.astype(np.float32) * np.float32(1 / 2 ** (frame.layout.depth - 8))


def _shot(window: list[_Item], place: int) -> list[_Item]:
    """Select the frames of the window that are of one shot with the one at `place`, itself among them."""
    first = last = place
    while first > 0 and one_shot(window[first - 1].thumb, window[first].thumb):
        first -= 1
    while last + 1 < len(window) and one_shot(window[last].thumb, window[last + 1].thumb):
        last += 1
    return window[first : last + 1]


def _shows(item: _Item, line: Line, wander: float) -> bool:
    return any(o.bright == line.bright and abs(o.middle - line.middle) <= wander for o in item.lines)


def find_lines(luma: Array, height: float) -> list[Line]:
    """Upright thin lines of a picture.

    Args:
        luma: (h, w) float32 on the 8-bit scale.
        height: Share of the height in which a line must be seen.
    """
    h, w = luma.shape
    if h < 2 * _BANDS or w < 32:
        return []
    half = max(2, round(_WIDEST * w / 2)) + 2
    bands = cv2.resize(luma, (w, _BANDS), interpolation=cv2.INTER_AREA)
    kernel = np.ones((1, 2 * half + 1), np.uint8)
    found: list[Line] = []
    for bright in (True, False):
        signed = bands if bright else -bands
        thin = signed - cv2.morphologyEx(signed, cv2.MORPH_OPEN, kernel)
        seen = _seen(signed, thin, half)
        found += _paths(seen, thin, height, bright, half)
    found.sort(key=lambda line: -int(line.hits.sum()))
    return found[:_LINES]


def _seen(signed: Array, thin: Array, half: int) -> Array:
    """(bands, w) bool: where a band has something thin that stands out, between like sides."""
    around = cv2.blur(np.minimum(thin, np.float32(4 * _FAINT)), (16 * half + 1, 1))
    padded = np.pad(signed, ((0, 0), (half, half)), mode="edge")
    sides = np.abs(padded[:, : -2 * half] - padded[:, 2 * half :])
    return np.asarray((thin > _FAINT) & (thin > np.float32(_STANDS_OUT) * around) & (sides < np.float32(_SIDES) * thin))


def _paths(seen: Array, thin: Array, height: float, bright: bool, half: int) -> list[Line]:
    """Lines through the bands: the best chain of neighbors that lean by at most a column a band."""
    found: list[Line] = []
    score = np.where(seen, 1.0 + 1e-3 * np.minimum(thin, 100.0), 0.0)
    if np.count_nonzero(cv2.dilate(seen.astype(np.uint8), np.ones((1, 5), np.uint8)).sum(axis=0)) == 0:
        return found
    while len(found) < _LINES:
        total = score.copy()
        back = np.zeros(score.shape, np.int64)
        for b in range(1, len(score)):
            before = np.pad(total[b - 1], 1, constant_values=-1.0)
            near = np.stack([before[1:-1] + 1e-6, before[:-2], before[2:]])
            best = near.argmax(axis=0)
            back[b] = np.array([0, -1, 1])[best]
            total[b] += near.max(axis=0)
        column = int(total[-1].argmax())
        columns = np.zeros(len(score), np.int64)
        for b in range(len(score) - 1, -1, -1):
            columns[b] = column
            column += int(back[b, column])
        places = np.arange(len(score))
        hits = seen[places, columns] & (score[places, columns] > 0)
        if hits.sum() < height * len(score):
            return found
        found.append(Line(columns, hits, bright))
        for b, x in enumerate(columns):
            score[b, max(0, x - half) : x + half + 1] = 0.0
    return found


def _repaired(frame: Frame, lines: list[Line]) -> Frame:
    levels = _levels(frame)
    changed = np.zeros(levels.shape, bool)
    for line in lines:
        _remove(levels, changed, line)
    scale = np.float32(2 ** (frame.layout.depth - 8))
    return replace(frame, luma=np.where(changed, store(levels * scale, frame), frame.luma))


def _remove(levels: Array, changed: Array, line: Line) -> None:
    """Take one line off the picture, in place."""
    h, w = levels.shape
    widest = max(2, round(_WIDEST * w / 2)) + 1
    rows = np.arange(h)
    band = (np.arange(len(line.columns)) + 0.5) * h / len(line.columns) - 0.5
    center = np.rint(np.interp(rows, band, line.columns)).astype(np.int64)
    reach = widest + 3
    offsets = np.arange(-reach, reach + 1)
    columns = np.clip(center[:, None] + offsets[None, :], 0, w - 1)
    patch = levels[rows[:, None], columns]
    half = _half_width(patch, widest, line.bright)
    inner = slice(reach - half, reach + half + 1)
    left = patch[:, reach - half - 3 : reach - half].mean(axis=1)
    right = patch[:, reach + half + 1 : reach + half + 4].mean(axis=1)
    share = (np.arange(1, 2 * half + 2) + 1.0) / (2 * half + 4)
    straight = left[:, None] * (1 - share) + right[:, None] * share
    added = patch[:, inner] - straight
    padded = np.pad(added, ((_ALONG // 2, _ALONG // 2), (0, 0)), mode="edge")
    added = np.median(np.lib.stride_tricks.sliding_window_view(padded, _ALONG, axis=0), axis=-1)
    live = np.convolve(line.hits, np.ones(3), mode="same") > 0
    on = live[np.clip((rows * len(live)) // h, 0, len(live) - 1)]
    at = (rows[on][:, None], columns[on][:, inner])
    levels[at] = (patch[:, inner] - added)[on]
    changed[at] = True


def _half_width(patch: Array, widest: int, bright: bool) -> int:
    """Columns on each side of the middle that the line covers, its soft edge among them."""
    reach = patch.shape[1] // 2
    base = 0.5 * (patch[:, :2].mean(axis=1) + patch[:, -2:].mean(axis=1))
    profile = np.median(patch - base[:, None], axis=0) * (1 if bright else -1)
    limit = 0.12 * max(float(profile[reach - 1 : reach + 2].max()), 1e-3)
    half = 0
    while half < widest and max(profile[reach - half - 1], profile[reach + half + 1]) > limit:
        half += 1
    return half
