"""Hints: reading them, dealing them to shots, reproducing them at their own frame, and suggesting them.

A hint with a time belongs to the shot that holds the time, and to other shots only where they look alike.
A hint without a time belongs to every shot that looks like it. One that fits nowhere is reported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from videocolor.color import codes_to_chroma, codes_to_luma, rgb_to_lab, rgb_to_luma, ycbcr_to_rgb
from videocolor.config import ColorizeConfig, parse_hint
from videocolor.errors import HintError, InputError, OutputError
from videocolor.models.base import HintInput
from videocolor.shots import shots_like
from videocolor.survey import Survey, survey_film, thumbnail
from videocolor.types import Array, Frame, Hint
from videocolor.video import open_video

__all__ = ["HintPlan", "PlannedHint", "collect_hints", "deal_hints", "hint_input", "hint_time_in_name", "suggest_hints"]

IMAGES: Final = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
MOST_PER_SHOT: Final = 6
"""Hints that one shot receives at most: the best; the network's memory and time grow with each."""
_GRAY: Final = 1.5
"""Mean chroma (CIE a*b*) under which a picture counts as not coloured."""
_TIME_IN_NAME = re.compile(r"_t(\d+)\.(\d{3})s")


@dataclass(frozen=True, eq=False)
class PlannedHint:
    """A hint and where it is used."""

    hint: Hint
    frame: int | None
    """The frame it was made for; None for hints without a time."""
    shots: dict[int, float]
    """Shot number -> likeness 0..1 (1 for the shot that its time lies in)."""


@dataclass(frozen=True, eq=False)
class HintPlan:
    """Which hint goes to which shot."""

    hints: tuple[PlannedHint, ...] = ()
    warnings: tuple[str, ...] = field(default=())

    def for_shot(self, number: int) -> list[PlannedHint]:
        """The hints of a shot, its own first, then by likeness."""
        mine = [planned for planned in self.hints if number in planned.shots]
        mine.sort(key=lambda planned: -planned.shots[number])
        return mine[:MOST_PER_SHOT]

    def at_frame(self, number: int, index: int) -> PlannedHint | None:
        """The hint that was made for this frame of this shot."""
        return next((p for p in self.hints if p.frame == index and number in p.shots), None)


def collect_hints(config: ColorizeConfig) -> tuple[list[Hint], list[str]]:
    """Read every hint that the configuration names.

    Returns:
        The hints, and warnings about files of the hint folder that nobody has coloured yet.

    Raises:
        HintError: a file is missing, unreadable, or has no colour.
    """
    hints = [load_hint(*parse_hint(item)) for item in config.hints.items]
    warnings: list[str] = []
    folder = config.hints.folder
    if folder is not None:
        if not folder.is_dir():
            raise HintError(f"{folder}: not a folder; --hints takes the folder that `hints suggest` wrote")
        files = sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGES)
        if not files:
            raise HintError(f"{folder}: no image in it; expected {', '.join(IMAGES)}")
        for path in files:
            hint = _read(path, hint_time_in_name(path.name))
            if _is_gray(hint.rgb):
                warnings.append(f"{path}: still gray, not used as a hint; paint it or remove it")
            else:
                hints.append(hint)
    return hints, warnings


def hint_time_in_name(name: str) -> Fraction | None:
    """Film time that `hints suggest` wrote into a file name (`..._t00012.345s.png`), in seconds."""
    match = _TIME_IN_NAME.search(name)
    return None if match is None else Fraction(f"{match[1]}.{match[2]}")


def load_hint(time: Fraction | None, path: Path, other_time: Fraction | None = None) -> Hint:
    """Read one hint: a picture, or a frame of another film.

    Args:
        time: film time in seconds it was made for, None for a loose one.
        path: image, or film where `other_time` is given.
        other_time: time in that film, seconds.

    Raises:
        HintError: missing, unreadable, or without colour.
    """
    hint = _read(path, time) if other_time is None else _frame_of(path, other_time, time)
    if _is_gray(hint.rgb):
        raise HintError(f"{hint.name}: has no colour, so it cannot be a hint; give a coloured picture")
    return hint


