"""MD5 of every frame's luma, in FFmpeg's framemd5 format: proof that only color was added.

    ffmpeg -i FILM -vf extractplanes=y -f framemd5 -     prints the same sizes and digests for a planar YUV film

Digests are of the plane's samples as stored: one byte each up to 8 bits, else two, little-endian. Times are in the
film's own ticks, so two files are compared by their last two columns, size and MD5, line by line.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import zip_longest
from pathlib import Path
from typing import IO

import numpy as np

from videocolor.errors import InputError
from videocolor.files import disk_errors, part_name
from videocolor.types import Frame
from videocolor.version import __version__
from videocolor.video import open_video

__all__ = ["LumaComparison", "compare_framemd5", "framemd5_path", "luma_framemd5"]


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
    """Return the path of the digests: `TARGET.luma.framemd5`, or `TARGET.source-luma.framemd5` for the source."""
    return target.with_name(f"{target.name}.{of}.framemd5")


def luma_framemd5(
    film: Path,
    target: Path | None = None,
    *,
    rate: Fraction | None = None,
    start: Fraction | None = None,
    end: Fraction | None = None,
) -> Path:
    """Write the MD5 of every frame's luma; decodes the film once, one frame in memory.

    Args:
        film: a film, or an image sequence.
        target: the file to write; None: `FILM.luma.framemd5`.
        rate: frames per second of an image sequence.
        start: first film time, seconds; None: the beginning.
        end: film time after the last frame; None: the end.

    Raises:
        InputError: the film cannot be read.
        OutputError: the file cannot be written.
    """
    target = target or framemd5_path(film)
    part = part_name(target)
    with open_video(film, rate=rate, start=start, end=end) as video:
        info = video.info
        sar = Fraction(info.sar)
        head = (
            "#format: frame checksums",
            "#version: 2",
            "#hash: MD5",
            f"#software: videocolor {__version__}, luma plane",
            f"#tb 0: {info.time_base.numerator}/{info.time_base.denominator}",
            "#media_type 0: video",
            "#codec_id 0: rawvideo",
            f"#dimensions 0: {info.width}x{info.height}",
            f"#sar 0: {sar.numerator}/{sar.denominator}",
            "#stream#, dts,        pts, duration,     size, hash",
        )
        try:
            with disk_errors(target), part.open("w", encoding="ascii", errors="replace", newline="\n") as file:
                _write(file, head)
                _write(file, map(_line, video))
                os.fsync(file.fileno())
            with disk_errors(target):
                os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)
    return target


def _write(file: IO[str], lines: Iterator[str] | tuple[str, ...]) -> None:
    for line in lines:
        file.write(line + "\n")


def _line(frame: Frame) -> str:
    luma = frame.luma
    samples = np.ascontiguousarray(luma, luma.dtype if luma.itemsize == 1 else "<u2")
    digest = hashlib.md5(samples.data, usedforsecurity=False).hexdigest()
    return f"0, {frame.pts:10d}, {frame.pts:10d}, {frame.duration or 0:8d}, {samples.nbytes:8d}, {digest}"


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
