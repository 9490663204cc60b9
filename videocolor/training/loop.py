"""The training loop of every system; what is trained is a `Task`.

Everything that happens at a step follows from (settings, step, weights): samples are drawn by (seed, step) and the
learning rate is a function of the step. So a resumed run equals one that never stopped.
"""

from __future__ import annotations

import logging
import math
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Iterator, Mapping, Set
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar, Final, Generic, TypeVar

import torch
from torch import Tensor, nn

from videocolor.concurrency.stages import prefetch, single_threaded_kernels
from videocolor.errors import DeviceError, ModelError, OutputError
from videocolor.events import Observer
from videocolor.models.artifact import load_checkpoint
from videocolor.training.config import RunConfig
from videocolor.training.distributed import ProcessGroup, join_process_group
from videocolor.training.graceful_stop import GracefulStop
from videocolor.training.log import TrainingLog
from videocolor.training.packs import packed
from videocolor.training.systems import SYSTEMS, load
from videocolor.types import Array

__all__ = ["Task", "make_task", "restoring", "run_task", "save_checkpoint", "train", "warn_of_changes"]

C = TypeVar("C", bound=RunConfig)
_BAD_STEPS: Final = 20
"""Consecutive steps with a loss or gradient that is not finite after which the run gives up."""


class Task(ABC, Generic[C]):
    """One system's training: network, samples, losses and validation, as the loop asks for them."""

    config: C
    group: ProcessGroup
    model: nn.Module
    """What learns; its parameters' gradients are clipped together."""
    optimizer: torch.optim.Optimizer
    step: int = 0
    """Steps done."""
    clip: float = math.inf
    """Largest norm of the gradient."""
    free: ClassVar[frozenset[str]] = frozenset({"out", "device", "threads", "log_every", "tensorboard", "data"})
    """Settings that a resumed run may change without a warning."""

    @abstractmethod
    def begin(self, group: ProcessGroup, resumed: bool) -> None:
        """Set `model` and `optimizer`, on the group's device.

        Args:
            group: the processes that train together.
            resumed: `restore` follows, so initial weights need not be read.

        Raises:
            ConfigError, InputError, ModelError: settings, data or weights cannot be used.
        """

    @abstractmethod
    def batches(self, last: int) -> Generator[tuple[int, Any], None, None]:
        """Yield (samples in all processes, batch) of steps `step` .. `last - 1`; runs in a thread beside the step."""

    @abstractmethod
    def losses(self, batch: Any) -> Mapping[str, Tensor]:
        """Scalar losses by name; `total` is minimized."""

    @abstractmethod
    def rate(self) -> float:
        """Learning rate of the step ahead, set in the optimizer."""

    def update(self, _values: Mapping[str, float], _samples: int) -> None:
        """Apply the gradient, given the losses of the step and the samples of its batch."""
        self.optimizer.step()

    def skip(self) -> None:
        """Undo what a step whose loss or gradient is not finite has changed."""

    def validation(self) -> tuple[Mapping[str, float], Array | None] | None:
        """Scores and a sheet of pictures (h, w, 3) uint8 after this step; None where none are due."""
        return None

    @abstractmethod
    def save_due(self) -> bool:
        """Whether a checkpoint is due after this step."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Return what a checkpoint holds besides step and settings."""

    @abstractmethod
    def restore(self, content: dict[str, Any]) -> None:
        """Take over what `state` returned.

        Raises:
            RuntimeError, KeyError, ValueError: it belongs to another network.
        """

    def finish(self, checkpoint: Path) -> Path:
        """Write what a complete run leaves besides its checkpoint; returns the file to use."""
        return checkpoint


def make_task(config: RunConfig) -> Task[Any]:
    """Make the task that settings describe; no data are read yet."""
    task: Task[Any] = load(SYSTEMS[config.system].task)(config)
    return task


def train(
    config: RunConfig,
    *,
    resume: bool = False,
    stop_after: int | None = None,
    stop_after_minutes: float | None = None,
    observer: Observer | None = None,
) -> Path:
    """Train the system that the settings name; under `torchrun` together with the other processes.

    Args:
        config: the settings; results go to `config.out` (checkpoint.pt, metrics.jsonl, pictures/).
        resume: go on from `config.out/checkpoint.pt` where there is one.
        stop_after: stop, with a checkpoint, before this step.
        stop_after_minutes: stop, with a checkpoint, after these minutes.
        observer: receives progress; None: a bar on stderr.

    Returns:
        Path of the last checkpoint, or of the weights file that a complete run writes.

    Raises:
        ConfigError, InputError: settings that contradict each other, a pack that cannot be read.
        ModelError: weights or a checkpoint that cannot be used, or losses that stay not finite.
        DeviceError: the device is not there, or its memory is too small.
        OutputError: there is a checkpoint and `resume` is not given, or something cannot be written.
        Interrupted: Ctrl-C or SIGTERM; a checkpoint was written.
    """
    limits: dict[str, Any] = {"stop_after": stop_after, "stop_after_minutes": stop_after_minutes}
    return run_task(make_task(config), resume=resume, observer=observer, **limits)


