"""A comparison film: the source and its colored version side by side, or split by a moving line."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import zip_longest
from pathlib import Path
from typing import Final, Literal

import cv2
import numpy as np
from pydantic import ValidationError

from videocolor.config import InputConfig
from videocolor.errors import InputError, UsageError
from videocolor.events import Observer, RunLog, ignore
from videocolor.record import read_record, sidecar_path
from videocolor.reports.display import (
    NEUTRAL,
    WHITE,
    Planes,
    Scaler,
    display_size,
    picture_size,
    shown_like,
    similarity,
)
from videocolor.types import Array, Frame, PixelLayout, VideoInfo
from videocolor.video import COLOR_LABEL, OutputOptions, OutputPlan, VideoReader, VideoWriter, open_video, plan_output
from videocolor.video.film import FilmSink
from videocolor.video.sequences import IMAGE_SUFFIXES, is_sequence

__all__ = ["CompareOptions", "ComparisonResult", "Kind", "write_comparison"]

Kind = Literal["side", "wipe"]
_SAME_TIME: Final = Fraction(1, 500)
"""Largest difference of a frame's times, seconds: containers round to their own unit, Matroska to a millisecond."""
_LOOK: Final = 12
"""Every Nth frame is checked to show the same in both films."""
_SAME: Final = 0.5
"""Least similarity of two frames that show the same; a colored frame keeps its luma."""
_PLAYED: Final = frozenset({"aac", "mp3", "opus", "flac", "vorbis", "alac"})
"""Sound that browsers play."""


@dataclass(frozen=True)
class CompareOptions:
    """How a comparison film looks and is written."""

    width: int = 1920
    """Largest width of the picture in pixels; nothing is made larger than the film is shown."""
    period: float = 8.0
    """Seconds of a round trip of the line of a wipe."""
    labels: bool = False
    """Write "before" and "after" into the picture."""
    codec: str = "libx264"
    """Encoder, by FFmpeg's name."""
    crf: float | None = None
    """Constant quality of the encoder; None: that of `colorize`."""
    preset: str | None = None
    """The encoder's preset; None: that of `colorize`."""
    rate: Fraction | None = None
    """Frames a second, where the source is an image sequence. None: what RESULT's record says."""
    start: Fraction | None = None
    """The result begins at this time of the source, seconds. None: what RESULT's record says, else the beginning."""
    end: Fraction | None = None
    """The result ends before this time of the source, seconds. None: what RESULT's record says, else the end."""
    overwrite: bool = False
    """Replace an existing target."""

    def __post_init__(self) -> None:
        if not 64 <= self.width <= 16384:
            raise UsageError(f"width {self.width}: expected 64..16384 pixels")
        if not (math.isfinite(self.period) and 0.5 <= self.period <= 3600):
            raise UsageError(f"period {self.period:g}: expected 0.5..3600 seconds")


@dataclass(frozen=True)
class ComparisonResult:
    """A finished comparison film."""

    target: Path
    kind: Kind
    frames: int
    width: int
    """Of its picture; pixels are square."""
    height: int
    seconds: float
    """Wall time."""
    warnings: tuple[str, ...]


def write_comparison(
    source: Path,
    result: Path,
    target: Path,
    *,
    kind: Kind = "side",
    options: CompareOptions | None = None,
    observer: Observer = ignore,
) -> ComparisonResult:
    """Write a film that shows the source and its colored version at the same time.

    H.264, 4:2:0, 8 bits, limited range by default, in MP4 with its index at the front: what browsers play. Frame
    times are the result's, exactly; its sound and other streams are copied. Both films are decoded in step, so memory
    holds a few frames of each. The target appears under its name when complete.

    Args:
        source: the film that was colored.
        result: what came out.
        target: .mp4, .mkv or .mov.
        kind: `side`: source left, result right. `wipe`: the source left of a line, the result right of it.
        options: size, line, encoder; None: defaults.
        observer: receives `progress` (stage `compare`) and `warning`; what it raises stops the work.

    Raises:
        InputError: a film cannot be read, or the result was not made from this source: another number of frames,
            other times, another shape, another picture.
        UsageError: an option cannot be used.
        OutputError: the target exists, or cannot be written.
    """
    options = options or CompareOptions()
    began, log = time.monotonic(), RunLog(observer)
    if kind not in ("side", "wipe"):
        raise UsageError(f"kind {kind!r}: expected side or wipe")
    if target.suffix.lower() in IMAGE_SUFFIXES or target.is_dir():
        raise UsageError(f"{target}: a comparison is a film; name it .mp4, .mkv or .mov")
    options = _trimmed_alike(result, options, log)
    with (
        open_video(source, rate=options.rate, start=options.start, end=options.end) as before,
        open_video(result, rate=before.info.rate if is_sequence(result) else None) as after,
    ):
        made, left, right = _layout(before, after, kind, options)
        asked = OutputOptions(options.codec, options.crf, options.preset, overwrite=options.overwrite)
        plan = plan_output(made, target, asked, protected=[source])
        log.warn(*(f"left out: {name}" for name in plan.dropped), *_unplayed(made, target))
        with VideoWriter(made, plan, FilmSink(made, plan, (None, None), COLOR_LABEL)) as out:
            with closing(_pairs(before, after)) as pairs:
                for a, b in pairs:
                    planes = left(a), right(b)
                    if b.index % _LOOK == 0:
                        _same_picture(similarity(planes[0][0], planes[1][0]), b, before.info, after.info)
                    passed = b.seconds - float(made.start_pts * made.time_base)
                    column = line_column(passed, options.period, made.width)
                    y, *chroma = beside(*planes) if kind == "side" else wiped(*planes, column)
                    frame = Frame(b.index, b.pts, b.time_base, y, made.layout, made.color, duration=b.duration)
                    out.write(frame, *(_stored(plane, plan) for plane in chroma))
                    log.stage_done("compare", b.index + 1, made.frames)
            report = out.close()
        log.warn(*after.losses, *report.warnings)
    seconds = round(time.monotonic() - began, 3)
    return ComparisonResult(target, kind, report.frames, made.width, made.height, seconds, tuple(log.warnings))


