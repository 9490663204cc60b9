"""The driver's loop: which piece goes to a worker next, and what each event means for the film it is about."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

from videocolor.batch.engines.base import Engine
from videocolor.batch.filmlog import FilmLog
from videocolor.batch.intake import Film, check_damage
from videocolor.batch.ledger import Ledger
from videocolor.batch.lock import DriverLock
from videocolor.batch.mergers import MergeResult, Mergers
from videocolor.batch.pace import Pace
from videocolor.batch.schedule import Piece, Queue, Retries, cut_into_tasks
from videocolor.batch.settings import BatchConfig
from videocolor.batch.space import free_bytes
from videocolor.batch.state import plan_path
from videocolor.batch.steps import Steps
from videocolor.batch.underway import Running, place_of, record_of
from videocolor.errors import InputError, OutputError, VideocolorError
from videocolor.events import Observer
from videocolor.shards.types import ShardRecord, Task, WorkEvent

__all__ = ["Driver"]

_TURN: Final = 0.5
"""Seconds that a turn of the loop waits for events at most."""
_NAP: Final = 0.05
"""The same where nothing is under way but pauses."""
_FULL: Final = 64 * 2**20
"""A disk with less free space than this is full: nothing more can be finished on it."""
_MERGING: Final = -2
"""In place of a shard's number, where failures of merging are counted."""


