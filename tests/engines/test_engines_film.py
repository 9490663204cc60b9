"""The same job on every engine gives the same film, with real work; also when a machine is lost in the middle."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from films import packets_of, samples_of, write_reel
from ray_helpers import ray_cluster

from videocolor.batch.jobs import read_jobs
from videocolor.batch.reporting import log_path
from videocolor.batch.run import run_batch
from videocolor.batch.settings import BatchConfig
from videocolor.batch.status import batch_status

SETTINGS = ("model.name=constant", "output.codec=ffv1", "shots.shard=1")
SHOTS = ((1, 30), (2, 30), (1, 24), (3, 40))
"""(scene, frames): the third shot returns to the first."""


@pytest.fixture(scope="module")
def reels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two reels of several shots and shards."""
    folder = tmp_path_factory.mktemp("reels")
    write_reel(folder / "a.mkv", SHOTS)
    write_reel(folder / "b.mkv", [(seed + 10, frames) for seed, frames in SHOTS])
    return folder


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A node with one CPU; others can join it and be lost."""
    pytest.importorskip("ray", reason="extra `ray` is not installed")
    with ray_cluster(1) as cluster:
        yield cluster


def run(reels: Path, out: Path, **engine: Any) -> dict[str, Any]:
    """What comes out: of each film the digest and time of every frame, and of the other streams' packets."""
    values = {
        "engine": engine,
        "films": {"settings": SETTINGS},
        "work": {"shards_per_task": 1, "plan": "ahead", "backoff_seconds": 0},
        "disk": {"check": False},
    }
    config = BatchConfig.model_validate(values)
    result = run_batch(read_jobs(reels, out, config).jobs, out, config)
    assert result.ok, result.failed
    return {path.name: (samples_of(path), packets_of(path)) for path in sorted(out.glob("*.mkv"))}


@pytest.fixture(scope="module")
def alone(reels: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one local worker makes."""
    out = tmp_path_factory.mktemp("alone")
    films = run(reels, out, kind="local", workers=1)
    assert [len(samples) for samples, _ in films.values()] == [sum(frames for _, frames in SHOTS)] * 2
    assert all((row.shards or 0) >= 4 for row in batch_status(out).films), "work for several workers"
    return films


@pytest.mark.slow
def test_two_local_workers_make_the_same(reels: Path, alone: dict[str, Any], tmp_path: Path) -> None:
    assert run(reels, tmp_path, kind="local", workers=2) == alone


@pytest.mark.slow
def test_ray_makes_the_same_though_a_node_is_killed(
    reels: Path, alone: dict[str, Any], tmp_path: Path, cluster: Any
) -> None:
    node = cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)
    killed = threading.Event()

    def kill() -> None:
        end = time.monotonic() + 60
        while not _works(node) and time.monotonic() < end:
            time.sleep(0.01)
        cluster.remove_node(node, allow_graceful=False)
        killed.set()

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        films = run(reels, tmp_path, kind="ray", address=cluster.address, cpus_per_task=1)
    finally:
        thread.join()
    assert killed.is_set()
    assert films == alone
    logs = [path.read_text() for path in log_path(tmp_path, "x").parent.iterdir()]
    assert any("is lost" in log for log in logs), logs


def _works(node: Any) -> bool:
    """Whether a worker of a node is busy with a task: Ray says so in the title of its process."""
    raylet = node.all_processes["raylet"][0].process.pid
    children = Path(f"/proc/{raylet}/task/{raylet}/children").read_text().split()
    titles = [Path(f"/proc/{child}/cmdline") for child in children]
    return any(title.exists() and title.read_bytes().startswith(b"ray::RayWorker.run") for title in titles)
