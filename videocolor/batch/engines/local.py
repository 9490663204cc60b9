"""Workers as processes of this machine: each keeps its network loaded, hears tasks and reports through pipes.

A process is started when a task waits for it, and replaced when it is lost. It knows its driver by the pipe alone: when
the driver dies, even by SIGKILL, the pipe ends and the worker with it. A thread of the driver reads each pipe, so a
driver that is busy elsewhere neither holds up a worker nor takes it for hung.
"""

from __future__ import annotations

import ctypes
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from videocolor.batch.engines.base import WORK, Engine
from videocolor.batch.engines.worker import cores, fit_task, gpu_variables, pack_task, thread_variables
from videocolor.batch.settings import EngineSettings
from videocolor.errors import DeviceError
from videocolor.shards.types import Task, WorkEvent

__all__ = ["LocalEngine", "visible_gpus"]

_LOOK: Final = 0.25
"""Seconds between two looks at who is hung."""
_FAILED_STARTS: Final = 3
"""So many processes in a row that end before they are ready: something is wrong with all of them."""


def visible_gpus() -> list[str]:
    """CUDA devices that torch can use, as CUDA_VISIBLE_DEVICES names them.

    torch is loaded only where there is a driver for them.
    """
    try:
        ctypes.CDLL("libcuda.so.1" if os.name == "posix" else "nvcuda.dll")
    except OSError:
        return []
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    chosen = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return (chosen or [str(number) for number in range(count)])[:count]


@dataclass(eq=False)
class _Worker:
    """A process and what it is doing."""

    slot: int
    process: subprocess.Popen[str]
    name: str
    born: float
    heard: float
    """When anything came from it, `time.monotonic`; written by its reading thread."""
    told: float
    """When the last thing but a heartbeat came."""
    ready: bool = False
    task: Task | None = None
    frames: Any = 0
    """Of the last `progress`."""
    verdict: str = ""
    """Why the driver ended it."""
    reader: threading.Thread | None = field(default=None, repr=False)


