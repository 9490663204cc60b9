"""Workers as actors of a Ray cluster: one that runs already, or one that is started here and ended with the engine.

An actor does one task at a time and streams its messages back (a Ray generator: they come in order, and those sent
before an actor died are not lost). Only tasks and messages cross the object store: paths and small values, no frames.
This process gives tasks to actors that have answered, and keeps what waits, so a lost machine loses nothing but what it
was working on. A lost actor is replaced wherever there is room.
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

from videocolor.concurrency.cores import cores
from videocolor.engines.crew import CrewEngine, Worker
from videocolor.engines.ray_worker import RayWorker
from videocolor.engines.settings import EngineSettings
from videocolor.engines.worker import pack_task
from videocolor.errors import DeviceError, UsageError
from videocolor.shards.types import Task, WorkEvent
from videocolor.version import __version__

try:
    import ray
    from ray.exceptions import RayError
except ModuleNotFoundError as error:
    raise UsageError("engine ray needs Ray: pip install 'videocolor[ray]'") from error

__all__ = ["RayEngine"]

_COUNT: Final = 30.0
"""Seconds between two counts of the cluster's machines, with workers `auto`."""
_AT_ONCE: Final = 256
"""Messages taken at once at most."""
_STORE_BYTES: Final = 100 * 2**20
"""Object store of a cluster started here; Ray takes no less than 75 MiB, and messages need less."""
_QUIET: Final = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
"""No usage statistics; Ray leaves CUDA_VISIBLE_DEVICES alone for workers without a GPU, without a warning."""
_LOCAL: Final = {"RAY_gcs_rpc_server_reconnect_timeout_s": "5"}
"""For a cluster started here: if this process is killed, Ray's helpers give up after seconds, not a minute."""


@dataclass(eq=False, kw_only=True)
class _Actor(Worker):
    """A worker actor."""

    slot: int
    handle: Any
    hello: Any
    """Reference to its greeting; None once it has come."""
    stream: Any = None
    """Generator of references to the task's messages."""


class RayEngine(CrewEngine[_Actor]):
    """One actor per worker, placed by Ray by what each reserves: CPUs, GPUs, memory."""

    def __init__(self, settings: EngineSettings, work: str) -> None:
        self._settings = settings
        self._work = work
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
        super().__init__(settings, workers)

    # ---- the cluster --------------------------------------------------------------------------------------------

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
                # Sockets are in this folder, and their paths must stay below 104 characters: not under TMPDIR.
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
        """Return the CPUs of a cluster started here: the machine's, or what the workers reserve."""
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
        """Return how many workers the cluster's machines have room for when they are empty."""
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

    # ---- the workers --------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        if self._settings.workers == "auto" and time.monotonic() - self._counted > _COUNT:
            self._counted = time.monotonic()  # machines may join a cluster later
            self.workers = max(self.workers, self._room())
            self.capacity = self.workers * (1 + self._settings.ahead)
        super()._accept()

    def _start(self, slot: int) -> _Actor:
        settings, needs = self._settings, self._needs()
        threads = max(1, round(settings.cpus_per_task)) if settings.threads == "auto" else settings.threads
        remote = ray.remote(cast("Any", RayWorker)).options(
            num_cpus=needs["CPU"],
            num_gpus=needs["GPU"],
            memory=needs["memory"] or None,
            max_restarts=0,  # replaced by us, so that the driver hears of it
            max_task_retries=0,
        )
        handle = remote.remote(self._work, settings.heartbeat_seconds, threads, self._gpus, sys.path)
        return _Actor(name="", born=time.monotonic(), slot=slot, handle=handle, hello=handle.hello.remote())

    def _send(self, worker: _Actor, task: Task) -> None:
        worker.stream = worker.handle.run.options(num_returns="streaming").remote(pack_task(task))

    def _receive(self, wait: float) -> Iterator[WorkEvent]:
        for _ in range(_AT_ONCE):
            actor = self._next(wait)
            if actor is None:
                return
            wait = 0.0
            yield from self._take(actor)

    def _next(self, wait: float) -> _Actor | None:
        """Return an actor that has sent something."""
        senders = {actor.hello or actor.stream: actor for actor in self._crew.values() if actor.hello or actor.task}
        if not senders:
            time.sleep(wait)
            return None
        ready, _ = ray.wait(list(senders), num_returns=1, timeout=wait)
        return senders[ready[0]] if ready else None

    def _take(self, actor: _Actor) -> Iterator[WorkEvent]:
        try:
            if actor.hello is not None:
                self._welcome(actor, ray.get(actor.hello))
                return
            message = ray.get(next(actor.stream))
        except StopIteration:
            yield from self._remove(actor, "its task ended without a word")
        except RayError as error:
            yield from self._remove(actor, _first_line(error))
        else:
            yield from self._event(actor, message)

    def _welcome(self, actor: _Actor, facts: dict[str, Any]) -> None:
        actor.hello, actor.name = None, str(facts["worker"])
        self._greet(actor)
        if facts["videocolor"] != __version__:
            raise DeviceError(
                f"worker {actor.name} has videocolor {facts['videocolor']}, this machine {__version__}: install the "
                "same version on all machines of the cluster"
            )
        if "unable" in facts:
            raise DeviceError(f"workers cannot start: {facts['unable']}")

    def _end(self, worker: _Actor, why: str) -> Iterator[WorkEvent]:
        if worker.ready:
            yield from self._remove(worker, why)
        elif not any(other.ready for other in self._crew.values()):
            raise DeviceError(f"no worker: {why}; perhaps others use the cluster, or {self._no_room()}")

    def _remove(self, actor: _Actor, why: str) -> Iterator[WorkEvent]:
        del self._crew[actor.slot]
        ray.kill(actor.handle, no_restart=True)  # if the network was lost and not the actor, it must not go on
        yield from self._lost(actor, why)

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
    """Set variables for processes that are started in the block, unless they are set."""
    new = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(new)
    try:
        yield
    finally:
        for name in new:
            os.environ.pop(name, None)


@contextmanager
def _stdout_kept() -> Iterator[None]:
    """Keep Ray's messages about lost workers off stdout; it has no setting for that.

    Its printing function is given stderr instead; if a future Ray has none of that name, nothing is changed.
    """
    module = ray._private.worker
    original = getattr(module, "print_worker_logs", None)
    if original is None:
        yield
        return

    def redirected(data: Any, print_file: Any, *rest: Any, **named: Any) -> None:
        del print_file
        original(data, sys.stderr, *rest, **named)

    module.print_worker_logs = redirected
    try:
        yield
    finally:
        module.print_worker_logs = original


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Restore the program's signal handlers, which Ray replaces."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
