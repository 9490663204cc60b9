"""The driver's loop: tasks to workers, their events to the reels, complete films to the mergers."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Final, Literal

from videocolor.batch.finish import merge_one
from videocolor.batch.fixity import SourceChecks
from videocolor.batch.gate import Gate
from videocolor.batch.inspection import free_bytes
from videocolor.batch.intake import check_damage
from videocolor.batch.lock import DriverLock
from videocolor.batch.receipts import Receipt
from videocolor.batch.reel import Reel, Running
from videocolor.batch.reporting import Reporter
from videocolor.batch.schedule import MERGING, Piece, Queue, Retries
from videocolor.batch.state import mark_failed, plan_path
from videocolor.batch.steps import Batch
from videocolor.engines.base import Engine
from videocolor.errors import InputError, OutputError, VideocolorError
from videocolor.shards.plan import cut_into_tasks
from videocolor.shards.types import ShardRecord, Task, WorkEvent

__all__ = ["Driver"]

_TURN: Final = 0.5
"""Seconds that a turn of the loop waits for events at most."""
_NAP: Final = 0.05
"""The same while only retries are pending."""
_FULL: Final = 64 * 2**20
"""A disk with less free space than this is full: nothing can be finished on it."""


class Driver:
    """Works until every film is finished, has failed, or needs what was not asked for.

    Args:
        reels: as `take_in` left them; their state is kept up to date.
        batch: what the reels belong to.
        lock: renewed while the loop runs.
        reporter: of the batch.
        only: plan: stop after the plans; merge: color nothing; None: everything.
        gate: says when work may be handed out.
    """

    def __init__(
        self,
        reels: Sequence[Reel],
        batch: Batch,
        lock: DriverLock,
        reporter: Reporter,
        only: Literal["plan", "merge"] | None,
        gate: Gate,
    ) -> None:
        self._reels = {reel.name: reel for reel in reels}
        self._batch, self._config, self._steps = batch, batch.config, batch.steps
        self._lock, self._reporter, self._only, self._gate = lock, reporter, only, gate
        self._queue = Queue()
        self._retries = Retries(batch.config.work.retries, float(batch.config.work.backoff_seconds))
        self._running: dict[str, Running] = {}
        self._waiting = sorted((reel for reel in reels if reel.open), key=Reel.order, reverse=True)
        self._ready: list[tuple[float, Reel]] = []
        """Films whose shards are all done, and when to merge them."""
        self._merges: dict[Future[Receipt], Reel] = {}
        self._stop = threading.Event()
        """Ends merges at their next event."""
        self._checks = SourceChecks(batch.config.archive, self._stop)
        self._colors = False
        """Whether there are workers."""
        self._count = 0

    def work(self) -> None:
        """Do everything that can be done.

        Raises:
            OutputError: the disk is full, or the status cannot be written.
            DeviceError: no worker can be started.
        """
        if self._only == "plan":
            self._waiting = [reel for reel in self._waiting if not reel.planned]
        if self._only == "merge":
            self._waiting = [reel for reel in self._waiting if reel.complete]
        mergers = ThreadPoolExecutor(self._config.work.merges, thread_name_prefix="merge")
        try:
            while self._left:
                if (why := self._gate.closed()) is not None:
                    self._rest(why)
                elif not self._colorless:
                    self._colors = True
                    self._reporter.wait(None)
                    with self._steps.engine(self._gate.engine_settings(), self._steps.work) as engine:
                        self._loop(engine, mergers)
                else:  # merging alone starts no worker and no cluster
                    self._reporter.wait(None)
                    self._loop(None, mergers)
        finally:
            self._stop.set()
            mergers.shutdown(cancel_futures=True)
            self._checks.close()

    @property
    def _left(self) -> bool:
        return bool(self._waiting or self._queue or self._running or self._ready or self._merges)

    @property
    def _colorless(self) -> bool:
        return not self._queue and all(reel.complete for reel in self._waiting)

    def _loop(self, engine: Engine | None, mergers: ThreadPoolExecutor) -> None:
        """Work until nothing is left, or these workers are to get nothing more."""
        while self._left and (engine is not None or self._colorless):
            if self._gate.open():
                self._hand_out(engine)
                self._start_merges(mergers)
            elif not self._running or self._gate.overdue:
                self._take_back()
                return
            if engine is not None and self._running:
                for event in engine.events(_TURN):
                    self._handle(event)
                self._turn(0)
            else:
                self._turn(_NAP)

    def _turn(self, seconds: float) -> None:
        """Finish what has been merged, waiting up to `seconds`, at most half a second for merges alone."""
        self._lock.refresh()
        if self._merges:
            wait(self._merges, min(_TURN, seconds * 10), FIRST_COMPLETED)
        else:
            time.sleep(seconds)
        for merge in [merge for merge in self._merges if merge.done()]:
            self._merged(self._merges.pop(merge), merge)
        self._reporter.progress()

    def _rest(self, why: str) -> None:
        """Wait until work may go on; merges that were begun are finished."""
        self._reporter.wait(why)
        self._turn(_TURN)

    def _take_back(self) -> None:
        """Queue what workers have and will not finish; it costs no attempt."""
        for run in list(self._running.values()):
            self._requeue(run)
        self._running.clear()
        self._gate.rest()

    def _requeue(self, run: Running) -> None:
        if run in run.reel.runs:
            run.reel.runs.remove(run)
        if run.reel.open:
            run.reel.stage = run.reel.stage if run.reel.runs else ""
            left = tuple(number for number in run.left if number not in run.reel.done) or run.piece.shards
            self._queue.put(Piece(run.reel.name, run.piece.stage, left), run.reel.order())

    # ---- work out -----------------------------------------------------------------------------------------------

    def _hand_out(self, engine: Engine | None) -> None:
        """Fill the engine; films are opened only as fast as their pieces are taken."""
        workers, room = (1, 1) if engine is None else (engine.workers, engine.capacity - len(self._running))
        while room > 0:
            piece = self._queue.take(time.monotonic())
            if piece is None:
                reel = self._checks.next(self._waiting) if self._waiting else None
                if reel is None:
                    return
                self._guarded(reel, partial(self._open, reel, workers))
                continue
            assert engine is not None, "nothing but merges was to be done"
            self._submit(engine, piece, self._reels[piece.film])
            room -= 1

    def _guarded(self, reel: Reel, action: Callable[[], None]) -> None:
        """Let an error of one film fail that film only."""
        try:
            action()
        except (VideocolorError, OSError) as error:
            self._fail(reel, str(error))

    def _open(self, reel: Reel, workers: int) -> None:
        """Queue a film's pieces.

        Raises:
            InputError: its source is not what the archive's checksum is of.
        """
        self._checks.result(reel)
        if not reel.planned:
            lazy = self._config.work.plan == "lazy" or (self._config.work.plan == "auto" and workers == 1)
            stage: Literal["plan", "color"] = "color" if lazy and self._only != "plan" else "plan"
            self._queue.put(Piece(reel.name, stage, None), reel.order())
            return
        if reel.complete:
            self._ready.append((0.0, reel))
            return
        if reel.shards is None:
            reel.shards = self._steps.read_plan(plan_path(reel.job)).shards
        per_task = self._config.work.shards_per_task
        for numbers in cut_into_tasks(reel.missing, workers, None if per_task == "auto" else per_task):
            self._queue.put(Piece(reel.name, "color", numbers), reel.order())

    def _submit(self, engine: Engine, piece: Piece, reel: Reel) -> None:
        left = [number for number in piece.shards or () if number not in reel.done]
        attempt = self._retries.attempt(reel.name, piece.place(left))
        gpus = self._config.engine.gpus_per_task
        self._count += 1
        task = Task(
            id=f"{reel.name}:{piece.stage}:{left[0] if left else 0}:{attempt}:{self._count}",
            job={**reel.job.as_dict(), "stage": piece.stage},
            shards=None if piece.shards is None else tuple(left),
            attempt=attempt,
            gpus=0.0 if gpus == "auto" else float(gpus),
        )
        self._running[task.id] = run = Running(task, piece, reel, left)
        reel.runs.append(run)
        engine.submit(task)

    def _start_merges(self, mergers: ThreadPoolExecutor) -> None:
        now = time.monotonic()
        due = [reel for at, reel in self._ready if at <= now]
        self._ready = [(at, reel) for at, reel in self._ready if at > now]
        for reel in due:
            reel.stage = "merging"
            self._reporter.note(reel.name, "merge", "its shards are merged")
            merge = mergers.submit(merge_one, reel.job, self._batch, seconds=reel.seconds, stop=self._stop)
            self._merges[merge] = reel

    # ---- events in ----------------------------------------------------------------------------------------------

    def _handle(self, event: WorkEvent) -> None:
        run = self._running.get(event.task)
        if run is None:
            return
        run.worker, run.heard = event.worker, time.time()
        if event.kind in ("done", "failed", "lost"):
            del self._running[event.task]
            run.reel.runs.remove(run)
        match event.kind:
            case "started":
                self._started(run)
            case "progress":
                run.hear(event.data)
            case "planned" if run.reel.open:
                self._guarded(run.reel, partial(self._planned, run))
            case "shard":
                self._shard(run, ShardRecord.from_dict(event.data["record"]))
            case "warning":
                self._reporter.warn(run.reel.name, str(event.data.get("message", "")))
            case "done":
                self._piece_done(run)
            case "failed" | "lost":
                self._piece_failed(run, event)

    def _started(self, run: Running) -> None:
        stage = "planning" if run.piece.stage == "plan" else "coloring"
        if run.reel.open:
            run.reel.stage = stage
        shards = f" shards {run.left[0] + 1}..{run.left[-1] + 1}" if run.left else ""  # people count from 1
        self._reporter.note(run.reel.name, "started", f"{stage}{shards} on {run.worker}, attempt {run.task.attempt}")

    def _planned(self, run: Running) -> None:
        """Follow a plan that was written; what it plans may be done already, in part or completely."""
        reel = run.reel
        plan = self._steps.read_plan(plan_path(reel.job))
        damage = check_damage(reel.job, plan, self._batch)
        if damage is not None:
            self._reporter.warn(reel.name, f"the reel is damaged: {damage}")
        records = {s.number: reel.early[s.number] for s in plan.shards if s.number in reel.early}
        if len(records) < len(plan.shards) or any(records[s.number].key != s.key for s in plan.shards):
            records = self._steps.finished(reel.job, plan)
        reel.follow(plan, records)
        if run.piece.stage == "color":
            reel.complete = False  # the end of its piece makes it so
        text = f"{len(plan.shots)} shots, {len(plan.shards)} shards, {reel.length} frames"
        self._reporter.note(reel.name, "planned", text)
        for warning in plan.warnings:
            self._reporter.warn(reel.name, warning)
        for other in reel.runs:
            if other.piece.stage == "color":
                other.left = [shard.number for shard in reel.missing]

    def _shard(self, run: Running, record: ShardRecord) -> None:
        reel = run.reel
        if not reel.planned:  # a film that is planned while it is colored
            reel.early[record.number] = dataclasses.replace(record, shots=(), notes={})
        reel.add(record)
        run.finished += record.frames
        run.frames = 0
        run.left = [number for number in run.left if number != record.number]
        text = f"{record.number + 1}: {record.frames} frames in {record.seconds:.1f} s"
        self._reporter.note(reel.name, "shard", text)
        for warning in record.warnings:
            self._reporter.warn(reel.name, warning)

    def _piece_done(self, run: Running) -> None:
        reel = run.reel
        if reel.open and (not reel.planned or reel.shards is None):
            self._guarded(reel, partial(self._planned, run))
        if not reel.open:
            return
        if run.piece.stage == "plan":
            if self._only == "plan":
                reel.close()
            else:
                self._waiting.append(reel)  # opened next: its pieces come before other films' plans
            return
        missing = {shard.number for shard in reel.missing}
        mine = missing if run.piece.shards is None else missing & set(run.piece.shards)
        if mine:
            self._try_again(run, f"shards {', '.join(str(number + 1) for number in sorted(mine))} were not delivered")
        elif not missing and not reel.complete:
            reel.complete = True
            self._ready.append((0.0, reel))

    def _piece_failed(self, run: Running, event: WorkEvent) -> None:
        error = str(event.data.get("error") or event.kind)
        if event.data.get("type") == "Drained":
            self._requeue(run)
            return
        self._reporter.note(run.reel.name, event.kind, error, str(event.data.get("traceback", "")))
        if not run.reel.open:
            return
        self._check_full(error)
        if event.kind == "failed" and event.data.get("permanent"):
            mark_failed(run.reel.job, error)
            self._fail(run.reel, error)
        else:
            self._try_again(run, error)

    def _try_again(self, run: Running, error: str) -> None:
        """Queue the rest of a piece for its next attempt, or fail the film."""
        reel = run.reel
        left = [number for number in run.left if number not in reel.done]
        pause = self._retries.failed(reel.name, run.piece.place(left))
        if pause is None:
            self._fail(reel, f"{error} (attempt {run.task.attempt} of {self._config.work.retries + 1})")
            return
        self._reporter.warn(reel.name, f"{error}; tried again in {pause:g} s")
        piece = Piece(reel.name, run.piece.stage, tuple(left) or None)
        self._queue.put(piece, reel.order(), at=time.monotonic() + pause)

    def _merged(self, reel: Reel, merge: Future[Receipt]) -> None:
        error = merge.exception()
        if error is None:
            reel.receipt, reel.made_now = merge.result(), True
            reel.close()
            for warning in reel.receipt.warnings:
                self._reporter.warn(reel.name, warning)
            self._reporter.done(reel.receipt)
            return
        text = str(error) if isinstance(error, VideocolorError | OSError) else f"{type(error).__name__}: {error}"
        self._check_full(text)
        again = isinstance(error, OSError) or (
            isinstance(error, InputError) and self._colors and self._lost_shards(reel)
        )
        pause = self._retries.failed(reel.name, MERGING) if again else None
        if pause is None:
            self._fail(reel, text)
            return
        self._reporter.warn(reel.name, f"{text}; tried again in {pause:g} s")
        if reel.complete:
            self._ready.append((time.monotonic() + pause, reel))
        else:
            self._waiting.append(reel)

    def _lost_shards(self, reel: Reel) -> bool:
        """Return whether shards that were done are damaged now; then the film is open again."""
        try:
            plan = self._steps.read_plan(plan_path(reel.job))
        except (VideocolorError, OSError):
            return False
        reel.follow(plan, self._steps.finished(reel.job, plan))
        return not reel.complete

    # ---- ends ---------------------------------------------------------------------------------------------------

    def _fail(self, reel: Reel, error: str) -> None:
        reel.error = error
        self._queue.drop(reel.name)
        self._reporter.warn(reel.name, f"failed: {error}")
        reel.close()

    def _check_full(self, error: str) -> None:
        """End the run on a full disk: every other film would fail on it, too.

        Raises:
            OutputError: nothing more can be written to the output folder.
        """
        if free_bytes(self._batch.out) < _FULL:
            out = self._batch.out
            raise OutputError(f"{out}: the disk is full ({error}); free some space, the same command resumes")
