"""A part of a shot in color, seen before the film is rendered: the data path itself, brought up to a small picture.

    for frame in preview_part(film, config, Part(start, start_pts, end_pts), shot=3):
        show(before_rgb(frame), preview_rgb(frame, saturation))

The network, what motion carries and the fusion over time work at the film's true working size, in the windows that
the render works in; only the bringing-up is done on the small picture. Frames hold color before saturation, so a
slider needs no coloring.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Generator
from copy import copy
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from videocolor.chromatable import ChromaTable
from videocolor.color import codes_to_chroma, lab_to_rgb, rgb_to_lab, ycbcr_to_ab, ycbcr_to_rgb
from videocolor.config import AssignedHint, ColorizeConfig
from videocolor.events import Observer, RunLog, ignore
from videocolor.models.base import Colorizer
from videocolor.pipeline.chroma import chroma_at
from videocolor.pipeline.film import Film, load_network, open_film
from videocolor.pipeline.frames import ColoredFrame
from videocolor.pipeline.path import color_frames, open_run
from videocolor.pipeline.reader import Part
from videocolor.pipeline.reuse import PlannedReferenceShots, reference_lumas
from videocolor.pipeline.shot import Run
from videocolor.shots.prepare import ListedCuts, small_luma
from videocolor.shots.shotlist import known_shots
from videocolor.types import Array, ColorSpec, Frame, Matrix, VideoInfo
from videocolor.video.stored import source_color

__all__ = [
    "ReusedShot",
    "PreviewFrame",
    "before_rgb",
    "chroma_rgb",
    "preview_part",
    "preview_rgb",
    "preview_size",
    "warm_up",
]

_LIGHTNESS: Final = 60.0
"""CIE L* at which chroma alone is shown."""
_SHOWABLE: Final = 0.5 / 255
"""By which R'G'B' may leave 0..1 without being seen."""


@dataclass(frozen=True, eq=False)
class PreviewFrame:
    """A frame of the film, small, and its color before saturation."""

    index: int
    """Place in the film, counted from 0."""
    pts: int
    time_base: Fraction
    luma: Array = field(repr=False)
    """(h, w) float32, full-range Y' in 0..1, at the display's aspect ratio."""
    ab: Array = field(repr=False)
    """(2, h, w) float32 CIE a*b*, before saturation."""
    matrix: Matrix = "bt709"
    """Of the luma."""
    kept: bool = False
    """The source's own color, which stays as it is (`chroma.keep_source`), whatever the saturation."""


@dataclass(frozen=True)
class ReusedShot:
    """The earlier shot whose colors a shot takes up."""

    shot: int
    """Its number, from 0."""
    first: int
    """Index of its first frame."""
    first_pts: int
    last: int
    """Index of its last frame."""
    last_pts: int


