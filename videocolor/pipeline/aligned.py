"""Hints with a time are registered to the film's frame of that time: a program that colored it may have moved it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np

from videocolor.color import rgb_to_luma
from videocolor.config import ColorizeConfig
from videocolor.errors import HintError, InputError
from videocolor.events import RunLog
from videocolor.hints.align import align_painted
from videocolor.hints.files import frame_to_luma
from videocolor.hints.plan import HintPlan, PlannedHint
from videocolor.hints.registration import detail
from videocolor.pipeline.reader import FilmReader, Part
from videocolor.shots.scan import ScanResult
from videocolor.types import Array, Hint, VideoInfo

__all__ = ["AlignedHint", "FilmFrame", "align_hints"]

_SAME_TONE: Final = 0.02
"""Mean difference of luma (0..1) up to which a picture has its frame's tone."""
_SAME_PLACE: Final = 0.97
"""Correlation of detail from which a picture of the frame's size is where the frame is; half a pixel gives less."""
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


def align_hints(
    plan: HintPlan, scan: ScanResult, source: Path, config: ColorizeConfig, info: VideoInfo, log: RunLog
) -> HintPlan:
    """Register the hints that have a time to their frames; see `videocolor.hints.align`.

    A picture that is where its frame is, with its tone, stays as it is. One that cannot be registered stays, too: it
    is reproduced only if its luma correlates with its frame's.

    Args:
        plan: from `match_hints`.
        scan: of the film.
        source: the film.
        config: its settings.
        info: as `film_info`.
        log: receives what was done, and refusals.
    """
    if not config.hints.align:
        return plan
    aligned = []
    for planned in plan.hints:
        if planned.assigned or planned.frame is None:
            aligned.append(planned)
            continue
        part = Part(planned.frame, scan.pts[planned.frame], None, from_beginning=bool(scan.losses))
        aligned.append(_align(planned, FilmFrame(source, config, info, part), log))
    return replace(plan, hints=tuple(aligned))


def _align(planned: PlannedHint, frame: FilmFrame, log: RunLog) -> PlannedHint:
    hint, luma = planned.hint, frame.luma()
    if _is_in_place(hint, luma):
        return planned
    try:
        found = align_painted(
            hint.rgb, hint.mask, luma, name=f"hint {hint.name}", frame_name="the frame of its time", explain=False
        )
    except HintError as error:
        log.warn(f"{str(error).partition('. Or ')[0]}; not aligned")
        return planned
    if found.unchanged:
        return planned
    log.note(f"hint {hint.name}: aligned to its frame ({found.moved})")
    return replace(planned, hint=AlignedHint(hint, frame, masked=found.mask is not None))


def _is_in_place(hint: Hint, luma: Array) -> bool:
    """Whether a picture has its frame's size, place and tone already."""
    if hint.rgb.shape[:2] != luma.shape:
        return False
    if hint.mask is not None:
        return True
    mine = np.clip(rgb_to_luma(np.moveaxis(hint.rgb, -1, 0), "bt709"), 0, 1)
    if float(np.abs(mine - luma).mean()) > _SAME_TONE:
        return False
    return _detail_correlation(mine, luma) >= _SAME_PLACE


def _detail_correlation(mine: Array, luma: Array) -> float:
    a, b = detail(mine.astype(np.float32)), detail(luma)
    norm = float(np.sqrt((a * a).mean() * (b * b).mean()))
    return 1.0 if norm < 1e-6 else float((a * b).mean()) / norm
