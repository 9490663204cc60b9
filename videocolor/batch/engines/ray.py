"""Workers as actors of a Ray cluster: one that runs already, or one that is started here and ended with the engine.

An actor does one task at a time and streams its messages back (a Ray generator: they arrive in order, and those told
before an actor died are not lost). Only tasks and messages cross the object store: paths and small values, no frames.
Tasks are dealt by this process, to actors that have said hello; what waits is here, so a lost machine loses nothing
but what it was working on. An actor that is lost is replaced by a new one wherever there is room.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final, cast

import ray
from ray.exceptions import RayError

from videocolor.batch.engines.base import WORK, Engine
from videocolor.batch.engines.ray_worker import RayWorker
from videocolor.batch.engines.worker import cores, pack_task
from videocolor.batch.settings import EngineSettings
from videocolor.errors import DeviceError
from videocolor.shards.types import Task, WorkEvent
from videocolor.version import __version__

__all__ = ["RayEngine"]

logger = logging.getLogger(__name__)
_LOOK: Final = 0.25
"""Seconds between two looks at who is hung."""
_COUNT: Final = 30.0
"""Seconds between two counts of the cluster's machines, where workers are `auto`."""
_AT_ONCE: Final = 256
"""Messages that one call of `events` takes at most."""
_FAILED_STARTS: Final = 3
"""So many actors in a row that end before they say hello: something is wrong with all of them."""
_STORE_BYTES: Final = 100 * 2**20
"""Object store of a cluster started here; Ray takes no less than 75 MiB, and messages need less."""
_QUIET: Final = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
"""No usage statistics; Ray leaves CUDA_VISIBLE_DEVICES alone for workers without a GPU, and says nothing about it."""
_LOCAL: Final = {"RAY_gcs_rpc_server_reconnect_timeout_s": "5"}
"""For a cluster started here: when this process is killed, Ray's helpers give up after seconds, not a minute."""


@dataclass(eq=False)
class _Actor:
    """A worker and what it is doing."""

    handle: Any
    hello: Any
    """Reference to its answer; None once it has come."""
    born: float
    name: str = ""
    task: Task | None = None
    stream: Any = None
    """Generator of references to the task's messages."""
    heard: float = 0.0
    told: float = 0.0
    frames: Any = 0


