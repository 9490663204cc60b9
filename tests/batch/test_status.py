"""The list of films and the report of the driver: what `status` and later runs read, and what becomes of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from batch import fakes

from videocolor.batch.jobs import read_jobs
from videocolor.batch.run import BatchResult, failed_jobs, run_batch
from videocolor.batch.settings import BatchConfig
from videocolor.batch.state import read_batch, state_folder
from videocolor.batch.status import batch_status
from videocolor.errors import InputError
from videocolor.presets import load_model


def config() -> BatchConfig:
    return load_model(BatchConfig, "batch", None, ["work.backoff_seconds=0", "disk.reserve_gb=0"])


def run(folder: Path, *names: str, **more: Any) -> BatchResult:
    """Run some reels of folder/in."""
    jobs = read_jobs(folder / "in", folder / "out", config()).jobs
    chosen = [job for job in jobs if not names or job.name in names]
    return run_batch(chosen, folder / "out", config(), steps=fakes.fake_steps(), **more)


def states(out: Path) -> dict[str, str]:
    return {film.name: film.state for film in batch_status(out).films}


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    """Reels a, b and c; b fails at its third shard."""
    for name in "abc":
        trouble = {"trouble": {"shard": 2, "kind": "broken", "times": 1}} if name == "b" else {}
        fakes.reel(tmp_path / f"in/{name}.mkv", [3] * 9, **trouble)
    return tmp_path


def test_finished_films_stay_when_other_reels_come(batch: Path) -> None:
    run(batch, "a", "b")
    assert states(batch / "out") == {"a": "done", "b": "failed"}
    run(batch, "c")
    assert list(states(batch / "out").items()) == [("c", "done"), ("a", "done")]
    run(batch, "b", others=True, retry=True)
    assert list(states(batch / "out").items()) == [("c", "done"), ("a", "done"), ("b", "done")]


@pytest.mark.parametrize("content", [None, b"", b'{"films": [', b'{"films": [{"name": "a"}]}', b"\xff" * 99])
def test_a_lost_report_is_no_loss(content: bytes | None, batch: Path) -> None:
    """What is done follows from receipts, plans and records alone."""
    out = batch / "out"
    run(batch)
    report = state_folder(out) / "status.json"
    if content is None:
        report.unlink()
    else:
        report.write_bytes(content)
    assert states(out) == {"a": "done", "b": "planned", "c": "done"}
    done = run(batch, retry=True)
    assert done.ok and [film.made_now for film in done.films] == [False, True, False]
    assert states(out) == {"a": "done", "b": "done", "c": "done"}


def test_a_damaged_list_of_films_is_written_again(batch: Path) -> None:
    out = batch / "out"
    run(batch)
    path = state_folder(out) / "batch.json"
    before = json.loads(path.read_text())
    path.write_text("{")
    with pytest.raises(InputError, match="batch run"):
        failed_jobs(out)
    assert [film.made_now for film in run(batch, retry=True).films] == [False, True, False]
    assert json.loads(path.read_text()) == before
    assert [job.name for job in read_batch(out)[1]] == ["a", "b", "c"]


def test_no_batch(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no batch was run here"):
        batch_status(tmp_path)


def test_shards_of_a_failed_film_are_counted(batch: Path) -> None:
    run(batch)
    film = batch_status(batch / "out").films[1]
    assert (film.state, film.shards, film.shards_done, film.frames, film.frames_done) == ("failed", 5, 2, 27, 12)
    assert film.error is not None and "broken" in film.error and film.workers == 0
