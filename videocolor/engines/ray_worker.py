"""The process of a worker of the Ray engine: a plain class that Ray turns into an actor; does not import Ray."""

from __future__ import annotations

import os
import platform
import queue
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from videocolor.engines.worker import (
    Work,
    fit_task,
    gpu_variables,
    load_work,
    perform,
    thread_variables,
    unpack_task,
)
from videocolor.errors import DeviceError, VideocolorError
from videocolor.shards.types import Task, Tell
from videocolor.version import __version__

__all__ = ["RayWorker"]


class RayWorker:
    """Performs one task after the other; networks stay loaded in between.

    Args:
        work: "module:function".
        heartbeat: seconds between two heartbeats.
        threads: CPU threads; None: what Ray and the libraries choose.
        gpus: GPUs that Ray has reserved for it; at 0 a film's device `auto` means the CPU.
        path: the driver's `sys.path`; folders that are missing here are searched last.
    """

    def __init__(self, work: str, heartbeat: float, threads: int | None, gpus: float, path: Sequence[str]) -> None:
        os.dup2(2, 1)  # what libraries print is not the driver's output
        if threads is not None:
            os.environ.update(thread_variables(threads))
        if not gpus:
            os.environ.update(gpu_variables([]))
        sys.path += [folder for folder in path if folder not in sys.path]
        self._name = work
        self._heartbeat = heartbeat
        self._threads = threads
        self._work: Work | None = None

    def hello(self) -> dict[str, Any]:
        """Load the work; return who and where this worker is, or `unable` with the reason."""
        facts: dict[str, Any] = {
            "videocolor": __version__,
            "python": platform.python_version(),
            "worker": f"{socket.gethostname()}:{os.getpid()}",
        }
        try:
            self._work = load_work(self._name)
        except VideocolorError as error:
            facts["unable"] = str(error)
        return facts

    def run(self, data: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Perform a task in another thread; yield its messages, and a heartbeat while there are none."""
        inbox: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        task = fit_task(unpack_task(data), self._threads)
        thread = threading.Thread(target=perform, args=(self._checked, task, inbox.put), name=task.id, daemon=True)
        thread.start()
        while True:
            living = thread.is_alive()  # before the inbox is read: what it sent last is there by then
            try:
                message = inbox.get(timeout=self._heartbeat if living else 0)
            except queue.Empty:
                if not living:
                    return  # without an end: the driver counts the task as lost
                message = {"kind": "beat"}
            yield message
            if message["kind"] in ("done", "failed"):
                return

    def _checked(self, task: Task, tell: Tell) -> None:
        """Do the work if this node sees the source's folder: else every film would seem to be missing."""
        source = task.job.get("source")
        if source is not None and not Path(source).parent.is_dir():
            raise DeviceError(
                f"{source}: its folder is not there on {socket.gethostname()}; all machines of the cluster need the "
                "same shared storage under the same paths"
            )
        if self._work is None:
            raise DeviceError("the worker was not greeted")
        self._work(task, tell)
