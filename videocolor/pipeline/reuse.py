"""Shots keep their colours: those that return to an earlier shot borrow its; others can be held near their own.

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

from videocolor.models.base import HintInput, Prediction
from videocolor.pipeline.film import Film, FilmReader, Part
from videocolor.pipeline.prepare import Prepared, gray_of, prepare, small_luma
from videocolor.shots.detect import shot_similarity
from videocolor.shots.scan import thumbnail
from videocolor.types import Array

__all__ = [
    "ReferenceShots",
    "SelfReferences",
    "PlannedReferenceShots",
    "RecurrenceFinder",
    "SeenReferenceShots",
    "reference_lumas",
    "self_references",
]

_SHOTS: Final = 24
"""Most shots remembered, the longest unseen forgotten first: some 10 MB at the usual working size."""
_RETURNS: Final = 0.8
"""Similarity from which a shot counts as an earlier one come back: stricter than for a person's hint,
because nobody said so."""

_OWN: Final = 3
"""Most frames of a shot that are hints for the rest of it; the newest stay."""
_APART: Final = 2
"""Windows from one to the next."""
_KNOWN: Final = 0.5
"""Mean confidence under which a picture is another one: it becomes a hint at once."""
_FLAT: Final = 0.02
"""Standard deviation of luma under which a picture (black, white) is no hint for anything."""


class SelfReferences:
    """Frames of a shot that nobody hinted, coloured without any hint, as hints for the rest of it.

    Fusion over time remembers about a second. Without more, the colour of a face or a wall is decided anew all the
    time and drifts as light and pose change; told how it coloured some frames before, the network stays near that.
    Frames are added now and then, each as the network colours it by itself: so what comes in later has colours of its
    own as well, and a first frame that was coloured badly does not rule the shot.

    Args:
        film: opened.
        lent: hints that the shot borrows.
        wanted: otherwise there are none.
    """

    def __init__(self, film: Film, lent: Sequence[HintInput] = (), *, wanted: bool = True) -> None:
        self._film, self._lent, self._wanted = film, lent, wanted
        self.hints: deque[HintInput] = deque(maxlen=_OWN)
        self._since = 0

    def look(self, lumas: Sequence[Array], seen: Prediction) -> bool:
        """Look at a window's anchors; whether the hints have changed.

        Args:
            lumas: (h, w) float32 each.
            seen: what the network made of them, told of the hints so far.
        """
        self._since += 1
        if not self._wanted or not len(lumas) or seen.confidence is None:
            return False
        known = float(seen.confidence[-1].mean()) if self.hints else 0.0
        if (known >= _KNOWN and self._since < _APART) or float(lumas[-1].std()) < _FLAT:
            return False
        plain = self._film.predictor.predict(self._film.colorizer.begin(self._lent), [lumas[-1]])
        height, width = self._film.size
        ab = [cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR) for plane in plain.ab[0]]
        self.hints.append(HintInput(lumas[-1], np.stack(ab)))
        self._since = 0
        return True

    def memory(self) -> dict[str, Array]:
        """All that the shot's further frames depend on, as arrays by name."""
        arrays = {f"{n}.{name}": getattr(hint, name) for n, hint in enumerate(self.hints) for name in ("luma", "ab")}
        return {**arrays, "since": np.array(self._since)}

    def recall(self, memory: Mapping[str, Array]) -> None:
        """Take up what another's `memory` returned."""
        while (head := f"{len(self.hints)}.") + "luma" in memory:
            self.hints.append(HintInput(memory[head + "luma"], memory[head + "ab"]))
        self._since = int(memory["since"])


def self_references(film: Film, lent: Sequence[HintInput], *, asked: bool) -> SelfReferences:
    """What holds a shot to its own colours.

    Args:
        film: opened.
        lent: hints that the shot borrows.
        asked: a person gave the shot hints. Then there are none of its own: all hints of a shot are believed as one,
            and a wrong one would be believed for their sake.
    """
    wanted = film.config.model.self_references and film.colorizer.card.hints == "many" and not asked
    return SelfReferences(film, lent, wanted=wanted)


class RecurrenceFinder:
    """Recognises shots by the first and the last frame of recent ones.

    Args:
        like: `videocolor.shots.detect.shot_similarity`, or what remembers its answers.
    """

    def __init__(self, like: Callable[[Array, Array], float] = shot_similarity) -> None:
        self._like = like
        self._shots: OrderedDict[int, tuple[Array, ...]] = OrderedDict()

    def find(self, first: Array) -> int | None:
        """The earlier shot that a new one looks like.

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


def reference_lumas(film: Film, places: Iterable[tuple[int, int]], *, from_beginning: bool = False) -> list[Array]:
    """Luma of some frames at the working size, read from the film: what `ReferenceShots.lumas` returns.

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


class ReferenceShots(Protocol):
    """Who lends colours to whom, and what the lenders looked like."""

    def lender(self, number: int, first: Prepared) -> int | None:
        """The shot that lends its colours to a shot without hints of its own that begins with `first`."""

    def leave(self, number: int, first: Prepared | None, last: Prepared, lender: int | None) -> None:
        """A shot is over; `first` is None where the run began inside it."""

    def lumas(self, lender: int) -> list[Array]:
        """(h, w) float32 luma of the lender's first and last frame, at the working size."""


class SeenReferenceShots:
    """Lenders found while the film goes by.

    Args:
        size: (height, width) at which shots are compared: a scan's, so that both find the same lenders; None: the
            working size.
    """

    def __init__(self, size: tuple[int, int] | None = None) -> None:
        self._size = size
        self._finder = RecurrenceFinder()
        self._lumas: dict[int, list[Array]] = {}

    def lender(self, number: int, first: Prepared) -> int | None:
        """See `ReferenceShots`."""
        return self._finder.find(self._picture(first))

    def leave(self, number: int, first: Prepared | None, last: Prepared, lender: int | None) -> None:
        """See `ReferenceShots`."""
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
        """See `ReferenceShots`."""
        return self._lumas[lender]


class PlannedReferenceShots:
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
        """See `ReferenceShots`."""
        return self._returns.get(number)

    def leave(self, number: int, first: Prepared | None, last: Prepared, lender: int | None) -> None:
        """See `ReferenceShots`."""
        for other in [other for other in self._lumas if self._last_use[other] <= number]:
            del self._lumas[other]
        if first is not None and self._last_use.get(number, 0) > number:
            self._lumas[number] = [first.luma, last.luma]

    def lumas(self, lender: int) -> list[Array]:
        """See `ReferenceShots`."""
        if lender not in self._lumas:
            self._lumas[lender] = self._fetch(lender)
        return self._lumas[lender]