class LocalEngine(Engine):
    """One process a device: one for the CPU, or one per GPU, or as many as the settings say."""

    def __init__(self, settings: EngineSettings, work: str = WORK) -> None:
        self._gpus = visible_gpus()
        workers = max(1, len(self._gpus)) if settings.workers == "auto" else settings.workers
        super().__init__(workers, settings.ahead)
        self._settings = settings
        self._work = work
        self._threads = max(1, cores() // workers) if settings.threads == "auto" else settings.threads
        self._shares_out = workers > 1 or settings.threads != "auto"
        self._inbox: queue.SimpleQueue[tuple[_Worker, dict[str, Any] | None]] = queue.SimpleQueue()
        self._crew: dict[int, _Worker] = {}
        self._failed_starts = 0

    def _accept(self) -> None:
        idle = sum(worker.task is None for worker in self._crew.values())
        free = (slot for slot in range(self.workers) if slot not in self._crew)
        for _, slot in zip(range(len(self._waiting) - idle), free, strict=False):
            self._crew[slot] = self._start(slot)

    def _start(self, slot: int) -> _Worker:
        environment = {**os.environ, **(thread_variables(self._threads) if self._shares_out else {})}
        if len(self._gpus) > 1:
            environment |= gpu_variables([self._gpus[slot % len(self._gpus)]])
        environment["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)
        child = ["-P", "-m", "videocolor.batch.engines.child", self._work, str(self._settings.heartbeat_seconds)]
        try:
            process = subprocess.Popen(
                [sys.executable, *child],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=None if self._settings.worker_stderr else subprocess.DEVNULL,
                env=environment,
                text=True,
                encoding="utf-8",
                process_group=0 if os.name == "posix" else None,  # Ctrl-C of the terminal is for the driver alone
            )
        except OSError as error:
            raise DeviceError(f"a worker process cannot be started: {error}") from error
        now = time.monotonic()
        worker = _Worker(slot, process, f"{socket.gethostname()}:{process.pid}", now, now, now)
        worker.reader = threading.Thread(target=self._read, args=(worker,), name=f"worker {slot}", daemon=True)
        worker.reader.start()
        return worker

    def _read(self, worker: _Worker) -> None:
        """Thread: what the process says, then None."""
        assert worker.process.stdout is not None
        try:
            for line in worker.process.stdout:
                if not line.endswith("\n"):
                    break  # killed in the middle of a word
                try:
                    message = json.loads(line)
                except ValueError:  # ended in the middle of a word, and spoke on
                    worker.verdict = worker.verdict or "it spoke nonsense"
                    break
                worker.heard = time.monotonic()
                if message["kind"] != "beat":
                    worker.told = worker.heard
                self._inbox.put((worker, message))
        finally:
            self._inbox.put((worker, None))

    def _collect(self, timeout: float) -> Iterator[WorkEvent]:
        deadline = time.monotonic() + timeout
        found = False
        while not found:
            self._notice_absence()
            self._end_hung()
            for event in self._deal():
                found = True
                yield event
            left = deadline - time.monotonic()
            for event in self._receive(0.0 if found else max(0.0, min(_LOOK, left))):
                found = True
                yield event
            if left <= 0:
                return

    def _forgive(self, seconds: float) -> None:
        for worker in self._crew.values():
            worker.born += seconds
            worker.heard += seconds
            worker.told += seconds

    def _deal(self) -> Iterator[WorkEvent]:
        self._accept()
        for worker in self._crew.values():
            if not self._waiting:
                return
            if worker.task is None and worker.ready and not worker.verdict and worker.process.poll() is None:
                task = self._waiting.popleft()
                worker.task, worker.frames = task, 0
                worker.heard = worker.told = time.monotonic()
                yield WorkEvent("started", task.id, worker.name)
                self._send(worker, task)

    def _send(self, worker: _Worker, task: Task) -> None:
        assert worker.process.stdin is not None
        fitted = fit_task(task, self._threads if self._shares_out else None)
        try:
            worker.process.stdin.write(json.dumps(pack_task(fitted)) + "\n")
            worker.process.stdin.flush()
        except OSError:
            worker.verdict = worker.verdict or "it was gone before it could take the task"
            worker.process.kill()

    def _receive(self, wait: float) -> Iterator[WorkEvent]:
        """All messages that are there; waits for the first."""
        try:
            item = self._inbox.get(timeout=wait) if wait > 0 else self._inbox.get_nowait()
            while True:
                yield from self._event(*item)
                item = self._inbox.get_nowait()
        except queue.Empty:
            return

    def _event(self, worker: _Worker, message: dict[str, Any] | None) -> Iterator[WorkEvent]:
        if message is None:
            yield from self._gone(worker)
            return
        kind = message.pop("kind")
        if kind == "ready":
            worker.ready = True
            self._failed_starts = 0
        elif kind == "unable":
            raise DeviceError(f"workers cannot start: {message['error']}")
        elif worker.task is None or message.pop("task", worker.task.id) != worker.task.id:
            return  # a thread of a task that has ended
        elif kind == "beat":
            yield WorkEvent("progress", worker.task.id, worker.name, {"frames": worker.frames, "heartbeat": True})
        else:
            worker.frames = message.get("frames", worker.frames) if kind == "progress" else worker.frames
            task = worker.task.id
            if kind in ("done", "failed"):
                worker.task = None
            yield WorkEvent(kind, task, worker.name, message)

    def _gone(self, worker: _Worker) -> Iterator[WorkEvent]:
        """The pipe has ended: see the process off."""
        if self._crew.get(worker.slot) is not worker:
            return
        del self._crew[worker.slot]
        code = self._see_off(worker, 1.0)
        why = worker.verdict or _fate(code)
        if worker.task is not None:
            yield WorkEvent("lost", worker.task.id, worker.name, {"error": f"worker {worker.name} is lost: {why}"})
        elif not worker.ready:
            self._failed_starts += 1
            if self._failed_starts >= _FAILED_STARTS:
                raise DeviceError(f"workers cannot start, {self._failed_starts} in a row: {why}")

    def _end_hung(self) -> None:
        now = time.monotonic()
        limits = self._settings
        for worker in self._crew.values():
            if worker.verdict:
                continue
            if not worker.ready and now - worker.born > limits.start_seconds:
                worker.verdict = f"it was not ready after {limits.start_seconds:g} s (engine.start_seconds)"
            elif worker.task is not None and now - worker.heard > limits.hung_seconds:
                worker.verdict = f"it said nothing for {limits.hung_seconds:g} s (engine.hung_seconds)"
            elif worker.task is not None and limits.stall_seconds and now - worker.told > limits.stall_seconds:
                worker.verdict = f"it made no progress for {limits.stall_seconds:g} s (engine.stall_seconds)"
            if worker.verdict:
                worker.process.kill()

    def _see_off(self, worker: _Worker, patience: float) -> int:
        """The exit code; a process that is not over by then is killed."""
        try:
            code = worker.process.wait(patience)
        except subprocess.TimeoutExpired:
            worker.process.kill()
            code = worker.process.wait()
        if worker.reader is not None and worker.reader is not threading.current_thread():
            worker.reader.join()
        for pipe in (worker.process.stdin, worker.process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue  # half a task that nobody will read
        return code

    def _close(self) -> None:
        crew, self._crew = list(self._crew.values()), {}
        for worker in crew:
            worker.process.terminate()
        deadline = time.monotonic() + self._settings.grace_seconds
        for worker in crew:
            self._see_off(worker, max(0.0, deadline - time.monotonic()))


def _fate(code: int) -> str:
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        hint = ", perhaps for want of memory" if -code == 9 else ""
        return f"ended by {name}{hint}"
    return f"it ended by itself, exit code {code}; its last words are on stderr"
