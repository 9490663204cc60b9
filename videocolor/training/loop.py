"""The training loop.

Everything that happens at a step follows from (config, step, weights): samples are drawn by (seed, step), the learning
rate is a function of the step, and no other randomness is used. So a resumed run equals one that never stopped.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import torch
from torch import Tensor

from videocolor.concurrency.stages import opencv_single_threaded, prefetch
from videocolor.datasets.pack import PackReader
from videocolor.errors import ConfigError, DeviceError, ModelError
from videocolor.events import Observer
from videocolor.training.config import TrainConfig
from videocolor.training.distributed import Team, join_team
from videocolor.training.graceful_stop import Leaving
from videocolor.training.hint.losses import Losses
from videocolor.training.hint.network import Tensors, Trainee, learning_rate, tensors
from videocolor.training.hint.state import State, before, begin
from videocolor.training.hint.validate import contact_sheet, validate
from videocolor.training.log import Journal
from videocolor.training.prefetch import drawn_ahead, open_sampler
from videocolor.training.propagated import CarriedReader

__all__ = ["train"]

_BAD_STEPS = 20
"""Steps in a row with a loss or gradient that is not finite after which the run gives up."""
_NAMES = (*Losses._fields, "norm", "leave")


def train(
    config: TrainConfig,
    *,
    resume: bool = False,
    stop_after: int | None = None,
    stop_after_minutes: float | None = None,
    observer: Observer | None = None,
) -> Path:
    """Train by the settings; under `torchrun` together with the other processes.

    Args:
        config: the settings; results go to `config.out` (checkpoint.pt, metrics.jsonl, pictures/).
        resume: go on from `config.out/checkpoint.pt` where there is one.
        stop_after: leave, with a checkpoint, before this step.
        stop_after_minutes: leave, with a checkpoint, after these minutes.
        observer: told of progress; None: a bar on stderr.

    Returns:
        Path of the last checkpoint.

    Raises:
        ConfigError, InputError: a batch cannot be shared among the processes, a pack cannot be read.
        ModelError: the loss was not finite many times in a row, or a checkpoint cannot be read.
        DeviceError: the device is not there, or its memory is too small.
        OutputError: there is a checkpoint and `resume` is not given, or something cannot be written.
        Interrupted: Ctrl-C or SIGTERM; a checkpoint was written.
    """
    path, bad = config.out / "checkpoint.pt", 0
    torch.set_num_threads(config.threads)
    with Leaving(stop_after_minutes) as leaving, join_team(config.device) as team, opencv_single_threaded():
        check(config, team)
        state = begin(config, team.device, resume)
        model, held = team.wrap(Trainee(state.net, config, before(config, team.device))), _held(config)
        last = min(config.steps, config.steps if stop_after is None else stop_after)
        config.out.mkdir(parents=True, exist_ok=True)
        batches = closing(prefetch(_batches(config, team, state.step, last), 1, "batches"))
        with Journal(config, state.step, observer, quiet=not team.first) as journal, batches as ahead:
            for step, batch, waited in _timed(ahead, state.step):
                rate = _set_rate(state.optimizer, learning_rate(step, config.steps, config.optimizer))
                values = _gradient(model, batch, config, team, leaving.due)
                if math.isfinite(values["total"]) and math.isfinite(values["norm"]):
                    state.optimizer.step()
                    state.ema.update(state.net, step)
                    bad = 0
                elif (bad := bad + 1) >= _BAD_STEPS:
                    raise ModelError(f"step {step}: {bad} steps in a row were not finite; lower optimizer.lr")
                else:
                    state.ema.mend(state.net)
                state.step, leave = step + 1, values.pop("leave") > 0
                journal.step(step, config.phase_at(step).batch, waited, {**values, "lr": rate})
                if team.first and (state.step % config.save_every == 0 or state.step == last or leave):
                    with journal.pause():
                        state.save(path, config)
                if team.first and held and _every(state.step, config.validation.every, config.steps):
                    with journal.pause():
                        _look(state, held, config, journal)
                if leave:
                    break
        leaving.speak(f"stopped after step {state.step} of {config.steps}; {path} is whole, --resume goes on from it")
    return path


def check(config: TrainConfig, team: Team) -> None:
    """Find what cannot work before anything is begun.

    Raises:
        ConfigError: a batch cannot be shared among the processes.
        InputError, ModelError: the pack cannot be read, or must not be.
    """
    for phase in config.phases:
        if phase.batch % team.size:
            raise ConfigError(f"phases: a batch of {phase.batch} cannot be shared among {team.size} processes")
    open_sampler(config)


def _batches(config: TrainConfig, team: Team, first: int, last: int) -> Iterator[Tensors]:
    """This process's share of every batch, where its device can read it; runs in a thread beside the step."""
    pinned = team.device.type == "cuda"
    if pinned:
        torch.cuda.set_device(team.device)  # a thread begins with GPU 0, and would take memory there
    with closing(drawn_ahead(config, first, last, team.rank, team.size)) as batches:
        for batch in batches:
            yield tensors(batch, pinned=pinned)


def _timed(batches: Iterator[Tensors], step: int) -> Iterator[tuple[int, Tensors, float]]:
    """Number the batches, and say how long each had to be waited for, in seconds."""
    began = time.perf_counter()
    for number, batch in enumerate(batches, step):
        yield number, batch, time.perf_counter() - began
        began = time.perf_counter()


def _set_rate(optimizer: torch.optim.Optimizer, rate: float) -> float:
    for group in optimizer.param_groups:
        group["lr"] = rate * group["share"]
    return rate


def _gradient(model: torch.nn.Module, batch: Tensors, config: TrainConfig, team: Team, leave: bool) -> dict[str, float]:
    """Compute the gradient of a batch, the same on all processes, cut to its norm.

    Returns:
        Means over the processes: losses, the gradient's norm before it was cut, and how many want to leave. One
        transfer from the device, the only time in a step that it is waited for.
    """
    model.train()
    model.zero_grad(set_to_none=True)
    try:
        share = team.mean(torch.tensor(float(batch.hinted))).clamp(min=1 / team.size)
        losses: Losses = model(batch.to(team.device), share)
        losses.total.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.optimizer.clip)
        parts: list[Tensor] = [*losses, norm, losses.total.new_tensor(float(leave))]
        values: list[float] = team.mean(torch.stack([part.detach().float() for part in parts])).tolist()
    except torch.OutOfMemoryError as error:
        size = f"{len(batch.rgb)} samples of {batch.rgb.shape[1]} px"
        raise DeviceError(f"{team.device}: out of memory with {size}; lower the phases' batch") from error
    return dict(zip(_NAMES, values, strict=True))


def _every(step: int, every: int, steps: int) -> bool:
    return step % every == 0 or step == steps


def _held(config: TrainConfig) -> tuple[PackReader, CarriedReader | None] | None:
    """What to validate on, if it is there."""
    if not config.data.held_pack.exists():
        return None
    places = config.data.held_carried
    return PackReader(config.data.held_pack), None if places is None else CarriedReader(places)


def _look(state: State, held: tuple[PackReader, CarriedReader | None], config: TrainConfig, journal: Journal) -> None:
    """Validate the averaged weights."""
    net, settings = state.averaged(), config.validation
    scores = validate(net, *held, settings)
    journal.validated(state.step, scores, contact_sheet(net, *held, settings) if settings.pictures else None)
