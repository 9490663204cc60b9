"""THE DRIVER of a batch: films out to workers, events in, finished films put together. Read `Driver.loop` first.

What is true lies on the disk (`videocolor.batch.state`, plans, records); the driver may die at any moment and is simply
started again. It holds a few films' shards in memory, never those of the whole archive.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from videocolor.batch.bag import check_archive
from videocolor.batch.driver import Driver
from videocolor.batch.intake import Film, take_in
from videocolor.batch.ledger import Ledger
from videocolor.batch.lock import DriverLock
from videocolor.batch.onlyshots import recolor_films
from videocolor.batch.settings import BatchConfig
from videocolor.batch.space import check_space, space_needed
from videocolor.batch.state import keeps_shards, state_folder
from videocolor.batch.steps import Steps, film_steps
from videocolor.errors import Interrupted
from videocolor.events import Event, Observer, ignore
from videocolor.shards.types import FilmJob

__all__ = ["BatchResult", "FilmOutcome", "run_batch"]

_GB: Final = 10**9


@dataclass(frozen=True)
class FilmOutcome:
    """How a film of a batch stands at the end of a run."""

    name: str
    source: Path
    target: Path
    state: Literal["done", "failed", "planned"]
    """planned: nothing is wrong with it, it was not asked to be finished."""
    error: str | None = None
    frames: int | None = None
    made_now: bool = False
    """Finished by this run, not by an earlier one."""
    folder: Path | None = None
    """Its working folder, with the plan."""


@dataclass(frozen=True)
class BatchResult:
    """How a batch ended."""

    out: Path
    films: tuple[FilmOutcome, ...]
    seconds: float
    """Wall time."""

    @property
    def failed(self) -> tuple[FilmOutcome, ...]:
        """Films that were not finished, each with its reason."""
        return tuple(film for film in self.films if film.state == "failed")

    @property
    def done(self) -> tuple[FilmOutcome, ...]:
        """Films that stand under their final names."""
        return tuple(film for film in self.films if film.state == "done")

    @property
    def ok(self) -> bool:
        """Whether no film failed."""
        return not self.failed

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "out": str(self.out),
            "films": len(self.films),
            "done": len(self.done),
            "made_now": sum(film.made_now for film in self.films),
            "failed": [{"film": film.name, "error": film.error} for film in self.failed],
            "seconds": round(self.seconds, 3),
            "ok": self.ok,
        }


def run_batch(
    jobs: Sequence[FilmJob],
    out: Path,
    config: BatchConfig | None = None,
    *,
    restart: bool = False,
    only: Literal["plan", "merge"] | None = None,
    only_shots: Sequence[int] = (),
    reusing: Sequence[int] = (),
    others: bool = False,
    observer: Observer = ignore,
    steps: Steps | None = None,
) -> BatchResult:
    """Colour films, going on where an earlier run stopped; one film's failure leaves the others alone.

    Args:
        jobs: of `videocolor.batch.jobs.read_jobs`, or of an earlier run's ledger.
        out: results; `out/.videocolor` holds plans, shards, ledger and logs.
        config: None: defaults.
        restart: forget earlier work on unfinished films; on finished ones too where `output.overwrite` is set.
        only: plan: write the plans and stop. merge: put together what is coloured, colour nothing.
        only_shots: colour these shots (from 0) of finished films again, leave the rest of them as it is.
        reusing: with `only_shots`: also the shots that take up colours of these; see `recolor_shots`.
        others: unfinished films of an earlier run that are not among `jobs` stay in the ledger.
        observer: is told what happens; warnings about a film name it as `film`.
        steps: what is done with films; None: what `videocolor colorize` does.

    Returns:
        How every film stands. Films that failed are in it, with their reasons; nothing is raised for them.

    Raises:
        UsageError: another driver works on `out`.
        OutputError: `out` cannot be written, or the disk is too small for the batch.
        DeviceError: no worker can be started.
        Interrupted: Ctrl-C or SIGTERM; everything that was finished stays finished.
    """
    config, steps = config or BatchConfig(), steps or film_steps()
    check_archive(config.archive)
    began = time.monotonic()
    out = out.absolute()
    with contextlib.ExitStack() as stack:
        lock = stack.enter_context(DriverLock(state_folder(out)))
        ledger = stack.enter_context(Ledger(out, write=True))
        if ledger.set_aside is not None:
            text = f"the ledger was damaged: set aside as {ledger.set_aside}, made anew from plans and shards"
            observer(Event("warning", {"message": text}))
        ledger.set_meta("config", config.as_dict())
        with _stopped_cleanly(ledger):
            if only_shots:
                films = recolor_films(jobs, only_shots, out, config, steps, ledger, observer, reusing)
                return BatchResult(out, tuple(map(_outcome, films)), time.monotonic() - began)
            films = _take_in(jobs, out, ledger, steps, restart, others, config.films.damaged == "refuse", observer)
            ledger.set_meta("session", {"began": time.time(), "frames": sum(row.frames_done for row in ledger.films())})
            _check_disk(films, out, config)
            driver = Driver(films, out, config, steps, ledger, lock, observer, only)
            driver.work()
    return BatchResult(out, tuple(map(_outcome, films)), time.monotonic() - began)


def _take_in(
    jobs: Sequence[FilmJob],
    out: Path,
    ledger: Ledger,
    steps: Steps,
    restart: bool,
    others: bool,
    refuse: bool,
    observer: Observer,
) -> list[Film]:
    def warn(name: str, message: str) -> None:
        observer(Event("warning", {"message": f"{name}: {message}", "film": name}))

    def tick(done: int, total: int) -> None:
        observer(Event("progress", {"stage": "reels", "frames": done, "total": total, "fps": None, "eta_s": None}))

    ledger.stop_running()
    films = take_in(jobs, out, ledger, steps, restart=restart, others=others, refuse=refuse, warn=warn, tick=tick)
    for film in films:
        if film.error is not None:
            warn(film.job.name, f"failed: {film.error}")
    return films


def _check_disk(films: Sequence[Film], out: Path, config: BatchConfig) -> None:
    if not config.disk.check:
        return
    sizes = [film.outlook.bytes or 0 for film in films if film.open]
    workers = 1 if config.engine.workers == "auto" else config.engine.workers
    kept = sum(film.outlook.bytes or 0 for film in films if film.open and keeps_shards(film.job))
    needed = max(space_needed(sizes, at_once=workers + config.work.merges), sum(sizes) + kept)
    if sizes:
        check_space(out, max(0, needed - sum(film.present for film in films)), round(config.disk.reserve_gb * _GB))


@contextlib.contextmanager
def _stopped_cleanly(ledger: Ledger) -> Iterator[None]:
    """However a run ends, nothing is said to run afterwards; signals get the message that fits a batch."""
    try:
        yield
    except (KeyboardInterrupt, Interrupted) as error:
        code = error.exit_code if isinstance(error, Interrupted) else 130
        raise Interrupted("stopped; what is finished stays, the same command goes on with the rest", code) from error
    finally:
        ledger.stop_running()


def _outcome(film: Film) -> FilmOutcome:
    job = film.job
    if film.receipt is not None:
        return FilmOutcome(
            job.name, job.source, job.target, "done", None, film.receipt.frames, film.made_now, job.folder
        )
    state: Literal["failed", "planned"] = "planned" if film.error is None else "failed"
    return FilmOutcome(job.name, job.source, job.target, state, film.error, film.outlook.frames, False, job.folder)
