"""Verify that a colored film is the same film: same frames, same times, same luma."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import zip_longest
from pathlib import Path

import cv2
import numpy as np

from videocolor.errors import InputError, OutputError
from videocolor.hints.plan import frame_to_rgb
from videocolor.images import encode_image
from videocolor.types import Array, Frame
from videocolor.video import open_video

__all__ = ["FilmCheck", "before_after", "verify_film"]


@dataclass(frozen=True)
class FilmCheck:
    """How a colored film compares with its source."""

    frames: int
    """Frames of the source."""
    result_frames: int
    luma_max_diff: int | None
    """Largest difference of a luma sample in code values; None where depth or size differ."""
    time_max_diff: Fraction
    """Largest difference of a frame's time, seconds."""

    @property
    def exact(self) -> bool:
        """Same number of frames, every luma sample and every time equal."""
        return self.frames == self.result_frames and self.luma_max_diff == 0 and self.time_max_diff == 0


def verify_film(
    source: str | Path,
    result: str | Path,
    *,
    rate: Fraction | None = None,
    start: Fraction | None = None,
    end: Fraction | None = None,
) -> FilmCheck:
    """Decode both films and compare luma samples and frame times.

    Through a lossless codec `FilmCheck.exact` must hold; a lossy codec changes luma, and Matroska rounds
    times to its millisecond. A trimmed film, and one that began before zero, begins at zero.

    Args:
        source: the film that was colored.
        result: what came out.
        rate: frames a second, where the source is an image sequence.
        start: the result begins at this time of the source, seconds; None: at its beginning.
        end: the result ends before this time; None: at its end.

    Raises:
        InputError: one of them cannot be read.
    """
    frames = result_frames = 0
    luma: int | None = 0
    time = shift = Fraction(0)
    with open_video(source, rate=rate, start=start, end=end) as before, open_video(result) as after:
        for a, b in zip_longest(before, after):
            frames += a is not None
            result_frames += b is not None
            if a is None or b is None:
                continue
            if result_frames == 1 and (start is not None or end is not None or a.pts < 0):
                shift = a.pts * a.time_base
            time = max(time, abs(a.pts * a.time_base - shift - b.pts * b.time_base))
            difference = _luma_difference(a, b)
            luma = None if luma is None or difference is None else max(luma, difference)
    return FilmCheck(frames, result_frames, luma, time)


def _luma_difference(a: Frame, b: Frame) -> int | None:
    if a.luma.shape != b.luma.shape or a.layout.depth != b.layout.depth:
        return None
    return int(cv2.absdiff(np.ascontiguousarray(a.luma), np.ascontiguousarray(b.luma)).max())


def before_after(
    pairs: Sequence[tuple[str | Path, str | Path]], target: str | Path, *, columns: int = 4, height: int = 240
) -> Path:
    """Write a sheet: for each film a row of its source's frames over a row of the colored ones.

    Args:
        pairs: (source, result) films.
        target: .jpg or .png.
        columns: frames of each film, evenly spread.
        height: of each picture, pixels; wider films are made smaller, so that all rows are equally wide.

    Raises:
        InputError: a film cannot be read; OutputError: the sheet cannot be written.
    """
    target, rows = Path(target), []
    for source, result in pairs:
        with open_video(result, fast=True) as video:
            count = sum(1 for _ in video)
        chosen = {round((i + 0.5) * (count - 1) / columns) for i in range(columns)}
        rows += [_row(source, chosen, height, gray=True), _row(result, chosen, height, gray=False)]
    width = min(row.shape[1] for row in rows)
    sizes = [(width, round(row.shape[0] * width / row.shape[1])) for row in rows]
    fitted = [cv2.resize(row, size, interpolation=cv2.INTER_AREA) for row, size in zip(rows, sizes, strict=True)]
    data = encode_image(np.vstack(fitted), target.suffix)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    except OSError as error:
        raise OutputError(f"{target}: cannot be written: {error.strerror or error}") from error
    return target


def _row(film: str | Path, chosen: set[int], height: int, *, gray: bool) -> Array:
    """(height, w, 3) uint8 R'G'B' of some frames side by side."""
    pictures = []
    with open_video(film) as video:
        for frame in video:
            if frame.index in chosen:
                rgb = frame_to_rgb(frame)
                if gray:
                    rgb = np.repeat(rgb @ np.array([[0.2126], [0.7152], [0.0722]], np.float32), 3, axis=2)
                width = round(rgb.shape[1] * height / rgb.shape[0] * float(video.info.sar))
                small = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
                pictures.append(np.rint(np.clip(small, 0, 1) * 255).astype(np.uint8))
    if not pictures:
        raise InputError(f"{film}: none of the frames asked for could be decoded")
    return np.hstack(pictures)
