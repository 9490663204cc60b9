"""Shots that return keep their colours: which earlier shot a new one looks like, and what that shot lends it.

Who lends to whom follows from luma alone, so that it can be planned before anything is coloured, and every shard of
a film finds out its lenders' colours by itself: the lender's first and last frame, coloured by the network with the
lender's own hints. Only shots that are not themselves returning lend, so no chain of loans arises.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol

from videocolor.film import Film, FilmReader, Part
from videocolor.prepare import Prepared, gray_of, prepare, small_luma
from videocolor.shots import shots_like
from videocolor.survey import thumbnail
from videocolor.types import Array

__all__ = ["Lenders", "PlannedLenders", "ReturnFinder", "SeenLenders", "lender_lumas"]

_SHOTS: Final = 24
"""Most shots remembered, the longest unseen forgotten first: some 10 MB at the usual working size."""
_RETURNS: Final = 0.8
"""Likeness from which a shot counts as an earlier one come back: stricter than for a person's hint,
because nobody said so."""


class ReturnFinder:
    """Recognises shots by the first and the last frame of recent ones.

    Args:
        like: `videocolor.shots.shots_like`, or what remembers its answers.
    """

    def __init__(self, like: Callable[[Array, Array], float] = shots_like) -> None:
        self._like = like
        self._shots: OrderedDict[int, tuple[Array, ...]] = OrderedDict()

    def find(self, first: Array) -> int | None:
        """The earlier shot that a new one looks like.

        Args:
            first: (90, 160) uint8 luma of the new shot's first frame.
        """
        best, likeness = None, _RETURNS
        for shot, pictures in self._shots.items():
            like = max(self._like(first, other) for other in pictures)
            if like >= likeness:
                best, likeness = shot, like
        if best is not None:
            self._shots.move_to_end(best)
        return best

    def add(self, shot: int, first: Array, last: Array) -> int | None:
        """Remember a shot that does not return to another; the number of the one forgotten for it, if any."""
        self._shots[shot] = (first, last)
        return self._shots.popitem(last=False)[0] if len(self._shots) > _SHOTS else None


def lender_lumas(film: Film, places: Iterable[tuple[int, int]], *, from_beginning: bool = False) -> list[Array]:
    """Luma of some frames at the working size, read from the film: what `Lenders.lumas` returns.

    Args:
        film: opened.
        places: (index, pts) of each frame.
        from_beginning: as of `Part`.

    Raises:
        InputError: no such frame stands at that time.
    """
    found = []
    for index, pts in places:
        with FilmReader(film.source, film.config, film.info, Part(index, pts, None, from_beginning)) as reader:
            found.append(next(prepare(reader, film.size)).luma)
    return found


class Lenders(Protocol):
    """Who lends colours to whom, and what the lenders looked like."""

    def lender(self, number: int, first: Prepared) -> int | None:
        """The shot that lends its colours to a shot without hints of its own that begins with `first`."""

    def leave(self, number: int, first: Prepared | None, last: Prepared, lender: int | None) -> None:
        """A shot is over; `first` is None where the run began inside it."""

    def lumas(self, lender: int) -> list[Array]:
        """(h, w) float32 luma of the lender's first and last frame, at the working size."""


class SeenLenders:
    """Lenders found while the film goes by.

    Args:
        size: (height, width) at which shots are compared: a survey's, so that both find the same lenders; None: the
            working size.
    """

    def __init__(self, size: tuple[int, int] | None = None) -> None:
        self._size = size
        self._finder = ReturnFinder()
        self._lumas: dict[int, list[Array]] = {}

    def lender(self, number: int, first: Prepared) -> int | None:
        """See `Lenders`."""
        return self._finder.find(self._picture(first))

    def leave(self, number: int, first: Prepared | None, last: Prepared, lender: int | None) -> None:
        """See `Lenders`."""
        if lender is None and first is not None:
            self._lumas[number] = [first.luma, last.luma]
            forgotten = self._finder.add(number, self._picture(first), self._picture(last))
            if forgotten is not None:
                del self._lumas[forgotten]

    def _picture(self, item: Prepared) -> Array:
        if self._size is None or self._size == item.gray.shape:
            return thumbnail(item.gray)
        return thumbnail(gray_of(small_luma(item.frame, self._size)))

    def lumas(self, lender: int) -> list[Array]:
        """See `Lenders`."""
        return self._lumas[lender]


class PlannedLenders:
    """Lenders that a plan names.

    Args:
        returns: number of a shot -> number of the shot that lends to it.
        fetch: reads what `lumas` returns out of the film, for lenders that the run does not pass.
    """

    def __init__(self, returns: Mapping[int, int], fetch: Callable[[int], list[Array]]) -> None:
        self._returns, self._fetch = returns, fetch
        self._last_use = {lender: max(n for n, r in returns.items() if r == lender) for lender in returns.values()}
        self._lumas: dict[int, list[Array]] = {}

    def lender(self, number: int, first: Prepared) -> int | None:
        """See `Lenders`."""
        return self._returns.get(number)

    def leave(self, number: int, first: Prepared | None, last: Prepared, lender: int | None) -> None:
        """See `Lenders`."""
        for other in [other for other in self._lumas if self._last_use[other] <= number]:
            del self._lumas[other]
        if first is not None and self._last_use.get(number, 0) > number:
            self._lumas[number] = [first.luma, last.luma]

    def lumas(self, lender: int) -> list[Array]:
        """See `Lenders`."""
        if lender not in self._lumas:
            self._lumas[lender] = self._fetch(lender)
        return self._lumas[lender]
