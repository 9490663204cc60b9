"""The report of a run: one page with shots, hints, before and after, timing, warnings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from pydantic import ValidationError

from videocolor.config import ColorizeConfig, InputConfig
from videocolor.config.parsing import parse_hint
from videocolor.errors import InputError, OutputError, UsageError
from videocolor.events import Observer, RunLog, ignore
from videocolor.files import plain, write_atomically
from videocolor.hints.plan import load_hint
from videocolor.pages import data_url_within, render, scaled
from videocolor.provenance.manifest import sign_film
from videocolor.record import manifest_path, read_record, report_path, sidecar_path, write_sidecar
from videocolor.reports.display import display_size, read_stills, shown_like, similarity, still_rgb
from videocolor.reports.facts import HintFacts, Record, clock, last_part, said_of_run, shots_shown, summary, unsure
from videocolor.types import Array, Frame, VideoInfo
from videocolor.video import probe
from videocolor.video.sequences import is_sequence

__all__ = ["PictureOptions", "leave_record", "report_path", "write_report"]

_INTO: Final = Fraction(1)
"""Seconds after its cut at which a shot is shown, or by its middle frame if that is earlier: near a cut, where
encoders put keyframes, a seek is quick."""
_ROUNDED: Final = Fraction(1, 500)
"""Largest rounding of a frame's time by a container, seconds."""
_SAME: Final = 0.5
"""Least similarity of a frame and its colored version."""
_HINT_BYTES: Final = 12_000
_HINT_LINES: Final = 160
_HINTS: Final = 500
"""Largest number of hints shown with a picture."""
_ASPECT: Final = 16 / 9


@dataclass(frozen=True)
class ShotPictures:
    """One frame of a shot before and after, as URLs."""

    before: str
    after: str
    width: int
    height: int
    seconds: float
    """Time of the frame in the source."""


@dataclass(frozen=True)
class PictureOptions:
    """Pictures of a report, and bounds of its size."""

    height: int = 360
    """Largest height of a picture; wide films are lower."""
    shot_bytes: int = 40_000
    """Largest size of a shot's two pictures in the page, bytes."""
    total_bytes: int = 32_000_000
    """Largest size of all pictures of shots, bytes: films of many shots get smaller ones."""
    shots: int = 2000
    """Largest number of shots with pictures; the others are listed."""


def leave_record(
    source: Path, target: Path, config: ColorizeConfig, record: Mapping[str, Any], *, observer: Observer = ignore
) -> tuple[Path | None, Path | None]:
    """Write the manifest, the record and the report of a finished film, as far as the settings ask for them.

    Args:
        source: the film that was colored.
        target: the finished film.
        config: its settings.
        record: as `videocolor.record.describe` makes it.
        observer: as of `write_report`.

    Returns:
        OUTPUT.json and OUTPUT.html; None for those not asked for.

    Raises:
        OutputError: one of them cannot be written; the film is complete.
    """
    sidecar = report = None
    try:
        manifest_path(target).unlink(missing_ok=True)  # of an earlier film of this name
        if config.output.c2pa:
            sign_film(target, record, config.output)
        if config.output.sidecar:
            sidecar = write_sidecar(target, record)
        if config.output.report:
            report = write_report(source, target, record, observer=observer)
    except (OutputError, InputError, UsageError) as error:
        what = "its manifest, record or report" if sidecar is None else "its report"
        raise OutputError(f"{target} is complete, but {what} could not be written: {error}") from error
    return sidecar, report


