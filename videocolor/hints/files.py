"""Reading hints: pictures, frames of other films, and the folder that `keyframes` laid out."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Collection
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from videocolor.color import codes_to_chroma, codes_to_luma, lab_to_rgb, rgb_to_lab, ycbcr_to_rgb
from videocolor.config import AssignedHint, ColorizeConfig
from videocolor.config.parsing import parse_hint
from videocolor.errors import HintError, InputError, UsageError
from videocolor.files import file_sha256
from videocolor.hints.decoding import decode_samples, unit_samples
from videocolor.plugins import find
from videocolor.types import Array, Frame, Hint, Mark
from videocolor.video import check_name, open_video

__all__ = [
    "CHOICES",
    "HINT_SOURCES",
    "PROGRAM_RECORD",
    "HintSource",
    "check_hint",
    "collect_assigned",
    "collect_hints",
    "frame_to_luma",
    "frame_to_rgb",
    "hint_origin",
    "hint_time_in_name",
    "load_hint",
    "nearest_frame",
    "read_program_record",
]

IMAGES: Final = (
    *(".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".avif", ".heic", ".heif", ".gif", ".jp2"),
    *(".ppm", ".tga"),
)
CHOICES: Final = "choices"
"""Folder of the pictures that nobody has chosen, beside the hints; see `videocolor.keyframes.choose`."""
PROGRAM_RECORD: Final = f"{CHOICES}/program.json"
"""What colored the pictures of a folder; see `videocolor.keyframes.outside`."""
_SPOTS: Final = 0.1
"""Share of a picture up to which its painted part counts as spots."""
_GRAY: Final = 1.5
"""Mean chroma (CIE a*b*) under which a picture counts as not colored."""
_UNPAINTED: Final = 0.01
"""Opacity under which a pixel, and a picture whose strongest pixel stays under it, counts as not painted."""
_TIME_IN_NAME = re.compile(r"_t(-?\d+)\.(\d{3})s")
_AT_HAND: Final = 4
"""Pictures of hints that stay in memory; a film may have hundreds, of 25 MB each at 1080 lines."""


class FileHint(Hint):
    """A hint whose picture is read again whenever it is looked at and no longer at hand.

    Raises, then, HintError: the file has gone, or is not what it was at first.
    """

    def __init__(self, hint: Hint, path: Path, other_time: Fraction | None) -> None:
        for name, value in (("name", hint.name), ("time", hint.time), ("marks", hint.marks)):
            object.__setattr__(self, name, value)
        self.__dict__.update(_path=path, _other=other_time, _stamp=_stamp(path), _masked=hint.mask is not None)

    def _picture(self) -> tuple[Array, Array | None]:
        path: Path = self.__dict__["_path"]
        stamp = self.__dict__["_stamp"]
        if _stamp(path) != stamp:
            raise HintError(f"{path}: has changed or gone while the film was colored; run again")
        return _picture_of(path, self.__dict__["_other"], stamp)

    @property
    def rgb(self) -> Array:
        """As `Hint.rgb`; read-only."""
        return self._picture()[0]

    @property
    def mask(self) -> Array | None:
        """As `Hint.mask`; read-only."""
        return self._picture()[1] if self.__dict__["_masked"] else None


@lru_cache(maxsize=_AT_HAND)
def _picture_of(path: Path, other_time: Fraction | None, _stamp: tuple[int, int] | None) -> tuple[Array, Array | None]:
    hint = _read(path, None) if other_time is None else _frame_of(path, other_time, None)
    for array in (hint.rgb, hint.mask):
        if array is not None:
            array.flags.writeable = False
    return hint.rgb, hint.mask


def _stamp(path: Path) -> tuple[int, int] | None:
    """By which a file is known to be the same."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def collect_hints(config: ColorizeConfig) -> tuple[list[Hint], list[str]]:
    """Read every hint that the configuration names.

    Returns:
        The hints, and warnings about files of the hint folder that nobody has colored yet.

    Raises:
        HintError: a file is missing, unreadable, or has no color.
    """
    hints, warnings = [load_hint(*parse_hint(item)) for item in config.hints.items], list[str]()
    sources = [] if config.hints.folder is None else [f"folder={config.hints.folder}"]
    for entry in (*sources, *config.hints.sources):
        name, equals, argument = entry.partition("=")
        if not equals:
            raise UsageError(f"hints.sources: {entry}: expected SOURCE=ARGUMENT, as folder=DIR")
        source: HintSource = find(name, "hints", "hints.sources", HINT_SOURCES)
        found, passed_over = source(argument)
        for hint in found:
            check_hint(hint)
        hints += found
        warnings += passed_over
    return hints, warnings


