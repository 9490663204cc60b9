"""Hints meet their frames: those without a time are looked for in the film, and all are registered to their frame.

A program that colored a frame may have moved it; a person may have saved it without its time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from videocolor.color import rgb_to_luma
from videocolor.config import ColorizeConfig
from videocolor.errors import HintError, InputError
from videocolor.events import RunLog
from videocolor.hints.align import align_painted
from videocolor.hints.files import frame_to_luma
from videocolor.hints.plan import HintPlan, PlannedHint
from videocolor.hints.registration import detail
from videocolor.motion.similarity import thumbnail
from videocolor.pipeline.reader import FilmReader, Part
from videocolor.types import Array, Hint, VideoInfo

__all__ = ["AlignedHint", "FilmFrame", "FrameFinder", "align_hints", "frame_likeness"]

_SAME_TONE: Final = 0.02
"""Mean difference of luma (0..1) up to which a picture has its frame's tone."""
_SAME_PLACE: Final = 0.97
"""Correlation of detail from which a picture of the frame's size is where the frame is; half a pixel gives less."""
_NEAR: Final = 0.5
"""Likeness of thumbnails from which a frame is compared at all; those of other scenes are at 0.3."""
_LOOKED_AT: Final = 3
"""Frames that are compared with a picture, of those whose thumbnails are likest."""
_LINES: Final = 270
"""Lines at which a picture is compared with a frame that it may be."""
_AROUND: Final = (33, 33)
"""Window of that comparison, in pixels."""
_SHOWN: Final = 0.25
"""Mean square of normalized detail around a pixel from which it is compared: grain alone says nothing."""
_LEAST_SHOWN: Final = 0.05
"""Share of such pixels that is needed."""
_WORST: Final = 2.0
"""Percentile of local correlation that decides: in another moment of a scene, what has moved differs."""
_IS_FRAME: Final = 0.85
"""Local correlation there from which a picture is that frame (`benchmarks/alignment.py found`)."""
_AT_HAND: Final = 6
"""Aligned pictures that stay in memory: those of one shot."""


@dataclass(frozen=True)
class FilmFrame:
    """Where a frame of a film is read."""

    source: Path
    config: ColorizeConfig
    info: VideoInfo
    part: Part

    def luma(self) -> Array:
        """(h, w) float32 Y' in 0..1, restored as the film is.

        Raises:
            InputError: there is no such frame at that time.
        """
        with FilmReader(self.source, self.config, self.info, self.part) as reader:
            for frame in reader:
                return frame_to_luma(frame)
        raise InputError(f"{self.source}: frame {self.part.start} is gone; has the film changed?")


class AlignedHint(Hint):
    """A hint that is laid over its frame again whenever it is looked at and no longer at hand.

    Args:
        original: as it was given.
        frame: that it shows.
        masked: part of the frame is left without color.
    """

    original: Hint
    frame: FilmFrame
    masked: bool

    def __init__(self, original: Hint, frame: FilmFrame, masked: bool) -> None:
        self.__dict__.update(name=original.name, time=original.time, original=original, frame=frame, masked=masked)

    @property
    def is_whole(self) -> bool:
        """See `Hint`; nothing is aligned for it."""
        return not self.masked

    @property
    def is_painted(self) -> bool:
        """See `Hint`; nothing is aligned for it."""
        return self.original.is_painted

    @property
    def rgb(self) -> Array:
        """As `Hint.rgb`: the picture's color on the frame's luma; read-only."""
        return _aligned(self)[0]

    @property
    def mask(self) -> Array | None:
        """As `Hint.mask`; read-only."""
        return _aligned(self)[1] if self.masked else None


@lru_cache(maxsize=_AT_HAND)
def _aligned(hint: AlignedHint) -> tuple[Array, Array | None]:
    found = align_painted(hint.original.rgb, hint.original.mask, hint.frame.luma(), name=hint.name)
    for array in (found.rgb, found.mask):
        if array is not None:
            array.flags.writeable = False
    return found.rgb, found.mask


