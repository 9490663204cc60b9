"""The ledger: which film and which shard is planned, running, done or failed (`OUT/.videocolor/ledger.sqlite`).

It is an index for people and for the driver. What is true lies on the disk: plans, shards with their records, receipts
of finished films. So it is written without waiting for the disk (WAL, synchronous=NORMAL): after a loss of power it may
lack the last transactions, or be set aside whole, and the next start brings it in line with the facts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from videocolor.batch.ledgerfile import LedgerFile, ledger_path
from videocolor.shards.types import FilmJob, Shard, ShardRecord

__all__ = ["FilmRow", "Ledger", "State", "ledger_path"]

State: TypeAlias = Literal["planned", "running", "done", "failed"]


@dataclass(frozen=True)
class FilmRow:
    """A film as the ledger knows it."""

    name: str
    source: Path
    target: Path
    state: State
    stage: str
    """What happens to it just now: planning, coloring, merging; empty where nothing does."""
    shards: int | None
    """None: not planned yet."""
    shards_done: int
    frames: int | None
    """Of the plan, else what the container says; None: unknown."""
    frames_done: int
    """Of finished shards, and of those at work as far as they have told."""
    frames_in_shards: int
    """Of finished shards alone."""
    sha256: str | None
    """Of the finished film."""
    seconds: float
    """Work that went into its finished shards, in seconds."""
    error: str | None
    workers: int
    """How many colour its shards just now."""
    worker: str | None
    """The one of them that was heard of last."""
    attempt: int | None
    heartbeat: float | None
    """When that worker was last heard of, in seconds of the epoch."""


class Ledger(LedgerFile):
    """The ledger of one output folder: films, their shards, what happened.

    Every method that writes is one short transaction; `with ledger.together():` makes several into one. Used by one
    thread. Arguments and errors: see `LedgerFile`.
    """

    # ---- films --------------------------------------------------------------------------------------------------

    def put_films(self, jobs: Sequence[FilmJob], *, others: bool = False) -> None:
        """Take films in as planned, in their order; films that are here keep what is known about them.

        Args:
            jobs: the films.
            others: films that are not among these stay as they are; else only finished ones stay, behind these.
        """
        now, first = time.time(), 0
        with self.together():
            if others:
                first = 1 + int(self._read("SELECT COALESCE(max(place), -1) FROM films")[0][0])
            else:
                self._drop_unfinished({job.name for job in jobs})
                self._db.execute("UPDATE films SET place = place + ?", (len(jobs),))
            for place, job in enumerate(jobs, first):
                self._db.execute(
                    "INSERT INTO films VALUES (?, ?, ?, ?, ?, 'planned', '', NULL, NULL, 0, NULL, NULL, NULL, ?) "
                    "ON CONFLICT (name) DO UPDATE SET place = min(place, excluded.place), source = excluded.source, "
                    "target = excluded.target, job = excluded.job",
                    (
                        *(job.name, place, str(job.source), str(job.target)),
                        *(json.dumps(job.as_dict(), ensure_ascii=False), now),
                    ),
                )

    def _drop_unfinished(self, kept: set[str]) -> None:
        for (name,) in self._read("SELECT name FROM films WHERE state <> 'done'"):
            if name not in kept:
                self._db.execute("DELETE FROM shards WHERE film = ?", (name,))
                self._db.execute("DELETE FROM films WHERE name = ?", (name,))

    def film_planned(self, name: str, *, frames: int | None = None) -> None:
        """Back to `planned`: nothing failed, nothing runs."""
        with self.together():
            self._film(name, "planned", frames=frames)
            self._db.execute(
                "UPDATE shards SET state = 'planned', worker = NULL, attempt = NULL, heartbeat = NULL, error = NULL "
                "WHERE film = ? AND state <> 'done'",
                (name,),
            )

    def film_running(self, name: str, stage: str) -> None:
        """Somebody works on it: `planning`, `coloring` or `merging`."""
        self._film(name, "running", stage)

    def film_done(self, name: str, *, frames: int, shards: int, sha256: str, seconds: float) -> None:
        """It stands under its final name; `seconds`: work that went into its shards."""
        self._write(
            "UPDATE films SET state = 'done', stage = '', shards = ?, frames = ?, progress = 0, sha256 = ?, "
            "error = NULL, seconds = ?, changed = ? WHERE name = ?",
            (shards, frames, sha256, seconds, time.time(), name),
        )

    def film_failed(self, name: str, error: str) -> None:
        """It will not be finished by this run."""
        with self.together():
            self._film(name, "failed", error=error)
            self._db.execute(
                "UPDATE shards SET state = 'planned', worker = NULL, heartbeat = NULL "
                "WHERE film = ? AND state = 'running'",
                (name,),
            )

    def _film(
        self, name: str, state: State, stage: str = "", *, error: str | None = None, frames: int | None = None
    ) -> None:
        self._write(
            "UPDATE films SET state = ?, stage = ?, error = ?, frames = COALESCE(?, frames), progress = 0, changed = ? "
            "WHERE name = ?",
            (state, stage, error, frames, time.time(), name),
        )

    # ---- shards -------------------------------------------------------------------------------------------------

    def put_plan(self, film: str, shards: Sequence[Shard], facts: Iterable[ShardRecord]) -> None:
        """Replace what is known of a film's shards by its plan and the records that lie on the disk."""
        now = time.time()
        with self.together():
            known = dict(self._read("SELECT number, finished FROM shards WHERE film = ? AND state = 'done'", (film,)))
            self._db.execute("DELETE FROM shards WHERE film = ?", (film,))
            self._db.executemany(
                "INSERT INTO shards (film, number, key, state, frames) VALUES (?, ?, ?, 'planned', ?)",
                [(film, shard.number, shard.key, shard.frames) for shard in shards],
            )
            for record in facts:
                self._done(film, record, known.get(record.number))
            self._db.execute(
                "UPDATE films SET shards = ?, frames = ?, changed = ? WHERE name = ?",
                (len(shards), sum(shard.frames for shard in shards), now, film),
            )

    def drop_plan(self, film: str) -> None:
        """A film has no plan: nothing is known of its shards."""
        with self.together():
            self._db.execute("DELETE FROM shards WHERE film = ?", (film,))
            self._db.execute("UPDATE films SET shards = NULL WHERE name = ?", (film,))

    def shard_running(self, film: str, number: int, worker: str, attempt: int) -> None:
        """A worker has begun it."""
        self._write(
            "UPDATE shards SET state = 'running', worker = ?, attempt = ?, heartbeat = ?, error = NULL "
            "WHERE film = ? AND number = ? AND state <> 'done'",
            (worker, attempt, time.time(), film, number),
        )

    def heartbeat(self, film: str, worker: str, progress: int) -> None:
        """A worker was heard of; `progress` is the frames of unfinished shards that are coloured, film-wide."""
        with self.together():
            self._db.execute(
                "UPDATE shards SET heartbeat = ? WHERE film = ? AND worker = ? AND state = 'running'",
                (time.time(), film, worker),
            )
            self._db.execute("UPDATE films SET progress = ? WHERE name = ?", (progress, film))

    def shard_done(self, film: str, record: ShardRecord) -> None:
        """Its file and its record lie on the disk."""
        with self.together():
            self._done(film, record, time.time())

    def _done(self, film: str, record: ShardRecord, finished: float | None) -> None:
        """`finished` None: by an earlier run, nobody knows when."""
        self._db.execute(
            "INSERT INTO shards (film, number, key, state, worker, sha256, bytes, frames, first_pts, last_pts, "
            "seconds, finished) VALUES (?, ?, ?, 'done', ?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (film, number) DO UPDATE SET "
            "key = excluded.key, state = 'done', worker = excluded.worker, sha256 = excluded.sha256, "
            "bytes = excluded.bytes, frames = excluded.frames, first_pts = excluded.first_pts, "
            "last_pts = excluded.last_pts, seconds = excluded.seconds, finished = excluded.finished, error = NULL",
            (
                *(film, record.number, record.key, record.worker, record.sha256, record.bytes, record.frames),
                *(record.first_pts, record.last_pts, record.seconds, finished),
            ),
        )

    def shard_failed(self, film: str, number: int, attempt: int, error: str) -> None:
        """It failed for good."""
        self._write(
            "UPDATE shards SET state = 'failed', attempt = ?, error = ? WHERE film = ? AND number = ?",
            (attempt, error, film, number),
        )

    def shard_waits(self, film: str, number: int, error: str) -> None:
        """It failed and will be tried again."""
        self._write(
            "UPDATE shards SET state = 'planned', worker = NULL, heartbeat = NULL, error = ? "
            "WHERE film = ? AND number = ? AND state = 'running'",
            (error, film, number),
        )

    def stop_running(self) -> None:
        """Nobody works any more: what ran is planned again."""
        with self.together():
            self._db.execute(
                "UPDATE shards SET state = 'planned', worker = NULL, heartbeat = NULL WHERE state = 'running'"
            )
            self._db.execute(
                "UPDATE films SET state = 'planned', stage = '', progress = 0, changed = ? WHERE state = 'running'",
                (time.time(),),
            )

    # ---- log, settings ------------------------------------------------------------------------------------------

    def log(self, kind: str, text: str, film: str | None = None) -> None:
        """Remember that something happened."""
        self._write("INSERT INTO events (time, film, kind, text) VALUES (?, ?, ?, ?)", (time.time(), film, kind, text))

    def events(self, film: str | None = None, limit: int = 100) -> list[tuple[float, str | None, str, str]]:
        """The last events, oldest first: (seconds of the epoch, film, kind, text)."""
        where, values = ("WHERE film = ?", [film]) if film is not None else ("", [])
        rows = self._read(f"SELECT time, film, kind, text FROM events {where} ORDER BY id DESC LIMIT {limit}", values)
        return [(row[0], row[1], row[2], row[3]) for row in reversed(rows)]

    def set_meta(self, key: str, value: Any) -> None:
        """Remember a value of the batch itself."""
        self._write("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, json.dumps(value)))

    def meta(self, key: str) -> Any:
        """A value of the batch itself; None where there is none."""
        rows = self._read("SELECT value FROM meta WHERE key = ?", (key,))
        return json.loads(rows[0][0]) if rows else None

    # ---- questions ----------------------------------------------------------------------------------------------

    def films(self, names: Iterable[str] | None = None) -> list[FilmRow]:
        """The films in their order, with their shards counted; all of them, or those of these names."""
        only = None if names is None else set(names)
        done = {
            name: (count, frames, seconds)
            for name, count, frames, seconds in self._read(
                "SELECT film, count(*), sum(frames), total(seconds) FROM shards WHERE state = 'done' GROUP BY film"
            )
        }
        busy = {
            name: (count, worker, attempt, heartbeat)
            for name, count, worker, attempt, heartbeat in self._read(
                "SELECT film, count(*), worker, attempt, max(heartbeat) FROM shards WHERE state = 'running' "
                "GROUP BY film"
            )
        }
        rows = self._read(
            "SELECT name, source, target, state, stage, shards, frames, progress, sha256, seconds, error "
            "FROM films ORDER BY place, name"
        )
        found = []
        for name, source, target, state, stage, shards, frames, progress, sha256, seconds, error in rows:
            if only is not None and name not in only:
                continue
            count, frames_done, spent = done.get(name, (0, 0, 0.0))
            if state == "done":
                count, frames_done, progress = shards or count, frames or frames_done, 0
            workers, worker, attempt, heartbeat = busy.get(name, (0, None, None, None))
            found.append(
                FilmRow(
                    *(name, Path(source), Path(target), state, stage, shards, count, frames),
                    *(frames_done + progress, frames_done, sha256, spent if seconds is None else seconds, error),
                    *(workers, worker, attempt, heartbeat),
                )
            )
        return found

    def job(self, name: str) -> FilmJob | None:
        """The job of a film as it was last run."""
        rows = self._read("SELECT job FROM films WHERE name = ?", (name,))
        return FilmJob.from_dict(json.loads(rows[0][0])) if rows else None

    def shard_rows(self, film: str) -> list[dict[str, Any]]:
        """All that is known of a film's shards, by number."""
        names = [row[1] for row in self._read("PRAGMA table_info(shards)")]
        rows = self._read("SELECT * FROM shards WHERE film = ? ORDER BY number", (film,))
        return [dict(zip(names, row, strict=True)) for row in rows]

    def shard_seconds(self, film: str) -> float:
        """Seconds that went into a film's finished shards."""
        return float(self._read("SELECT total(seconds) FROM shards WHERE film = ? AND state = 'done'", (film,))[0][0])
