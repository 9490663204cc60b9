"""Colors that recurring shots reuse of an earlier shot.

Which shot reuses which follows from luma alone, so that it can be planned before anything is colored, and every shard
of a film computes the reused colors by itself: the reference shot's first and last frame, colored by the network with
that shot's own hints. A shot that reuses another one is never reused, so there are no chains.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol

import cv2
import numpy as np

from videocolor.hints.plan import HintPlan, hint_input
from videocolor.models.base import HintInput
from videocolor.motion.similarity import shot_similarity, thumbnail
from videocolor.pipeline.film import Film
from videocolor.pipeline.keyframe_motion import unknown_motion
from videocolor.pipeline.reader import FilmReader, Part
from videocolor.shots.prepare import Prepared, gray_of, prepare, small_luma
from videocolor.shots.scan import ScanResult
from videocolor.types import Array

__all__ = [
    "ReferenceShots",
    "PlannedReferenceShots",
    "RecurrenceFinder",
    "SeenReferenceShots",
    "recurring_shots",
    "reference_lumas",
    "reused_hints",
]

_SHOTS: Final = 24
"""Most shots remembered, the longest unseen forgotten first: some 10 MB at the usual working size."""
_RETURNS: Final = 0.8
"""Similarity from which a shot counts as an earlier one come back: stricter than for a person's hint,
because nobody said so."""

_REUSED: Final = 8
"""Reference shots whose colors a run keeps."""


def _resized(ab: Array, size: tuple[int, int]) -> Array:
    """(2, h, w) a*b* at another (height, width)."""
    return np.stack([cv2.resize(plane, size[::-1], interpolation=cv2.INTER_LINEAR) for plane in ab])


def reused_hints(
    film: Film, shots: ReferenceShots, reference: int, known: dict[int, list[HintInput]]
) -> list[HintInput]:
    """Return what recurring shots reuse of a shot: its first and last frame, as the network alone colors them.

    Args:
        film: opened.
        shots: what the reference shots look like.
        reference: number of the shot.
        known: earlier answers; the latest few are added.
    """
    if reference not in known:
        planned = film.hints.for_shot(reference)[: film.colorizer.card.max_hints]
        lumas, size = shots.lumas(reference), film.reuse_size
        reach = film.config.hints.reach
        own = [hint_input(p.hint, size, in_shot=p.own == reference, reach=reach) for p in planned]
        begun, stride = film.colorizer.begin(own), film.colorizer.card.feature_stride
        if own or stride is None:
            seen = film.predictor.predict(begun, lumas, film.grid(size))
        else:  # one choice for both, as for the keyframes of the shot itself
            apart = unknown_motion(len(lumas), (size[0] // stride, size[1] // stride))
            seen = film.predictor.predict_together(begun, lumas, film.grid(size), apart)
        known[reference] = [HintInput(luma, _resized(ab, size)) for luma, ab in zip(lumas, seen.ab, strict=True)]
        while len(known) > _REUSED:
            del known[next(iter(known))]
    return known[reference]


class RecurrenceFinder:
    """Recognizes shots by the first and the last frame of recent ones.

    Args:
        like: `videocolor.motion.similarity.shot_similarity`, or what remembers its answers.
    """

    def __init__(self, like: Callable[[Array, Array], float] = shot_similarity) -> None:
        self._like = like
        self._shots: OrderedDict[int, tuple[Array, ...]] = OrderedDict()

    def find(self, first: Array) -> int | None:
        """Find the earlier shot that a new one resembles.

        Args:
            first: (90, 160) uint8 luma of the new shot's first frame.
        """
        best, similarity = None, _RETURNS
        for shot, pictures in self._shots.items():
            like = max(self._like(first, other) for other in pictures)
            if like >= similarity:
                best, similarity = shot, like
        if best is not None:
            self._shots.move_to_end(best)
        return best

    def add(self, shot: int, first: Array, last: Array) -> int | None:
        """Remember a shot that does not return to another; the number of the one forgotten for it, if any."""
        self._shots[shot] = (first, last)
        return self._shots.popitem(last=False)[0] if len(self._shots) > _SHOTS else None


def recurring_shots(scan: ScanResult, hints: HintPlan) -> dict[int, int]:
    """Find the shots without hints that look like an earlier one: number -> number of the shot that they reuse."""
    finder, found = RecurrenceFinder(), {}
    for view in scan.shots:
        number, first = view.shot.index, view.views[0][1]
        reference = None if hints.for_shot(number) else finder.find(first)
        if reference is None:
            finder.add(number, first, view.last)
        else:
            found[number] = reference
    return found


def reference_lumas(film: Film, places: Iterable[tuple[int, int]], *, from_beginning: bool = False) -> list[Array]:
    """Luma of some frames at `Film.reuse_size`, read from the film: what `ReferenceShots.lumas` returns.

    Args:
        film: opened.
        places: (index, pts) of each frame.
        from_beginning: as of `Part`.

    Raises:
        InputError: there is no such frame at that time.
    """
    found = []
    for index, pts in places:
        with FilmReader(film.source, film.config, film.info, Part(index, pts, None, from_beginning)) as reader:
            found.append(next(prepare(reader, film.reuse_size)).luma)
    return found


class ReferenceShots(Protocol):
    """Which earlier shot a recurring shot reuses, and what the reused ones look like."""

    def reference(self, number: int, first: Prepared) -> int | None:
        """Return the shot that a shot without hints reuses, which begins with `first`; None: it does not recur."""

    def leave(self, number: int, first: Prepared | None, last: Prepared, reference: int | None) -> None:
        """Note that a shot is over, and what it reused.

        Args:
            number: of the shot.
            first: its first frame at `Film.reuse_size`; None: the run began inside the shot.
            last: its last frame, likewise.
            reference: number of the shot that it reused.
        """

    def lumas(self, reference: int) -> list[Array]:
        """(h, w) float32 luma of a shot's first and last frame at `Film.reuse_size`."""


