"""The file behind the ledger: opened, checked, set aside where it is damaged, written in transactions."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from videocolor.batch.state import state_folder
from videocolor.errors import InputError, OutputError

__all__ = ["LedgerFile", "ledger_path"]

logger = logging.getLogger(__name__)

_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE films (
    name TEXT PRIMARY KEY, place INTEGER NOT NULL, source TEXT NOT NULL, target TEXT NOT NULL, job TEXT NOT NULL,
    state TEXT NOT NULL, stage TEXT NOT NULL, shards INTEGER, frames INTEGER, progress INTEGER NOT NULL,
    sha256 TEXT, seconds REAL, error TEXT, changed REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE shards (
    film TEXT NOT NULL, number INTEGER NOT NULL, key TEXT NOT NULL, state TEXT NOT NULL, worker TEXT, attempt INTEGER,
    heartbeat REAL, sha256 TEXT, bytes INTEGER, frames INTEGER NOT NULL, first_pts INTEGER, last_pts INTEGER,
    seconds REAL, error TEXT, finished REAL, PRIMARY KEY (film, number)
) WITHOUT ROWID;
CREATE INDEX shard_states ON shards (film, state, frames, seconds);
CREATE TABLE events (id INTEGER PRIMARY KEY, time REAL NOT NULL, film TEXT, kind TEXT NOT NULL, text TEXT NOT NULL);
CREATE INDEX film_events ON events (film, id);
"""


def ledger_path(out: Path) -> Path:
    """Where the ledger of an output folder lies."""
    return state_folder(out) / "ledger.sqlite"


class LedgerFile:
    """An open ledger: by its one driver (see `DriverLock`) for writing, by anybody for reading.

    Every method that writes is one short transaction; `with ledger.together():` makes several into one.
    Used by one thread.

    Args:
        out: the output folder.
        write: open for writing, and make it where there is none; a damaged ledger is then set aside.

    Raises:
        InputError: opened for reading, there is none, or it is damaged.
        OutputError: it cannot be written.
    """

    def __init__(self, out: Path, *, write: bool = False) -> None:
        self.path = ledger_path(out)
        self.set_aside: Path | None = None
        """Where a damaged ledger was moved to."""
        self._depth = 0
        if write:
            self._db = self._open_for_writing()
        elif not self.path.is_file():
            raise InputError(f"{out}: no batch was run here ({self.path} is missing)")
        else:
            self._db = self._open_for_reading()

    def _open_for_reading(self) -> sqlite3.Connection:
        with _reading(self.path):
            db = _connect(self.path)
            db.execute("PRAGMA query_only = 1")
            _check(db, thorough=False)
            return db

    def _open_for_writing(self) -> sqlite3.Connection:
        with _writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.exists():
                try:
                    return self._prepare(_connect(self.path))
                except _Unusable as error:
                    self.set_aside = _put_aside(self.path)
                    logger.warning(
                        "%s is damaged (%s); set aside as %s and made anew from plans and shards",
                        *(self.path, error, self.set_aside.name),
                    )
            for suffix in ("-wal", "-shm"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)  # of a ledger that is gone
            return self._prepare(_connect(self.path))

    def _prepare(self, db: sqlite3.Connection) -> sqlite3.Connection:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            if not db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
                db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")
            _check(db, thorough=True)
        except sqlite3.DatabaseError as error:
            db.close()
            if isinstance(error, sqlite3.OperationalError) and not _is_damage(error):
                raise
            raise _Unusable(str(error)) from error
        except _Unusable:
            db.close()
            raise
        return db

    # ---- transactions -------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """All that is written inside is one transaction: all of it, or nothing after an error."""
        if self._depth:
            yield
            return
        with _writing(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            self._depth = 1
            try:
                yield
            except BaseException:
                self._db.rollback()
                raise
            else:
                self._db.commit()
            finally:
                self._depth = 0

    def _write(self, sql: str, values: Sequence[Any] = ()) -> None:
        with self.together():
            self._db.execute(sql, values)

    def _read(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with _reading(self.path):
            rows: list[tuple[Any, ...]] = self._db.execute(sql, values).fetchall()
            return rows

    def close(self) -> None:
        """Put everything into the one file, and let go of it."""
        with _writing(self.path):
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Unusable(Exception):
    """The file is no ledger any more."""


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=30, isolation_level=None)
    db.execute("PRAGMA busy_timeout = 30000")
    return db


def _check(db: sqlite3.Connection, *, thorough: bool) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version != _VERSION:
        raise _Unusable(f"version {version} of the ledger, expected {_VERSION}")
    names = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not {"meta", "films", "shards", "events"} <= names:
        raise _Unusable("tables are missing")
    if thorough:
        problem = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if problem != "ok":
            raise _Unusable(str(problem))


def _is_damage(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or any(
        word in str(error) for word in ("malformed", "not a database", "no such table", "no such column")
    )


def _put_aside(path: Path) -> Path:
    for number in range(1, 10_000):
        aside = path.with_name(f"ledger.damaged-{number}.sqlite")
        if not aside.exists():
            break
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.replace(aside.with_name(aside.name + suffix))
    return aside


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        full = "full" in str(error)
        raise OutputError(
            f"{path}: the ledger cannot be written ({error})" + ("; free some space" if full else "")
        ) from error


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, _Unusable) as error:
        raise InputError(f"{path}: the ledger is damaged ({error}); `videocolor batch run` makes it anew") from error
