"""One contract for all engines: what a driver may rely on, whoever works."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError
from ray_helpers import ray_cluster

from videocolor.engines.base import Engine, open_engine
from videocolor.engines.settings import ENGINES, EngineSettings
from videocolor.errors import DeviceError, UsageError
from videocolor.shards.types import Task, WorkEvent

WORK = "fake_work:work"
HERE = Path(__file__).parent
ENDINGS = ("done", "failed", "lost")
Open = Callable[..., Engine]


@pytest.fixture(scope="module", autouse=True)
def importable() -> Iterator[None]:
    """Workers find `fake_work`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(HERE)
        yield


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A Ray cluster that the module's tests share."""
    pytest.importorskip("ray", reason="extra `ray` is not installed")
    with ray_cluster(2) as cluster:
        yield cluster


OWN = os.environ.get("VIDEOCOLOR_ENGINE", "pipe_engine:PipeEngine")


@pytest.fixture(params=["local", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("ray", OWN))])
def opened(request: pytest.FixtureRequest) -> Iterator[Open]:
    """`opened(workers=2, ...)`: an engine of each kind, stopped in the end."""
    engines: list[Engine] = []
    kind: dict[str, Any] = {"kind": request.param}
    if request.param == "ray":
        kind |= {"address": request.getfixturevalue("cluster").address, "cpus_per_task": 1}

    def open_(work: str = WORK, **settings: Any) -> Engine:
        engines.append(open_engine(EngineSettings(**{**kind, "workers": 2, **settings}), work))
        return engines[-1]

    yield open_
    for engine in engines:
        engine.stop()


others_when_slow = pytest.mark.parametrize(
    "opened",
    [pytest.param(kind, marks=[] if kind == "local" else pytest.mark.slow) for kind in (*ENGINES, OWN)],
    indirect=True,
)
"""For what the engines' base does, or what takes Ray its time."""


def task(id: str, folder: Path, do: str, **job: Any) -> Task:
    return Task(id, {"do": do, "folder": str(folder), **job}, (0,))


def until(engine: Engine, done: Callable[[list[WorkEvent]], bool], seconds: float = 60) -> list[WorkEvent]:
    """Events until `done` says so."""
    events: list[WorkEvent] = []
    end = time.monotonic() + seconds
    while not done(events):
        assert time.monotonic() < end, f"after {seconds} s: {events}"
        events += engine.events(0.5)
    return events


def run(engine: Engine, tasks: Sequence[Task], seconds: float = 60) -> dict[str, list[WorkEvent]]:
    """All events of all tasks, by task; keeps the engine full."""
    waiting, events = list(tasks), []
    end = time.monotonic() + seconds
    while waiting or engine.unfinished:
        assert time.monotonic() < end, f"after {seconds} s: {events}"
        while waiting and engine.room:
            engine.submit(waiting.pop(0))
        assert len(engine.unfinished) <= engine.capacity
        events += engine.events(0.5)
    found: dict[str, list[WorkEvent]] = {task.id: [] for task in tasks}
    for event in events:
        found[event.task].append(event)
    return found


def kinds(events: Sequence[WorkEvent]) -> list[str]:
    return [event.kind for event in events if not event.data.get("heartbeat")]