def run_task(
    task: Task[Any],
    *,
    resume: bool = False,
    stop_after: int | None = None,
    stop_after_minutes: float | None = None,
    observer: Observer | None = None,
) -> Path:
    """Train a task; arguments, result and errors as for `train`."""
    config, path = task.config, task.config.out / "checkpoint.pt"
    torch.set_num_threads(config.threads)
    with (
        join_process_group(config.device) as group,
        packed(config, group, observer) as task.config,
        GracefulStop(stop_after_minutes) as stop,
        single_threaded_kernels(),
    ):
        task.group = group
        _begin(task, path, resume)
        last = config.steps if stop_after is None else min(stop_after, config.steps)
        config.out.mkdir(parents=True, exist_ok=True)
        batches = closing(prefetch(task.batches(last), 1, "batches"))
        with TrainingLog(config, task.step, observer, quiet=not group.first) as log, batches as ahead:
            _steps(task, _timed(ahead), log, stop, last)
        stop.raise_if_signaled(
            f"stopped after step {task.step} of {config.steps}; {path} is complete, --resume goes on from it"
        )
    return task.finish(path) if task.step == config.steps and group.first else path


def _begin(task: Task[Any], path: Path, resume: bool) -> None:
    """Prepare the task for its first step, or for the one after its checkpoint."""
    if path.exists() and not resume:
        raise OutputError(f"{path}: exists; --resume goes on from it, --set out=FOLDER begins another run")
    content = load_checkpoint(path) if path.exists() else None
    if content is not None and content.get("system") != task.config.system:
        raise ModelError(f"{path}: a checkpoint of another system; begin another run with --set out=FOLDER")
    task.begin(task.group, content is not None)
    if content is not None:
        with restoring(path):
            task.restore(content)
            task.step = int(content["step"])
        warn_of_changes(content["config"], task.config, task.free)


def _steps(
    task: Task[Any], batches: Iterable[tuple[int, Any, float]], log: TrainingLog, stop: GracefulStop, last: int
) -> None:
    path, bad = task.config.out / "checkpoint.pt", 0
    for samples, batch, waited in batches:
        rate, step = task.rate(), task.step
        values = _gradient(task, batch, stop.due)
        leave = values.pop("leave") > 0
        if math.isfinite(values["total"]) and math.isfinite(values["norm"]):
            task.update(values, samples)
            bad = 0
        elif (bad := bad + 1) >= _BAD_STEPS:
            raise ModelError(f"step {step}: {bad} consecutive steps were not finite; lower the learning rate (lr)")
        else:
            task.skip()
        task.step += 1
        log.step(step, samples, waited, {**values, "lr": rate})
        if task.group.first:
            with log.pause():
                found = task.validation()
                if found is not None:
                    log.validated(task.step, *found)
                if task.save_due() or task.step == last or leave:
                    _save(task, path)
        if leave:
            return


def _save(task: Task[Any], path: Path) -> None:
    config = task.config
    head = {"system": config.system, "step": task.step, "config": config.model_dump(mode="json")}
    save_checkpoint(path, head | task.state())


def _timed(batches: Iterator[tuple[int, Any]]) -> Iterator[tuple[int, Any, float]]:
    """Add to each batch the seconds that it was waited for."""
    began = time.perf_counter()
    for samples, batch in batches:
        yield samples, batch, time.perf_counter() - began
        began = time.perf_counter()


def _gradient(task: Task[Any], batch: Any, leave: bool) -> dict[str, float]:
    """Compute the gradient of a batch, the same in all processes, clipped.

    Returns:
        Means over the processes: losses, the gradient's norm before clipping, and how many want to leave. One
        transfer from the device, the only time in a step that the CPU waits for it.
    """
    task.model.train()
    task.model.zero_grad(set_to_none=True)
    try:
        losses = task.losses(batch)
        losses["total"].backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(task.model.parameters(), task.clip)
        parts = [*losses.values(), norm, losses["total"].new_tensor(float(leave))]
        values: list[float] = task.group.mean(torch.stack([part.detach().float() for part in parts])).tolist()
    except torch.OutOfMemoryError as error:
        raise DeviceError(f"{task.group.device}: out of memory; lower the batch or the size of the samples") from error
    return dict(zip((*losses, "norm", "leave"), values, strict=True))


_log = logging.getLogger(__name__)


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write to a neighbor, flush to disk, rename: a killed run leaves the old file or the new one.

    Raises:
        OutputError: it cannot be written.
    """
    partial = path.with_name(path.name + ".part")
    try:
        with partial.open("wb") as handle:
            torch.save(content, handle)
            handle.flush()
            os.fsync(handle.fileno())
        partial.replace(path)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
        raise OutputError(f"{path}: the checkpoint cannot be written: {error}") from error


@contextmanager
def restoring(path: Path) -> Iterator[None]:
    """Turn errors of taking over a checkpoint's state into a `ModelError` that names the file."""
    try:
        yield
    except (RuntimeError, KeyError, ValueError) as error:
        raise ModelError(f"{path}: of another network or other settings ({error}); begin another run") from error


def warn_of_changes(before: dict[str, Any], config: RunConfig, free: Set[str]) -> None:
    """Warn where a run goes on with settings that change what it does."""
    now = config.model_dump(mode="json")
    for key in sorted(before.keys() & now.keys() - free):
        if before[key] != now[key]:
            _log.warning("resumed with %s = %s; the run began with %s", key, now[key], before[key])