def read_folder(argument: str) -> tuple[list[Hint], list[str]]:
    """Read a folder of hints as `videocolor keyframes` lays it out.

    Args:
        argument: the folder.

    Returns:
        As `HintSource`; every file that is passed over is named, with the reason.
    """
    folder = Path(argument)
    if not folder.is_dir():
        raise HintError(f"{folder}: not a folder; --hints takes the folder that `keyframes` wrote")
    hints: list[Hint] = []
    warnings: list[str] = []
    present = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    files = [p for p in present if p.suffix.lower() in IMAGES]
    if not files:
        raise HintError(f"{folder}: no image in it; expected {', '.join(IMAGES)}")
    for path in files:
        hint = _read(path, hint_time_in_name(path.name))
        if _is_blank(hint):
            warnings.append(f"{path}: nothing is painted (it is transparent), not used as a hint")
        elif _is_gray(hint):
            warnings.append(f"{path}: still gray, not used as a hint; paint it or remove it")
        else:
            hints.append(FileHint(hint, path, None))
    warnings += [
        f"{path}: not used as a hint, {_why_not(path)}"
        for path in present
        if path not in files and path.name != CHOICES
    ]
    return hints, warnings


def _why_not(path: Path) -> str:
    """Say why a file of a folder is none of its hints."""
    if path.is_dir():
        return "it is a folder; give its pictures with --hints of their own, or move them here"
    return f"{path.suffix or 'no suffix'} is none of {', '.join(IMAGES)}; export it as PNG"


HintSource = Callable[[str], tuple[list[Hint], list[str]]]
"""Takes the text after `=` in `hints.sources`; returns hints, and warnings about what it passed over. Raises
`HintError` where nothing can be read."""
HINT_SOURCES: Final[dict[str, HintSource]] = {"folder": read_folder}
"""Name in `hints.sources` -> source."""


def collect_assigned(assigned: Collection[AssignedHint]) -> list[tuple[AssignedHint, Hint]]:
    """Read the hints that a person has assigned to shots; a file that is named twice is read once.

    Raises:
        HintError: a file is missing, unreadable, or has no color.
    """
    read: dict[str, Hint] = {}
    found = []
    for entry in assigned:
        _, path, other = parse_hint(entry.image)
        if entry.marks:
            hint = load_hint(None, path, other, marks=tuple(mark.mark() for mark in entry.marks))
        else:
            hint = read[entry.image] = read.get(entry.image) or load_hint(None, path, other)
        found.append((entry, hint))
    return found


def hint_time_in_name(name: str) -> Fraction | None:
    """Film time that `keyframes` wrote into a file name (`..._t00012.345s.png`), in seconds; may be negative."""
    match = _TIME_IN_NAME.search(name)
    return None if match is None else Fraction(f"{match[1]}.{match[2]}")


def load_hint(
    time: Fraction | None,
    path: Path,
    other_time: Fraction | None = None,
    *,
    marks: tuple[Mark, ...] = (),
    check: bool = True,
) -> Hint:
    """Read one hint: a picture, or a frame of another film.

    Args:
        time: film time in seconds it was made for, None for a loose one.
        path: image, or film where `other_time` is given.
        other_time: time in that film, seconds; its nearest frame is taken.
        marks: how far its scribbles reach.
        check: refuse one that says nothing.

    Raises:
        HintError: missing, unreadable, transparent, or without color.
        InputError: its name is not UTF-8.
    """
    check_name(path)
    hint = _read(path, time) if other_time is None else _frame_of(path, other_time, time)
    hint = replace(hint, marks=marks)
    if check:
        check_hint(hint)
    return FileHint(hint, path, other_time)


def read_program_record(folder: Path) -> dict[str, Any] | None:
    """Read what `videocolor.keyframes.outside` recorded in a folder of hints: `identity`, `pictures`; None: nothing.

    Raises:
        HintError: it cannot be read.
    """
    path = folder / PROGRAM_RECORD
    if not path.is_file():
        return None
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        return {"identity": dict(known["identity"]), "pictures": dict(known["pictures"])}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise HintError(
            f"{path}: is damaged ({error}); remove it, and its pictures count as painted by hand"
        ) from error


def hint_origin(hint: Hint) -> dict[str, Any]:
    """Return the sha256 of a hint's file, and the program that made it, as `videocolor.keyframes.outside` recorded.

    Raises:
        HintError: the file or the record cannot be read.
    """
    path: Path | None = getattr(hint, "original", hint).__dict__.get("_path")
    if path is None:
        return {}
    try:
        origin: dict[str, Any] = {"sha256": file_sha256(path)}
    except OSError as error:
        raise HintError(f"{path}: cannot be read: {error.strerror or error}") from error
    known = read_program_record(path.parent) or {"pictures": {}}
    made = known["pictures"].get(path.name)
    if made is not None and made["sha256"] == origin["sha256"]:
        origin["program"] = known["identity"] | made["said"]
    return origin


