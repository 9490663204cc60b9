"""The page of a batch, `OUT/batch.html`: films, warnings, confidence, doubtful shots."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from videocolor.batch.catalog import publish
from videocolor.batch.receipts import Receipt, read_receipt
from videocolor.batch.state import read_batch
from videocolor.batch.status import FilmStatus, batch_status, span
from videocolor.errors import InputError
from videocolor.files import write_atomically
from videocolor.pages import render
from videocolor.record import read_record, report_path
from videocolor.reports.facts import clock
from videocolor.version import __version__

__all__ = ["PAGE", "write_overview"]

PAGE: Final = "batch.html"
_DOUBTFUL: Final = 0.5
"""Confidence below which a shot is named, as in a film's report."""
_NAMED: Final = 12
"""Doubtful shots that are named of a film, the most doubtful ones."""


@dataclass(frozen=True)
class DoubtfulShot:
    """A shot of low confidence."""

    number: int
    confidence: float
    time: str


@dataclass(frozen=True)
class FilmRow:
    """What the page says of a film."""

    name: str
    about: str
    """Identifier and title."""
    state: str
    frames: int | None
    link: str | None
    """To its own report."""
    confidence: float | None
    """Mean over its frames, 0..1; None: of no shot known."""
    doubtful: tuple[DoubtfulShot, ...]
    more: int
    """Doubtful shots that are not named."""
    warnings: tuple[str, ...]
    error: str | None


def write_overview(out: Path, path: Path | None = None) -> Path:
    """Write the page of a batch from its receipts and records.

    Args:
        out: the output folder.
        path: of the page; None: `OUT/batch.html`, which is listed in the manifest: hold the driver's lock.

    Raises:
        InputError: no batch was run here.
        OutputError: the page cannot be written.
    """
    jobs = {job.name: job for job in read_batch(out)[1]}
    status = batch_status(out)
    place = out if path is None else path.absolute().parent
    rows = [_row(out, place, film, jobs[film.name].catalog) for film in status.films]
    known = [row for row in rows if row.confidence is not None]
    text = render(
        "batch",
        name=out.name,
        rows=sorted(rows, key=lambda row: (row.state == "done", -len(row.doubtful) - row.more)),
        counts=", ".join(f"{count} {state}" for state, count in status.counts.items() if count),
        frames=sum(row.frames or 0 for row in rows if row.state == "done"),
        doubtful=sum(len(row.doubtful) + row.more for row in known),
        work=span(sum(film.seconds for film in status.films)),
        made=f"{time.strftime('%Y-%m-%d %H:%M')}, videocolor {__version__}",
    )
    if path is None:
        return publish(out, PAGE, text)
    write_atomically(path, text)
    return path


def _row(out: Path, place: Path, film: FilmStatus, catalog: Mapping[str, str]) -> FilmRow:
    receipt = read_receipt(out, film.name) if film.state == "done" else None
    shots = [] if receipt is None else _shots(out, receipt)
    known = [(shot["confidence"], shot["end"] - shot["start"]) for shot in shots]
    frames = sum(length for _, length in known)
    doubtful = sorted((shot for shot in shots if shot["confidence"] < _DOUBTFUL), key=lambda shot: shot["confidence"])
    page = report_path(film.target)
    inside = page.is_file() and page.is_relative_to(place)
    return FilmRow(
        name=film.name,
        about=", ".join(catalog[key] for key in ("id", "title") if key in catalog),
        state=film.state,
        frames=film.frames,
        link=quote(page.relative_to(place).as_posix()) if inside else None,
        confidence=sum(value * length for value, length in known) / frames if frames else None,
        doubtful=tuple(DoubtfulShot(s["index"], s["confidence"], clock(s["start_seconds"])) for s in doubtful[:_NAMED]),
        more=max(0, len(doubtful) - _NAMED),
        warnings=() if receipt is None else receipt.warnings,
        error=film.error,
    )


def _shots(out: Path, receipt: Receipt) -> Sequence[dict[str, Any]]:
    """Return the shots of known confidence of a film's record; none where it has no record."""
    try:
        shots = read_record(out / receipt.target).get("shots", ())
    except InputError:  # no record was asked for, or `batch verify` says what is wrong with it
        return []
    return [shot for shot in shots if isinstance(shot.get("confidence"), int | float)]
