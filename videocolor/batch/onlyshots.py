"""Chosen shots of finished films are coloured again (`videocolor.shards.recolor`); receipts and ledger follow."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from videocolor.batch.filmlog import FilmLog
from videocolor.batch.intake import Film
from videocolor.batch.ledger import Ledger
from videocolor.batch.settings import BatchConfig
from videocolor.batch.state import (
    Receipt,
    mark_merging,
    merging,
    read_receipt,
    settings_id,
    source_state,
    write_receipt,
)
from videocolor.batch.steps import Steps
from videocolor.errors import InputError, Interrupted, VideocolorError
from videocolor.events import Observer
from videocolor.files import disk_errors
from videocolor.shards.types import FilmJob

__all__ = ["recolor_films"]


def recolor_films(
    jobs: Sequence[FilmJob],
    shots: Sequence[int],
    out: Path,
    config: BatchConfig,
    steps: Steps,
    ledger: Ledger,
    observer: Observer,
    reusing: Sequence[int] = (),
) -> list[Film]:
    """Colour some shots of finished films again, one film after the other, in this process.

    Args:
        jobs: the films, with the settings that the shots are coloured with now.
        shots: numbers from 0, of every film.
        out: the output folder.
        config: of the batch.
        steps: what is done with films.
        ledger: open for writing.
        observer: is told what happens.
        reusing: numbers from 0; see `recolor_shots`.

    Returns:
        The films, each with its receipt or its error.
    """
    ledger.put_films(jobs, others=True)
    log = FilmLog(out, ledger, observer)
    films = [Film(job, place) for place, job in enumerate(jobs)]
    for film in films:
        try:
            ledger.film_running(film.job.name, "recoloring")
            film.receipt = _recolor(film.job, shots, reusing, out, config, steps, observer)
        except (Interrupted, KeyboardInterrupt):
            before = read_receipt(out, film.job.name)
            if before is not None:  # the film stands as it was
                ledger.film_done(film.job.name, **before.facts())
            raise
        except (VideocolorError, OSError) as error:
            film.error = str(error)
            ledger.film_failed(film.job.name, film.error)
            log.warn(film.job.name, f"failed: {film.error}")
        else:
            film.made_now = True
            ledger.film_done(film.job.name, **film.receipt.facts())
            log.done(film.receipt)
    return films


def _recolor(
    job: FilmJob,
    shots: Sequence[int],
    reusing: Sequence[int],
    out: Path,
    config: BatchConfig,
    steps: Steps,
    observer: Observer,
) -> Receipt:
    before = read_receipt(out, job.name)
    if before is None or not (job.target.is_file() or merging(job)):
        raise InputError(f"{job.target}: is not finished; only shots of a finished film can be coloured again")
    state, source = source_state(job.source), before.source_sha256
    with disk_errors(job.folder):
        job.folder.mkdir(parents=True, exist_ok=True)
    mark_merging(job)  # what stands under the name from here on is this batch's, whatever the receipt says
    report = steps.recolor(job, shots, reusing, observer)
    archive = config.archive.model_copy(update={"fixity": False})  # there is no plan to compare with: the receipt knows
    if config.archive.fixity and steps.fixity(job) != source:
        raise InputError(f"{job.source}: is not the film that {job.target} was made from")
    warnings = [*report.warnings, *steps.finish(job, report, config.model_copy(update={"archive": archive}))]
    target = report.target.stat()
    receipt = dataclasses.replace(
        before,
        source_state=state,
        settings=settings_id(job),
        target_bytes=target.st_size,
        target_mtime_ns=target.st_mtime_ns,
        sha256=report.sha256,
        frames=report.frames,
        seconds=before.seconds + report.seconds,
        warnings=tuple(dict.fromkeys(warnings)),
    )
    write_receipt(out, receipt)
    steps.discard(job)
    return receipt
