"""The MD5 of every frame's planes, in FFmpeg's framemd5 format: what anybody can compute again with other tools.

    ffmpeg -i FILM -vf extractplanes=y -f framemd5 -        prints the same sizes and digests for a planar YUV film
    ffmpeg -i FILM -filter_complex "extractplanes=u+v[u][v]" -map "[u]" -map "[v]" -f framemd5 -       those of chroma

Digests are of a plane's samples as stored: one byte each up to 8 bits, else two, little-endian. Times are in the film's
own ticks, so two files are compared by their last two columns, size and MD5, line by line.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import zip_longest
from pathlib import Path
from typing import IO

import numpy as np

from videocolor.errors import InputError
from videocolor.files import disk_errors, part_name
from videocolor.types import Array, Frame, VideoInfo
from videocolor.version import __version__
from videocolor.video import open_video

__all__ = ["LumaComparison", "compare_framemd5", "framemd5_path", "write_framemd5"]


@dataclass(frozen=True)
class LumaComparison:
    """A comparison of the luma digests of two films."""

    frames: int
    """Of the first film."""
    other_frames: int
    equal: int
    """Frames with the same size and digest in both."""
    first_difference: int | None
    """Index of the first other frame, from 0."""

    @property
    def same(self) -> bool:
        """Whether number and digests of the frames are equal."""
        return self.first_difference is None


def framemd5_path(target: Path, of: str = "luma") -> Path:
    """Return the path of the digests: `TARGET.luma.framemd5`, `.chroma.framemd5`, or `.source-luma.framemd5`."""
    return target.with_name(f"{target.name}.{of}.framemd5")


def write_framemd5(
    film: Path,
    luma: Path,
    chroma: Path | None = None,
    *,
    rate: Fraction | None = None,
    start: Fraction | None = None,
    end: Fraction | None = None,
) -> tuple[Path, ...]:
    """Write the MD5 of every frame's luma and chroma; decodes the film once, one frame in memory.

    Args:
        film: a film, or an image sequence.
        luma: the file to write.
        chroma: the same for Cb (stream 0) and Cr (stream 1); None, or a film without such planes: not written.
        rate: frames per second of an image sequence.
        start: first film time, seconds; None: the beginning.
        end: film time after the last frame; None: the end.

    Returns:
        The files that were written.

    Raises:
        InputError: the film cannot be read.
        OutputError: a file cannot be written.
    """
    with open_video(film, rate=rate, start=start, end=end) as video, contextlib.ExitStack() as stack:
        sheets: list[_Sheet] = []
        for frame in video:
            if not sheets:
                sheets.append(_Sheet(stack, luma, video.info, [frame.luma]))
                if chroma is not None and frame.chroma is not None:
                    sheets.append(_Sheet(stack, chroma, video.info, frame.chroma))
            for sheet, planes in zip(sheets, ([frame.luma], frame.chroma or ()), strict=False):
                sheet.add(frame, planes)
        for sheet in sheets:
            sheet.finish()
    return tuple(sheet.path for sheet in sheets)


class _Sheet:
    """A file of digests while it is written, beside its place."""

    def __init__(self, stack: contextlib.ExitStack, path: Path, info: VideoInfo, planes: Sequence[Array]) -> None:
        self.path, self._part = path, part_name(path)
        stack.callback(self._part.unlink, missing_ok=True)
        with disk_errors(path):
            self._file: IO[str] = stack.enter_context(
                self._part.open("w", encoding="ascii", errors="replace", newline="\n")
            )
        head = ["#format: frame checksums", "#version: 2", "#hash: MD5", f"#software: videocolor {__version__}"]
        sar = Fraction(info.sar)
        for number, (height, width) in enumerate(plane.shape for plane in planes):
            head += [
                f"#tb {number}: {info.time_base.numerator}/{info.time_base.denominator}",
                f"#media_type {number}: video",
                f"#codec_id {number}: rawvideo",
                f"#dimensions {number}: {width}x{height}",
                f"#sar {number}: {sar.numerator}/{sar.denominator}",
            ]
        self._put([*head, "#stream#, dts,        pts, duration,     size, hash"])

    def add(self, frame: Frame, planes: Sequence[Array]) -> None:
        """Write a line for each plane of a frame."""
        self._put(_line(frame, number, plane) for number, plane in enumerate(planes))

    def _put(self, lines: Iterable[str]) -> None:
        with disk_errors(self.path):
            self._file.writelines(f"{line}\n" for line in lines)

    def finish(self) -> None:
        """Sync the file and give it its name."""
        with disk_errors(self.path):
            self._file.flush()
            os.fsync(self._file.fileno())
            os.replace(self._part, self.path)


def _line(frame: Frame, number: int, plane: Array) -> str:
    samples = np.ascontiguousarray(plane, plane.dtype if plane.itemsize == 1 else "<u2")
    digest = hashlib.md5(samples.data, usedforsecurity=False).hexdigest()
    return f"{number}, {frame.pts:10d}, {frame.pts:10d}, {frame.duration or 0:8d}, {samples.nbytes:8d}, {digest}"


def compare_framemd5(first: Path, second: Path) -> LumaComparison:
    """Compare sizes and digests line by line, without holding a file in memory.

    Raises:
        InputError: a file cannot be read, or is not framemd5.
    """
    counts, equal, different = [0, 0], 0, None
    for index, pair in enumerate(zip_longest(_digests(first), _digests(second))):
        for which, entry in enumerate(pair):
            counts[which] += entry is not None
        if pair[0] == pair[1]:
            equal += 1
        elif different is None:
            different = index
    return LumaComparison(counts[0], counts[1], equal, different)


def _digests(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (size, MD5) of each frame."""
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.startswith("#") or not line.strip():
                    continue
                fields = [field.strip() for field in line.split(",")]
                if len(fields) < 6:
                    raise InputError(f"{path}:{number}: not a line of framemd5: {line.strip()[:60]}")
                yield fields[4], fields[5]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
