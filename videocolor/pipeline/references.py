"""Reference frames and other hints of one shot: what the network receives, and what is propagated."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from videocolor.color import rgb_to_luma
from videocolor.events import RunLog
from videocolor.hints.align import SAME_FRAME
from videocolor.hints.flare import AROUND, without_flare
from videocolor.hints.plan import hint_ab, hint_fits_frame, hint_input
from videocolor.models.base import HintInput
from videocolor.motion.flow import FlowEstimator
from videocolor.pipeline.film import Film
from videocolor.pipeline.frames import ReferenceColor
from videocolor.pipeline.propagated import ReferenceFrame
from videocolor.shots.prepare import Prepared, gray_of
from videocolor.types import Array, Hint

__all__ = ["ShotHints"]


@dataclass(eq=False)
class HintState:
    """What was found out about a shot's hints."""

    cleaned: dict[int, Array] = field(default_factory=dict)
    """Number of a hint -> (2, h, w) its a*b* without flare."""
    reproduced: list[int] = field(default_factory=list)
    """Numbers of the hints that were reproduced."""


class ShotHints:
    """The hints of one shot.

    Args:
        number: of the shot.
        inputs: its hints as the network receives them, its own first; or those that it reuses.
        film: opened.
        log: receives warnings and the frames that are reproduced.
        flow: prepares pictures for the search; None: nothing is propagated.
    """

    def __init__(
        self, number: int, inputs: Sequence[HintInput], film: Film, log: RunLog, flow: FlowEstimator | None = None
    ) -> None:
        self.inputs = list(inputs)
        """What the network receives."""
        self._number, self._film, self._log = number, film, log
        self._planned, self._propagates = film.hints.for_shot(number), flow is not None
        self._state = HintState()
        shown = [] if flow is None else film.hints.propagated(number)
        self._pictures = {
            self._planned.index(p): _candidate(p.hint, film, film.size(number), flow) for p in shown if flow is not None
        }

    @property
    def state(self) -> HintState:
        """What the shot's further frames depend on."""
        return self._state

    @state.setter
    def state(self, state: HintState) -> None:
        self._state = state
        for place, ab in state.cleaned.items():
            self._replace(place, ab)

    def reference(self, item: Prepared) -> ReferenceColor | None:
        """Return the color of the hint that is this very frame, if any; warn of one that does not match."""
        planned = self._film.hints.at_frame(self._number, item.frame.index)
        if planned is None or not planned.is_whole:
            return None
        fit = hint_fits_frame(planned.hint, item.gray)
        if fit < SAME_FRAME:
            self._log.warn(
                f"hint {planned.hint.name}: its luma does not match its frame (correlation {fit:.2f}); "
                "used as a loose hint, not reproduced"
            )
            return None
        self._log.reproduced.add(item.frame.index)
        return self._on_grids(planned.hint)

    def parts(self, window: Sequence[Prepared]) -> dict[int, Array]:
        """Find the frames of `window` of which parts are painted.

        Luma is not compared: what is painted on a layer of its own may be flat.

        Returns:
            Place in `window` -> (3 or 4, h, w) float32, as `Propagator.follow` takes it.
        """
        found = dict[int, Array]()
        for place, item in enumerate(window if self._propagates else ()):
            planned = self._film.hints.at_frame(self._number, item.frame.index)
            if planned is not None and not planned.is_whole and planned.shows_its_shot:
                found[place] = self._part(planned.hint)
                self._log.reproduced.add(item.frame.index)
        return found

    def _part(self, hint: Hint) -> Array:
        """a*b*, opacity, and what was left unpainted and looks like nothing that was painted."""
        (width, height), given = self._film.plan.chroma_size, hint_input(hint, self._film.seen_size(self._number))
        assert hint.mask is not None
        opacity = cv2.resize(hint.mask, (width, height), interpolation=cv2.INTER_AREA)
        planes = [*hint_ab(hint, (height, width)), opacity]
        unlike = self._film.colorizer.unlike(given)
        if unlike is not None:
            planes.append(cv2.resize(unlike, (width, height), interpolation=cv2.INTER_LINEAR) * (1 - opacity))
        return np.stack(planes)

    def candidates(self, last: Prepared) -> dict[int, ReferenceFrame]:
        """Return number -> the hints that may be found in the frames of a window that ends with `last`, and tracked.

        Of earlier reference frames, and those of the window, motion propagates the color.
        """
        passed = {
            number
            for number in self._state.reproduced
            if (at := self._planned[number].frame) is not None and at <= last.frame.index
        }
        return {number: picture for number, picture in self._pictures.items() if number not in passed}

    def without_flare(self, window: Sequence[Prepared], references: Collection[int]) -> dict[int, ReferenceColor]:
        """Remove flare from the color that reference frames give to others; see `videocolor.hints.flare`.

        From then on the network receives them without flare, too.

        Args:
            window: frames of the shot that are worked on together.
            references: places in `window` of reference frames.

        Returns:
            Place in `window` -> color.
        """
        cleaned, (nearest, farthest), film = {}, AROUND, self._film
        given = self._planned[: len(self.inputs)]
        for place in references:
            planned = film.hints.at_frame(self._number, window[place].frame.index)
            number = given.index(planned) if planned in given else None
            if number is not None:
                self._state.reproduced = sorted({*self._state.reproduced, number})
            if planned is None or not film.config.hints.remove_flare:
                continue
            near = (i for i in range(len(window)) if nearest <= abs(i - place) <= farthest and i not in references)
            hint = without_flare(planned.hint, window[place].gray, [window[i].gray for i in near])
            if hint is None:
                continue
            self._log.warn(
                f"hint {hint.name}: colored light lies on its frame alone; the frame is reproduced as painted, "
                "and the light taken off what the shot gets of it (hints.remove_flare)"
            )
            cleaned[place] = self._on_grids(hint)
            if number is not None:
                ab = hint_input(hint, film.seen_size(self._number)).ab
                self._state.cleaned[number] = ab
                self._replace(number, ab)
        return cleaned

    def _on_grids(self, hint: Hint) -> ReferenceColor:
        (width, height), film = self._film.plan.chroma_size, self._film
        return ReferenceColor(hint_ab(hint, film.grid(film.size(self._number))), hint_ab(hint, (height, width)))

    def _replace(self, number: int, ab: Array) -> None:
        """Give other colors for a hint from now on."""
        self.inputs[number] = replace(self.inputs[number], ab=ab)
        if number in self._pictures:
            taken = np.ascontiguousarray(np.moveaxis(ab, 0, -1), np.float32)
            self._pictures[number] = replace(self._pictures[number], ab=taken)


def _candidate(hint: Hint, film: Film, size: tuple[int, int], flow: FlowEstimator) -> ReferenceFrame:
    """Prepare a hint for the search by `HintPropagator`."""
    width, height = film.plan.chroma_size
    small = np.moveaxis(cv2.resize(hint.rgb, size[::-1], interpolation=cv2.INTER_AREA), -1, 0)
    gray = gray_of(np.clip(rgb_to_luma(small, film.plan.color.matrix), 0, 1))
    ab = np.ascontiguousarray(np.moveaxis(hint_ab(hint, (height, width)), 0, -1), np.float32)
    return ReferenceFrame(ab, gray, flow.prepare(gray))