def _stored(plane: Array, plan: OutputPlan) -> Array:
    """Chroma in the size and depth of the encoder's format, limited range."""
    if plane.shape[1::-1] != plan.chroma_size:
        plane = np.asarray(cv2.resize(plane, plan.chroma_size, interpolation=cv2.INTER_LINEAR))
    return plane if plan.layout.depth == 8 else plane.astype(np.uint16) << (plan.layout.depth - 8)


def _trimmed_alike(result: Path, options: CompareOptions, log: RunLog) -> CompareOptions:
    """Take the trim and frame rate from the result's record where the options have none."""
    if not sidecar_path(result).is_file():
        return options
    try:
        settings = read_record(result)["config"]["input"]
        said = InputConfig.model_validate(settings)
    except (InputError, KeyError, TypeError, ValidationError) as error:
        log.warn(f"{sidecar_path(result)}: is not read, as it is no record of a coloring ({type(error).__name__})")
        return options
    if options.start is None and options.end is None:
        options = replace(options, start=said.start, end=said.end)
    return options if options.rate is not None else replace(options, rate=said.rate)


def _layout(
    before: VideoReader, after: VideoReader, kind: Kind, options: CompareOptions
) -> tuple[VideoInfo, Scaler, Scaler]:
    """Describe the comparison, and build the scalers of source and result.

    Raises:
        InputError: the pictures differ in shape.
    """
    info = shown_like(after.info, before.info)
    shown = [display_size(film) for film in (before.info, info)]
    ratios = [width / height for width, height in shown]
    if abs(ratios[0] / ratios[1] - 1) > 0.02:
        sizes = [f"{round(width)}x{round(height)}" for width, height in shown]
        raise InputError(
            f"{info.path}: is shown at {sizes[1]}, {before.info.path} at {sizes[0]}; it was not made from this film"
        )
    width, height = picture_size(info, options.width / (2 if kind == "side" else 1))
    color = replace(info.color, range="limited")
    made = replace(
        info,
        width=width * (2 if kind == "side" else 1),
        height=height,
        layout=PixelLayout("yuv420p", 8, "yuv", (1, 1)),
        color=color,
        sar=Fraction(1),
        rotation=0,
        field_order="progressive",
    )
    words = ("before", "after") if options.labels else ("", "")
    left = Scaler(before.info, (width, height), color, words[0])
    right = Scaler(info, (width, height), color, words[1], right=True)
    return made, left, right


def _unplayed(info: VideoInfo, target: Path) -> Iterator[str]:
    """Name sound that most browsers do not play."""
    for stream in info.streams:
        if stream.kind == "audio" and stream.codec not in _PLAYED:
            yield f"{target}: its sound is copied as {stream.codec}, which most browsers do not play; players do"


def _pairs(before: VideoReader, after: VideoReader) -> Generator[tuple[Frame, Frame], None, None]:
    """Yield pairs of frames, in order.

    Raises:
        InputError: the films differ in number or times of frames.
    """
    film, other = after.info.path, before.info.path
    shift: Fraction | None = None
    for a, b in zip_longest(before, after):
        if a is None or b is None:
            ended, goes_on = (other, film) if a is None else (film, other)
            frame = b if a is None else a
            raise InputError(
                f"{ended}: ends after {frame.index} frames, {goes_on} goes on; {film} was not made from this film, or "
                "from a part of it: then give the part's start and end"
            )
        here, there = a.pts * a.time_base, b.pts * b.time_base
        shift = here - there if shift is None else shift
        if abs(here - there - shift) > _SAME_TIME:
            raise InputError(
                f"{film}: frame {b.index} is at {float(there):.4f} s, in {other} at {float(here):.4f} s; it was "
                "not made from this film, or from a part of it: then give the part's start and end"
            )
        yield a, b


def _same_picture(like: float | None, frame: Frame, before: VideoInfo, after: VideoInfo) -> None:
    if like is not None and like < _SAME:
        raise InputError(
            f"{after.path}: frame {frame.index} does not show what it shows in {before.path} (similarity {like:.2f}); "
            "it was not made from this film, or from a part of it: then give the part's start and end"
        )


def beside(left: Planes, right: Planes) -> Planes:
    """Put one picture left of the other."""
    y, cb, cr = (np.hstack(pair) for pair in zip(left, right, strict=True))
    return y, cb, cr


def line_column(time: Fraction | float, period: float, width: int) -> int:
    """Return the column of the line of a wipe: an even number in 0..width.

    It begins in the middle, goes right first, and moves by a sine.

    Args:
        time: seconds since the film's beginning.
        period: seconds of one round trip.
        width: of the picture, even.
    """
    share = 0.5 + 0.5 * math.sin(2 * math.pi * (float(time) % period) / period)
    return min(width, 2 * round(width * share / 2))


def wiped(left: Planes, right: Planes, column: int) -> Planes:
    """Put one picture left of a white line at `column`, the other right of it."""
    width = left[0].shape[1]
    reach = max(1, round(width / 960))  # of each side
    made = []
    for plane, other, step in zip(left, right, (1, 2, 2), strict=True):
        plane_out = other.copy()
        plane_out[:, : column // step] = plane[:, : column // step]
        covered = slice(max(0, (column - reach) // step), -(-(column + reach) // step))
        plane_out[:, covered] = WHITE if step == 1 else NEUTRAL
        made.append(plane_out)
    return made[0], made[1], made[2]
