"""The worker's side of every engine: load the work, perform a task, report its end. Loads no torch by itself."""

from __future__ import annotations

import dataclasses
import importlib
import logging
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from videocolor.errors import InputError, ModelError, UsageError, VideocolorError
from videocolor.files import plain
from videocolor.shards.types import Task, Tell

__all__ = [
    "DRAIN",
    "Send",
    "Work",
    "fit_task",
    "gpu_variables",
    "load_work",
    "pack_task",
    "perform",
    "thread_variables",
    "unpack_task",
]

Work: TypeAlias = Callable[[Task, Tell], None]
Send: TypeAlias = Callable[[dict[str, Any]], None]
"""Sends a message (plain values with `kind`) to the driver; called from any thread."""

DRAIN: Final = "drain"
"""Name of the file in a batch's working folder that drains the workers."""
_KINDS: Final = frozenset({"progress", "shard", "planned", "warning"})
_PERMANENT: Final = (InputError, UsageError, ModelError)
"""Errors that no retry mends; HintError, UnsupportedVideoError and NoVideoError are InputErrors."""
_THREADS: Final = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
)


def load_work(name: str) -> Work:
    """Import "module:function".

    Raises:
        UsageError: not such a name, or there is no such module or function.
    """
    module, colon, function = name.partition(":")
    if not (colon and module and function):
        raise UsageError(f"{name}: expected module:function")
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"{name}: cannot be imported in a worker: {error}") from error
    if not callable(found):
        raise UsageError(f"{name}: not a function")
    work: Work = found
    return work


def pack_task(task: Task) -> dict[str, Any]:
    """Return the task as plain values for JSON."""
    packed: dict[str, Any] = plain(dataclasses.asdict(task))
    return packed


def unpack_task(data: Mapping[str, Any]) -> Task:
    """Read what `pack_task` made."""
    shards = data["shards"]
    return Task(**{**data, "shards": None if shards is None else tuple(shards)})


def thread_variables(threads: int) -> dict[str, str]:
    """Return the environment that limits the CPU threads of numerical libraries; to be set before they are imported."""
    return dict.fromkeys(_THREADS, str(threads))


def gpu_variables(gpus: Sequence[str]) -> dict[str, str]:
    """Return the environment in which CUDA has only these devices, so that a film's device `auto` means one of them.

    The configuration stays as it is: it is part of a shard's key.
    """
    return {"CUDA_VISIBLE_DEVICES": ",".join(gpus)}


def fit_task(task: Task, threads: int | None) -> Task:
    """Set the worker's share of threads in a task whose configuration leaves them open.

    Args:
        task: its job's configuration is copied, not changed.
        threads: CPU threads of the worker; the network gets half of them, as in `videocolor colorize`. None: unchanged.
    """
    config = task.job.get("config")
    if threads is None or not isinstance(config, Mapping) or not isinstance(config.get("model"), Mapping):
        return task
    model = dict(config["model"])
    if model.get("threads", 0) is None:
        model["threads"] = max(1, threads // 2)
    return dataclasses.replace(task, job={**task.job, "config": {**config, "model": model}})


class _Drained(Exception):
    """The driver wants no further shard of this task now."""


def perform(work: Work, task: Task, send: Send) -> None:
    """Perform a task: send what it reports, and at last `done` or `failed`; errors of the work are not raised.

    Warnings of videocolor's loggers that the work has not reported itself are sent at the end. While the driver drains
    its workers, a task ends before its first or next shard, as `failed` with the type `Drained`.
    """
    reported: set[str] = set()
    logged = _Collect()
    logger = logging.getLogger("videocolor")
    shards = Path(task.job.get("folder", "")).parent
    drain = shards.parent / DRAIN if shards.name == "shards" else None  # else the film is not one of a batch
    between = True

    def tell(message: dict[str, Any]) -> None:
        nonlocal between
        kind = message.get("kind")
        if kind not in _KINDS:
            raise ValueError(f"kind {kind!r}: a worker reports {', '.join(sorted(_KINDS))}")
        if kind == "warning":
            reported.add(str(message.get("message")))
        send({**plain(message), "task": task.id})
        if between and kind == "progress" and drain is not None and drain.exists():
            raise _Drained("paused between two shards")
        between = kind == "shard" or (between and kind != "progress")

    ending: dict[str, Any] = {"kind": "done"}
    logger.addHandler(logged)
    propagate, logger.propagate = logger.propagate, False  # else each would appear on stderr as well
    try:
        work(task, tell)
    except (Exception, SystemExit) as error:
        ending = _failure(error)
    finally:
        logger.removeHandler(logged)
        logger.propagate = propagate
    for text in logged.texts:
        if text not in reported:
            send({"kind": "warning", "message": text, "task": task.id})
    send({**ending, "task": task.id})


def _failure(error: BaseException) -> dict[str, Any]:
    known = isinstance(error, VideocolorError | OSError)
    text = str(error) or type(error).__name__
    return {
        "kind": "failed",
        "error": text if known else f"{type(error).__name__}: {text}",
        "type": type(error).__name__.lstrip("_"),
        "permanent": isinstance(error, _PERMANENT),
        "traceback": "".join(traceback.format_exception(error)),
    }


class _Collect(logging.Handler):
    """Collects up to a hundred different warnings: a damaged film can log one per frame."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []
        self._guard = threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the text."""
        text = record.getMessage()
        with self._guard:
            if len(self.texts) < 100 and text not in self.texts:
                self.texts.append(text)