def preview_part(
    source: Path,
    config: ColorizeConfig,
    part: Part,
    *,
    shot: int,
    lines: int = 240,
    colorizer: Colorizer | None = None,
    frames: int | None = None,
    reuses: ReusedShot | None = None,
    target: Path | None = None,
    draft: bool = False,
    observer: Observer = ignore,
) -> Generator[PreviewFrame, None, None]:
    """Color a part of one shot as the render colors it, and hand out small pictures as they are ready.

    Begun at its shot's first frame, with `part` up to the shot's end, the colors are the render's before they are
    brought up; at fewer lines than the film's, edges of color follow the small luma. A shot without a hint that
    returns to an earlier one takes its colors, if `reuses` names it. A part that begins inside its shot lacks what
    motion would have carried there. Hints matched by similarity (`hints.items`, `hints.folder`), and assigned ones
    without a shot list, need a pass over the film first; otherwise nothing is decoded but the part.

    Args:
        source: the film.
        config: its settings; all saturations are left aside.
        part: the frames; give the shot's end, not the preview's: frames after the last one are looked at, too.
        shot: the shot's number, from 0.
        lines: height of the pictures, 2..4320; see `preview_size`. A rotation of the display is not applied.
        colorizer: the network, loaded before, used by nobody else meanwhile; None: it is loaded.
        frames: how many are wanted; None: all of the part.
        reuses: the earlier shot that the film's plan lets this one return to.
        target: what the render will write, whose grid of chroma reference frames are held on. None: a Matroska file.
        draft: color shots with a reference frame at the working size of others: half the work, 0.1 to 0.3 dE00 off.
        observer: hears of warnings.

    Yields:
        The frames in film order. Closing the generator stops its threads, within about a second.

    Raises:
        UsageError, InputError, HintError, ModelError, DeviceError: as `colorize_video`, when a frame is asked for.
    """
    wanted = {shot} if reuses is None else {shot, reuses.shot}
    config, log = _narrowed(config, wanted), RunLog(observer)
    if draft:
        colorizer = copy(colorizer or load_network(config))
        colorizer.card = replace(colorizer.card, area_reference=None)
    with tempfile.TemporaryDirectory(prefix="videocolor-") as folder:  # a place that nothing stands at
        there = Path(folder) / ("preview.mkv" if target is None or not target.suffix else target.name)
        film = open_film(source, there, config, log, colorizer=colorizer)
    size = preview_size(film.info, lines)[::-1]
    references = PlannedReferenceShots(
        {} if reuses is None else {shot: reuses.shot}, lambda _: _lumas(film, part, reuses)
    )
    run = Run(ListedCuts([]), log, references, first_shot=shot)
    with open_run(film, run, color_frames, part) as (_, colored):
        for work in islice(colored, frames):
            yield _small(work, film, size)


def preview_size(info: VideoInfo, lines: int) -> tuple[int, int]:
    """(width, height) of a preview with so many lines, at the display's aspect ratio; at least 2 by 2."""
    return max(2, round(lines * info.width * info.sar / info.height)), max(2, lines)


def warm_up(matrix: Matrix) -> None:
    """Make the table that `preview_rgb` looks colors up in; it takes about a second, once a process and matrix."""
    _table(matrix)


def before_rgb(frame: PreviewFrame) -> Array:
    """Show the frame as it was: (h, w, 3) uint8 sRGB, gray."""
    gray = _bytes(frame.luma)
    return np.repeat(gray[..., None], 3, axis=2)


def preview_rgb(frame: PreviewFrame, saturation: float = 1.0) -> Array:
    """Show the frame in color, (h, w, 3) uint8 sRGB.

    Colors that cannot be shown are brought into the gamut as the writer does it, by the same table, so luma stays.

    Args:
        frame: of a preview.
        saturation: factor on chroma, 0..4; without effect on color that the source had (`PreviewFrame.kept`).
    """
    table = _table(frame.matrix)
    codes = table.codes(frame.luma, frame.ab, 1.0 if frame.kept else saturation)
    cb, cr = (codes_to_chroma(plane, table.depth, "full") for plane in codes)
    # OpenCV in one pass: twice as fast as NumPy, plane by plane.
    rgb: Array = cv2.transform(cv2.merge((frame.luma, cb, cr)), _to_rgb(frame.matrix))
    if frame.matrix == "bt2020":
        rgb = np.moveaxis(lab_to_rgb(rgb_to_lab(np.clip(np.moveaxis(rgb, -1, 0), 0, 1), "bt2020"), "bt709"), 0, -1)
    return cv2.convertScaleAbs(np.maximum(rgb, 0), alpha=255)


def chroma_rgb(frame: PreviewFrame, saturation: float = 1.0) -> Array:
    """Show the frame's chroma alone, at L* = 60: (h, w, 3) uint8 sRGB; arguments as of `preview_rgb`.

    Colors that cannot be shown at this lightness are shown weaker, in the same hue.
    """
    ab = frame.ab * np.float32(1.0 if frame.kept else saturation)
    rgb = _at_lightness(ab)
    outside = (rgb.min(axis=0) < -_SHOWABLE) | (rgb.max(axis=0) > 1 + _SHOWABLE)
    rgb[:, outside] = _at_lightness(_inside(ab[:, outside]))
    return np.ascontiguousarray(np.moveaxis(_bytes(rgb), 0, -1))


