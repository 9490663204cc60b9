"""A dry run of a batch: hours, gigabytes, what each film loses. Nothing is written, and each film is scanned once.

Of each film that is to be done, `plan_colorize` colors a short sample into a temporary file.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from videocolor.batch.archive import check_package
from videocolor.batch.bag import check_archive
from videocolor.batch.fixity import known_checksums
from videocolor.batch.inspection import free_bytes, longer_sound, space_needed
from videocolor.batch.receipts import read_receipt, receipt_fits
from videocolor.batch.settings import BatchConfig, Hours
from videocolor.batch.state import failed_before, given_up, merging
from videocolor.batch.status import batch_status, span
from videocolor.config import ColorizeConfig
from videocolor.dryrun import ColorizePlan, plan_colorize
from videocolor.errors import InputError, VideocolorError
from videocolor.events import Event, Observer, ignore
from videocolor.files import plain
from videocolor.shards.types import FilmJob

__all__ = ["BatchForecast", "FilmForecast", "forecast_batch"]

_GB: Final = 1e9


@dataclass(frozen=True)
class FilmForecast:
    """What a run would do with a film."""

    name: str
    source: Path
    state: Literal["to do", "done", "given up", "cannot be done"]
    error: str | None = None
    """Why it cannot be done, or was given up."""
    frames: int = 0
    seconds: float = 0.0
    """Work that is left, of one worker."""
    bytes: int = 0
    """Estimated size of the result's picture."""
    loses: tuple[str, ...] = ()
    """What of the source the result will not have."""
    warnings: tuple[str, ...] = ()
    checksums: tuple[str, ...] = ()
    """What will be compared with the source before the work: `md5 by LIST`."""

    def lines(self) -> list[str]:
        """Return it as lines of text."""
        if self.state != "to do":
            return [f"{self.name}: {self.state}" + (f": {self.error}" if self.error else "")]
        lines = [f"{self.name}: {self.frames} frames, about {span(self.seconds)}, {self.bytes / _GB:.2f} GB"]
        lines += [f"    loses {what}" for what in self.loses]
        lines += [f"    warning: {text}" for text in self.warnings]
        return lines + [f"    checked first: {text}" for text in self.checksums]


@dataclass(frozen=True)
class BatchForecast:
    """What a run would do."""

    out: Path
    films: tuple[FilmForecast, ...]
    needed: int
    """Bytes that results and shards need at most."""
    free: int
    """Bytes that are free, less the reserve."""
    hours_a_week: float
    """Of `run.hours`; 168 without."""

    @property
    def ok(self) -> bool:
        """Whether every film can be done, and all fit on the disk."""
        return self.needed <= self.free and not any(film.state == "cannot be done" for film in self.films)

    @property
    def seconds(self) -> float:
        """Work of one worker."""
        return sum(film.seconds for film in self.films)

    @property
    def days(self) -> float:
        """Days until one worker has done it in its hours."""
        return self.seconds / 3600 / self.hours_a_week * 7

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return dict(plain({**asdict(self), "seconds": self.seconds, "days": self.days, "ok": self.ok}))

    def lines(self) -> list[str]:
        """Return it as lines of text, the sum at the end."""
        states = ("to do", "done", "given up", "cannot be done")
        counts = ((state, sum(film.state == state for film in self.films)) for state in states)
        words = ", ".join(f"{count} {state}" for state, count in counts if count)
        hours = f" ({math.ceil(self.days)} days of run.hours)" if self.hours_a_week < 168 else ""
        space = "fits into" if self.needed <= self.free else "DOES NOT FIT into"
        return [
            *(line for film in self.films for line in film.lines()),
            f"{self.out}: {words}; about {span(self.seconds)} of one worker{hours}",
            f"{self.out}: {self.needed / _GB:.2f} GB {space} {max(0, self.free) / _GB:.2f} GB free beside the reserve",
        ]


def forecast_batch(
    jobs: Sequence[FilmJob],
    out: Path,
    config: BatchConfig,
    *,
    observer: Observer = ignore,
    plan: Callable[[Path, Path, ColorizeConfig], ColorizePlan] = plan_colorize,
) -> BatchForecast:
    """Scan the films that are to be done, and color a sample of each; write nothing.

    Args:
        jobs: of `read_jobs`.
        out: the output folder; need not exist.
        config: of the batch.
        observer: gets `progress` (stage forecast, film, frames as films done, total).
        plan: the dry run of one film.
    """
    check_archive(config.archive)
    films, shares = [], _shares(out)
    for index, job in enumerate(jobs):
        observer(Event("progress", {"stage": "forecast", "film": job.name, "frames": index, "total": len(jobs)}))
        try:
            films.append(_film(job, out, config, shares.get(job.name, 1.0), plan))
        except (VideocolorError, OSError) as error:
            films.append(FilmForecast(job.name, job.source, "cannot be done", str(error)))
    workers = 1 if config.engine.workers == "auto" else config.engine.workers
    place = next(parent for parent in (out, *out.absolute().parents) if parent.exists())
    return BatchForecast(
        out,
        tuple(films),
        space_needed([film.bytes for film in films], at_once=workers + config.work.merges),
        free_bytes(place) - round(config.disk.reserve_gb * _GB),
        168 * (Hours.parse(config.run.hours).share if config.run.hours else 1.0),
    )


def _shares(out: Path) -> dict[str, float]:
    """Return the part of each begun film that is left to color."""
    try:
        films = batch_status(out).films
    except InputError:  # no batch was run here
        return {}
    return {film.name: 1 - film.frames_in_shards / film.frames for film in films if film.frames}


def _film(
    job: FilmJob,
    out: Path,
    config: BatchConfig,
    share: float,
    plan: Callable[[Path, Path, ColorizeConfig], ColorizePlan],
) -> FilmForecast:
    receipt = read_receipt(out, job.name)
    if receipt is not None and receipt_fits(receipt, job):
        return FilmForecast(job.name, job.source, "done", frames=receipt.frames)
    reason = given_up(out, job.name)
    if reason is not None:
        return FilmForecast(job.name, job.source, "given up", reason)
    if (error := failed_before(job)) is not None:
        raise InputError(f"{error} (unchanged since it failed; `videocolor batch retry` tries it again)")
    check_package(job, config.archive)
    known = known_checksums(job, config.archive)
    settings = ColorizeConfig.model_validate(job.config)
    if merging(job):  # the file under the final name is this batch's own
        settings = settings.model_copy(update={"output": settings.output.model_copy(update={"overwrite": True})})
    with tempfile.TemporaryDirectory(prefix="videocolor-") as folder:  # stands in for folders that a run would make
        there = job.target.parent.is_dir()
        found = plan(job.source, job.target if there else Path(folder) / job.target.name, settings)
    damage = "; ".join(found.scan.losses) or _longer_sound(job, found)
    if damage is not None and config.films.damaged == "refuse":
        raise InputError(f"{job.source}: is damaged: {damage}; --set films.damaged=accept colors it as it is")
    return FilmForecast(
        *(job.name, job.source, "to do", None),
        frames=found.scan.frames,
        seconds=found.seconds * share,
        bytes=found.size,
        loses=tuple(found.output.dropped),
        warnings=tuple(found.warnings),
        checksums=tuple(f"{each.algorithm} by {each.where}" for each in known[:3]),
    )


def _longer_sound(job: FilmJob, found: ColorizePlan) -> str | None:
    if found.scan.offsets or job.config["input"]["end"] is not None or not job.source.is_file():
        return None
    last = found.scan.shots[-1].shot
    return longer_sound(job.source, last.end_pts * last.time_base)
