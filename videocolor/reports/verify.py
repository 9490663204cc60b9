"""Verify that a colored film is the same film: same frames, same times, same luma; and what it claims is true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final, Literal

import cv2
import numpy as np
from pydantic import ValidationError

from videocolor.config import InputConfig
from videocolor.errors import InputError, OutputError
from videocolor.files import source_sha256
from videocolor.hints.plan import frame_to_rgb
from videocolor.images import encode_image
from videocolor.provenance.manifest import Manifest, read_manifest
from videocolor.record import read_record, sidecar_path
from videocolor.types import Array, Frame
from videocolor.video import LOSSLESS, open_video, sequence_files
from videocolor.video.labels import DIGITAL_SOURCE_TYPE, read_labels

__all__ = ["Claim", "FilmCheck", "before_after", "check_claims", "verify_film"]


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


_LABELED: Final = frozenset({".mkv", ".webm", ".mp4", ".m4v", ".mov"})
"""Containers with a place for IPTC's label."""
_ROUNDED: Final = Fraction(1, 1000)
"""Seconds by which Matroska rounds a time."""


@dataclass(frozen=True)
class Claim:
    """One line of the page."""

    subject: str
    verdict: Literal["true", "false", "none"]
    """`none`: nothing is claimed, or nothing could be compared."""
    text: str


def check_claims(target: Path, source: Path | None = None) -> list[Claim]:
    """Check what a film, its record and its manifest claim.

    Args:
        target: the finished film.
        source: the film that was colored; without it, luma and fixity are not compared.

    Raises:
        InputError: the film, its record or its manifest cannot be read.
        UsageError: there may be a manifest, and the extra is not installed.
    """
    record, manifest = _read(target), read_manifest(target)
    claims = [_manifest(manifest, record), _label(target), _record(record, manifest)]
    if source is not None:
        claims += [_fixity(source, record), *_luma(source, target, record)]
    return claims


def _read(target: Path) -> dict[str, Any] | None:
    """Read the record, as far as it is one."""
    if not sidecar_path(target).is_file():
        return None
    record = read_record(target)
    try:
        InputConfig.model_validate(record["config"]["input"])
        _ = record["config"]["output"].get, record["output"]["codec"], record["restored"], record["frames"]
        _ = record["model"]["name"], _facts(record["source"]["sha256"], record["model"], record["hints"])
    except (LookupError, TypeError, AttributeError, ValidationError) as error:
        raise InputError(f"{sidecar_path(target)}: not the record of a film") from error
    return record


def _facts(source: Any, network: Any, hints: Any) -> tuple[Any, ...]:
    """Return the hashes that a record and its manifest have in common."""
    return source, network.get("sha256"), [hint.get("sha256") for hint in hints]


def _manifest(manifest: Manifest | None, record: dict[str, Any] | None) -> Claim:
    if manifest is None and record is not None and record["config"]["output"].get("c2pa"):
        return Claim("manifest", "false", "the film was signed, and its C2PA manifest is missing")
    if manifest is None:
        return Claim("manifest", "none", "no C2PA manifest in the film or beside it")
    if manifest.problems:
        return Claim("manifest", "false", "; ".join(manifest.problems))
    place = "in the film, its picture, sound and metadata are" if manifest.embedded else "beside it, every byte is"
    who = "the certificate proves integrity, and no identity"
    if not manifest.names_nobody:
        who = f"by {manifest.signer}; whether that is to be trusted, or has run out since, is not checked"
    return Claim("manifest", "true", f"C2PA {place} as signed: {who}")


def _label(target: Path) -> Claim:
    source, comment = read_labels(target)
    if source == DIGITAL_SOURCE_TYPE:
        return Claim("label", "true", f"IPTC compositeWithTrainedAlgorithmicMedia; {comment or 'no comment'}")
    if comment and "videocolor" in comment and target.suffix.lower() in _LABELED:
        return Claim("label", "false", f"{comment}; but IPTC's label is missing: was the film copied by a program?")
    if comment and "videocolor" in comment:
        return Claim("label", "true", f"{comment} (this container has no place for IPTC's)")
    return Claim("label", "false", "the container does not say that the color was made")


def _record(record: dict[str, Any] | None, manifest: Manifest | None) -> Claim:
    if record is None:
        return Claim("record", "none", "no record (OUTPUT.json) beside the film")
    model = record["model"]
    network = f"network {model['name']}, sha256 {model['sha256'] or 'none'}, {record['frames']} frames"
    if manifest is None or not manifest.facts:
        return Claim("record", "none", f"{network}; not signed, so nothing proves it")
    facts = manifest.facts
    signed = _facts(facts.get("source_sha256"), facts.get("network", {}), facts.get("hints", ()))
    if _facts(record["source"]["sha256"], record["model"], record["hints"]) != signed:
        return Claim("record", "false", "OUTPUT.json and the manifest name other sources, networks or hints")
    if manifest.problems:
        return Claim("record", "none", f"{network}; its manifest does not hold, so nothing proves it")
    return Claim("record", "true", f"{network}; source, network and hints are as signed")


def _fixity(source: Path, record: dict[str, Any] | None) -> Claim:
    if record is None:
        return Claim("source", "none", "without a record, nothing says which file was colored")
    try:
        found = source_sha256(source, sequence_files(source))
    except OSError as error:
        raise InputError(f"{source}: cannot be read: {error.strerror or error}") from error
    if found != record["source"]["sha256"]:
        return Claim("source", "false", f"{source} is not the file that was colored: sha256 {found}")
    return Claim("source", "true", f"{source} is the file that was colored, sha256 {found}")


def _luma(source: Path, target: Path, record: dict[str, Any] | None) -> list[Claim]:
    span = InputConfig.model_validate(record["config"]["input"]) if record else InputConfig()
    check = verify_film(source, target, rate=span.rate, start=span.start, end=span.end)
    if check.frames != check.result_frames:
        frames = Claim("frames", "false", f"{check.result_frames}, the source has {check.frames}")
    else:
        late = check.time_max_diff > _ROUNDED
        words = f"{check.frames}, times differ by {float(check.time_max_diff):g} s at most"
        frames = Claim("frames", "false" if late else "true", words)
    difference = check.luma_max_diff
    words = "of another depth or size" if difference is None else f"differs by {difference} codes at most"
    if difference == 0:
        return [frames, Claim("luma", "true", "every sample is the source's")]
    return [frames, Claim("luma", "none" if (why := _why(record)) else "false", f"{words}{why and f': {why}'}")]


def _why(record: dict[str, Any] | None) -> str:
    """Say why luma may differ; empty: it must not."""
    if record is None:
        return "without a record, what was asked for is not known"
    if record["restored"]:
        return "it was restored on purpose"
    if record["config"]["output"].get("only_chroma"):
        return "chroma alone was asked for"
    if record["config"]["output"].get("slate"):
        return "a notice is drawn over its beginning"
    codec = record["output"]["codec"]
    return "" if codec in LOSSLESS else f"{codec} is a lossy codec"