def pids(folder: Path) -> set[int]:
    """Processes that tasks ran in."""
    return {int(path.suffixes[-2][1:]) for path in folder.glob("*.pid")}


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def gone(processes: set[int], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while any(alive(pid) for pid in processes):
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def test_all_tasks_end_once_and_in_order(opened: Open, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    engine = opened()
    found = run(engine, [task(f"t{i}", tmp_path, "count", frames=3) for i in range(9)])
    for id, events in found.items():
        assert kinds(events) == ["started", "progress", "progress", "progress", "shard", "done"], id
        assert [event.data["frames"] for event in events if event.kind == "progress"] == [1, 2, 3]
        shard = events[-2].data
        assert shard["record"] == {"number": 0, "path": str(tmp_path), "nan": None}, "plain values"
        assert shard["big"] == "ö" * 300_000
        assert "kind" not in shard
        assert len({event.worker for event in events}) == 1
    assert len(pids(tmp_path)) == len({events[0].worker for events in found.values()}) <= 2
    assert capfd.readouterr().out == "", "stdout is the driver's"


@others_when_slow
def test_the_task_arrives_as_it_was_and_workers_live_on(opened: Open, tmp_path: Path) -> None:
    engine = opened(workers=1)
    first = Task("a", {"do": "tell", "folder": str(tmp_path), "deep": {"x": [1, None, 2.5, "é"]}}, (3, 4), 2, 0.0)
    found = run(engine, [first, Task("b", {"do": "tell", "folder": str(tmp_path)}, None)])
    assert found["a"][1].data == {"shards": [3, 4], "none": False}
    assert found["b"][1].data == {"shards": [], "none": True}
    assert found["a"][2].data["job"] == first.job
    assert found["b"][2].data["seen"] == ["a", "b"], "one process, so a network stays loaded"


FAILURES = {
    "InputError": True,
    "UnsupportedVideoError": True,
    "HintError": True,
    "UsageError": True,
    "ModelError": True,
    "OutputError": False,
    "DeviceError": False,
    "OSError": False,
    "MemoryError": False,
    "ZeroDivisionError": False,
    "SystemExit": False,
}
"""Error of the work -> no second attempt would mend it."""


@others_when_slow
def test_failures(opened: Open, tmp_path: Path) -> None:
    engine = opened()
    tasks = [task(error, tmp_path, "fail", error=error) for error in FAILURES]
    found = run(engine, [*tasks, task("wrong", tmp_path, "wrong")])
    for error, permanent in FAILURES.items():
        assert kinds(found[error]) == ["started", "failed"]
        data = found[error][-1].data
        assert (data["type"], data["permanent"]) == (error, permanent)
        assert f"{error} of {error}" in data["error"]
        assert "fake_work.py" in data["traceback"]
    assert "kind 'done'" in found["wrong"][-1].data["error"], "only the engine says that a task is done"
    assert len(pids(tmp_path)) <= 2, "an error costs no worker"


@others_when_slow
def test_warnings_of_workers_arrive_once(opened: Open, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    engine = opened(workers=1)
    events = run(engine, [task("t", tmp_path, "warn")])["t"]
    assert [event.data for event in events if event.kind == "warning"] == [
        {"message": "logged and told", "shot": 3},
        {"message": "only logged"},
    ]
    assert "only logged" not in capfd.readouterr().err


@others_when_slow
def test_a_killed_worker_is_lost_and_the_others_go_on(
    opened: Open, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    engine = opened()
    jobs = [task(f"t{i}", tmp_path, "die" if i in (0, 3) else "count", frames=1) for i in range(6)]
    found = run(engine, jobs)
    for i in range(6):
        assert kinds(found[f"t{i}"])[-1] == ("lost" if i in (0, 3) else "done")
    last = found["t0"][-1]
    assert found["t0"][1].data == {"frames": 7}, "what it told before is not lost"
    assert last.worker in last.data["error"]
    assert run(engine, [task("t0", tmp_path, "count", frames=1)])["t0"][-1].kind == "done", "the same id again"
    assert capfd.readouterr().out == ""


@others_when_slow
def test_a_hung_worker_is_ended(opened: Open, tmp_path: Path) -> None:
    engine = opened(heartbeat_seconds=0.2, hung_seconds=2.5)
    found = run(engine, [task("frozen", tmp_path, "freeze"), task("slow", tmp_path, "sleep", seconds=3.2)])
    assert kinds(found["frozen"]) == ["started", "lost"]
    assert "hung_seconds" in found["frozen"][-1].data["error"]
    assert kinds(found["slow"]) == ["started", "progress", "done"], "a slow one is not hung"
    beats = [event.data for event in found["slow"] if event.data.get("heartbeat")]
    assert len(beats) >= 5
    assert beats[-1] == {"frames": 1, "heartbeat": True}


@others_when_slow
def test_a_stalled_worker_is_ended(opened: Open, tmp_path: Path) -> None:
    engine = opened(workers=1, heartbeat_seconds=0.2, stall_seconds=1.0)
    events = run(engine, [task("stalled", tmp_path, "sleep", seconds=100)])["stalled"]
    assert kinds(events) == ["started", "progress", "lost"]
    assert "stall_seconds" in events[-1].data["error"]


@others_when_slow
def test_bounded(opened: Open, tmp_path: Path) -> None:
    engine = opened(workers=2, ahead=2)
    assert (engine.workers, engine.capacity, engine.room) == (2, 6, 6)
    for i in range(6):
        began = time.monotonic()
        engine.submit(task(f"t{i}", tmp_path, "sleep", seconds=0.3))
        assert time.monotonic() - began < 1, "submit does not wait"
    with pytest.raises(UsageError, match="6 tasks are unfinished"):
        engine.submit(task("t6", tmp_path, "count", frames=1))
    assert engine.room == 0
    assert len(engine.unfinished) == 6
    events = until(engine, lambda events: sum(e.kind == "started" for e in events) >= 2)
    assert sum(e.kind == "started" for e in events) - sum(e.kind in ENDINGS for e in events) <= 2
    until(engine, lambda _: not engine.unfinished)
    assert engine.events(0) == []
    with pytest.raises(UsageError, match="stopped"):
        engine.stop() or engine.submit(task("late", tmp_path, "count", frames=1))


@others_when_slow
def test_one_id_once(opened: Open, tmp_path: Path) -> None:
    engine = opened()
    engine.submit(task("t", tmp_path, "count", frames=1))
    with pytest.raises(UsageError, match="of this id"):
        engine.submit(task("t", tmp_path, "count", frames=1))
    until(engine, lambda _: not engine.unfinished)


@others_when_slow
def test_stopping_in_the_middle_leaves_nobody(opened: Open, tmp_path: Path) -> None:
    engine = opened(grace_seconds=1.0)
    engine.submit(task("kind", tmp_path, "sleep", seconds=100))
    engine.submit(task("deaf", tmp_path, "stubborn", seconds=100))
    until(engine, lambda events: kinds(events).count("progress") == 2)
    with engine:
        pass
    assert len(pids(tmp_path)) == 2
    assert gone(pids(tmp_path), 60)
    assert engine.unfinished == frozenset()


@others_when_slow
def test_no_worker_can_start(opened: Open, tmp_path: Path) -> None:
    engine = opened("fake_work:nothing")
    engine.submit(task("t", tmp_path, "count"))
    with pytest.raises(DeviceError, match="fake_work:nothing"):
        until(engine, lambda _: False, 60)


DRIVER = """
import sys, time
from pathlib import Path
from videocolor.engines.base import open_engine
from videocolor.engines.settings import ENGINES, EngineSettings
from videocolor.shards.types import Task
settings = EngineSettings.model_validate_json(sys.argv[1])
with open_engine(settings, "fake_work:work") as engine:
    for do in sys.argv[3:]:
        engine.submit(Task(do, {"do": do, "folder": sys.argv[2], "seconds": 1000}, None))
    while True:
        for event in engine.events(1):
            print(event.kind, flush=True)
"""


@contextmanager
def driver(settings: EngineSettings, folder: Path, *do: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """A driver in a process group of its own, once all its tasks are being worked on."""
    environment = {**os.environ, **variables, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent.parent)])}
    command = [sys.executable, "-c", DRIVER, settings.model_dump_json(), str(folder), *do]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        for _ in range(2 * len(do)):
            assert process.stdout.readline().strip() in ("started", "progress")
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.slow
def test_when_the_driver_is_killed_so_are_its_workers(tmp_path: Path) -> None:
    with driver(EngineSettings(workers=2), tmp_path, "sleep", "stubborn") as process:
        workers = pids(tmp_path)
        assert len(workers) == 2
        assert all(alive(pid) for pid in workers)
        process.kill()
        assert gone(workers, 60), "1 s of grace; the rest is for a busy machine"
        assert (tmp_path / "sleep.cleaned").exists(), "who can, puts its files away"


@pytest.mark.slow
def test_heartbeats_that_nobody_hears_do_not_end_a_worker_that_tidies_up(tmp_path: Path) -> None:
    with driver(EngineSettings(workers=1, heartbeat_seconds=0.05), tmp_path, "tidy") as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "tidy.busy").exists() and time.monotonic() < deadline:
            time.sleep(0.02)  # what was heard of it so far may have been its heartbeat
        workers = pids(tmp_path)
        process.kill()
        assert gone(workers, 60)
        assert (tmp_path / "tidy.cleaned").exists()


@pytest.mark.slow
@pytest.mark.parametrize("own", [True, False])
def test_when_the_driver_is_killed_so_is_its_part_of_ray(own: bool, request: Any, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="extra `ray` is not installed")
    address = None if own else request.getfixturevalue("cluster").address
    settings = EngineSettings(kind="ray", workers=2, cpus_per_task=1, address=address)
    with (
        tempfile.TemporaryDirectory(prefix="vc", dir="/tmp", ignore_cleanup_errors=True) as short,
        driver(settings, tmp_path, "sleep", "stubborn", RAY_TMPDIR=short) as process,
    ):
        below = pids(tmp_path) | (children(process.pid) if own else set())
        assert len(below) >= (4 if own else 2)
        agents = {pid for pid in below if b"Agent" in Path(f"/proc/{pid}/cmdline").read_bytes()}
        process.kill()
        assert gone(below - agents, 30), "workers, raylet, head: at once; Ray's two agents look less often"


def children(pid: int) -> set[int]:
    """Processes that a process has started, and theirs."""
    found = {int(child) for file in Path(f"/proc/{pid}/task").glob("*/children") for child in file.read_text().split()}
    return found.union(*(children(child) for child in found))


@pytest.mark.slow
def test_a_node_is_killed_and_the_job_ends_whole(tmp_path: Path, cluster: Any) -> None:
    node = cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)
    with open_engine(EngineSettings(kind="ray", address=cluster.address, cpus_per_task=1), WORK) as engine:
        assert engine.workers == 3, "two CPUs here, one there"
        waiting: list[Task] = []
        ends: dict[str, list[str]] = {}
        again: dict[str, Task] = {}
        end = time.monotonic() + 200
        while node is not None or waiting or engine.unfinished:
            assert time.monotonic() < end, ends
            while (waiting or node is not None) and engine.room:
                if not waiting:  # there is work until the node has begun some, however late its worker starts
                    waiting.append(task(f"t{len(again)}", tmp_path, "sleep", seconds=1.0))
                    again[waiting[0].id], ends[waiting[0].id] = waiting[0], []
                engine.submit(waiting.pop())
            for event in engine.events(0.3):
                if event.kind in ENDINGS:
                    ends[event.task].append(event.kind)
                if event.kind == "lost":
                    waiting.append(again[event.task])
            if node is not None and len(pids(tmp_path)) == 3:
                cluster.remove_node(node, allow_graceful=False)
                node = None
    assert all(kinds == ["lost"] * (len(kinds) - 1) + ["done"] for kinds in ends.values()), ends
    assert 1 <= sum(len(kinds) - 1 for kinds in ends.values()) <= 2, "what ran there was lost, and nothing else"


