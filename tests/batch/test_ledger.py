"""The ledger: what it counts, who may write it, and what becomes of a damaged one."""

from __future__ import annotations

import json
import os
import random
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from batch import fakes

from videocolor.batch.jobs import read_jobs
from videocolor.batch.ledger import Ledger, ledger_path
from videocolor.batch.lock import DriverLock, lock_holder
from videocolor.batch.run import run_batch
from videocolor.batch.settings import BatchConfig
from videocolor.batch.state import state_folder
from videocolor.errors import InputError, OutputError, UsageError
from videocolor.presets import load_model
from videocolor.shards.types import FilmJob, ShardRecord


def config(*settings: str) -> BatchConfig:
    return load_model(BatchConfig, "batch", None, ["work.backoff_seconds=0", "disk.reserve_gb=0", *settings])


def film(out: Path, name: str = "a") -> FilmJob:
    return FilmJob(name, Path(f"/reels/{name}.mkv"), out / f"{name}.mkv", {}, state_folder(out) / "shards" / name)


def record(number: int, frames: int = 10) -> ShardRecord:
    return ShardRecord(number, f"key{number}", "f", "5ha", 99, frames, number * 10, number * 10 + 9, 2.5, "w1")


def planned(out: Path, shards: int = 4) -> list[Any]:
    source = fakes.reel(out.parent / "reel.mkv", [10] * shards, shards=1)
    job = FilmJob("a", source, out / "a.mkv", {"chroma": {"saturation": 1.0}}, out / "work")
    return list(fakes.make_plan(job).shards)


