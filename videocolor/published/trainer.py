"""The training loop of the published systems: epochs over a fixed number of samples, Adam, one learning rate.

Everything that happens at a step follows from (settings, step, weights), as in `videocolor.training.loop`: a resumed
run equals one that never stopped. That loop's own extras (averaged weights, a schedule, several processes) are not
in the papers, so they are not here.
"""

from __future__ import annotations

import importlib
import logging
import math
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from videocolor.concurrency.stages import opencv_single_threaded, prefetch
from videocolor.errors import DeviceError, ModelError, OutputError
from videocolor.events import Observer
from videocolor.published.task import Task, ordered
from videocolor.published.train_config import PublishedConfig
from videocolor.training.checkpoint import load_checkpoint, save_checkpoint
from videocolor.training.graceful_stop import Leaving
from videocolor.training.log import Journal
from videocolor.types import Array

__all__ = ["TASKS", "make_task", "train_published"]

_log = logging.getLogger(__name__)
_BAD_STEPS: Final = 20
"""Steps in a row with an error that is not finite after which the run gives up."""
_SIGNS: Final = 32
"""Held-back samples that the signs of life are taken from."""
_FREE: Final = {"out", "device", "threads", "log_every", "save_minutes", "tensorboard", "pictures", "epochs", "data"}
"""Settings that a run may go on with changed without a warning."""
TASKS: Final = {
    "hetero": "videocolor.published.train_hetero:hetero_task",
    "residual": "videocolor.published.train_chroma:ResidualTask",
    "fusion": "videocolor.published.train_chroma:FusionTask",
}


def make_task(config: PublishedConfig, *, learning: bool = True) -> Task[Any]:
    """The task that a configuration describes.

    Raises:
        InputError, ModelError: a pack, a weights file or a backbone is missing or does not fit.
    """
    module, name = TASKS[str(config.system)].split(":")  # type: ignore[attr-defined]  # all that are trained here have it
    task: Task[Any] = getattr(importlib.import_module(module), name)(config, learning=learning)
    return task


