"""Frames that a person painted: their own colour, and what of it goes on to the frames around."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np

from videocolor.color import rgb_to_luma
from videocolor.hints.flare import without_flare
from videocolor.hints.plan import hint_ab, hint_fits_frame, hint_input
from videocolor.models.base import HintInput
from videocolor.motion.flow import FlowEstimator
from videocolor.pipeline.film import Film
from videocolor.pipeline.prepare import Prepared, gray_of
from videocolor.pipeline.propagated import ReferenceFrame
from videocolor.types import Array, Hint

__all__ = ["ReferenceColor", "ShotHints", "reference_color"]

_SAME_FRAME: Final = 0.9
"""Luma correlation from which a hint counts as its own frame, painted: then it is reproduced whole."""
_AROUND: Final = (2, 12)
"""Frames from a painted one to those that tell whether light lies on it that is not the scene's."""


@dataclass(frozen=True, eq=False)
class ReferenceColor:
    """The colour of a painted frame."""

    small: Array
    """(2, h, w) float32 a*b* on the grid of prediction."""
    picture: Array
    """(2, H, W) float32 a*b* on the chroma plane's grid."""


def reference_color(number: int, item: Prepared, film: Film) -> ReferenceColor | None:
    """The colour of the hint that is this very frame of shot `number`, if there is one."""
    planned = film.hints.at_frame(number, item.frame.index)
    if planned is None:
        return None
    fit = hint_fits_frame(planned.hint, item.gray)
    if fit < _SAME_FRAME:
        if planned.hint.mask is None:
            film.log.warn(
                f"hint {planned.hint.name}: its luma does not match the frame of its time (correlation {fit:.2f}); "
                "used as a loose hint, not reproduced"
            )
        return None
    film.log.reproduced.add(item.frame.index)
    return _on_grids(planned.hint, film)


class ShotHints:
    """What the network is told of a shot's hints.

    Args:
        number: of the shot.
        inputs: its hints, its own first; or what it borrows.
        film: opened.
        flow: what finds the shot's motion, where colour is carried along it.
    """

    def __init__(self, number: int, inputs: Sequence[HintInput], film: Film, flow: FlowEstimator | None = None) -> None:
        self.inputs = list(inputs)
        self._number, self._film = number, film
        self._cleaned: dict[int, Array] = {}
        self._reproduced: set[int] = set()
        told = film.hints.for_shot(number)
        shown = [] if flow is None else film.hints.propagated(number)
        self._pictures = {told.index(p): _followed(p.hint, film, flow) for p in shown if flow is not None}

    def ahead(self, first: Prepared) -> dict[int, ReferenceFrame]:
        """Number -> the hints that may be found in the shot's frames from `first` on, and followed.

        From painted frames before them motion has carried colour all the way.
        """
        told = self._film.hints.for_shot(self._number)
        passed = {n for n in self._reproduced if (at := told[n].frame) is not None and at <= first.frame.index}
        return {number: picture for number, picture in self._pictures.items() if number not in passed}

    def clean(self, window: Sequence[Prepared], painted: Collection[int]) -> dict[int, ReferenceColor]:
        """What painted frames give to others, where that is not what they are; see `videocolor.hints.flare`.

        From then on the network is told that, too.

        Args:
            window: frames of the shot that are worked on together.
            painted: places in `window` of painted frames.

        Returns:
            Place in `window` -> colour.
        """
        cleaned, (nearest, farthest), film = {}, _AROUND, self._film
        told = film.hints.for_shot(self._number)[: len(self.inputs)]
        for place in painted:
            planned = film.hints.at_frame(self._number, window[place].frame.index)
            if planned in told:
                self._reproduced.add(told.index(planned))
            if planned is None or not film.config.hints.remove_flare:
                continue
            near = (i for i in range(len(window)) if nearest <= abs(i - place) <= farthest and i not in painted)
            hint = without_flare(planned.hint, window[place].gray, [window[i].gray for i in near])
            if hint is None:
                continue
            film.log.warn(
                f"hint {hint.name}: coloured light lies on its frame alone; the frame is reproduced as painted, "
                "and the light taken off what the shot gets of it (hints.remove_flare)"
            )
            cleaned[place] = _on_grids(hint, film)
            if planned in told:
                self._tell(told.index(planned), hint_input(hint, film.seen_size(self._number)).ab)
        return cleaned

    def memory(self) -> dict[str, Array]:
        """What the shot's further frames depend on, as arrays; see `ChromaSmoother.memory`."""
        cleaned = {str(place): ab for place, ab in self._cleaned.items()}
        return cleaned | {"reproduced": np.array(sorted(self._reproduced), np.int64)}

    def recall(self, memory: Mapping[str, Array]) -> None:
        """Take up what `memory` of the same shot's returned."""
        self._reproduced = {int(number) for number in memory["reproduced"]}
        for place, ab in memory.items():
            if place != "reproduced":
                self._tell(int(place), ab)

    def _tell(self, place: int, ab: Array) -> None:
        self._cleaned[place] = ab
        self.inputs[place] = replace(self.inputs[place], ab=ab)
        if place in self._pictures:
            taken = np.ascontiguousarray(np.moveaxis(ab, 0, -1), np.float32)
            self._pictures[place] = replace(self._pictures[place], ab=taken)


def _followed(hint: Hint, film: Film, flow: FlowEstimator) -> ReferenceFrame:
    """A hint as `HintPropagator` looks for it."""
    width, height = film.plan.chroma_size
    h, w = film.size
    small = np.moveaxis(cv2.resize(hint.rgb, (w, h), interpolation=cv2.INTER_AREA), -1, 0)
    gray = gray_of(np.clip(rgb_to_luma(small, film.plan.color.matrix), 0, 1))
    ab = np.ascontiguousarray(np.moveaxis(hint_ab(hint, (height, width)), 0, -1), np.float32)
    return ReferenceFrame(ab, gray, flow.prepare(gray))


def _on_grids(hint: Hint, film: Film) -> ReferenceColor:
    width, height = film.plan.chroma_size
    return ReferenceColor(hint_ab(hint, film.grid), hint_ab(hint, (height, width)))
