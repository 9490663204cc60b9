"""Run a batch: take the films in, drive the work, say how every film ended.

What is done is recorded on the disk (`videocolor.batch.state`, plans, shard records); the driver may die at any moment
and is simply started again. It holds the shards of a few films, never those of all.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from videocolor.batch.amend import complete_films
from videocolor.batch.bag import check_archive
from videocolor.batch.catalog import RESULTS, check_own, write_results
from videocolor.batch.driver import Driver
from videocolor.batch.finish import recolor_films
from videocolor.batch.gate import Gate
from videocolor.batch.inspection import check_space, space_needed
from videocolor.batch.intake import take_in
from videocolor.batch.lock import DriverLock
from videocolor.batch.overview import PAGE, write_overview
from videocolor.batch.reel import Reel
from videocolor.batch.reporting import Reporter
from videocolor.batch.settings import BatchConfig, RunSettings
from videocolor.batch.state import keeps_shards, read_batch, state_folder, write_batch
from videocolor.batch.status import FilmStatus, batch_status, idle, write_status
from videocolor.batch.steps import Batch, Steps, film_steps
from videocolor.batch.watch import Heartbeat, batch_log, call_hooks, check_hooks
from videocolor.errors import InputError, Interrupted, OutputError, UsageError
from videocolor.events import Observer, ignore
from videocolor.presets import load_model, suggest
from videocolor.shards.types import FilmJob
from videocolor.version import __version__

__all__ = ["BatchResult", "FilmOutcome", "failed_jobs", "last_config", "run_batch", "unfinished_jobs"]

_GB: Final = 10**9
_LOOK: Final = 0.5
"""Seconds between two looks at whether a run may go on."""


@dataclass(frozen=True)
class FilmOutcome:
    """The state of a film at the end of a run."""

    name: str
    source: Path
    target: Path
    state: Literal["done", "failed", "planned", "given up"]
    """planned: nothing is wrong with it, it was not asked to be finished."""
    error: str | None = None
    frames: int | None = None
    made_now: bool = False
    """Finished by this run, not by an earlier one."""
    folder: Path | None = None
    """Its working folder, with the plan."""


@dataclass(frozen=True)
class BatchResult:
    """The end of a run."""

    out: Path
    films: tuple[FilmOutcome, ...]
    seconds: float
    """Wall time."""
    refused: tuple[str, ...] = ()
    """Why reels were left out whose names cannot be used."""

    @property
    def failed(self) -> tuple[FilmOutcome, ...]:
        """Films that were not finished, each with its reason."""
        return tuple(film for film in self.films if film.state == "failed")

    @property
    def done(self) -> tuple[FilmOutcome, ...]:
        """Finished films."""
        return tuple(film for film in self.films if film.state == "done")

    @property
    def ok(self) -> bool:
        """Whether no film failed, and no reel was left out."""
        return not self.failed and not self.refused

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {
            "out": str(self.out),
            "films": len(self.films),
            "done": len(self.done),
            "made_now": sum(film.made_now for film in self.films),
            "failed": [{"film": film.name, "error": film.error} for film in self.failed],
            "refused": list(self.refused),
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
    retry: bool = False,
    refused: Sequence[str] = (),
    observer: Observer = ignore,
    steps: Steps | None = None,
) -> BatchResult:
    """Color films, resuming where an earlier run stopped; one film's failure leaves the others alone.

    Args:
        jobs: of `videocolor.batch.jobs.read_jobs`, or of an earlier run.
        out: results; `out/.videocolor` holds plans, shards, receipts and logs.
        config: None: defaults.
        restart: forget earlier work on unfinished films; on finished ones too if `output.overwrite` is set.
        only: plan: write the plans and stop. merge: merge what is colored, color nothing.
        only_shots: color these shots (from 0) of finished films again, leave the rest of them as it is.
        reusing: with `only_shots`: also the shots that reuse colors of these; see `recolor_shots`.
        others: keep unfinished films of earlier runs that are not among `jobs`.
        retry: try films again that failed for good or were given up.
        refused: of `read_jobs`; part of the result.
        observer: gets events; warnings about a film name it as `film`.
        steps: the functions that work on films; None: those of `videocolor colorize`.

    Returns:
        The state of every film. Films that failed are in it, with their reasons; nothing is raised for them.

    Raises:
        UsageError: another driver works on `out`.
        OutputError: `out` cannot be written, or the disk is too small for the batch.
        DeviceError: no worker can be started.
        Interrupted: Ctrl-C or SIGTERM; everything that was finished stays finished.
    """
    out, config, began = out.absolute(), config or BatchConfig(), time.monotonic()
    batch = Batch(out, config, steps or film_steps())
    check_archive(config.archive)
    check_hooks(config.run)
    with DriverLock(state_folder(out)) as lock, batch_log(state_folder(out), config.run) as log:
        earlier = _enlist(jobs, out, config, others)
        reels = [Reel(job, place) for place, job in enumerate(jobs)]
        run = _Run(batch, reels, Reporter(out, reels, earlier, observer, log), lock, only)

        def result() -> BatchResult:
            return BatchResult(out, tuple(map(_outcome, reels)), time.monotonic() - began, tuple(refused))

        with _reported(run.reporter, run.settings, result), run.beat, _stopped_cleanly(run.reporter), run.overview():
            if only_shots:
                recolor_films(reels, only_shots, reusing, batch, run.reporter, observer)
            else:
                run.color(restart=restart, retry=retry)
    return result()


class _Run:
    """What surrounds the films of a run: reporter, heartbeat, and the gate of hours and hooks."""

    def __init__(
        self,
        batch: Batch,
        reels: list[Reel],
        reporter: Reporter,
        lock: DriverLock,
        only: Literal["plan", "merge"] | None,
    ) -> None:
        self.reporter, self._batch, self._reels, self._lock, self._only = reporter, batch, reels, lock, only
        config, folder = batch.config, state_folder(batch.out)
        self.beat = Heartbeat(Path(config.run.heartbeat or folder / "heartbeat.json"), self._facts)
        reporter.turned = self.beat.turn
        # Hours and hooks are for what may take the night.
        quick = {"hours": None, "hook": (), "webhook": None}
        self.settings = config.run if only is None else config.run.model_copy(update=quick)
        self._gate = Gate(folder, self.settings, config.engine)

    def color(self, *, restart: bool, retry: bool) -> None:
        """Take the films in and bring them to their end, or to where `only` stops."""
        take_in(self._reels, self._batch, self.reporter, restart=restart, retry=retry)
        self.reporter.begin()
        if self._only != "plan":
            complete_films(self._reels, self._batch, self.reporter, self._wait)
        _check_disk(self._reels, self._batch.out, self._batch.config)
        Driver(self._reels, self._batch, self._lock, self.reporter, self._only, self._gate).work()

    @contextlib.contextmanager
    def overview(self) -> Iterator[None]:
        """Check before the work that lists and pages of all films are ours to replace, and write them after it."""
        out, jobs = self._batch.out, [reel.job for reel in self._reels]
        pages = any(job.config.get("output", {}).get("report") for job in jobs)
        if any(job.catalog for job in jobs):
            check_own(out, RESULTS)
        if pages:
            check_own(out, PAGE)
        yield
        self.reporter.end()
        write_results(out, self.reporter.films())
        if pages:
            write_overview(out)

    def _facts(self) -> dict[str, Any]:
        self._lock.refresh()  # what runs before the driver's loop may take hours
        return self.reporter.facts()

    def _wait(self) -> None:
        while (why := self._gate.closed()) is not None:
            self.reporter.wait(why)
            self.beat.turn()
            time.sleep(_LOOK)
        self.reporter.wait(None)


@contextlib.contextmanager
def _reported(reporter: Reporter, settings: RunSettings, result: Callable[[], BatchResult]) -> Iterator[None]:
    """Log begin and end of a run, and call the hooks at its end, unless a signal has stopped it."""
    reporter.say(f"a run of videocolor {__version__} begins")

    def end(error: str | None) -> None:
        summary = result().as_dict()
        summary |= {"ok": summary["ok"] and error is None, "error": error}
        counts = ", ".join(f"{summary[key]} {word}" for key, word in (("done", "done"), ("made_now", "now")))
        reporter.say(f"the run ends: {counts}, {len(summary['failed'])} failed" + (f"; {error}" if error else ""))
        for problem in call_hooks(settings, summary):
            reporter.alert(f"{problem}; the films are not affected")

    try:
        yield
    except Interrupted as stopped:
        with contextlib.suppress(OutputError):
            reporter.say(f"the run ends: {stopped}")
        raise
    except Exception as error:
        with contextlib.suppress(OutputError):  # the first error counts
            end(str(error) or type(error).__name__)
        raise
    end(None)


def _enlist(jobs: Sequence[FilmJob], out: Path, config: BatchConfig, others: bool) -> list[FilmStatus]:
    """Write the list of films; return the state of those that stay of earlier runs, in order.

    Other films stay if they are finished, after those of this run, or if all are to stay, in their places.
    """
    names = {job.name for job in jobs}
    try:
        _, before = read_batch(out)
        states = {film.name: idle(film) for film in batch_status(out).films}
    except InputError:  # no batch was run here, or its list of films is damaged: it is written again
        before, states = [], {}
    if others:
        merged = {job.name: job for job in before} | {job.name: job for job in jobs}
    else:
        done = {job.name: job for job in before if job.name not in names and states[job.name].state == "done"}
        merged = {job.name: job for job in jobs} | done
    write_batch(out, config.as_dict(), merged.values())
    earlier = [states[name] for name in merged if name in states]
    write_status(out, earlier)
    return earlier


def _check_disk(reels: Sequence[Reel], out: Path, config: BatchConfig) -> None:
    if not config.disk.check:
        return
    sizes = [reel.outlook.bytes or 0 for reel in reels if reel.open]
    workers = 1 if config.engine.workers == "auto" else config.engine.workers
    kept = sum(reel.outlook.bytes or 0 for reel in reels if reel.open and keeps_shards(reel.job))
    needed = max(space_needed(sizes, at_once=workers + config.work.merges), sum(sizes) + kept)
    needed += sum(sizes) * config.archive.bag_tar  # a second copy of each film
    if sizes:
        check_space(out, max(0, needed - sum(reel.present for reel in reels)), round(config.disk.reserve_gb * _GB))


@contextlib.contextmanager
def _stopped_cleanly(reporter: Reporter) -> Iterator[None]:
    """Report that nothing runs, however the run ends; give signals the message that fits a batch."""
    try:
        yield
    except BaseException as error:
        with contextlib.suppress(OutputError):  # the first error counts
            reporter.end()
        if not isinstance(error, KeyboardInterrupt | Interrupted):
            raise
        code = error.exit_code if isinstance(error, Interrupted) else 130
        raise Interrupted("stopped; what is finished stays, the same command goes on with the rest", code) from error
    reporter.end()


def _outcome(reel: Reel) -> FilmOutcome:
    job, receipt = reel.job, reel.receipt
    if receipt is not None:
        return FilmOutcome(job.name, job.source, job.target, "done", None, receipt.frames, reel.made_now, job.folder)
    state: Literal["failed", "planned", "given up"] = "planned" if reel.error is None else "failed"
    state, why = ("given up", reel.given_up) if reel.given_up else (state, reel.error)
    return FilmOutcome(job.name, job.source, job.target, state, why, reel.outlook.frames, False, job.folder)


# ---- a batch that was run before ------------------------------------------------------------------------------------


def failed_jobs(out: Path, names: Sequence[str] = ()) -> tuple[FilmJob, ...]:
    """Return the jobs of films that failed.

    Args:
        out: the output folder.
        names: only these; empty: all of them.

    Raises:
        InputError: no batch was run here.
        UsageError: a name that is not in the batch, or a film that has not failed.
    """
    return _jobs(out, names, ("failed", "given up") if names else ("failed",))


def unfinished_jobs(out: Path, names: Sequence[str] = ()) -> tuple[FilmJob, ...]:
    """Return the jobs of films that are not finished; arguments and errors as of `failed_jobs`."""
    return _jobs(out, names, ("failed", "planned", "running"))


def _jobs(out: Path, names: Sequence[str], states: Sequence[str]) -> tuple[FilmJob, ...]:
    known = {film.name: film.state for film in batch_status(out).films}
    for name in names:
        if name not in known:
            raise UsageError(f"{name}: no film of {out}{suggest(name, known)}; `videocolor batch status` lists them")
        if known[name] not in states:
            raise UsageError(f"{name}: is {known[name]}, not {' or '.join(states)}")
    return tuple(job for job in read_batch(out)[1] if known[job.name] in states and (not names or job.name in names))


def last_config(
    out: Path, source: str | None = None, overrides: Sequence[str] = (), flags: Mapping[str, Any] | None = None
) -> BatchConfig:
    """Return the configuration of the last run, changed by overrides and flags.

    Args:
        out: the output folder.
        source: preset or file to use instead of the last configuration.
        overrides: `section.key=value`.
        flags: dotted key to value; None values mean "flag not given".

    Raises:
        ConfigError: a value cannot be used.
        InputError: no batch was run here.
    """
    if source is not None:
        return load_model(BatchConfig, "batch", source, overrides, flags)
    changed = load_model(BatchConfig, "batch", None, overrides, flags).model_dump(mode="json", exclude_unset=True)
    base: dict[str, Any] = {}
    for section, values in (*read_batch(out)[0].items(), *changed.items()):
        base |= {f"{section}.{key}": value for key, value in values.items()}
    return load_model(BatchConfig, "batch", None, (), base)