def _read(path: Path, time: Fraction | None) -> Hint:
    if not path.is_file():
        raise HintError(f"{path}: no such hint file")
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)  # imread cannot open every name that an OS allows
    except OSError as error:
        raise HintError(f"{path}: cannot be read: {error.strerror or error}") from error
    image = _decode(data, cv2.IMREAD_UNCHANGED)
    if image is None:
        raise HintError(
            f"{path}: not a picture that can be read; a frame of a film is given as FILM@TIME (other.mkv@12.0)"
        )
    mask = None
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    elif image.shape[2] == 4:
        mask = _unit(image[..., 3])
        mask = None if bool((mask > 0.999).all()) else mask
        image = image[..., :3]
    else:
        turned = _decode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)  # this one obeys EXIF orientation
        image = image if turned is None else turned
    return Hint(str(path), _unit(image[..., ::-1]), time, mask)


def _decode(data: Array, flags: int) -> Array | None:
    if not data.size:
        return None
    try:
        return cv2.imdecode(data, flags)
    except cv2.error:  # too many pixels, or a header that lies
        return None


def _unit(image: Array) -> Array:
    top = np.iinfo(image.dtype).max if image.dtype.kind == "u" else 1.0
    return np.ascontiguousarray(image, np.float32) / np.float32(top)


def _frame_of(path: Path, other_time: Fraction, time: Fraction | None) -> Hint:
    name = f"{path}@{float(other_time):g}"
    try:
        with open_video(path, start=other_time) as video:
            frame = next(iter(video), None)
    except InputError as error:
        raise HintError(f"hint {name}: {error}") from error
    if frame is None:
        raise HintError(f"hint {name}: the film ends before that time")
    if frame.chroma is None:
        raise HintError(f"hint {name}: that film is black and white, its frames cannot be hints")
    return Hint(name, frame_to_rgb(frame), time)


def frame_to_rgb(frame: Frame) -> Array:
    """(h, w, 3) float32 R'G'B' in 0..1 of a frame; gray frames give gray."""
    depth, range_ = frame.layout.depth, frame.color.range
    y = codes_to_luma(frame.luma, depth, range_)
    if frame.chroma is None:
        return np.asarray(np.clip(np.repeat(y[..., None], 3, axis=2), 0, 1))
    h, w = y.shape
    cb, cr = (
        cv2.resize(codes_to_chroma(p, depth, range_), (w, h), interpolation=cv2.INTER_LINEAR) for p in frame.chroma
    )
    rgb = np.moveaxis(ycbcr_to_rgb(y, cb, cr, frame.color.matrix), 0, -1)
    return np.asarray(np.clip(rgb, 0, 1))


def _is_gray(rgb: Array) -> bool:
    small = cv2.resize(rgb, (64, 64), interpolation=cv2.INTER_AREA)
    ab = rgb_to_lab(np.moveaxis(small, -1, 0))[1:]
    # A few painted points are a hint too, so the strongest places count, not the mean alone.
    chroma = np.hypot(ab[0], ab[1])
    return bool(chroma.mean() < _GRAY and np.percentile(chroma, 99.5) < 4 * _GRAY)


def hint_input(hint: Hint, size: tuple[int, int]) -> HintInput:
    """A hint at the network's (height, width)."""
    h, w = size
    rgb = cv2.resize(hint.rgb, (w, h), interpolation=cv2.INTER_AREA)
    planes = np.moveaxis(rgb, -1, 0)
    mask = None if hint.mask is None else cv2.resize(hint.mask, (w, h), interpolation=cv2.INTER_AREA)
    return HintInput(rgb_to_luma(planes, "bt709").astype(np.float32), rgb_to_lab(planes)[1:], mask)


def hint_ab(hint: Hint, size: tuple[int, int]) -> Array:
    """(2, h, w) float32 a*b* of a hint on a chroma plane of (height, width) `size`."""
    ab: Array = hint_input(hint, size).ab
    return ab


