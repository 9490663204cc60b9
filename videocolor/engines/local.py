"""Workers as processes of this machine: each keeps its network loaded, and gets tasks and reports through pipes.

A process is started when a task waits for it, and replaced when it is lost. It knows its driver by the pipe alone: when
the driver dies, even by SIGKILL, the pipe ends and the worker with it. A thread of the driver reads each pipe, so a
busy driver does not block a worker.
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
from typing import Any

from videocolor.concurrency.cores import cores
from videocolor.engines.crew import CrewEngine, Worker
from videocolor.engines.settings import EngineSettings
from videocolor.engines.worker import fit_task, gpu_variables, pack_task, thread_variables
from videocolor.errors import DeviceError
from videocolor.shards.types import Task, WorkEvent

__all__ = ["LocalEngine", "visible_gpus"]


def visible_gpus() -> list[str]:
    """Return the CUDA devices that torch can use, as CUDA_VISIBLE_DEVICES names them.

    Loads torch only if there is a driver for them.
    """
    try:
        ctypes.CDLL("libcuda.so.1" if os.name == "posix" else "nvcuda.dll")
    except OSError:
        return []
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    chosen = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return (chosen or [str(number) for number in range(count)])[:count]


@dataclass(eq=False, kw_only=True)
class _Process(Worker):
    """A worker process."""

    slot: int
    process: subprocess.Popen[str]
    verdict: str = ""
    """Why the driver ended it."""
    reader: threading.Thread | None = field(default=None, repr=False)


class LocalEngine(CrewEngine[_Process]):
    """One process per device (the CPU, or each GPU), or as many as the settings say."""

    def __init__(self, settings: EngineSettings, work: str) -> None:
        self._gpus = visible_gpus()
        workers = max(1, len(self._gpus)) if settings.workers == "auto" else settings.workers
        super().__init__(settings, workers)
        self._work = work
        self._threads = max(1, cores() // workers) if settings.threads == "auto" else settings.threads
        self._shares_out = workers > 1 or settings.threads != "auto"
        self._inbox: queue.SimpleQueue[tuple[_Process, dict[str, Any] | None]] = queue.SimpleQueue()

    def _start(self, slot: int) -> _Process:
        environment = {**os.environ, **(thread_variables(self._threads) if self._shares_out else {})}
        if len(self._gpus) > 1:
            environment |= gpu_variables([self._gpus[slot % len(self._gpus)]])
        environment["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)
        child = ["-P", "-m", "videocolor.engines.child", self._work, str(self._settings.heartbeat_seconds)]
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
        name = f"{socket.gethostname()}:{process.pid}"
        worker = _Process(name=name, born=time.monotonic(), slot=slot, process=process)
        worker.reader = threading.Thread(target=self._read, args=(worker,), name=f"worker {slot}", daemon=True)
        worker.reader.start()
        return worker

    def _read(self, worker: _Process) -> None:
        """Run in a thread: queue what the process says, then None."""
        assert worker.process.stdout is not None
        try:
            for line in worker.process.stdout:
                if not line.endswith("\n"):
                    break  # killed in the middle of a message
                try:
                    message = json.loads(line)
                except ValueError:
                    worker.verdict = worker.verdict or "it sent a message that is no JSON"
                    break
                self._inbox.put((worker, message))
        finally:
            self._inbox.put((worker, None))

    def _is_idle(self, worker: _Process) -> bool:
        return super()._is_idle(worker) and not worker.verdict and worker.process.poll() is None

    def _send(self, worker: _Process, task: Task) -> None:
        assert worker.process.stdin is not None
        fitted = fit_task(task, self._threads if self._shares_out else None)
        try:
            worker.process.stdin.write(json.dumps(pack_task(fitted)) + "\n")
            worker.process.stdin.flush()
        except OSError:
            worker.verdict = worker.verdict or "it was gone before it could take the task"
            worker.process.kill()

    def _receive(self, wait: float) -> Iterator[WorkEvent]:
        try:
            item = self._inbox.get(timeout=wait) if wait > 0 else self._inbox.get_nowait()
            while True:
                yield from self._take(*item)
                item = self._inbox.get_nowait()
        except queue.Empty:
            return

    def _take(self, worker: _Process, message: dict[str, Any] | None) -> Iterator[WorkEvent]:
        if message is None:
            yield from self._gone(worker)
        elif message["kind"] == "ready":
            self._greet(worker)
        elif message["kind"] == "unable":
            raise DeviceError(f"workers cannot start: {message['error']}")
        else:
            yield from self._event(worker, message)

    def _gone(self, worker: _Process) -> Iterator[WorkEvent]:
        """Remove a process whose pipe has ended."""
        if self._crew.get(worker.slot) is not worker:
            return
        del self._crew[worker.slot]
        code = self._see_off(worker, 1.0)
        yield from self._lost(worker, worker.verdict or _fate(code))

    def _end(self, worker: _Process, why: str) -> Iterator[WorkEvent]:
        """Kill it; its loss is reported when its pipe ends, after all its messages."""
        if not worker.verdict:
            worker.verdict = why
            worker.process.kill()
        yield from ()

    def _see_off(self, worker: _Process, patience: float) -> int:
        """Return the exit code; a process that has not ended by then is killed."""
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
    return f"it ended by itself, exit code {code}; the reason is on stderr"
