"""Finish films: merge their shards, or color some shots again; then proofs, package and receipt.

Whenever this is killed, the next run goes on: the mark `merging`, written first, tells that a film under the final name
without a receipt is the batch's own.
"""

from __future__ import annotations

import dataclasses
import glob
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from videocolor.batch.reel import Reel
from videocolor.batch.reporting import Reporter
from videocolor.batch.settings import BatchConfig
from videocolor.batch.state import (
    Receipt,
    SourceState,
    clear_merging,
    keeps_shards,
    mark_merging,
    merging,
    plan_path,
    read_receipt,
    settings_id,
    source_state,
    write_receipt,
)
from videocolor.batch.steps import Merged, Steps
from videocolor.errors import InputError, Interrupted, VideocolorError
from videocolor.events import Event, Observer
from videocolor.shards.types import FilmJob

__all__ = ["MergeResult", "Mergers", "merge_one", "recolor_films"]


def merge_one(
    job: FilmJob,
    out: Path,
    config: BatchConfig,
    steps: Steps,
    *,
    seconds: float,
    stop: threading.Event | None = None,
) -> Receipt:
    """Merge the shards of a film, write its receipt, and remove the shards unless they are to be kept.

    Args:
        job: the film; all shards of its plan are done.
        out: the output folder.
        config: of the batch.
        steps: the functions that work on films.
        seconds: work in its shards.
        stop: set by the driver to stop at the next event.

    Raises:
        OutputError, InputError: it cannot be written or verified.
        Interrupted: it was stopped.
    """

    def watch(_: Event) -> None:
        if stop is not None and stop.is_set():
            raise Interrupted(f"{job.name}: the merge was stopped")

    config_asked, again = job.config, merging(job)
    mark_merging(job)
    if again:
        _sweep(job.target)
        values = {**job.config, "output": {**job.config.get("output", {}), "overwrite": True}}
        job = dataclasses.replace(job, config=values)
    plan = steps.read_plan(plan_path(job))
    # As they are before the merge: the next run finds what changes meanwhile.
    state, settings = source_state(job.source), settings_id(job)
    report = steps.merge(job, watch)
    warnings = steps.finish(job, report, config)
    job = dataclasses.replace(job, config=config_asked)
    receipt = _receipt(job, state, plan.sha256, settings, report, warnings, seconds, len(plan.shards))
    write_receipt(out, receipt)
    if keeps_shards(job):
        clear_merging(job)
    else:
        steps.discard(job)
    return receipt


def recolor_films(
    reels: Sequence[Reel],
    shots: Sequence[int],
    reusing: Sequence[int],
    out: Path,
    config: BatchConfig,
    steps: Steps,
    reporter: Reporter,
    observer: Observer,
) -> None:
    """Color some shots of finished films again, one film after the other, in this process.

    Args:
        reels: get their receipts or errors; their jobs hold the settings of the shots.
        shots: numbers from 0, of every film.
        reusing: numbers from 0; see `recolor_shots`.
        out: the output folder.
        config: of the batch.
        steps: the functions that work on films.
        reporter: of the batch.
        observer: hears the events of coloring.
    """
    for reel in reels:
        reel.receipt = read_receipt(out, reel.name)
    for reel in reels:
        reel.stage = "recoloring"
        reporter.write()
        try:
            reel.receipt = _recolor(reel.job, shots, reusing, out, config, steps, observer)
        except Interrupted:
            raise  # the film is as it was
        except (VideocolorError, OSError) as error:
            reel.receipt, reel.error = None, str(error)
            reporter.warn(reel.name, f"failed: {reel.error}")
        else:
            reel.made_now = True
            reporter.done(reel.receipt)
        reel.stage = ""


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
    state = source_state(job.source)
    mark_merging(job)
    report = steps.recolor(job, shots, reusing, observer)
    if config.archive.fixity and steps.fixity(job) != before.source_sha256:
        raise InputError(f"{job.source}: is not the film that {job.target} was made from")
    archive = config.archive.model_copy(update={"fixity": False})  # checked: there is no plan to compare with
    warnings = steps.finish(job, report, config.model_copy(update={"archive": archive}))
    seconds = before.seconds + report.seconds
    receipt = _receipt(job, state, before.source_sha256, settings_id(job), report, warnings, seconds, before.shards)
    write_receipt(out, receipt)
    steps.discard(job)
    return receipt


def _receipt(
    job: FilmJob,
    state: SourceState,
    source_sha256: str,
    settings: str,
    report: Merged,
    warnings: Sequence[str],
    seconds: float,
    shards: int,
) -> Receipt:
    target = report.target.stat()
    return Receipt(
        name=job.name,
        source=str(job.source),
        source_state=state,
        source_sha256=source_sha256,
        settings=settings,
        config=job.config,
        target=str(report.target),
        target_bytes=target.st_size,
        target_mtime_ns=target.st_mtime_ns,
        sha256=report.sha256,
        frames=report.frames,
        seconds=seconds,
        shards=shards,
        warnings=tuple(dict.fromkeys([*report.warnings, *warnings])),
    )


def _sweep(target: Path) -> None:
    """Remove the temporary files that a killed merge has left beside a film: a dot, its name, a suffix."""
    for file in target.parent.glob(f".{glob.escape(target.name)}.*"):
        if file.is_file():
            file.unlink(missing_ok=True)


@dataclass(frozen=True)
class MergeResult:
    """The end of a merge."""

    name: str
    receipt: Receipt | None
    error: Exception | None


class Mergers:
    """Threads that merge films beside the workers, so that one film's merge does not hold up the others."""

    def __init__(self, out: Path, config: BatchConfig, steps: Steps) -> None:
        self._out, self._config, self._steps = out, config, steps
        self._pool = ThreadPoolExecutor(config.work.merges, thread_name_prefix="merge")
        self._results: queue.SimpleQueue[MergeResult] = queue.SimpleQueue()
        self._stop = threading.Event()
        self.busy: set[str] = set()
        """Names of films that are being merged or wait for it."""

    def submit(self, job: FilmJob, seconds: float) -> None:
        """Have a film merged."""
        self.busy.add(job.name)
        self._pool.submit(self._run, job, seconds)

    def _run(self, job: FilmJob, seconds: float) -> None:
        receipt: Receipt | None = None
        error: Exception | None = None
        try:
            receipt = merge_one(job, self._out, self._config, self._steps, seconds=seconds, stop=self._stop)
        except Exception as caught:  # whatever it is, it fails this film alone, and the driver names it
            error = caught
        self._results.put(MergeResult(job.name, receipt, error))

    def results(self, timeout: float) -> list[MergeResult]:
        """Return the merges that have ended; wait up to `timeout` seconds for the first."""
        found: list[MergeResult] = []
        try:
            found.append(self._results.get(timeout=timeout) if timeout > 0 else self._results.get_nowait())
            while True:
                found.append(self._results.get_nowait())
        except queue.Empty:
            self.busy.difference_update(result.name for result in found)
            return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