def hint_fits_frame(hint: Hint, gray: Array) -> float:
    """Correlation -1..1 of a hint's luma with a frame's (h, w) uint8 luma: is it that very frame, painted?"""
    h, w = gray.shape
    mine = hint_input(hint, (h, w)).luma
    if hint.mask is not None:
        return -1.0  # a partly painted hint says nothing of the rest, so it is never copied whole
    a, b = mine - mine.mean(), gray.astype(np.float32) / 255
    b = b - b.mean()
    return float((a * b).sum() / max(float(np.sqrt((a * a).sum() * (b * b).sum())), 1e-6))


def deal_hints(hints: Sequence[Hint], survey: Survey, min_likeness: float) -> HintPlan:
    """Decide which hint goes to which shot.

    Args:
        hints: in any order.
        survey: of the film; made with the hints' times.
        min_likeness: 0..1, what a shot needs to receive a hint that was not made for it.
    """
    planned: list[PlannedHint] = []
    warnings: list[str] = []
    last = survey.shots[-1].shot
    film_end = last.end_pts * last.time_base
    for hint in hints:
        thumb = thumbnail(np.rint(hint_input(hint, (180, 320)).luma * 255).astype(np.uint8))
        likeness = {
            view.shot.index: max(shots_like(thumb, picture) for _, picture in view.views) for view in survey.shots
        }
        shots = {number: value for number, value in likeness.items() if value >= min_likeness}
        frame = None
        if hint.time is not None:
            if hint.time > film_end:
                warnings.append(
                    f"hint {hint.name}: its time {float(hint.time):.3f} s is behind the film's end "
                    f"{float(film_end):.3f} s; not used"
                )
                continue
            frame = survey.nearest[hint.time]
            shots[survey.shot_at(frame).index] = 1.0
        if not shots:
            best = max(likeness, key=lambda number: likeness[number])
            warnings.append(
                f"hint {hint.name}: fits no shot (nearest is shot {best + 1} with likeness {likeness[best]:.2f} < "
                f"{min_likeness:.2f}); not used. Give it a time (TIME=IMAGE) or lower hints.min_likeness"
            )
            continue
        planned.append(PlannedHint(hint, frame, shots))
    return HintPlan(tuple(planned), tuple(warnings))


def suggest_hints(
    film: Path,
    folder: Path,
    config: ColorizeConfig,
    *,
    progress: Callable[[int, int | None], None] | None = None,
) -> list[Path]:
    """Write, for each shot, the frame that explains most of it, as a PNG to be coloured.

    The frame is the shot's medoid: of up to eight frames evenly spread, the one most like all others.
    Its name carries its time (`shot0003_t00012.345s.png`), so the painted folder can be given back with
    `--hints`.

    Raises:
        OutputError: the folder cannot be written, or holds such files already.
    """
    survey = survey_film(film, config, progress=progress)
    wanted = {_medoid(view.views): view.shot for view in survey.shots}
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made: {error.strerror or error}") from error
    written: list[Path] = []
    span = config.input
    with open_video(film, rate=span.rate, start=span.start, end=span.end) as video:
        for frame in video:
            shot = wanted.get(frame.index)
            if shot is not None:
                written.append(_write_suggestion(folder, shot.index, frame, config.output.overwrite))
    return written


def _medoid(views: Sequence[tuple[int, Array]]) -> int:
    total = [sum(shots_like(mine, other) for _, other in views) for _, mine in views]
    return views[int(np.argmax(total))][0]


def _write_suggestion(folder: Path, number: int, frame: Frame, overwrite: bool) -> Path:
    path = folder / f"shot{number + 1:04d}_t{float(frame.pts * frame.time_base):09.3f}s.png"
    if path.exists() and not overwrite:
        raise OutputError(f"{path}: exists; a painted hint is not overwritten without --overwrite")
    gray = np.clip(codes_to_luma(frame.luma, frame.layout.depth, frame.color.range), 0, 1)
    picture = (
        np.rint(gray * 65535).astype(np.uint16) if frame.layout.depth > 8 else np.rint(gray * 255).astype(np.uint8)
    )
    done, data = cv2.imencode(".png", picture)
    if not done:
        raise OutputError(f"{path}: this frame cannot be written as PNG")
    try:
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    return path