class RayEngine(Engine):
    """One actor a worker, placed by Ray by what each reserves: CPUs, GPUs, memory."""

    def __init__(self, settings: EngineSettings, work: str = WORK) -> None:
        self._settings = settings
        self._work = work
        self._crew: dict[int, _Actor] = {}
        self._failed_starts = 0
        self._folder: str | None = None
        self._mine = not ray.is_initialized()
        self._undo = ExitStack()
        if self._mine:
            self._connect()
        try:
            self._gpus = self._share_of_gpu()
            workers = self._room() if settings.workers == "auto" else settings.workers
            if not workers:
                raise DeviceError(f"{self._no_room()}; see engine.cpus_per_task, gpus_per_task, memory_mb")
        except BaseException:
            self._disconnect()
            raise
        self._counted = time.monotonic()
        super().__init__(workers, settings.ahead)

    # The cluster

    def _connect(self) -> None:
        """Join the cluster, or start one.

        Raises:
            DeviceError: there is none at the address, or none can be started.
        """
        quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": self._settings.worker_stderr}
        self._undo.enter_context(_stdout_kept())
        try:
            with _signals_kept(), _environment({**_QUIET, **({} if self._settings.address else _LOCAL)}):
                if self._settings.address is not None:
                    ray.init(address=self._settings.address, **quiet)
                    return
                # Sockets lie below this folder, and their paths must stay below 104 characters: not under TMPDIR.
                parent = os.environ.get("RAY_TMPDIR") or ("/tmp" if os.access("/tmp", os.W_OK) else None)
                self._folder = tempfile.mkdtemp(prefix="vcray", dir=parent)
                ray.init(
                    address="local",
                    num_cpus=self._cpus(),
                    include_dashboard=False,
                    object_store_memory=_STORE_BYTES,
                    _temp_dir=self._folder,
                    **quiet,
                )
        except (RayError, OSError, RuntimeError, ValueError) as error:
            self._disconnect()
            address = self._settings.address
            hint = "; does it run, and are RAY_AUTH_MODE and RAY_AUTH_TOKEN_PATH set here as they are there?"
            raise DeviceError(
                f"{address or 'this machine'}: no Ray cluster to work on: {_first_line(error)}{hint if address else ''}"
            ) from error

    def _cpus(self) -> int:
        """CPUs that a cluster started here says it has: the machine's, or what the workers asked for reserve."""
        asked = 1 if self._settings.workers == "auto" else self._settings.workers
        return max(cores(), -int(-asked * self._settings.cpus_per_task // 1))

    def _disconnect(self) -> None:
        if self._mine:
            ray.shutdown()
        self._undo.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _share_of_gpu(self) -> float:
        asked = self._settings.gpus_per_task
        if asked != "auto":
            return asked
        return 1 if any(node["Resources"].get("GPU", 0) >= 1 for node in _nodes()) else 0

    def _needs(self) -> dict[str, float]:
        memory = (self._settings.memory_mb or 0) * 2**20
        return {"CPU": self._settings.cpus_per_task, "GPU": self._gpus, "memory": memory}

    def _room(self) -> int:
        """Workers that the cluster's machines have room for, were they empty."""
        needs = {name: amount for name, amount in self._needs().items() if amount}
        return sum(
            min((int(node["Resources"].get(name, 0) / amount) for name, amount in needs.items()), default=0)
            for node in _nodes()
        )

    def _no_room(self) -> str:
        needs = ", ".join(f"{amount:g} {name}" for name, amount in self._needs().items() if amount)
        has = "; ".join(
            f"{node['NodeManagerHostname']}: "
            + ", ".join(f"{node['Resources'].get(name, 0):g} {name}" for name in ("CPU", "GPU", "memory"))
            for node in _nodes()
        )
        return f"no machine of the Ray cluster has room for a worker ({needs}); it has {has or 'no machine'}"

    # The workers

    def _accept(self) -> None:
        idle = sum(actor.task is None for actor in self._crew.values())
        free = (slot for slot in range(self.workers) if slot not in self._crew)
        for _, slot in zip(range(len(self._waiting) - idle), free, strict=False):
            self._crew[slot] = self._start()

    def _start(self) -> _Actor:
        settings, needs = self._settings, self._needs()
        threads = max(1, round(settings.cpus_per_task)) if settings.threads == "auto" else settings.threads
        remote = ray.remote(cast(Any, RayWorker)).options(
            num_cpus=needs["CPU"],
            num_gpus=needs["GPU"],
            memory=needs["memory"] or None,
            max_restarts=0,  # replaced by us, so that the driver hears of it
            max_task_retries=0,
        )
        handle = remote.remote(self._work, settings.heartbeat_seconds, threads, self._gpus, sys.path)
        return _Actor(handle, handle.hello.remote(), time.monotonic())

    def _collect(self, timeout: float) -> Iterator[WorkEvent]:
        deadline = time.monotonic() + timeout
        found = 0
        while not found:
            self._notice_absence()
            self._count()
            for event in (*self._hung(), *self._deal()):
                found += 1
                yield event
            left = deadline - time.monotonic()
            wait = 0.0 if found else max(0.0, min(_LOOK, left))
            while actor := self._next(wait):
                wait = 0.0
                for event in self._take(actor):
                    found += 1
                    yield event
                if found >= _AT_ONCE:
                    return
            if left <= 0:
                return

    def _forgive(self, seconds: float) -> None:
        for actor in self._crew.values():
            actor.heard += seconds
            actor.told += seconds

    def _count(self) -> None:
        """Machines may join a cluster later."""
        if self._settings.workers == "auto" and time.monotonic() - self._counted > _COUNT:
            self._counted = time.monotonic()
            self.workers = max(self.workers, self._room())
            self.capacity = self.workers * (1 + self._settings.ahead)

    def _deal(self) -> Iterator[WorkEvent]:
        self._accept()
        for actor in self._crew.values():
            if not self._waiting:
                return
            if actor.task is None and actor.hello is None:
                task = self._waiting.popleft()
                actor.task, actor.frames = task, 0
                actor.heard = actor.told = time.monotonic()
                actor.stream = actor.handle.run.options(num_returns="streaming").remote(pack_task(task))
                yield WorkEvent("started", task.id, actor.name)

    def _next(self, wait: float) -> _Actor | None:
        """An actor that has something to say."""
        speaks = {actor.hello or actor.stream: actor for actor in self._crew.values() if actor.hello or actor.task}
        if not speaks:
            time.sleep(wait)
            return None
        ready, _ = ray.wait(list(speaks), num_returns=1, timeout=wait)
        return speaks[ready[0]] if ready else None

    def _take(self, actor: _Actor) -> Iterator[WorkEvent]:
        try:
            if actor.hello is not None:
                self._greet(actor, ray.get(actor.hello))
                return
            message = ray.get(next(actor.stream))
        except StopIteration:
            yield from self._lose(actor, "its task ended without a word")
        except RayError as error:
            yield from self._lose(actor, _first_line(error))
        else:
            yield from self._event(actor, message)

    def _greet(self, actor: _Actor, facts: dict[str, Any]) -> None:
        actor.hello, actor.name = None, str(facts["worker"])
        self._failed_starts = 0
        if facts["videocolor"] != __version__:
            raise DeviceError(
                f"worker {actor.name} has videocolor {facts['videocolor']}, this machine {__version__}: install the "
                "same version on all machines of the cluster"
            )
        if "unable" in facts:
            raise DeviceError(f"workers cannot start: {facts['unable']}")

    def _event(self, actor: _Actor, message: dict[str, Any]) -> Iterator[WorkEvent]:
        assert actor.task is not None
        task, kind = actor.task.id, message.pop("kind")
        message.pop("task", None)
        actor.heard = time.monotonic()
        if kind == "beat":
            yield WorkEvent("progress", task, actor.name, {"frames": actor.frames, "heartbeat": True})
            return
        actor.told = actor.heard
        if kind == "progress":
            actor.frames = message.get("frames", actor.frames)
        elif kind in ("done", "failed"):
            actor.task = actor.stream = None
        yield WorkEvent(kind, task, actor.name, message)

    def _hung(self) -> Iterator[WorkEvent]:
        now, limits = time.monotonic(), self._settings
        for actor in list(self._crew.values()):
            if actor.hello is not None and now - actor.born > limits.start_seconds:
                if not any(other.hello is None for other in self._crew.values()):
                    raise DeviceError(
                        f"no worker after {limits.start_seconds:g} s (engine.start_seconds): perhaps "
                        f"others use the cluster, or {self._no_room()}"
                    )
            elif actor.task is not None and now - actor.heard > limits.hung_seconds:
                yield from self._lose(actor, f"it said nothing for {limits.hung_seconds:g} s (engine.hung_seconds)")
            elif actor.task is not None and limits.stall_seconds and now - actor.told > limits.stall_seconds:
                why = f"it made no progress for {limits.stall_seconds:g} s (engine.stall_seconds)"
                yield from self._lose(actor, why)

    def _lose(self, actor: _Actor, why: str) -> Iterator[WorkEvent]:
        slot = next(slot for slot, other in self._crew.items() if other is actor)
        del self._crew[slot]
        ray.kill(actor.handle, no_restart=True)  # where the network was lost and not the actor, it must not go on
        if actor.task is not None:
            error = f"worker {actor.name} is lost: {why}"
            yield WorkEvent("lost", actor.task.id, actor.name, {"error": error})
            return
        self._failed_starts += 1
        if self._failed_starts >= _FAILED_STARTS:
            raise DeviceError(f"workers cannot start, {self._failed_starts} in a row: {why}")

    def _close(self) -> None:
        for actor in self._crew.values():
            ray.kill(actor.handle, no_restart=True)
        self._crew.clear()
        self._disconnect()


def _nodes() -> list[dict[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:3]) or type(error).__name__


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Variables for the processes that are started in the block; what stands there already is kept."""
    new = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(new)
    try:
        yield
    finally:
        for name in new:
            os.environ.pop(name, None)


@contextmanager
def _stdout_kept() -> Iterator[None]:
    """Ray prints what it has to say of lost workers on stdout, which is ours; it has no setting for that.

    Its own printing function is given stderr instead; where a future Ray has none of that name, nothing is changed.
    """
    module = ray._private.worker
    original = getattr(module, "print_worker_logs", None)
    if original is None:
        yield
        return
    module.print_worker_logs = lambda data, print_file, *rest, **named: original(data, sys.stderr, *rest, **named)
    try:
        yield
    finally:
        module.print_worker_logs = original


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray puts its own handler of SIGTERM in place of the program's."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