def _at_lightness(ab: Array) -> Array:
    """(3, ...) R'G'B' of (2, ...) a*b* at the one lightness, not clipped."""
    return lab_to_rgb(np.stack([np.full_like(ab[0], _LIGHTNESS), ab[0], ab[1]]))


def _inside(ab: Array) -> Array:
    """(2, n) a*b* scaled down until R'G'B' can show it at the one lightness."""
    low, high = np.zeros_like(ab[0]), np.ones_like(ab[0])
    for _ in range(10):
        middle = (low + high) / 2
        rgb = _at_lightness(ab * middle)
        fits = (rgb.min(axis=0) >= 0) & (rgb.max(axis=0) <= 1)
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    return np.asarray(ab * low)


def _narrowed(config: ColorizeConfig, wanted: Collection[int]) -> ColorizeConfig:
    """Reduce the settings to those that the colors of some shots depend on."""
    hints = config.hints.model_copy(update={"assigned": _needed(config, wanted)})
    chroma = config.chroma.model_copy(update={"by_shot": ()})
    output = config.output.model_copy(update={"overwrite": True, "sidecar": False})
    return config.model_copy(update={"hints": hints, "chroma": chroma, "output": output})


def _needed(config: ColorizeConfig, wanted: Collection[int]) -> tuple[AssignedHint, ...]:
    """Return the assigned hints of some shots."""
    shots, assigned = known_shots(config.shots), config.hints.assigned
    if shots is None or config.hints.items or config.hints.folder is not None:
        return assigned
    mine: list[AssignedHint] = []
    for entry in assigned:
        named = entry.shots if entry.frame is None else (entry.frame, *entry.shots)
        if any(shots.number(frame, f"hint {entry.image}") in wanted for frame in named):
            mine.append(entry)
    return tuple(mine)


def _lumas(film: Film, part: Part, reference: ReusedShot | None) -> list[Array]:
    assert reference is not None
    places = [(reference.first, reference.first_pts), (reference.last, reference.last_pts)]
    return reference_lumas(film, places, from_beginning=part.from_beginning)


def _small(work: ColoredFrame, film: Film, size: tuple[int, int]) -> PreviewFrame:
    """Bring a colored frame to the small picture of (height, width) `size`."""
    frame, matrix = work.item.frame, film.plan.color.matrix
    luma = small_luma(frame, size)
    place = (frame.index, frame.pts, frame.time_base, luma)
    if film.config.chroma.keep_source and source_color(frame) != "none":
        return PreviewFrame(*place, _source_ab(frame, luma), frame.color.matrix, kept=True)
    return PreviewFrame(*place, chroma_at(work, luma, film), matrix)


def _source_ab(frame: Frame, luma: Array) -> Array:
    """(2, h, w) a*b* of the source's own chroma on the grid of `luma`."""
    assert frame.chroma is not None
    size, depth, range_ = luma.shape[::-1], frame.layout.depth, frame.color.range
    planes = (cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in frame.chroma)
    cb, cr = (codes_to_chroma(plane, depth, range_) for plane in planes)
    return ycbcr_to_ab(luma, cb, cr, frame.color.matrix)


@lru_cache(maxsize=3)
def _to_rgb(matrix: Matrix) -> Array:
    """(3, 3) float32, from Y', Cb, Cr to R'G'B'."""
    y, cb, cr = np.eye(3, dtype=np.float32)
    return ycbcr_to_rgb(y, cb, cr, matrix)


@lru_cache(maxsize=3)
def _table(matrix: Matrix) -> ChromaTable:
    return ChromaTable(ColorSpec(matrix, "full"), 16)


def _bytes(values: Array) -> Array:
    """0..1 as uint8, rounded and clipped."""
    return np.asarray(np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8))