class FrameFinder:
    """Finds which frames of a film the hints without a time are: the likest by thumbnails, then one by one.

    Args:
        hints: all of the film's.
    """

    def __init__(self, hints: Sequence[Hint]) -> None:
        self._hints = hints
        self._sought = [place for place, hint in enumerate(hints) if hint.time is None and hint.mask is None]
        wanted = [_unit_detail(np.rint(_luma(hints[place]) * 255).astype(np.uint8)) for place in self._sought]
        self._wanted = np.stack(wanted) if wanted else None
        self._likest = [list[tuple[float, int]]() for _ in wanted]
        """Likeness and index of frames, the likest first."""

    def look(self, index: int, gray: Array) -> None:
        """Look at the next frame of the film, (h, w) uint8 luma."""
        if self._wanted is None:
            return
        for likest, like in zip(self._likest, self._wanted @ _unit_detail(gray), strict=True):
            if len(likest) < _LOOKED_AT or like > likest[-1][0]:  # of equals, the earlier ones
                likest.append((float(like), index))
                likest.sort(key=lambda one: (-one[0], one[1]))
                del likest[_LOOKED_AT:]

    def find(self, luma_at: Callable[[int], Array]) -> dict[int, int]:
        """Return place of a hint -> index of the frame that it is; hints that are none are left out.

        Of two pictures of one frame, the one that fits better is that frame.

        Args:
            luma_at: reads (h, w) float32 luma in 0..1 of the frame with an index.
        """
        best = list[tuple[float, int, int]]()
        for place, likest in zip(self._sought, self._likest, strict=True):
            mine, near = _luma(self._hints[place]), [index for like, index in likest if like >= _NEAR]
            fits = [(frame_likeness(mine, luma_at(index)), -place, -index) for index in near]
            best += [max(fits)] if fits else []
        found = dict[int, int]()
        for fit, place, index in sorted(best, reverse=True):
            if fit >= _IS_FRAME and -index not in found.values():
                found[-place] = -index
        return found


def _unit_detail(gray: Array) -> Array:
    """Convert (h, w) uint8 luma to a vector of its detail, of zero mean and length 1."""
    seen = detail(thumbnail(gray) * np.float32(1 / 255)).ravel()
    seen -= seen.mean()
    return np.asarray(seen / np.float32(max(float(np.linalg.norm(seen)), 1e-6)))


def frame_likeness(mine: Array, luma: Array) -> float:
    """Tell how surely a picture is a frame, rather than another moment of its scene.

    Args:
        mine: (h, w) float32 luma in 0..1.
        luma: (h', w') float32 luma of the frame.

    Returns:
        The lowest local correlation of detail, but for a fiftieth of the picture; 0 where too little is shown.
    """
    size = max(1, round(luma.shape[1] * _LINES / luma.shape[0])), _LINES
    a, b = (detail(cv2.resize(picture, size, interpolation=cv2.INTER_AREA)) for picture in (mine, luma))
    both, mine_shown, shown = (cv2.blur(product, _AROUND) for product in (a * b, a * a, b * b))
    strength = np.sqrt(np.maximum(mine_shown * shown, 0))  # blurred squares are below 0 by rounding, at times
    there = strength > _SHOWN
    if there.mean() < _LEAST_SHOWN:
        return 0.0
    return float(np.percentile(both[there] / strength[there], _WORST))


def align_hints(plan: HintPlan, frame_at: Callable[[int], FilmFrame], log: RunLog) -> HintPlan:
    """Register the hints that have a frame to it; see `videocolor.hints.align`.

    A picture that is where its frame is, with its tone, stays as it is. One that cannot be registered stays, too: it
    is reproduced only if its luma correlates with its frame's.

    Args:
        plan: from `match_hints`.
        frame_at: of an index.
        log: receives what was done, and refusals.
    """
    aligned = [
        planned if planned.assigned or planned.frame is None else _align(planned, frame_at(planned.frame), log)
        for planned in plan.hints
    ]
    return replace(plan, hints=tuple(aligned))


def _align(planned: PlannedHint, frame: FilmFrame, log: RunLog) -> PlannedHint:
    hint, luma = planned.hint, frame.luma()
    if _is_in_place(planned, luma):
        return planned
    try:
        found = align_painted(
            hint.rgb, hint.mask, luma, name=f"hint {hint.name}", frame_name="its frame", explain=False
        )
    except HintError as error:
        log.warn(f"{str(error).partition('. Or ')[0]}; not aligned")
        return planned
    if found.unchanged and hint.mask is None:
        return planned
    if not found.unchanged:  # or a layer of flat colors, which gets the frame's luma
        log.note(f"hint {hint.name}: aligned to its frame ({found.moved})")
    return replace(planned, hint=AlignedHint(hint, frame, masked=found.mask is not None))


def _is_in_place(planned: PlannedHint, luma: Array) -> bool:
    """Whether a picture has its frame's size, place and tone already; what is painted on a layer has no tone."""
    hint = planned.hint
    if hint.rgb.shape[:2] != luma.shape:
        return False
    if not planned.is_painted:
        return True
    mine = _luma(hint)
    if hint.mask is not None:
        return float(np.abs(mine - luma)[hint.mask > 0].mean()) <= _SAME_TONE
    return float(np.abs(mine - luma).mean()) <= _SAME_TONE and _detail_correlation(mine, luma) >= _SAME_PLACE


def _luma(hint: Hint) -> Array:
    return np.clip(rgb_to_luma(np.moveaxis(hint.rgb, -1, 0), "bt709"), 0, 1).astype(np.float32)


def _detail_correlation(mine: Array, luma: Array) -> float:
    a, b = detail(mine.astype(np.float32)), detail(luma)
    norm = float(np.sqrt((a * a).mean() * (b * b).mean()))
    return 1.0 if norm < 1e-6 else float((a * b).mean()) / norm