@pytest.mark.slow
def test_no_room_and_no_cluster(tmp_path: Path, cluster: Any) -> None:
    with pytest.raises(DeviceError, match="room for a worker \\(64 CPU\\)"):
        open_engine(EngineSettings(kind="ray", address=cluster.address, cpus_per_task=64), WORK)
    settings = EngineSettings(kind="ray", address=cluster.address, cpus_per_task=64, workers=1, start_seconds=0.5)
    with open_engine(settings, WORK) as engine:
        engine.submit(task("t", tmp_path, "count", frames=1))
        with pytest.raises(DeviceError, match="start_seconds"):
            until(engine, lambda _: False)


@pytest.mark.slow
def test_a_suspended_driver_takes_nobody_for_hung(tmp_path: Path) -> None:
    settings = EngineSettings(workers=1, heartbeat_seconds=0.2, hung_seconds=1.0, stall_seconds=3.0)
    with driver(settings, tmp_path, "sleep") as process:
        process.send_signal(signal.SIGSTOP)
        time.sleep(5)
        process.send_signal(signal.SIGCONT)
        time.sleep(1)
        (worker,) = pids(tmp_path)
        assert alive(worker)
        assert process.stdout is not None
        process.kill()
        assert "lost" not in process.stdout.read()


@pytest.mark.slow
def test_ctrl_c_is_the_drivers(tmp_path: Path) -> None:
    with driver(EngineSettings(workers=1), tmp_path, "sleep") as process:
        (worker,) = pids(tmp_path)
        os.kill(worker, signal.SIGINT)
        time.sleep(0.3)
        assert alive(worker)
        os.killpg(process.pid, signal.SIGINT)
        process.wait(60)
        assert gone({worker}, 60)
        assert (tmp_path / "sleep.cleaned").exists()


