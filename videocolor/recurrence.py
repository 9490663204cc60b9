"""Shots that return keep their colours: a small memory of how earlier shots of the film were coloured."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Final

import cv2
import numpy as np

from videocolor.models.base import HintInput
from videocolor.prepare import Prepared
from videocolor.shots import shots_like
from videocolor.smoothing import Observation
from videocolor.survey import thumbnail
from videocolor.types import Array

__all__ = ["ShotBank"]

_SHOTS: Final = 24
"""Most shots remembered, the longest unseen forgotten first: some 30 MB at the usual working size."""
_RETURNS: Final = 0.8
"""Likeness from which a shot counts as an earlier one come back: stricter than for a person's hint,
because nobody said so."""


class ShotBank:
    """First and latest coloured anchor of each recent shot."""

    def __init__(self) -> None:
        self._shots: OrderedDict[int, list[tuple[Array, HintInput]]] = OrderedDict()

    def remember(self, shot: int, window: Sequence[Prepared], observed: Mapping[int, Observation]) -> None:
        """Note the first anchor of a shot, and the latest of those seen so far.

        Args:
            shot: number of the shot.
            window: its frames.
            observed: place in the window -> (a*b* on the grid of prediction, precision).
        """
        if not observed:
            return
        kept = self._shots.setdefault(shot, [])
        places = [min(observed), max(observed)] if not kept else [max(observed)]
        for place in dict.fromkeys(places):
            item = window[place]
            size = item.luma.shape[::-1]
            ab = np.stack([cv2.resize(c, size, interpolation=cv2.INTER_LINEAR) for c in observed[place][0]])
            entry = (thumbnail(item.gray), HintInput(item.luma, ab))
            kept[1:] = [entry] if kept else []
            if not kept:
                kept.append(entry)
        while len(self._shots) > _SHOTS:
            self._shots.popitem(last=False)

    def recall(self, gray: Array) -> tuple[list[HintInput], int | None]:
        """The colours of the earlier shot that a first frame looks like.

        Args:
            gray: (h, w) uint8 luma of the new shot's first frame.

        Returns:
            Its anchors as hints and its number; ([], None) where nothing is like it.
        """
        thumb = thumbnail(gray)
        best, likeness = None, _RETURNS
        for shot, entries in self._shots.items():
            like = max(shots_like(thumb, other) for other, _ in entries)
            if like >= likeness:
                best, likeness = shot, like
        if best is None:
            return [], None
        self._shots.move_to_end(best)
        return [hint for _, hint in self._shots[best]], best