class SeenReferenceShots:
    """Found while the film is read.

    Args:
        size: (height, width) at which shots are compared: a scan's, so that both find the same; None: the working
            size.
    """

    def __init__(self, size: tuple[int, int] | None = None) -> None:
        self._size = size
        self._finder = RecurrenceFinder()
        self._lumas: dict[int, list[Array]] = {}

    def reference(self, number: int, first: Prepared) -> int | None:
        """See `ReferenceShots`."""
        return self._finder.find(self._picture(first))

    def leave(self, number: int, first: Prepared | None, last: Prepared, reference: int | None) -> None:
        """See `ReferenceShots`."""
        if reference is None and first is not None:
            self._lumas[number] = [first.luma, last.luma]
            forgotten = self._finder.add(number, self._picture(first), self._picture(last))
            if forgotten is not None:
                del self._lumas[forgotten]

    def _picture(self, item: Prepared) -> Array:
        if self._size is None or self._size == item.gray.shape:
            return thumbnail(item.gray)
        return thumbnail(gray_of(small_luma(item.frame, self._size)))

    def lumas(self, reference: int) -> list[Array]:
        """See `ReferenceShots`."""
        return self._lumas[reference]


class PlannedReferenceShots:
    """Those that a plan names.

    Args:
        reuses: number of a shot -> number of the shot that it reuses.
        fetch: reads what `lumas` returns from the film, for shots that the run does not pass.
    """

    def __init__(self, reuses: Mapping[int, int], fetch: Callable[[int], list[Array]]) -> None:
        self._reuses, self._fetch = reuses, fetch
        self._last_use = {reference: number for number, reference in sorted(reuses.items())}
        self._lumas: dict[int, list[Array]] = {}

    def reference(self, number: int, first: Prepared) -> int | None:
        """See `ReferenceShots`."""
        return self._reuses.get(number)

    def leave(self, number: int, first: Prepared | None, last: Prepared, reference: int | None) -> None:
        """See `ReferenceShots`."""
        for other in [other for other in self._lumas if self._last_use[other] <= number]:
            del self._lumas[other]
        if first is not None and self._last_use.get(number, 0) > number:
            self._lumas[number] = [first.luma, last.luma]

    def lumas(self, reference: int) -> list[Array]:
        """See `ReferenceShots`."""
        if reference not in self._lumas:
            self._lumas[reference] = self._fetch(reference)
        return self._lumas[reference]