def test_threads_are_dealt(tmp_path: Path) -> None:
    with open_engine(EngineSettings(workers=1, threads=3), WORK) as engine:
        events = run(engine, [task("t", tmp_path, "tell", config={"model": {"device": "cpu", "threads": None}})])["t"]
    told = events[2].data
    assert told["env"] == "3"
    assert told["job"]["config"]["model"] == {"device": "cpu", "threads": 1}, "half, as in colorize"


@pytest.mark.slow
def test_each_worker_has_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("videocolor.engines.local.visible_gpus", lambda: ["4", "7"])
    with open_engine(EngineSettings(), WORK) as engine:
        assert engine.workers == 2, "auto: one a GPU"
        jobs = [task(f"t{i}", tmp_path, "gpu", seconds=0.5) for i in range(4)]
        found = run(engine, jobs)
    dealt = {(events[1].worker, events[1].data["gpu"]) for events in found.values()}
    assert len(dealt) == 2, "each worker keeps its own"
    assert {gpu for _, gpu in dealt} == {"4", "7"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kind": "local", "address": "auto"}, "kind ray"),
        ({"kind": "ray", "address": "ray://host:10001"}, "Ray Client"),
        ({"heartbeat_seconds": 5.0, "hung_seconds": 6.0}, "twice"),
        ({"kind": "ray", "cpus_per_task": 0, "gpus_per_task": 0}, "above 0"),
        ({"kind": "rya"}, "did you mean ray"),
        ({"workers": 0}, "workers"),
        ({"workers": True}, "workers"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        EngineSettings(**settings)


@pytest.mark.parametrize(
    ("kind", "words"),
    [("fake_work:Nothing", "cannot be imported"), ("nowhere:X", "nowhere"), ("fake_work:work", "is no Engine")],
)
def test_engines_that_are_none(kind: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        open_engine(EngineSettings(kind=kind), WORK)


@pytest.mark.slow
def test_an_engine_is_added_as_the_manual_says(root: Path, tmp_path: Path) -> None:
    """The steps of docs/guides/cluster.md, "Add an engine"; the contract runs on it with the slow tests."""
    manual = (root / "docs/guides/cluster.md").read_text().partition("## Add an engine")[2].partition("\n## ")[0]
    for name in ("_accept", "_collect", "_close"):
        assert name in manual and name in Engine.__abstractmethods__
    for path in ("tests/engines/test_engines.py", "tests/engines/pipe_engine.py", "videocolor/engines/settings.py"):
        assert path in manual and (root / path).is_file()
    assert "VIDEOCOLOR_ENGINE=" in manual and "`ENGINES`" in manual
    with open_engine(EngineSettings(kind="pipe_engine:PipeEngine", workers=2), WORK) as engine:
        found = run(engine, [task(f"t{i}", tmp_path, "count" if i else "die", frames=1) for i in range(3)])
    assert [kinds(events)[-1] for events in found.values()] == ["lost", "done", "done"]


def test_examples_for_clusters_are_well_formed(root: Path) -> None:
    folder = root / "docs" / "guides" / "cluster"
    subprocess.run(["bash", "-n", folder / "slurm.sh"], check=True)
    job = yaml.safe_load((folder / "kuberay.yaml").read_text())
    for text in ((folder / "slurm.sh").read_text(), job["spec"]["entrypoint"]):
        assert re.search(r"videocolor batch run \S+ -o \S+ --engine ray --address \S+", text)
    pods = [job["spec"]["rayClusterSpec"]["headGroupSpec"], *job["spec"]["rayClusterSpec"]["workerGroupSpecs"]]
    assert len(pods) == 2
    for pod in pods:
        assert pod["template"]["spec"]["containers"][0]["volumeMounts"] == [
            {"name": "archive", "mountPath": "/archive"}
        ]
