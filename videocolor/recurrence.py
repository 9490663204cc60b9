"""Shots keep their colours: those that return to an earlier shot borrow its, all without a hint hold on to their own.

Who lends to whom follows from luma alone, so that it can be planned before anything is coloured, and every shard of
a film finds out its lenders' colours by itself: the lender's first and last frame, coloured by the network with the
lender's own hints. Only shots that are not themselves returning lend, so no chain of loans arises.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol

import cv2
import numpy as np

from videocolor.film import Film, FilmReader, Part
from videocolor.models.base import HintInput, Prediction
from videocolor.prepare import Prepared, gray_of, prepare, small_luma
from videocolor.shots import shots_like
from videocolor.survey import thumbnail
from videocolor.types import Array

__all__ = ["Lenders", "OwnHints", "PlannedLenders", "ReturnFinder", "SeenLenders", "lender_lumas", "own_hints"]

_SHOTS: Final = 24
"""Most shots remembered, the longest unseen forgotten first: some 10 MB at the usual working size."""
_RETURNS: Final = 0.8
"""Likeness from which a shot counts as an earlier one come back: stricter than for a person's hint,
because nobody said so."""

_OWN: Final = 3
"""Most frames of a shot that are hints for the rest of it; the newest stay."""
_SUPPORTED: Final = 0.5
"""Mean confidence under which a frame shows enough that is new to become another hint."""
_FLAT: Final = 0.02
"""Standard deviation of luma under which a picture (black, white) is no hint for anything."""


class OwnHints:
    """The network's own earlier colours in a shot that nobody hinted, as hints for the rest of it.

    Fusion over time remembers about a second. Without more, the colour of a face or a wall is decided anew all the
    time and drifts as light and pose change; told how it coloured the shot's beginning, the network stays with it. A
    frame that shows much that its hints do not know (a pan, somebody who comes in) becomes a hint as well.

    Args:
        size: (height, width) that the network sees.
        wanted: otherwise there are none.
    """

    def __init__(self, size: tuple[int, int], *, wanted: bool = True) -> None:
        self._size, self._wanted = size, wanted
        self.hints: deque[HintInput] = deque(maxlen=_OWN)

    def look(self, lumas: Sequence[Array], seen: Prediction) -> bool:
        """Look at a window's anchors; whether there is another hint now.

        Args:
            lumas: (h, w) float32 each.
            seen: what the network made of them.
        """
        if not self._wanted or not len(lumas) or seen.confidence is None:
            return False
        known = seen.confidence.mean(axis=(1, 2)) if self.hints else np.zeros(len(lumas), np.float32)
        place = int(known.argmin())
        if known[place] >= _SUPPORTED or float(lumas[place].std()) < _FLAT:
            return False
        height, width = self._size
        ab = [cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR) for plane in seen.ab[place]]
        self.hints.append(HintInput(lumas[place], np.stack(ab)))
        return True

    def memory(self) -> dict[str, Array]:
        """The hints as arrays by name."""
        return {
            f"{n}.{name}": x for n, hint in enumerate(self.hints) for name, x in (("luma", hint.luma), ("ab", hint.ab))
        }

    def recall(self, memory: Mapping[str, Array]) -> None:
        """Take up what another shot's `memory` returned."""
        for place in range(len(memory) // 2):
            self.hints.append(HintInput(memory[f"{place}.luma"], memory[f"{place}.ab"]))


def own_hints(film: Film, lent: Sequence[HintInput], begins: Array | None, *, asked: bool) -> OwnHints:
    """What holds a shot to its own colours.

    Args:
        film: opened.
        lent: hints that the shot borrows.
        begins: (h, w) float32 luma of the shot's first frame, where the run begins behind it and does not know it.
        asked: a person gave the shot hints. Then there are none of its own: all hints of a shot are believed as one,
            and a wrong one would be believed for their sake.
    """
    own = OwnHints(film.size, wanted=film.config.model.self_hints and film.colorizer.card.hints == "many" and not asked)
    if begins is not None:
        own.look([begins], film.predictor.predict(film.colorizer.begin(lent), [begins]))
    return own


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
