"""Hints: reading them (`videocolor.hints.files`), matching them to shots, reproducing them at their own frame.

A hint with a time, or one that was found to be a frame of the film, belongs to the shot of that frame, and to other
shots only where they look alike. Any other hint without a time, or with one outside the part that is colored, belongs
to every shot that looks like it. One that fits nowhere is reported.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from types import MappingProxyType
from typing import Final

import cv2
import numpy as np

from videocolor.color import rgb_to_lab, rgb_to_luma
from videocolor.config import AssignedHint
from videocolor.errors import UsageError
from videocolor.hints.files import (
    check_hint,
    collect_assigned,
    collect_hints,
    frame_to_rgb,
    hint_time_in_name,
    load_hint,
)
from videocolor.hints.marks import places_of
from videocolor.models.base import MOST_SCRIBBLES, HintInput
from videocolor.motion.matching import scene_similarity
from videocolor.motion.similarity import correlation, thumbnail
from videocolor.shots.scan import ScanResult, Span
from videocolor.shots.shotlist import FilmShots
from videocolor.types import Array, Given, Hint, Reach, VideoInfo

__all__ = [
    "HintPlan",
    "PlannedHint",
    "place_assigned_hints",
    "check_hint",
    "collect_assigned",
    "collect_hints",
    "match_hints",
    "place_timed_hints",
    "frame_to_rgb",
    "hint_ab",
    "hint_fits_frame",
    "hint_input",
    "hint_time_in_name",
    "scribble_warnings",
    "cap_hints_per_shot",
    "load_hint",
]

MOST_PER_SHOT: Final = 6
"""Hints of one shot that the network gets at most; its memory and time grow with each."""
_PAINTED: Final = 0.5
"""Opacity from which a pixel counts as painted."""
_SAME_SHOT: Final = 0.5
"""Similarity to its shot from which a hint with a time is expected to be a reference frame of it."""


@dataclass(frozen=True, eq=False)
class PlannedHint:
    """A hint and where it is used."""

    hint: Hint
    frame: int | None
    """The frame that it was made for, by its time or found; None: of no frame."""
    shots: dict[int, float]
    """Shot number -> similarity 0..1 (1 for the shot that its time lies in), where the network gets it."""
    own: int | None = None
    """Number of the shot that holds `frame`."""
    own_similarity: float = 0.0
    """Similarity 0..1 to the shot that holds `frame`: low for a picture of something else."""
    left_out: tuple[int, ...] = ()
    """Numbers of shots that it would belong to, had they not better hints enough."""
    assigned: bool = False
    """A person said where it goes; similarity did not decide."""

    @property
    def is_whole(self) -> bool:
        """See `Hint.is_whole`."""
        return self.hint.is_whole

    @property
    def is_painted(self) -> bool:
        """See `Hint.is_painted`."""
        return self.hint.is_painted

    @property
    def shows_its_shot(self) -> bool:
        """Whether it seems to be a frame of its own shot, painted all over or with holes."""
        return self.own is not None and self.is_painted and self.own_similarity >= _SAME_SHOT

    def similarity(self, number: int) -> float:
        """Similarity 0..1 to a shot that it is used in, whatever its time says."""
        return self.own_similarity if number == self.own else self.shots[number]


@dataclass(frozen=True, eq=False)
class HintPlan:
    """Which hint goes to which shot."""

    hints: tuple[PlannedHint, ...] = ()
    warnings: tuple[str, ...] = field(default=())

    def for_shot(self, number: int) -> list[PlannedHint]:
        """Return the hints that the network gets, at most `MOST_PER_SHOT`: its own first, then by similarity."""
        mine = [planned for planned in self.hints if number in planned.shots]
        return sorted(mine, key=lambda planned: (planned.own != number, -planned.shots[number]))

    def left_out(self, number: int) -> list[PlannedHint]:
        """Return the hints of a shot that the network does not receive because there are too many."""
        return [planned for planned in self.hints if number in planned.left_out]

    def has_reference(self, number: int) -> bool:
        """Whether a hint seems to be a frame of this shot, painted all over or with holes."""
        return any(p.own == number and p.shows_its_shot for p in self.hints)

    def given(self, number: int) -> Given:
        """Return what kind of hints a shot has."""
        if self.has_reference(number):
            return "reference"
        return "style" if self.for_shot(number) else "none"

    def propagated(self, number: int) -> list[PlannedHint]:
        """Complete pictures among the hints of a shot that seem to show its very scene."""
        return [p for p in self.for_shot(number) if p.is_whole and p.similarity(number) >= _SAME_SHOT]

    def propagates(self, number: int) -> bool:
        """Whether motion has color to carry in a shot."""
        return bool(self.propagated(number)) or self.has_reference(number)

    def references(self, number: int) -> tuple[int, ...]:
        """Return the frames of the film, ascending, that the painted pictures of a shot seem to be."""
        frames = {p.frame for p in self.hints if p.own == number and p.shows_its_shot and p.frame is not None}
        return tuple(sorted(frames))

    def at_frame(self, number: int, index: int) -> PlannedHint | None:
        """Return the hint that is this frame of this shot, rather a whole one, whether the network gets it or not."""
        made = [p for p in self.hints if p.frame == index and p.own == number]
        return min(made, key=lambda planned: (not planned.is_whole, not planned.is_painted), default=None)


def hint_input(hint: Hint, size: tuple[int, int], *, in_shot: bool = False, reach: Reach | None = None) -> HintInput:
    """Scale a hint to the network's input.

    Args:
        hint: any.
        size: (height, width) that the network sees.
        in_shot: it was painted on a frame of the shot that uses it.
        reach: of its scribbles, in its own shot, where no mark says so; None: scribbles are not told apart.
    """
    h, w = size
    rgb = cv2.resize(hint.rgb, (w, h), interpolation=cv2.INTER_AREA)
    planes = np.moveaxis(rgb, -1, 0)
    mask = None if hint.mask is None else cv2.resize(hint.mask, (w, h), interpolation=cv2.INTER_AREA)
    luma = np.clip(rgb_to_luma(planes, "bt709"), 0, 1).astype(np.float32)
    ab = rgb_to_lab(planes)[1:]
    found = None if mask is None or reach is None or not in_shot else places_of(hint.marks, ab, mask, reach)
    return HintInput(luma, ab, mask, in_shot, *(found or ()))


def scribble_warnings(hints: Sequence[Hint], inputs: Sequence[HintInput]) -> list[str]:
    """Say which scribbles of a shot do not reach as their marks say; `inputs`: of these hints."""
    said = [
        f"{hint.name}: its marks are not used, for the picture is opaque; leave transparent what is not a scribble"
        for hint in hints
        if hint.marks and hint.mask is None
    ]
    count = sum(len(given.reaches) for given in inputs)
    if count > MOST_SCRIBBLES:
        said.append(
            f"{hints[0].name}: its shot has {count} scribbles, of which the {MOST_SCRIBBLES} largest are "
            "used; join some, or paint the frame"
        )
    return said


def hint_ab(hint: Hint, size: tuple[int, int]) -> Array:
    """(2, h, w) float32 a*b* of a hint on a chroma plane of (height, width) `size`."""
    return hint_input(hint, size).ab


def hint_fits_frame(hint: Hint, gray: Array) -> float:
    """Correlation -1..1 of a hint's luma with a frame's (h, w) uint8 luma: is it that very frame, painted?"""
    if hint.mask is not None:
        return -1.0  # a partly painted hint says nothing of the rest, so it is never copied
    mine = hint_input(hint, gray.shape).luma
    return correlation(mine, gray.astype(np.float32) / 255)


def place_assigned_hints(assigned: Sequence[tuple[AssignedHint, Hint]], shots: FilmShots) -> list[PlannedHint]:
    """Bring hints to the shots that a person assigned them to.

    Args:
        assigned: entries of `hints.assigned` and the pictures they name.
        shots: the film's.

    Raises:
        UsageError: an entry names a frame that the film does not have.
    """
    planned = []
    for entry, hint in assigned:
        named = entry.shots if entry.frame is None else (entry.frame, *entry.shots)
        numbers = [shots.number(frame, f"hint {hint.name}") for frame in named]
        own = None if entry.frame is None else numbers[0]
        own_similarity = 0.0 if own is None else 1.0
        planned.append(PlannedHint(hint, entry.frame, dict.fromkeys(numbers, 1.0), own, own_similarity, assigned=True))
    return planned


def place_timed_hints(
    hints: Sequence[Hint], shots: FilmShots, info: VideoInfo, start: Fraction | None
) -> list[PlannedHint]:
    """Bring hints to the shots that hold their times: for films that cannot be scanned for shots that look alike.

    Args:
        hints: each with a time.
        shots: the film's.
        info: the film's; its rate is taken for constant.
        start: film time in seconds from which frames count; None: from the first on.

    Raises:
        UsageError: a hint has no time, or one that the film does not have.
    """
    planned, rate = [], info.rate or Fraction(25)
    first = max(start or Fraction(0), info.start_pts * info.time_base)
    for hint in hints:
        if hint.time is None:
            raise UsageError(f"hint {hint.name}: needs its time (TIME=IMAGE), as {info.path} is a pipe, read only once")
        frame = math.ceil((hint.time - first) * rate - Fraction(1, 2))  # the earlier one where two are as near
        own = shots.number(frame, f"hint {hint.name}")
        planned.append(PlannedHint(hint, frame, {own: 1.0}, own, 1.0, assigned=True))
    return planned


def match_hints(
    hints: Sequence[Hint],
    scan: ScanResult,
    min_similarity: float,
    assigned: Sequence[PlannedHint] = (),
    found: Mapping[int, int] = MappingProxyType({}),
) -> HintPlan:
    """Decide which hint goes to which shot.

    Args:
        hints: in any order.
        scan: of the film; made with the hints' times.
        min_similarity: 0..1, what a shot needs to receive a hint that was not made for it.
        assigned: hints that have their shots already; they count before the dealt ones.
        found: place in `hints` -> the frame that a hint without a time was found to be.
    """
    planned: list[PlannedHint] = []
    warnings: list[str] = []
    span = Span.of(scan)
    for place, (hint, similarity) in enumerate(zip(hints, _similarities(hints, scan, span, found), strict=True)):
        shots = {number: value for number, value in similarity.items() if value >= min_similarity}
        if len(similarity) == 1 and not shots and hint.time is None and place not in found and span.is_whole:
            warnings.append(
                f"hint {hint.name}: looks little like the only shot; used as far as the network believes it"
            )
            shots = similarity
        frame, own, own_similarity = found.get(place), None, 0.0
        if hint.time is not None:
            if hint.time > span.film_end:
                warnings.append(
                    f"hint {hint.name}: its time {float(hint.time):.3f} s is after the film's end "
                    f"{float(span.film_end):.3f} s; not used"
                )
                continue
            if not span.holds(hint.time):
                use = "used where it looks alike" if shots else "not used, it looks like no shot"
                warnings.append(
                    f"hint {hint.name}: its time {float(hint.time):.3f} s lies outside the part that is colored "
                    f"({float(span.start):.3f} to {float(span.end):.3f} s); {use}"
                )
                if not shots:
                    continue
            else:
                frame = scan.nearest[hint.time]
        if frame is not None:
            own = scan.shot_at(frame).index
            own_similarity = 1.0 if place in found else max(similarity[own], _holed_similarity(hint, scan, frame))
            shots[own] = 1.0
        if not shots:
            best = max(similarity, key=lambda number: similarity[number])
            warnings.append(
                f"hint {hint.name}: fits no shot (nearest is shot {best + 1} with similarity {similarity[best]:.2f} < "
                f"{min_similarity:.2f}); not used. Give it a time (TIME=IMAGE) or lower hints.min_similarity"
            )
            continue
        planned.append(PlannedHint(hint, frame, shots, own, own_similarity))
    return cap_hints_per_shot([*assigned, *planned], warnings)


def _similarities(
    hints: Sequence[Hint], scan: ScanResult, span: Span, found: Mapping[int, int]
) -> list[dict[int, float]]:
    """For each hint, how surely it shows the scene of each shot."""
    timed = {
        place: scan.nearest[hint.time]
        for place, hint in enumerate(hints)
        if hint.time is not None and hint.time <= span.film_end and span.holds(hint.time)
    }
    frames = {**found, **timed}
    numbers = [view.shot.index for view in scan.shots]
    places = {number: place for place, number in enumerate(numbers)}
    thumbs = [_thumbnail(hint) for hint in hints]
    own = [places[scan.shot_at(frames[i]).index] if i in frames else None for i in range(len(hints))]
    table = scene_similarity(thumbs, [[luma for _, luma in view.views] for view in scan.shots], own)
    return [dict(zip(numbers, row.tolist(), strict=True)) for row in table]


def _holed_similarity(hint: Hint, scan: ScanResult, frame: int) -> float:
    """Similarity of a painted frame with holes to its shot, of which the holes show the nearest view; else 0."""
    if hint.mask is None or not hint.is_painted:
        return 0.0
    views = next(view.views for view in scan.shots if view.shot.start <= frame < view.shot.end)
    _, near = min(views, key=lambda view: abs(view[0] - frame))
    painted = cv2.resize(hint.mask, near.shape[::-1], interpolation=cv2.INTER_AREA) > _PAINTED
    filled = np.where(painted, _thumbnail(hint), near)
    return float(scene_similarity([filled], [[luma for _, luma in views]], [0])[0][0])


def _thumbnail(hint: Hint) -> Array:
    """Shrink a hint to (90, 160) uint8 luma."""
    return thumbnail(np.rint(hint_input(hint, (180, 320)).luma * 255).astype(np.uint8))


def cap_hints_per_shot(planned: Sequence[PlannedHint], warnings: Sequence[str] = ()) -> HintPlan:
    """Return the plan of these hints, with `MOST_PER_SHOT` for each shot at most.

    Args:
        planned: hints and their shots; of those that are as good, earlier ones are kept.
        warnings: what was said of them before.
    """
    kept, said = list(planned), list(warnings)
    for number in sorted({number for p in planned for number in p.shots}):
        kept, left_out = _limit(kept, number)
        if left_out:
            said.append(
                f"shot {number + 1}: {left_out} of its {left_out + MOST_PER_SHOT} hints are left out of the "
                f"network's memory, which takes {MOST_PER_SHOT}; frames that were painted are reproduced all the same"
            )
    return HintPlan(tuple(kept), tuple(said))


def _limit(planned: list[PlannedHint], number: int) -> tuple[list[PlannedHint], int]:
    """Keep `MOST_PER_SHOT` hints of a shot: its own, evenly spread over time, then the likest others."""
    mine = [p for p in planned if number in p.shots]
    if len(mine) <= MOST_PER_SHOT:
        return planned, 0
    own = _spread([p for p in mine if p.own == number], MOST_PER_SHOT)
    others = sorted((p for p in mine if p.own != number), key=lambda p: -p.shots[number])
    kept = {id(p) for p in [*own, *others][:MOST_PER_SHOT]}

    def without(p: PlannedHint) -> PlannedHint:
        rest = {shot: like for shot, like in p.shots.items() if shot != number}
        return replace(p, shots=rest, left_out=(*p.left_out, number))

    cap_hints_per_shot = [without(p) if number in p.shots and id(p) not in kept else p for p in planned]
    return cap_hints_per_shot, len(mine) - MOST_PER_SHOT


def _spread(hints: Sequence[PlannedHint], most: int) -> list[PlannedHint]:
    """Return the first, the last, then always the one farthest in time from those chosen."""
    left = sorted(hints, key=lambda p: p.frame or 0)
    if len(left) <= most:
        return left
    chosen = [left.pop(0), left.pop()]
    while len(chosen) < most:
        gaps = [min(abs((p.frame or 0) - (c.frame or 0)) for c in chosen) for p in left]
        chosen.append(left.pop(int(np.argmax(gaps))))
    return chosen