@dataclass
class _Run:
    """A run between two steps."""

    task: Task[Any]
    optimizer: torch.optim.Optimizer
    step: int = 0
    total: float = 0.0
    """Sum of this epoch's errors, each times its samples."""
    history: list[dict[str, float]] = field(default_factory=list)
    """A row an epoch."""

    def save(self, path: Path) -> None:
        config = self.task.config
        content = {
            "system": config.system,
            "step": self.step,
            "total": self.total,
            "history": self.history,
            "config": config.model_dump(mode="json"),
            "net": self.task.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        try:
            save_checkpoint(path, content)
        except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
            raise OutputError(f"{path}: the checkpoint cannot be written: {error}") from error

    def go_on(self, path: Path) -> None:
        content = load_checkpoint(path)
        if content.get("system") != self.task.config.system:
            raise ModelError(f"{path}: a checkpoint of another system; begin another run with --set out=FOLDER")
        try:
            self.task.net.load_state_dict(content["net"])
            self.optimizer.load_state_dict(content["optimizer"])
            self.step, self.total, self.history = content["step"], content["total"], content["history"]
        except (RuntimeError, KeyError, ValueError) as error:
            raise ModelError(f"{path}: of another network or other settings ({error}); begin another run") from error
        now = self.task.config.model_dump(mode="json")
        for key in sorted(now.keys() & content["config"].keys() - _FREE):
            if now[key] != content["config"][key]:
                _log.warning("resumed with %s = %s; the run began with %s", key, now[key], content["config"][key])


def train_published(
    config: PublishedConfig,
    *,
    resume: bool = False,
    stop_after: int | None = None,
    stop_after_minutes: float | None = None,
    observer: Observer | None = None,
) -> Path:
    """Train a published system by the settings.

    Args:
        config: the settings; results go to `config.out` (checkpoint.pt, metrics.jsonl, pictures/ and, when all epochs
            are done, a weights file where the system colours).
        resume: go on from `config.out/checkpoint.pt` where there is one; with more `epochs`, further.
        stop_after: leave, with a checkpoint, before this step.
        stop_after_minutes: leave, with a checkpoint, after these minutes.
        observer: told of progress; None: a bar on stderr.

    Returns:
        Path of the weights file, or of the checkpoint where there is none (yet).

    Raises:
        InputError: a pack cannot be read or holds nothing that is asked for.
        ModelError: missing or unfit weights, a held-back pack, an error that was not finite many times in a row.
        DeviceError: the device is not there, or its memory is too small.
        OutputError: there is a checkpoint and `resume` is not given, or something cannot be written.
        Interrupted: Ctrl-C or SIGTERM; a checkpoint was written.
    """
    path = config.out / "checkpoint.pt"
    if path.exists() and not resume:
        raise OutputError(f"{path}: exists; --resume goes on from it, --set out=FOLDER begins another run")
    torch.set_num_threads(config.threads)
    with Leaving(stop_after_minutes) as leaving, opencv_single_threaded():
        run = _begin(config, path)
        last = config.steps if stop_after is None else min(stop_after, config.steps)
        config.out.mkdir(parents=True, exist_ok=True)
        with Journal(config, run.step, observer, quiet=False) as journal:
            _steps(run, journal, last, leaving, path)
        leaving.speak(f"stopped after step {run.step} of {config.steps}; {path} is whole, --resume goes on from it")
    if run.step < config.steps:
        return path
    from videocolor.published.package import package_published

    return package_published(path) or path


def _begin(config: PublishedConfig, path: Path) -> _Run:
    device = _device(config.device)
    task = make_task(config)
    task.place(device)
    run = _Run(task, torch.optim.Adam(task.trained(), lr=config.lr))
    if path.exists():
        run.go_on(path)
    return run


def _steps(run: _Run, journal: Journal, last: int, leaving: Leaving, path: Path) -> None:
    config, bad, saved = run.task.config, 0, time.monotonic()
    with closing(prefetch(_batches(run.task, run.step, last), 2, "batches")) as ahead:
        began = time.perf_counter()
        for count, batch in ahead:
            waited = time.perf_counter() - began
            error, norm = _step(run, batch)
            if math.isfinite(error):
                bad = 0
                run.total += error * count
            elif (bad := bad + 1) >= _BAD_STEPS:
                raise ModelError(f"step {run.step}: {bad} errors in a row were not finite; lower lr")
            journal.step(run.step, count, waited, {"total": error, "norm": norm, "lr": config.lr})
            run.step += 1
            leave, ended = leaving.due, run.step % config.epoch_steps == 0
            with journal.pause():
                if ended:
                    _end_epoch(run, journal)
                if ended or leave or run.step == last or time.monotonic() - saved > 60 * config.save_minutes:
                    run.save(path)
                    saved = time.monotonic()
            if leave:
                return
            began = time.perf_counter()


def _batches(task: Task[Any], first: int, last: int) -> Iterator[tuple[int, Any]]:
    for _, (epoch, numbers) in zip(range(first, last), ordered(task.config, first), strict=False):
        yield len(numbers), task.draw(numbers, epoch)


def _autocast(task: Task[Any]) -> torch.autocast:
    return torch.autocast(task.device.type, torch.bfloat16, enabled=task.config.bf16)


def _step(run: _Run, batch: Any) -> tuple[float, float]:
    """One step; where error or gradient is not finite, nothing is changed.

    Returns:
        The batch's mean squared error, and the gradient's norm.
    """
    run.task.net.train()
    run.optimizer.zero_grad(set_to_none=True)
    try:
        with _autocast(run.task):
            error = run.task.error(batch)
        error.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.get_total_norm(p.grad for p in run.task.trained() if p.grad is not None)
        values: list[float] = torch.stack([error.detach().float(), norm.float()]).tolist()
        if all(map(math.isfinite, values)):
            run.optimizer.step()
            return values[0], values[1]
    except torch.OutOfMemoryError as error_:
        raise DeviceError(f"{run.task.device}: out of memory; lower batch or size") from error_
    return math.nan, math.nan


def _end_epoch(run: _Run, journal: Journal) -> None:
    """Write down the epoch's error, that of the held-back samples, and a sheet of pictures."""
    task = run.task
    row = {"epoch": float(run.step // task.config.epoch_steps), "train_mse": run.total / task.config.data.train}
    sheet = None
    if task.held is not None:
        row["mse"] = _held_error(task)
        row |= _signs(task)
        sheet = _sheet(task) if task.config.pictures else None
    last = row.get("mse", row["train_mse"])
    row["rmse"] = math.sqrt(last) if last >= 0 else math.nan
    run.history.append(row)
    run.total = 0.0
    journal.validated(run.step, row, sheet)


@torch.no_grad()
def _held_error(task: Task[Any]) -> float:
    task.net.eval()
    assert task.held is not None
    total, count = 0.0, len(task.held)
    for numbers in np.array_split(np.arange(count), max(1, count // (2 * task.config.batch))):
        with _autocast(task):
            total += float(task.error(task.draw(numbers, 0, held=True))) * len(numbers)
    return total / count


@torch.no_grad()
def _signs(task: Task[Any]) -> dict[str, float]:
    task.net.eval()
    assert task.held is not None
    with _autocast(task):
        return task.signs(task.draw(np.arange(min(_SIGNS, len(task.held))), 0, held=True))


@torch.no_grad()
def _sheet(task: Task[Any]) -> Array:
    """Columns beside each other, a sample a row."""
    task.net.eval()
    assert task.held is not None
    with _autocast(task):
        columns = task.columns(task.draw(np.arange(min(task.config.pictures, len(task.held))), 0, held=True))
    return np.concatenate([np.concatenate(list(pictures), axis=0) for pictures in columns.values()], axis=1)


def _device(name: str) -> torch.device:
    device = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise DeviceError(f"device {name!r}: torch sees no CUDA device; use --device cpu")
    return device