def test_states_of_a_shard(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with Ledger(out, write=True) as ledger:
        ledger.put_films([film(out)])
        assert ledger.films()[0].shards is None
        ledger.put_plan("a", planned(out), [record(1)])
        ledger.film_running("a", "coloring")
        ledger.shard_running("a", 0, "host:7", 2)
        ledger.heartbeat("a", "host:7", 4)
        (row,) = ledger.films()
        assert (row.shards, row.shards_done, row.frames, row.frames_done, row.frames_in_shards) == (4, 1, 40, 14, 10)
        assert (row.state, row.stage, row.workers, row.worker, row.attempt) == ("running", "coloring", 1, "host:7", 2)
        assert abs(time.time() - (row.heartbeat or 0)) < 60
        ledger.shard_done("a", record(0))
        first = ledger.shard_rows("a")[0]
        assert (first["state"], first["sha256"], first["frames"]) == ("done", "5ha", 10)
        assert (first["first_pts"], first["last_pts"], first["seconds"]) == (0, 9, 2.5)
        ledger.shard_failed("a", 2, 3, "gone")
        ledger.film_failed("a", "shard 2: gone")
    with Ledger(out) as ledger:
        (row,) = ledger.films()
        assert (row.state, row.error, row.seconds, row.workers) == ("failed", "shard 2: gone", 5.0, 0)
        failed = ledger.shard_rows("a")[2]
        assert (failed["state"], failed["attempt"], failed["error"]) == ("failed", 3, "gone")
        assert ledger.job("a") == film(out) and ledger.job("b") is None


def test_what_runs_when_the_driver_dies_is_planned_again(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with Ledger(out, write=True) as ledger:
        ledger.put_films([film(out)])
        ledger.put_plan("a", planned(out), [])
        ledger.film_running("a", "coloring")
        ledger.shard_running("a", 0, "w", 1)
        ledger.stop_running()
        assert ledger.films()[0].state == "planned"
        assert {row["state"] for row in ledger.shard_rows("a")} == {"planned"}


def test_all_or_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with Ledger(out, write=True) as ledger:
        ledger.put_films([film(out)])
        with pytest.raises(ZeroDivisionError), ledger.together():
            ledger.film_failed("a", "x")
            ledger.log("note", "y")
            raise ZeroDivisionError
        assert ledger.films()[0].state == "planned" and ledger.events() == []


def test_readers_do_not_write_and_do_not_wait(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with Ledger(out, write=True) as ledger:
        ledger.put_films([film(out)])
        with ledger.together():
            ledger.film_failed("a", "x")
            with Ledger(out) as reader:
                assert reader.films()[0].state == "planned", "not committed yet"
                with pytest.raises(OutputError):
                    reader.film_failed("a", "y")


def test_finished_films_stay_when_other_reels_come(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with Ledger(out, write=True) as ledger:
        ledger.put_films([film(out, "a"), film(out, "b")])
        ledger.film_done("a", frames=4, shards=1, sha256="x", seconds=1.0)
        ledger.put_films([film(out, "c")])
        assert [row.name for row in ledger.films()] == ["c", "a"]
        ledger.put_films([film(out, "d")], others=True)
        assert [row.name for row in ledger.films()] == ["c", "a", "d"]


def _truncate(path: Path, seed: int) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: random.Random(seed).randrange(100, len(data) // 2)])


def _garble(path: Path, seed: int) -> None:
    data = bytearray(path.read_bytes())
    for place in random.Random(seed).sample(range(len(data)), len(data) // 20):
        data[place] ^= 0xFF
    path.write_bytes(bytes(data))


def _empty(path: Path, seed: int) -> None:
    path.write_bytes(b"")


def _other_program(path: Path, seed: int) -> None:
    path.write_text("not a data base at all\n" * 100)


def _older_version(path: Path, seed: int) -> None:
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.commit()
    db.close()


@pytest.mark.parametrize("damage", [_truncate, _garble, _empty, _other_program, _older_version])
def test_a_damaged_ledger_is_made_anew_from_the_facts(damage: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    good = fakes.reel(tmp_path / "in/a.mkv", [3] * 9)
    fakes.reel(tmp_path / "in/b.mkv", [3] * 9, trouble={"shard": 2, "kind": "broken", "times": 1})
    jobs = read_jobs(tmp_path / "in", out, config()).jobs
    assert not run_batch(jobs, out, config(), steps=fakes.fake_steps()).ok
    shards = {file.name: file.stat().st_mtime_ns for file in (state_folder(out) / "shards/b").glob("*.txt")}
    assert len(shards) == 2
    made = (out / "a_colorized.mkv").stat()
    damage(ledger_path(out), 5)
    said: list[str] = []
    done = run_batch(
        *(jobs, out, config()), steps=fakes.fake_steps(), observer=lambda e: said.append(str(e.data.get("message")))
    )
    assert done.ok and [film.made_now for film in done.films] == [False, True]
    assert (out / "a_colorized.mkv").stat() == made and (out / "a_colorized.mkv").read_text() == fakes.expected(good)
    with Ledger(out) as ledger:
        assert [(row.state, row.shards_done) for row in ledger.films()] == [("done", 5), ("done", 5)]
    if damage is not _empty:  # SQLite takes an empty file for a new one
        assert any("set aside" in text for text in said)
        assert list(state_folder(out).glob("ledger.damaged-1.sqlite"))


def test_the_tail_of_the_log_is_lost(tmp_path: Path) -> None:
    """Power loss: the last transactions are not there, or half there; what was before is."""
    out = tmp_path / "out"
    program = (
        "import os, sys; sys.path[:0] = ['tests']; from pathlib import Path\n"
        "from videocolor.batch.ledger import Ledger; from batch.test_ledger import film, planned, record\n"
        f"out = Path({str(out)!r}); ledger = Ledger(out, write=True); ledger.put_films([film(out)])\n"
        "ledger.put_plan('a', planned(out, 40), [])\n"
        "[ledger.shard_done('a', record(n)) for n in range(40)]; os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", program], check=False, timeout=60)
    wal = ledger_path(out).with_name("ledger.sqlite-wal")
    whole, counts = wal.read_bytes(), []
    for seed in range(4):
        wal.write_bytes(whole[: random.Random(seed).randrange(len(whole))])
        ledger_path(out).with_name("ledger.sqlite-shm").unlink(missing_ok=True)
        copy = tmp_path / str(seed) / "out"
        state_folder(copy).mkdir(parents=True)
        for suffix in ("", "-wal"):
            (state_folder(copy) / f"ledger.sqlite{suffix}").write_bytes(
                ledger_path(out).with_name(f"ledger.sqlite{suffix}").read_bytes()
            )
        with Ledger(copy, write=True) as ledger:
            counts.append(sum(row.shards_done for row in ledger.films()))
            ledger.put_films([film(copy)])
    assert all(0 <= count <= 40 for count in counts) and len(set(counts)) > 1


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no batch was run here"):
        Ledger(tmp_path)


def test_many_films_cost_few_questions(tmp_path: Path) -> None:
    """The status of any number of films is a fixed number of statements, each by an index."""
    out = tmp_path / "out"
    with Ledger(out, write=True) as ledger:
        counts = []
        for many in (2, 60):
            ledger.put_films([film(out, f"f{n}") for n in range(many)])
            for n in range(many):
                ledger.put_plan(f"f{n}", planned(out), [record(1)])
            asked: list[str] = []
            ledger._db.set_trace_callback(asked.append)
            assert sum(row.shards_done for row in ledger.films()) == many
            ledger._db.set_trace_callback(None)
            counts.append(len(asked))
            plans = [
                row[3] for sql in asked if "shards" in sql for row in ledger._db.execute(f"EXPLAIN QUERY PLAN {sql}")
            ]
            assert any("COVERING INDEX shard_states" in plan for plan in plans)
        assert counts[0] == counts[1] <= 4


def test_the_lock_dies_with_its_holder(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from videocolor.batch.lock import DriverLock\n"
        f"lock = DriverLock(Path({str(tmp_path)!r})); print('held', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdin is not None
    assert child.stdout.readline() == "held\n"
    with pytest.raises(UsageError, match=f"process {child.pid} on {socket.gethostname()} is working on it"):
        DriverLock(tmp_path)
    holder = lock_holder(tmp_path)
    assert holder is not None and holder.pid == child.pid
    child.kill()
    child.wait()
    child.stdin.close()
    child.stdout.close()
    assert lock_holder(tmp_path) is None
    with DriverLock(tmp_path):
        assert (lock_holder(tmp_path) or holder).pid == os.getpid()
    assert lock_holder(tmp_path) is None


def test_a_driver_of_another_machine(tmp_path: Path) -> None:
    """Where locks are not shared between machines, a claim that was renewed lately counts; an old one does not."""
    claim = tmp_path / "driver.lock"
    claim.write_text(json.dumps({"pid": 1, "host": "elsewhere", "since": time.time()}))
    with pytest.raises(UsageError, match="process 1 on elsewhere"):
        DriverLock(tmp_path)
    assert lock_holder(tmp_path) is not None
    os.utime(claim, (time.time() - 1000, time.time() - 1000))
    assert lock_holder(tmp_path) is None
    with DriverLock(tmp_path):
        pass
