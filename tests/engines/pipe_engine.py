"""An engine from outside, added as docs/guides/cluster.md describes: spawned processes and their pipes."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from videocolor.engines.crew import CrewEngine, Worker
from videocolor.engines.settings import EngineSettings
from videocolor.engines.worker import load_work, pack_task, perform, unpack_task
from videocolor.errors import DeviceError, VideocolorError
from videocolor.shards.types import Task, WorkEvent


@dataclass(eq=False, kw_only=True)
class _Process(Worker):
    slot: int
    process: Any
    pipe: Connection
    verdict: str = "its process has ended"


class PipeEngine(CrewEngine[_Process]):
    def __init__(self, settings: EngineSettings, work: str) -> None:
        super().__init__(settings, 1 if settings.workers == "auto" else settings.workers)
        self._work = work

    def _start(self, slot: int) -> _Process:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        arguments = (self._work, self._settings.heartbeat_seconds, theirs)
        process = context.Process(target=serve, args=arguments, daemon=True)
        process.start()
        theirs.close()
        return _Process(name=f"pid {process.pid}", born=time.monotonic(), slot=slot, process=process, pipe=ours)

    def _send(self, worker: _Process, task: Task) -> None:
        worker.pipe.send(pack_task(task))

    def _receive(self, seconds: float) -> Iterator[WorkEvent]:
        workers = {worker.pipe: worker for worker in self._crew.values()}
        if not workers:
            time.sleep(seconds)
        for pipe in wait(list(workers), seconds):
            worker = workers[pipe]  # type: ignore[index]
            try:
                message = worker.pipe.recv()
            except (EOFError, OSError):
                del self._crew[worker.slot]
                yield from self._lost(worker, worker.verdict)
                continue
            if message["kind"] == "ready":
                self._greet(worker)
            elif message["kind"] == "unable":
                raise DeviceError(f"workers cannot start: {message['error']}")
            else:
                yield from self._event(worker, message)

    def _end(self, worker: _Process, why: str) -> Iterator[WorkEvent]:
        worker.verdict = why
        worker.process.kill()
        yield from ()

    def _close(self) -> None:
        for worker in self._crew.values():
            worker.process.terminate()
        for worker in self._crew.values():
            worker.process.join(self._settings.grace_seconds)
            worker.process.kill()
            worker.process.join()
        self._crew.clear()


def serve(name: str, heartbeat: float, pipe: Connection) -> None:
    """Run in the process: do tasks until the pipe ends."""
    os.dup2(2, 1)  # stdout is the driver's
    lock = threading.Lock()

    def send(message: dict[str, Any]) -> None:
        with lock:
            pipe.send(message)

    def beat() -> None:
        while True:
            time.sleep(heartbeat)
            send({"kind": "beat"})

    try:
        work = load_work(name)
    except VideocolorError as error:
        send({"kind": "unable", "error": str(error)})
        return
    threading.Thread(target=beat, daemon=True).start()
    send({"kind": "ready"})
    while True:
        perform(work, unpack_task(pipe.recv()), send)
