"""Films are put together in threads beside the workers, so that one film's merge does not hold up the others."""

from __future__ import annotations

import dataclasses
import glob
import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from videocolor.batch.settings import BatchConfig
from videocolor.batch.state import (
    Receipt,
    keeps_shards,
    mark_merging,
    merging,
    plan_path,
    settings_id,
    source_state,
    write_receipt,
)
from videocolor.batch.steps import Merged, Steps
from videocolor.errors import Interrupted
from videocolor.events import Event
from videocolor.shards.types import FilmJob, FilmPlan

__all__ = ["MergeResult", "Mergers", "merge_one"]


@dataclass(frozen=True)
class MergeResult:
    """How a merge ended."""

    name: str
    receipt: Receipt | None
    error: Exception | None


def merge_one(
    job: FilmJob,
    out: Path,
    config: BatchConfig,
    steps: Steps,
    *,
    seconds: float,
    stop: threading.Event | None = None,
) -> Receipt:
    """Put a film together out of its shards, and write its receipt; the shards go where nobody asked to keep them.

    Whatever moment it is stopped at, the next run goes on: a film under the final name without a receipt is known
    as the batch's own by a mark that is written before.

    Args:
        job: the film; all shards of its plan are done.
        out: the output folder.
        config: of the batch.
        steps: what is done with films.
        seconds: work that went into its shards.
        stop: set by the driver to stop it at the next event.

    Raises:
        OutputError, InputError: it cannot be written or verified.
        Interrupted: it was stopped.
    """

    def watch(event: Event) -> None:
        if stop is not None and stop.is_set():
            raise Interrupted(f"{job.name}: the merge was stopped")

    again = merging(job)
    mark_merging(job)
    if again:
        _sweep(job.target)
        values = {**job.config, "output": {**job.config.get("output", {}), "overwrite": True}}
        job = dataclasses.replace(job, config=values)
    plan = steps.read_plan(plan_path(job))
    state, settings = source_state(job.source), settings_id(job)
    report = steps.merge(job, watch)
    warnings = [*report.warnings, *steps.finish(job, report, config)]
    receipt = dataclasses.replace(
        _receipt(job, plan, report, seconds),
        source_state=state,  # as they were before the merge: what changed meanwhile is found by the next run
        settings=settings,
        warnings=tuple(dict.fromkeys(warnings)),
    )
    write_receipt(out, receipt)
    if keeps_shards(job):
        (job.folder / "merging").unlink(missing_ok=True)
    else:
        steps.discard(job)
    return receipt


def _receipt(job: FilmJob, plan: FilmPlan, report: Merged, seconds: float) -> Receipt:
    target = report.target.stat()
    return Receipt(
        name=job.name,
        source=str(job.source),
        source_state=source_state(job.source),
        source_sha256=plan.sha256,
        settings=settings_id(job),
        target=str(report.target),
        target_bytes=target.st_size,
        target_mtime_ns=target.st_mtime_ns,
        sha256=report.sha256,
        frames=report.frames,
        seconds=seconds,
        shards=len(plan.shards),
    )


def _sweep(target: Path) -> None:
    """Remove the temporary files that a killed merge has left beside a film; they begin with a dot and its name."""
    for file in target.parent.glob(f".{glob.escape(target.name)}.*"):
        if file.is_file():
            file.unlink(missing_ok=True)


class Mergers:
    """Threads that put films together; results are fetched by `results`."""

    def __init__(self, out: Path, config: BatchConfig, steps: Steps) -> None:
        self._out, self._config, self._steps = out, config, steps
        self._pool = ThreadPoolExecutor(config.work.merges, thread_name_prefix="merge")
        self._results: queue.SimpleQueue[MergeResult] = queue.SimpleQueue()
        self._stop = threading.Event()
        self.busy: set[str] = set()
        """Names of films that are being put together or wait for it."""

    def submit(self, job: FilmJob, seconds: float) -> None:
        """Have a film put together."""
        self.busy.add(job.name)
        self._pool.submit(self._run, job, seconds)

    def _run(self, job: FilmJob, seconds: float) -> None:
        receipt: Receipt | None = None
        error: Exception | None = None
        try:
            receipt = merge_one(job, self._out, self._config, self._steps, seconds=seconds, stop=self._stop)
        except Exception as caught:  # of whatever kind: it fails this film and no other, and the driver names it
            error = caught
        self._results.put(MergeResult(job.name, receipt, error))

    def results(self, timeout: float) -> list[MergeResult]:
        """What has ended; waits up to `timeout` seconds for the first."""
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
