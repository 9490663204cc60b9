"""What workers do in the tests of engines: whatever the job says. Imported in the workers, without torch."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import time
from pathlib import Path

from videocolor.errors import (
    DeviceError,
    HintError,
    InputError,
    ModelError,
    OutputError,
    UnsupportedVideoError,
    UsageError,
)
from videocolor.shards.types import Task, Tell

_ERRORS = {
    error.__name__: error
    for error in (
        DeviceError,
        HintError,
        InputError,
        MemoryError,
        ModelError,
        OSError,
        OutputError,
        SystemExit,
        UnsupportedVideoError,
        UsageError,
        ZeroDivisionError,
    )
}
_seen: list[str] = []
"""Tasks of this process."""


def work(task: Task, tell: Tell) -> None:
    """Do what `task.job["do"]` says."""
    _seen.append(task.id)
    job = task.job
    folder = Path(job["folder"])
    (folder / f"{task.id}.{os.getpid()}.pid").touch()
    match job["do"]:
        case "count":
            sys.stdout.write("a library prints\n")
            sys.stdout.flush()
            for frames in range(1, job["frames"] + 1):
                tell({"kind": "progress", "frames": frames})
            tell({"kind": "shard", "record": {"number": 0, "path": folder, "nan": float("nan")}, "big": "ö" * 300_000})
        case "tell":
            tell({"kind": "planned", "shards": list(task.shards or ()), "none": task.shards is None})
            tell({"kind": "progress", "seen": list(_seen), "job": job, "env": os.environ.get("OMP_NUM_THREADS")})
        case "gpu":
            tell({"kind": "progress", "gpu": os.environ["CUDA_VISIBLE_DEVICES"]})
            time.sleep(job["seconds"])
        case "warn":
            logging.getLogger("videocolor.somewhere").warning("logged and told")
            logging.getLogger("videocolor.somewhere").warning("only logged")
            tell({"kind": "warning", "message": "logged and told", "shot": 3})
        case "fail":
            raise _ERRORS[job["error"]](f"{job['error']} of {task.id}")
        case "wrong":
            tell({"kind": "done"})
        case "die":
            tell({"kind": "progress", "frames": 7})
            time.sleep(0.2)  # Ray sends in the background
            os.kill(os.getpid(), signal.SIGKILL)
        case "freeze":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "sleep" | "tidy":
            _sleep(task, tell)
        case "stubborn":
            with contextlib.suppress(ValueError):  # not in the main thread
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
            tell({"kind": "progress", "frames": 1})
            time.sleep(job["seconds"])
        case other:
            sys.exit(f"what is {other}?")


def _sleep(task: Task, tell: Tell) -> None:
    """Sleep; leave a file when ended, `tidy` after a while."""
    folder = Path(task.job["folder"])
    try:
        (folder / f"{task.id}.busy").touch()
        tell({"kind": "progress", "frames": 1})
        time.sleep(task.job["seconds"])
    except BaseException:
        if task.job["do"] == "tidy":
            time.sleep(0.4)
        (folder / f"{task.id}.cleaned").touch()
        raise
