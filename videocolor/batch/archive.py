"""After the merge: fixity of the source, proof of luma, package.

The driver calls `finish_film` in the merge's thread. Everything is written beside the result and named after it:
nothing is written to the folders of the sources.

The proof of luma is the MD5 of every frame's luma, in FFmpeg's framemd5 format:

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
from typing import IO, Any

import numpy as np

from videocolor.batch.bag import check_archive, settle_bag, write_bag
from videocolor.batch.settings import ArchiveSettings
from videocolor.config import ColorizeConfig
from videocolor.errors import InputError, OutputError
from videocolor.files import disk_errors, part_name, source_sha256
from videocolor.record import read_record, write_sidecar
from videocolor.shards.merge import MergeReport
from videocolor.shards.types import FilmJob
from videocolor.types import Frame
from videocolor.version import __version__
from videocolor.video import open_video
from videocolor.video.film import COLOR_LABEL
from videocolor.video.sequences import sequence_files

__all__ = [
    "LumaComparison",
    "bag_info",
    "bag_path",
    "compare_framemd5",
    "finish_film",
    "framemd5_path",
    "luma_framemd5",
]


def finish_film(job: FilmJob, report: MergeReport, settings: ArchiveSettings, sha256: str) -> list[str]:
    """Check that the source is unchanged, prove the luma, complete the record, package the film.

    May be called again for a finished film: what it made is replaced, proofs and package that are there already also
    where they are not asked for, since they would be of another version.

    Args:
        job: the film.
        report: of the merge.
        settings: what to do.
        sha256: of the source that the film is of.

    Returns:
        Warnings about the film.

    Raises:
        InputError: the source is not the one that was planned.
        OutputError: luma is not the source's though the codec is lossless; something cannot be written.
        UsageError: the extra `archive` is not installed.
    """
    bag, ours = bag_path(report.target), framemd5_path(report.target)
    settle_bag(bag)
    settings = settings.model_copy(
        update={"luma_proof": settings.luma_proof or ours.exists(), "bag": settings.bag or bag.exists()}
    )
    check_archive(settings)
    facts: dict[str, Any] = {}
    warnings: list[str] = []
    if settings.fixity:
        facts["source_sha256_before"] = sha256
        facts["source_sha256_after"] = _unaltered(job.source, sha256, report.target)
    if report.sha256:
        facts["result_sha256"] = report.sha256
    proofs: list[Path] = []
    if settings.luma_proof:
        facts["luma"], proofs, said = _prove_luma(job, report)
        warnings += said
    if facts and report.sidecar is not None:
        record = read_record(report.target)
        write_sidecar(report.target, {**record, "archive": {**record.get("archive", {}), **facts}})
    if settings.bag:
        _package(job, report, settings, facts, proofs)
    return warnings


def bag_path(target: Path) -> Path:
    """Return the path of a film's package: `OUTPUT.bag` beside it."""
    return target.with_name(f"{target.name}.bag")


def _unaltered(source: Path, before: str, target: Path) -> str:
    try:
        after = source_sha256(source, sequence_files(source))
    except OSError as error:
        raise InputError(f"{source}: cannot be read again for its sha256: {error.strerror or error}") from error
    if after != before:
        raise InputError(
            f"{source}: was altered while it was colored: sha256 {before} before, {after} after; {target} is of "
            "neither for certain: restore the source from its copy, remove the film, and run again"
        )
    return after


def _prove_luma(job: FilmJob, report: MergeReport) -> tuple[dict[str, Any], list[Path], list[str]]:
    """Write the digests of both films; return findings, files and warnings."""
    config = ColorizeConfig.model_validate(job.config)
    span = config.input
    ours = luma_framemd5(report.target, framemd5_path(report.target))
    source = framemd5_path(report.target, "source-luma")
    luma_framemd5(job.source, source, rate=span.rate, start=span.start, end=span.end)
    found, reason = compare_framemd5(source, ours), report.luma_differs
    facts = {
        "result": ours.name,
        "source": source.name,
        "frames": found.frames,
        "equal": found.equal,
        "untouched": found.same,
        "expected": reason or "lossless: every frame must be equal",
    }
    if reason is None and not found.same:
        raise OutputError(f"{report.target}: {_difference(found)}, though its codec is lossless; do not use this film")
    if found.frames != found.other_frames:
        raise OutputError(f"{report.target}: {_difference(found)}")
    said = (
        [] if found.same else [f"luma is not proved untouched: {reason}; {found.equal} of {found.frames} frames equal"]
    )
    return facts, [ours, source], said


def _difference(found: LumaComparison) -> str:
    if found.frames != found.other_frames:
        return f"has {found.other_frames} frames, its source {found.frames}"
    return f"luma of frame {found.first_difference} is not the source's ({found.equal} of {found.frames} are)"


def _package(
    job: FilmJob, report: MergeReport, settings: ArchiveSettings, facts: dict[str, Any], proofs: list[Path]
) -> None:
    files: dict[Path, str | None] = {report.target: report.sha256 or None}
    files |= dict.fromkeys([*proofs, *(path for path in (report.sidecar, report.page) if path is not None)])
    info = {
        "External-Description": f"Derivative of {job.source.name}: {COLOR_LABEL}",
        **({"Source-SHA256": facts["source_sha256_after"]} if settings.fixity else {}),
        **bag_info(settings),
    }
    write_bag(bag_path(report.target), files, info, replace=True)


def bag_info(settings: ArchiveSettings) -> dict[str, str]:
    """Return the lines of a package's bag-info.txt that are asked for."""
    organization = {"Source-Organization": settings.organization} if settings.organization else {}
    return {**organization, **settings.bag_info}


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
