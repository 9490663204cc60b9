"""What is true of a finished film: its manifest, its record, its labels, and its luma against the source."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, Literal

from videocolor.config import InputConfig
from videocolor.errors import InputError
from videocolor.files import source_sha256
from videocolor.provenance.manifest import Manifest, read_manifest
from videocolor.record import read_record, sidecar_path
from videocolor.reports.verify import verify_film
from videocolor.video import LOSSLESS, sequence_files
from videocolor.video.labels import DIGITAL_SOURCE_TYPE, read_labels

__all__ = ["Claim", "check_claims"]

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
    record = read_record(target) if sidecar_path(target).is_file() else None
    manifest = read_manifest(target)
    claims = [_manifest(manifest), _label(target), _record(record, manifest)]
    if source is not None:
        claims += [_fixity(source, record), *_luma(source, target, record)]
    return claims


def _manifest(manifest: Manifest | None) -> Claim:
    if manifest is None:
        return Claim("manifest", "none", "no C2PA manifest in the film or beside it")
    if manifest.problems:
        return Claim("manifest", "false", "; ".join(manifest.problems))
    place = "in the film" if manifest.embedded else "beside it"
    who = "the certificate proves integrity, and no identity"
    if not manifest.names_nobody:
        who = f"by {manifest.signer}; whether that is to be trusted is not checked"
    return Claim("manifest", "true", f"C2PA {place}, every byte is as it was signed: {who}")


def _label(target: Path) -> Claim:
    source, comment = read_labels(target)
    if source == DIGITAL_SOURCE_TYPE:
        return Claim("label", "true", f"IPTC compositeWithTrainedAlgorithmicMedia; {comment or 'no comment'}")
    if comment and "videocolor" in comment:
        return Claim("label", "true", f"{comment} (this container has no place for IPTC's)")
    return Claim("label", "false", "the container does not say that the color was made")


def _record(record: dict[str, Any] | None, manifest: Manifest | None) -> Claim:
    if record is None:
        return Claim("record", "none", "no record (OUTPUT.json) beside the film")
    model = record["model"]
    network = f"network {model['name']}, sha256 {model['sha256'] or 'none'}, {record['frames']} frames"
    if manifest is not None and manifest.facts:
        mine = (record["source"]["sha256"], record["model"]["sha256"], [h.get("sha256") for h in record["hints"]])
        facts = manifest.facts
        signed = (facts["source_sha256"], facts["network"]["sha256"], [h.get("sha256") for h in facts["hints"]])
        if mine != signed:
            return Claim("record", "false", "OUTPUT.json and the manifest name other sources, networks or hints")
        network += "; as signed"
    return Claim("record", "true", network)


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
    if record["config"]["output"]["slate"]:
        return "a notice is drawn over its beginning"
    codec = record["output"]["codec"]
    return "" if codec in LOSSLESS else f"{codec} is a lossy codec"