def write_report(
    source: Path,
    target: Path,
    record: Mapping[str, Any] | None = None,
    path: Path | None = None,
    *,
    pictures: PictureOptions | None = None,
    observer: Observer = ignore,
) -> Path:
    """Write the report of a finished film: one self-contained HTML file.

    One frame of each shot is read from source and result, by seeking.

    Args:
        source: the film that was colored.
        target: the finished film.
        record: of the run, as `videocolor.record.describe` makes it; None: read OUTPUT.json beside the target.
        path: of the page; None: `report_path(target)`. Replaced if it exists.
        pictures: their size; None: defaults.
        observer: receives `progress` (stage `report`), and a `warning` for pictures that cannot be read.

    Returns:
        The page.

    Raises:
        InputError: source, target or record cannot be read.
        OutputError: the page cannot be written.
    """
    path = path or report_path(target)
    pictures = pictures or PictureOptions()
    facts, settings = _facts(target, record)
    before = probe(source, rate=settings.rate)
    after = shown_like(probe(target, rate=before.rate if is_sequence(target) else None), before)
    log = RunLog(observer)
    trimmed = settings.start is not None or settings.end is not None
    shown = _shots(facts, before, after, pictures, log, trimmed=trimmed)
    end = _end(facts, before)
    text = render(
        "run",
        name=target.name,
        record=facts,
        summary=summary(facts, end),
        tables=[("Film", _film(facts, before, after)), *said_of_run(facts)],
        numbers={hint.name: number for number, hint in enumerate(facts.hints, 1)},
        hint_pictures=_hint_pictures(facts.hints, before, log),
        warnings=[*facts.warnings, *log.warnings],
        ends=[shot.start_seconds for shot in facts.shots[1:]] + [end],
        shown=shots_shown(facts, len(shown), pictures.shots),
        shot_pictures=shown,
        unsure=unsure(facts),
        clock=clock,
        last_part=last_part,
    )
    write_atomically(path, text)
    return path


def _facts(target: Path, record: Mapping[str, Any] | None) -> tuple[Record, InputConfig]:
    """Validate the record of a run, and the settings of its input."""
    try:
        facts = Record.model_validate(plain(read_record(target) if record is None else record))
        return facts, ColorizeConfig.model_validate({"input": facts.config.get("input", {})}).input
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(f"{sidecar_path(target)}: is not the record of a run ({where}: {first['msg']})") from error


