"""The driver dies at any moment, and files are lost with the power: run again, the batch finishes and is the same."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from batch import fakes
from conftest import ROOT

from videocolor.batch.gate import pause, paused, resume
from videocolor.batch.jobs import read_jobs
from videocolor.batch.manifest import MANIFEST
from videocolor.batch.run import BatchResult, run_batch
from videocolor.batch.settings import BatchConfig
from videocolor.batch.state import read_file, state_folder
from videocolor.batch.status import batch_status
from videocolor.engines.worker import DRAIN
from videocolor.presets import load_model

PROGRAM = """
import sys
sys.path[:0] = ["tests"]
from batch.test_driver_kills import run_here
run_here({folder!r}, {workers})
"""
REELS = {"a.mkv": [2] * 12, "b/a.mkv": [4, 1, 3, 2, 2, 2], "c.mp4": [5]}


def settings(workers: int) -> BatchConfig:
    values = [f"engine.workers={workers}", "work.backoff_seconds=0", "work.shards_per_task=1", "disk.reserve_gb=0"]
    return load_model(BatchConfig, "batch", None, values)


def run_here(folder: str, workers: int) -> BatchResult:
    config, root = settings(workers), Path(folder)
    jobs = read_jobs(root / "in", root / "out", config).jobs
    return run_batch(jobs, root / "out", config, steps=fakes.process_steps())


def start(folder: Path, workers: int) -> subprocess.Popen[bytes]:
    program = PROGRAM.format(folder=str(folder), workers=workers)
    return subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE
    )


def reels(folder: Path) -> None:
    for name, shots in REELS.items():
        fakes.reel(folder / "in" / name, shots, pause=0.03)


def killed_at(folder: Path, workers: int, seconds: float) -> bool:
    """Start the driver and kill it that long after its first sign of life; False: it was done before."""
    process = start(folder, workers)
    deadline = time.monotonic() + 100
    while (
        not (state_folder(folder / "out") / "batch.json").exists()
        and time.monotonic() < deadline
        and process.poll() is None
    ):
        time.sleep(0.005)
    time.sleep(seconds)
    alive = process.poll() is None
    process.kill()
    _, error = process.communicate(timeout=100)
    assert alive or process.returncode == 0, error.decode()
    return alive


def check(folder: Path) -> None:
    """Run to the end; every film is what it would have been, and nothing is left over."""
    out = folder / "out"
    done = run_here(str(folder), 2)
    assert done.ok, done.failed
    for name in REELS:
        result = (out / name).with_name(f"{Path(name).stem}_colorized.mkv")
        assert result.read_text() == fakes.expected(folder / "in" / name)
    left = [path for path in out.rglob("*") if path.is_file() and state_folder(out) not in path.parents]
    assert len(left) == len(REELS) + 1 and out / MANIFEST in left, left
    assert not any((state_folder(out) / "shards").iterdir())
    assert {row.state for row in batch_status(out).films} == {"done"}


def kill_and_check(seed: int, folder: Path, *, power: bool) -> None:
    chance = random.Random(seed)
    reels(folder)
    for _ in range(chance.randint(1, 3)):
        if not killed_at(folder, chance.choice([1, 2]), chance.uniform(0.0, 1.2)):
            break
        if power:
            lose_power(folder / "out", chance)
    check(folder)


def lose_power(out: Path, chance: random.Random) -> None:
    """Damage what a loss of power may damage: files that nobody waited for, and, to be strict, the status report.

    Synced are plans, records, receipts, and shards (the steps under test write them by `write_atomically`).
    """
    state = state_folder(out)
    parts = [path for path in state.rglob(".*") if path.is_file()]
    for path in sorted([*(state / "logs").glob("*.log"), *parts, *state.glob("status.json")]):
        os.truncate(path, chance.randint(0, path.stat().st_size))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(21))
def test_killed_often(seed: int, tmp_path: Path) -> None:
    kill_and_check(seed, tmp_path, power=False)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 121))
def test_power_is_lost_often(seed: int, tmp_path: Path) -> None:
    kill_and_check(seed, tmp_path, power=True)


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.slow
def test_signals_stop_cleanly(sent: signal.Signals, code: int, tmp_path: Path) -> None:
    """By the command line itself, whose films are real; see test_films for what comes out of them."""
    from media import make_film

    (tmp_path / "in").mkdir()
    make_film(tmp_path / "in/a.mkv", frames=250, codec="mpeg4", size=(640, 480), options={"qscale": "5"})
    command = [sys.executable, "-m", "videocolor", "batch", "run", str(tmp_path / "in"), "-o", str(tmp_path / "out")]
    process = subprocess.Popen(
        [*command, "--set", "model.name=constant", "--set", "output.preset=slow", "--json"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    while '"batch"' not in process.stdout.readline():
        assert process.poll() is None, "ended before it could be stopped"
    process.send_signal(sent)
    _, error = process.communicate(timeout=60)
    assert process.returncode == code, error
    assert "what is finished stays" in error and "Traceback" not in error
    assert not (tmp_path / "out/a_colorized.mkv").exists()
    assert [row.state for row in batch_status(tmp_path / "out").films] == ["planned"]


@pytest.mark.slow
def test_killed_while_it_is_paused(tmp_path: Path) -> None:
    fakes.reel(tmp_path / "in/long.mkv", [2] * 100, pause=0.2)
    folder = state_folder(tmp_path / "out")
    process = start(tmp_path, 2)
    try:
        _wait(lambda: any(folder.glob("shards/long/*.txt")))
        pause(folder, "")
        _wait(lambda: bool((read_file(folder / "status.json") or {}).get("waiting")))
    finally:
        process.kill()
        process.communicate(timeout=100)
    assert paused(folder) is not None
    resume(folder)
    fakes.reel(tmp_path / "in/long.mkv", [2] * 100)
    assert run_here(str(tmp_path), 2).ok and not (folder / DRAIN).exists()
    assert (tmp_path / "out/long_colorized.mkv").read_text() == fakes.expected(tmp_path / "in/long.mkv")


def _wait(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 100
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.005)
