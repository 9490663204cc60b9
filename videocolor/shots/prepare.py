"""What every stage reads of a frame: its luma at the network's working size, and its shot."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol

import cv2
import numpy as np

from videocolor.color import codes_to_luma
from videocolor.images import resized
from videocolor.types import Array, Frame, Given

__all__ = [
    "Cuts",
    "ListedCuts",
    "Prepared",
    "gray_of",
    "mark_shots",
    "prepare",
    "small_luma",
    "unused_cuts",
    "working_size",
]


_AREA: Final = 288 * 160
_MULTIPLE: Final = 32


@dataclass(frozen=True, eq=False)
class Prepared:
    """A frame and its luma at the working size."""

    frame: Frame
    luma: Array
    """(h, w) float32, full-range Y' in 0..1."""
    gray: Array
    """(h, w) uint8, the same rounded: for motion and cuts."""

    def at(self, size: tuple[int, int]) -> Prepared:
        """Return the frame with its luma at another (height, width)."""
        return self if self.luma.shape == size else _prepared(self.frame, size)

    def luma_at(self, size: tuple[int, int]) -> Array:
        """Return luma at another (height, width), from the frame itself."""
        return self.luma if self.luma.shape == size else small_luma(self.frame, size)


class NetworkSizes(Protocol):
    """The pictures that a network wants; see `videocolor.models.base.ModelCard`."""

    @property
    def area(self) -> int: ...
    @property
    def area_reference(self) -> int | None: ...
    @property
    def area_style(self) -> int | None: ...
    @property
    def area_automatic(self) -> int | None: ...
    @property
    def multiple(self) -> int: ...
    @property
    def size(self) -> tuple[int, int] | None: ...


def working_size(
    width: int, height: int, card: NetworkSizes | None = None, *, hints: Given = "none"
) -> tuple[int, int]:
    """(height, width) that a network sees of a film: about the card's area, multiples, aspect kept.

    Among the sizes whose sides are multiples of `card.multiple`, the one whose aspect ratio and area differ least from
    the film's and the card's (both as logarithms, so that twice and half weigh alike). A film smaller than the card's
    area is not enlarged beyond the next multiple; for style references, to twice its pixels.

    Args:
        width: of the film.
        height: of the film.
        card: of the network; None: the size at which cuts are found, whether or not a network is at hand.
        hints: what the shot has; `none`: the size for motion and smoothing of shots without a reference frame,
            `automatic`: what the network sees of shots without a hint.
    """
    area, step = _AREA, _MULTIPLE
    if card is not None:
        if card.size is not None:
            return card.size
        areas = {"automatic": card.area_automatic, "style": card.area_style, "reference": card.area_reference}
        wanted = areas.get(hints)
        area, step = wanted or card.area, card.multiple
    shown = width * height * (2 if hints == "style" else 1)
    area = min(area, max(shown, step * step))
    return _nearest_size(width, height, area, step)


@lru_cache(maxsize=64)
def _nearest_size(width: int, height: int, area: int, step: int) -> tuple[int, int]:
    best, best_miss = (step, step), math.inf
    for h in range(step, 64 * step, step):
        for w in range(step, 64 * step, step):
            aspect = abs(math.log(w / h) - math.log(width / height))
            miss = 2 * aspect + abs(math.log(w * h / area))
            if w * h <= 1.4 * area + step * step and miss < best_miss:
                best, best_miss = (h, w), miss
    return best


def small_luma(frame: Frame, size: tuple[int, int]) -> Array:
    """(h, w) float32 Y' in 0..1 of a frame, area-averaged to (height, width) `size`.

    Where the frame combs, of its earlier field alone: the mean of two fields shows what moves twice.
    """
    h, w = size
    shrunk = frame.luma[frame.earlier_field == "bottom" :: 2] if frame.earlier_field else frame.luma
    # OpenCV halves in a tenth of the time that it takes to shrink by any other factor, and the mean of means is
    # the mean. An odd last row or column is left out: under half a sample of the working size.
    while shrunk.shape[0] // 2 >= h and shrunk.shape[1] // 2 >= w:
        shrunk = shrunk[: shrunk.shape[0] // 2 * 2, : shrunk.shape[1] // 2 * 2]
        shrunk = cv2.resize(shrunk, (shrunk.shape[1] // 2, shrunk.shape[0] // 2), interpolation=cv2.INTER_AREA)
    shrunk = resized(shrunk, size)
    return np.clip(codes_to_luma(shrunk, frame.layout.depth, frame.color.range), 0, 1)


def gray_of(luma: Array) -> Array:
    """(h, w) uint8 of (h, w) float32 Y' in 0..1, rounded."""
    return np.asarray(np.rint(luma * 255).astype(np.uint8))


class Cuts(Protocol):
    """Whatever knows where shots begin: a detector, or a list that a person made."""

    @property
    def latency(self) -> int:
        """A cut at frame i is reported at the latest when frame i + latency is pushed."""

    def push(self, gray: Array) -> list[int]:
        """Take the next frame; first frames of new shots that are certain now."""

    def finish(self) -> list[int]:
        """End the film; the cuts that were still undecided."""


def unused_cuts(cuts: Cuts) -> list[str]:
    """Warn where a shot list names frames that the film does not have."""
    beyond = cuts.beyond() if isinstance(cuts, ListedCuts) else []
    if not beyond:
        return []
    return [f"the shot list has {len(beyond)} shots after the film's last frame, from frame {beyond[0]} on: not used"]


class ListedCuts:
    """Cuts known beforehand."""

    latency = 0

    def __init__(self, starts: Collection[int]) -> None:
        self._starts = frozenset(starts) - {0}
        self._count = 0

    def push(self, gray: Array) -> list[int]:
        """Return this frame's index if a shot begins with it."""
        self._count += 1
        return [self._count - 1] if self._count - 1 in self._starts else []

    def finish(self) -> list[int]:
        """Nothing is ever undecided."""
        return []

    def beyond(self) -> list[int]:
        """Return the starts after the last frame seen."""
        return sorted(start for start in self._starts if start >= self._count)


def mark_shots(items: Iterable[Prepared], cuts: Cuts, first: int = 0) -> Iterator[tuple[int, Prepared]]:
    """(shot number, frame) pairs in film order, late by the cuts' latency; the first frame's shot is `first`."""
    pending: deque[tuple[int, Prepared]] = deque()
    starts: set[int] = set()
    shot = first

    def release(decided: int) -> Iterator[tuple[int, Prepared]]:
        nonlocal shot
        while pending and pending[0][0] <= decided:
            count, item = pending.popleft()
            if count in starts:
                starts.discard(count)
                shot += 1
            yield shot, item

    for count, item in enumerate(items):
        pending.append((count, item))
        starts.update(cuts.push(item.gray))
        yield from release(count - cuts.latency)
    starts.update(cuts.finish())
    if pending:
        yield from release(pending[-1][0])


def prepare(frames: Iterable[Frame], size: tuple[int, int]) -> Iterator[Prepared]:
    """Frames with their luma at the working size (height, width)."""
    try:
        for frame in frames:
            yield _prepared(frame, size)
    finally:
        close = getattr(frames, "close", None)
        if close is not None:
            close()


def _prepared(frame: Frame, size: tuple[int, int]) -> Prepared:
    luma = small_luma(frame, size)
    return Prepared(frame, luma, gray_of(luma))