def _shots(
    record: Record, before: VideoInfo, after: VideoInfo, options: PictureOptions, log: RunLog, *, trimmed: bool
) -> dict[int, ShotPictures]:
    """One frame of each shot, before and after."""
    shots = record.shots[: options.shots]
    if not shots:
        return {}
    most = min(options.shot_bytes, options.total_bytes // len(shots)) // 2
    ends = [shot.start_seconds for shot in record.shots[1:]] + [_end(record, before)]
    times = [_moment(shot.start_seconds, end) for shot, end in zip(shots, ends, strict=False)]
    # Trimmed films and images begin at zero; every other film keeps its source's times.
    shift = Fraction(shots[0].start_seconds) if trimmed or after.format == "image2" else Fraction(0)
    found: dict[int, ShotPictures] = {}
    missing = []
    pairs = _pairs(before, after, times, shift)
    for done, (shot, (first, second)) in enumerate(zip(shots, pairs, strict=True), 1):
        if first is None or second is None:
            missing.append(shot.index)
            continue
        one, two = (_picture(frame, info, options.height) for frame, info in ((first, before), (second, after)))
        like = similarity(one[..., 1], two[..., 1])
        if like is not None and like < _SAME:
            missing.append(shot.index)
            continue
        urls = data_url_within(one, most), data_url_within(two, most)
        found[shot.index] = ShotPictures(*urls, two.shape[1], two.shape[0], first.seconds)
        log.stage_done("report", done, len(shots))
    if missing:
        few = ", ".join(map(str, missing[:8])) + (", ..." if len(missing) > 8 else "")
        log.warn(f"{len(missing)} shots have no picture in the report ({few}): a frame cannot be read, or differs")
    return found


def _moment(start: float, end: float) -> Fraction:
    """Time of the frame that a shot is shown by."""
    half = Fraction(max(0.0, end - start)) / 2
    return Fraction(start) + min(half, _INTO) - _ROUNDED / 4


def _pairs(
    before: VideoInfo, after: VideoInfo, times: list[Fraction], shift: Fraction
) -> Iterator[tuple[Frame | None, Frame | None]]:
    """Yield the frame of the source at each time, and the same frame of the result."""
    # In turn, so that only one decoder is open at a time.
    for time, first in zip(times, read_stills(before, times), strict=True):
        place = time if first is None else first.pts * first.time_base - shift - _ROUNDED
        yield first, next(read_stills(after, [place]))


def _picture(frame: Frame, info: VideoInfo, height: int) -> Array:
    return still_rgb(frame, info, height * _ASPECT, height)


def _end(record: Record, info: VideoInfo) -> float:
    """End of the last shot, in seconds."""
    if not record.shots:
        return 0.0
    last = record.shots[-1]
    return last.start_seconds + (last.end - last.start) / float(info.rate or 25)


def _hint_pictures(hints: tuple[HintFacts, ...], film: VideoInfo, log: RunLog) -> dict[str, str]:
    """Each hint; what was painted on a frame lies over that frame, else over gray."""
    found: dict[str, str] = {}
    for hint in hints[:_HINTS]:
        try:
            _, path, time = parse_hint(hint.name)
            loaded = load_hint(None, path, time, check=False)
        except (InputError, UsageError) as error:
            log.warn(f"no picture of a hint in the report: {error}")
            continue
        rgb = np.clip(loaded.rgb, 0, 1)
        if loaded.mask is not None:
            rgb = rgb * loaded.mask[..., None] + _ground(hint, film, rgb) * (1 - loaded.mask[..., None])
        picture = scaled(np.rint(rgb * 255).astype(np.uint8), _HINT_LINES)
        found[hint.name] = data_url_within(picture, _HINT_BYTES)
    return found


def _ground(hint: HintFacts, film: VideoInfo, rgb: Array) -> Array | np.float32:
    """Return the frame that a hint was painted on, (h, w, 3) in 0..1 of the hint's size; middle gray if unknown."""
    if hint.frame is None or film.rate is None:
        return np.float32(0.5)
    time = film.start_pts * film.time_base + hint.frame / film.rate if hint.time is None else Fraction(hint.time)
    still = next(read_stills(film, [time - _ROUNDED]))
    if still is None:
        return np.float32(0.5)
    height, width = rgb.shape[:2]
    return cv2.resize(still_rgb(still, film, width, height), (width, height)).astype(np.float32) / np.float32(255)


def _film(record: Record, before: VideoInfo, after: VideoInfo) -> list[tuple[str, str]]:
    """Source and result, in words."""
    others = ", ".join(f"{stream.kind} {stream.codec}" for stream in before.streams if stream.kind != "video")
    left = record.output.get("left_out") or []
    lines = [
        ("source", str(before.path)),
        ("source, sha256", record.source.get("sha256", "")),
        ("source is", _describe(before)),
        ("beside the picture", others or "nothing"),
        ("result", str(after.path)),
        ("result is", f"{_describe(after)}, {_size(after.path)}"),
        ("left out", "; ".join(map(str, left)) or "nothing"),
        ("frames", str(record.frames)),
        ("colored", clock(_end(record, before) - (record.shots[0].start_seconds if record.shots else 0))),
        ("shots", str(len(record.shots))),
        ("restored before coloring", ", ".join(record.restored) or "nothing"),
    ]
    return [line for line in lines if line[1]]


def _describe(info: VideoInfo) -> str:
    width, height = (round(length) for length in display_size(info))
    shown = "" if (width, height) == (info.width, info.height) else f", shown at {width}x{height}"
    rate = "" if info.rate is None else f", {float(info.rate):.6g} frames/s"
    return f"{info.codec or info.format} {info.layout.name} {info.width}x{info.height}{shown}{rate}, {info.field_order}"


def _size(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.1f} MB" if path.is_file() else "images"