def check_hint(hint: Hint) -> None:
    """Refuse a hint that says nothing.

    Raises:
        HintError: transparent, or without color where it is painted; spots may be gray, which asks for no color, and a
            picture whose marks keep things as they are need have none.
    """
    if any(mark.reach == "keep" for mark in hint.marks) and _is_blank(hint):
        return
    if _is_blank(hint):
        raise HintError(f"{hint.name}: nothing is painted, it is transparent everywhere; paint it or leave it out")
    if _is_gray(hint) and not (hint.marks or _is_spots(hint)):
        raise HintError(f"{hint.name}: has no color, so it cannot be a hint; give a colored picture")


def _read(path: Path, time: Fraction | None) -> Hint:
    if not path.is_file():
        raise HintError(f"{path}: no such hint file")
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)  # imread cannot open every name that an OS allows
    except OSError as error:
        raise HintError(f"{path}: cannot be read: {error.strerror or error}") from error
    rgb, mask = decode_samples(data, str(path))
    return Hint(str(path), unit_samples(rgb), time, None if mask is None else unit_samples(mask))


def _frame_of(path: Path, other_time: Fraction, time: Fraction | None) -> Hint:
    name = f"{path}@{float(other_time):g}"
    try:
        frame = nearest_frame(path, other_time)
    except (InputError, UsageError) as error:
        raise HintError(f"hint {name}: {error}") from error
    if frame is None:
        raise HintError(f"hint {name}: the film ends before that time")
    if frame.chroma is None:
        raise HintError(f"hint {name}: that film is black and white, its frames cannot be hints")
    return Hint(name, _exact_rgb(frame), time)


def nearest_frame(path: Path, wanted: Fraction) -> Frame | None:
    """Return the film's frame nearest to a time, the earlier where two are; None after its end.

    The time before is searched back a second, ten, then from the beginning, for a frame may stand still that long.
    """
    for back in (Fraction(1), Fraction(10), None):
        start = None if back is None or wanted <= back else wanted - back
        nearest: Frame | None = None
        miss = last = Fraction(0)
        with open_video(path, start=start) as video:
            for frame in video:
                last = frame.pts * frame.time_base
                if nearest is None or abs(last - wanted) < miss:
                    nearest, miss = frame, abs(last - wanted)
                if last >= wanted:
                    break
            rate = video.info.rate or Fraction(25)
        if start is None or back is None or (nearest is not None and miss <= back):
            if nearest is None or last >= wanted:
                return nearest
            length = nearest.duration * nearest.time_base if nearest.duration else 1 / rate
            return nearest if miss <= length else None
    return None


def frame_to_luma(frame: Frame) -> Array:
    """(h, w) float32 Y' in 0..1 of a frame, whatever its depth and range."""
    luma = codes_to_luma(frame.luma, frame.layout.depth, frame.color.range)
    return np.clip(luma, 0, 1).astype(np.float32, copy=False)


def frame_to_rgb(frame: Frame) -> Array:
    """(h, w, 3) float32 R'G'B' in 0..1, BT.709 primaries, of a frame; gray frames give gray."""
    return np.asarray(np.clip(_exact_rgb(frame), 0, 1))


def _exact_rgb(frame: Frame) -> Array:
    """(h, w, 3) float32 R'G'B', BT.709 primaries; colors that these cannot show lie outside 0..1."""
    depth, range_ = frame.layout.depth, frame.color.range
    y = codes_to_luma(frame.luma, depth, range_)
    if frame.chroma is None:
        return np.repeat(y[..., None], 3, axis=2)
    h, w = y.shape
    cb, cr = (
        cv2.resize(codes_to_chroma(p, depth, range_), (w, h), interpolation=cv2.INTER_LINEAR) for p in frame.chroma
    )
    rgb = ycbcr_to_rgb(y, cb, cr, frame.color.matrix)
    if frame.color.matrix == "bt2020":
        rgb = lab_to_rgb(rgb_to_lab(rgb, "bt2020"), "bt709")
    return np.ascontiguousarray(np.moveaxis(rgb, 0, -1), np.float32)


def _is_blank(hint: Hint) -> bool:
    return hint.mask is not None and float(hint.mask.max()) < _UNPAINTED


def _is_spots(hint: Hint) -> bool:
    """Is only a small part of it painted?"""
    return hint.mask is not None and float(hint.mask.mean()) <= _SPOTS


def _is_gray(hint: Hint) -> bool:
    """Has it no color where it is painted?"""
    rgb, mask = hint.rgb, np.ones(hint.rgb.shape[:2], np.float32) if hint.mask is None else hint.mask
    weight = cv2.resize(mask, (64, 64), interpolation=cv2.INTER_AREA)
    small = cv2.resize(rgb * mask[..., None], (64, 64), interpolation=cv2.INTER_AREA)
    painted = weight >= min(_UNPAINTED, float(weight.max()) / 2)
    ab = rgb_to_lab(small[painted].T / weight[painted])[1:]
    # A few painted points are a hint too, so the strongest places count, not the mean alone.
    chroma = np.hypot(ab[0], ab[1])
    return bool(chroma.mean() < _GRAY and np.percentile(chroma, 99.5) < 4 * _GRAY)