class Driver:
    """Works until every film is finished, has failed, or needs what was not asked for.

    Args:
        films: as `take_in` made them; their state is kept up to date.
        out: the output folder.
        config: of the batch.
        steps: what is done with films.
        ledger: open for writing.
        lock: renewed while the loop runs.
        observer: is told of progress, warnings and finished films.
        only: plan: stop behind the plans; merge: colour nothing; None: everything.
    """

    def __init__(
        self,
        films: Sequence[Film],
        out: Path,
        config: BatchConfig,
        steps: Steps,
        ledger: Ledger,
        lock: DriverLock,
        observer: Observer,
        only: Literal["plan", "merge"] | None,
    ) -> None:
        self._films = {film.job.name: film for film in films}
        self._out, self._config, self._steps = out, config, steps
        self._ledger, self._lock, self._only = ledger, lock, only
        self._log = FilmLog(out, ledger, observer)
        self._pace = Pace(films, observer)
        self._queue = Queue()
        self._retries = Retries(config.work.retries, float(config.work.backoff_seconds))
        self._running: dict[str, Running] = {}
        self._waiting = sorted((film for film in films if film.open), key=Film.order, reverse=True)
        self._ready: list[tuple[float, Film]] = []
        """Films whose shards are all done, and when to put them together."""
        self._colors = False
        """Whether there are workers."""
        self._count = 0

    def work(self) -> None:
        """Do everything that can be done.

        Raises:
            OutputError: the disk is full, or the ledger cannot be written.
            DeviceError: no worker can be started.
        """
        if self._only == "plan":
            self._waiting = [film for film in self._waiting if not film.planned]
        if self._only == "merge":
            self._waiting = [film for film in self._waiting if film.complete]
        if not self._waiting:
            return
        with Mergers(self._out, self._config, self._steps) as mergers:
            if all(film.complete for film in self._waiting):  # for merges alone no worker, no cluster is started
                self._loop(None, mergers)
                return
            self._colors = True
            with self._steps.engine(self._config.engine, self._steps.work) as engine:
                self._loop(engine, mergers)

    def _loop(self, engine: Engine | None, mergers: Mergers) -> None:
        while self._waiting or self._queue or self._running or self._ready or mergers.busy:
            self._lock.refresh()
            with self._ledger.together():
                self._hand_out(engine)
                self._start_merges(mergers)
            waits = engine is not None and bool(self._running)
            events = engine.events(_TURN) if engine is not None and waits else []
            results = mergers.results(0.0 if waits else _TURN if mergers.busy else _NAP)
            with self._ledger.together():
                for event in events:
                    self._heed(event)
                for result in results:
                    self._merged(result)
            self._pace.tell(running=sum(run.frames for run in self._running.values()))

    # ---- work out -----------------------------------------------------------------------------------------------

    def _hand_out(self, engine: Engine | None) -> None:
        """Give the engine what it takes; films are opened only as fast as their pieces are taken."""
        workers, room = (1, 1) if engine is None else (engine.workers, engine.capacity - len(self._running))
        while room > 0:
            piece = self._queue.take(time.monotonic())
            if piece is None:
                if not self._open_next(workers):
                    return
                continue
            assert engine is not None, "nothing but merges was to be done"
            self._submit(engine, piece, self._films[piece.film])
            room -= 1

    def _open_next(self, workers: int) -> bool:
        if not self._waiting:
            return False
        film = self._waiting.pop()
        try:
            self._open(film, workers)
        except (VideocolorError, OSError) as error:
            self._fail(film, str(error))
        return True

    def _open(self, film: Film, workers: int) -> None:
        """Put a film's pieces into the queue."""
        name = film.job.name
        if not film.planned:
            lazy = self._config.work.plan == "lazy" or (self._config.work.plan == "auto" and workers == 1)
            stage: Literal["plan", "color"] = "color" if lazy and self._only != "plan" else "plan"
            self._queue.put(Piece(name, stage, None), film.order())
            return
        if film.complete:
            self._ready.append((0.0, film))
            return
        if film.shards is None:
            film.shards = self._steps.read_plan(plan_path(film.job)).shards
        per_task = self._config.work.shards_per_task
        for numbers in cut_into_tasks(film.missing, workers, None if per_task == "auto" else per_task):
            self._queue.put(Piece(name, "color", numbers), film.order())

    def _submit(self, engine: Engine, piece: Piece, film: Film) -> None:
        left = [number for number in piece.shards or () if number not in film.done]
        attempt = self._retries.attempt(film.job.name, place_of(piece, left))
        gpus = self._config.engine.gpus_per_task
        self._count += 1
        task = Task(
            id=f"{film.job.name}:{piece.stage}:{left[0] if left else 0}:{attempt}:{self._count}",
            job={**film.job.as_dict(), "stage": piece.stage},
            shards=None if piece.shards is None else tuple(left),
            attempt=attempt,
            gpus=0.0 if gpus == "auto" else float(gpus),
        )
        self._running[task.id] = Running(task, piece, film, attempt=attempt, left=left)
        engine.submit(task)

    def _start_merges(self, mergers: Mergers) -> None:
        now = time.monotonic()
        due = [film for at, film in self._ready if at <= now]
        self._ready = [(at, film) for at, film in self._ready if at > now]
        for film in due:
            name = film.job.name
            self._ledger.film_running(name, "merging")
            self._log.note(name, "merge", "its shards are put together")
            mergers.submit(film.job, self._ledger.shard_seconds(name))

    # ---- events in ----------------------------------------------------------------------------------------------

    def _heed(self, event: WorkEvent) -> None:
        run = self._running.get(event.task)
        if run is None:
            return
        run.worker = event.worker
        if event.kind in ("done", "failed", "lost"):
            del self._running[event.task]
        match event.kind:
            case "started":
                self._started(run)
            case "progress":
                self._progress(run, event.data)
            case "planned" if run.film.open:
                self._try_planned(run.film)
            case "shard":
                self._shard(run, record_of(event.data["record"]))
            case "warning":
                self._log.warn(run.film.job.name, str(event.data.get("message", "")))
            case "done":
                self._piece_done(run)
            case "failed" | "lost":
                self._piece_failed(run, event)

    def _started(self, run: Running) -> None:
        name = run.film.job.name
        stage = "planning" if run.piece.stage == "plan" else "coloring"
        if run.film.open:
            self._ledger.film_running(name, stage)
            if run.left:
                self._ledger.shard_running(name, run.left[0], run.worker, run.attempt)
        shards = f" shards {run.left[0] + 1}..{run.left[-1] + 1}" if run.left else ""  # people count from 1
        self._log.note(name, "started", f"{stage}{shards} on {run.worker}, attempt {run.attempt}")

    def _progress(self, run: Running, data: dict[str, Any]) -> None:
        if run.piece.stage == "color" and not data.get("heartbeat") and isinstance(data.get("frames"), int):
            run.frames = max(0, data["frames"] - run.finished)
        now = time.monotonic()
        if now - run.noted >= 1.0 and run.film.open:
            run.noted = now
            name = run.film.job.name
            self._ledger.heartbeat(name, run.worker, self._under_way(run.film))

    def _under_way(self, film: Film) -> int:
        """Frames of its unfinished shards that workers have told of."""
        return sum(run.frames for run in self._running.values() if run.film is film)

    def _try_planned(self, film: Film) -> None:
        try:
            self._planned(film)
        except (VideocolorError, OSError) as error:
            self._fail(film, str(error))

    def _planned(self, film: Film) -> None:
        """A plan file was written; what it plans may be done already, in part or all of it."""
        name = film.job.name
        plan = self._steps.read_plan(plan_path(film.job))
        damage = check_damage(film.job, plan, self._steps, self._config.films.damaged == "refuse")
        if damage is not None:
            self._log.warn(name, f"the reel is damaged: {damage}")
        facts = {s.number: film.told[s.number] for s in plan.shards if s.number in film.told}
        if len(facts) < len(plan.shards) or any(facts[s.number].key != s.key for s in plan.shards):
            facts = self._steps.finished(film.job, plan)
        film.planned, film.shards, film.done = True, plan.shards, set(facts)
        self._ledger.put_plan(name, plan.shards, facts.values())
        frames = sum(shard.frames for shard in plan.shards)
        self._pace.expect(film, frames)
        self._pace.set_done(film, sum(record.frames for record in facts.values()))
        self._log.note(name, "planned", f"{len(plan.shots)} shots, {len(plan.shards)} shards, {frames} frames")
        for warning in plan.warnings:
            self._log.warn(name, warning)
        for run in self._running.values():
            if run.film is film and run.piece.stage == "color":
                run.left = [shard.number for shard in film.missing]
                if run.left:
                    self._ledger.shard_running(name, run.left[0], run.worker, run.attempt)

    def _shard(self, run: Running, record: ShardRecord) -> None:
        film, name = run.film, run.film.job.name
        again = record.number in film.done
        film.done.add(record.number)
        if not film.planned:  # a film that is planned while it is coloured
            film.told[record.number] = dataclasses.replace(record, shots=(), notes={})
        self._ledger.shard_done(name, record)
        if not again:
            self._pace.add(film, record.frames)
        run.finished += record.frames
        run.frames = 0
        run.left = [number for number in run.left if number != record.number]
        if run.left and film.open:
            self._ledger.shard_running(name, run.left[0], run.worker, run.attempt)
        self._ledger.heartbeat(name, run.worker, self._under_way(film))
        self._log.note(name, "shard", f"{record.number + 1}: {record.frames} frames in {record.seconds:.1f} s")
        for warning in record.warnings:
            self._log.warn(name, warning)

    def _piece_done(self, run: Running) -> None:
        film = run.film
        if not film.open:
            return
        if not film.planned or film.shards is None:
            self._try_planned(film)
            if film.error is not None:
                return
        if run.piece.stage == "plan":
            if self._only == "plan":
                self._ledger.film_planned(film.job.name)
                self._close(film)
            else:
                self._waiting.append(film)  # opened next: its pieces come before other films' plans
            return
        assert film.shards is not None
        missing = {shard.number for shard in film.missing}
        mine = missing if run.piece.shards is None else missing & set(run.piece.shards)
        if mine:
            self._try_again(run, f"shards {', '.join(str(number + 1) for number in sorted(mine))} were not delivered")
        elif not missing and not film.complete:
            film.complete = True
            self._ready.append((0.0, film))

    def _piece_failed(self, run: Running, event: WorkEvent) -> None:
        film, error = run.film, str(event.data.get("error") or event.kind)
        self._log.note(film.job.name, event.kind, error, str(event.data.get("traceback", "")))
        if not film.open:
            return
        self._check_full(error)
        if event.kind == "failed" and event.data.get("permanent"):
            self._fail(film, error, run.left[0] if run.left else None, run.attempt)
        else:
            self._try_again(run, error)

    def _try_again(self, run: Running, error: str) -> None:
        """The rest of a piece waits for its next attempt, or the film fails."""
        film, name = run.film, run.film.job.name
        left = [number for number in run.left if number not in film.done]
        pause = self._retries.failed(name, place_of(run.piece, left))
        if pause is None:
            self._fail(film, f"{error} (attempt {run.attempt} of {self._config.work.retries + 1})", *left[:1])
            return
        if left:
            self._ledger.shard_waits(name, left[0], error)
        self._log.warn(name, f"{error}; tried again in {pause:g} s")
        self._queue.put(Piece(name, run.piece.stage, tuple(left) or None), film.order(), at=time.monotonic() + pause)

    def _merged(self, result: MergeResult) -> None:
        film = self._films[result.name]
        if result.receipt is not None:
            film.receipt, film.made_now = result.receipt, True
            self._close(film)
            receipt = result.receipt
            self._ledger.film_done(result.name, **receipt.facts())
            for warning in receipt.warnings:
                self._log.warn(result.name, warning)
            self._log.done(receipt)
            return
        error = result.error
        assert error is not None
        text = str(error) if isinstance(error, VideocolorError | OSError) else f"{type(error).__name__}: {error}"
        self._check_full(text)
        again = isinstance(error, OSError) or (
            isinstance(error, InputError) and self._colors and self._lost_shards(film)
        )
        pause = self._retries.failed(result.name, _MERGING) if again else None
        if pause is None:
            self._fail(film, text)
            return
        self._log.warn(result.name, f"{text}; tried again in {pause:g} s")
        if film.complete:
            self._ready.append((time.monotonic() + pause, film))
        else:
            self._waiting.append(film)

    def _lost_shards(self, film: Film) -> bool:
        """Whether shards that were done are damaged now; then the film is open again."""
        try:
            plan = self._steps.read_plan(plan_path(film.job))
        except (VideocolorError, OSError):
            return False
        facts = self._steps.finished(film.job, plan)
        film.shards, film.done, film.complete = plan.shards, set(facts), len(facts) == len(plan.shards)
        self._ledger.put_plan(film.job.name, plan.shards, facts.values())
        return not film.complete

    # ---- ends ---------------------------------------------------------------------------------------------------

    def _fail(self, film: Film, error: str, shard: int | None = None, attempt: int = 0) -> None:
        film.error = error
        name = film.job.name
        self._queue.drop(name)
        if shard is not None:
            self._ledger.shard_failed(name, shard, attempt or self._retries.attempt(name, shard) - 1, error)
        self._ledger.film_failed(name, error)
        self._log.warn(name, f"failed: {error}")
        self._pace.forget(film)
        self._close(film)

    def _close(self, film: Film) -> None:
        """Keep nothing of it in memory but how it ended."""
        film.shards = None
        film.done, film.told = set(), {}

    def _check_full(self, error: str) -> None:
        """A full disk ends the run: every other film would fail on it too.

        Raises:
            OutputError: nothing more can be written to the output folder.
        """
        if free_bytes(self._out) < _FULL:
            raise OutputError(f"{self._out}: the disk is full ({error}); free some space, the same command goes on")
