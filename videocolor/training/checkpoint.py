"""Checkpoints: written atomically, with everything that going on needs; and averaged weights."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from videocolor.errors import ModelError, OutputError
from videocolor.training.config import RunConfig

__all__ = ["Ema", "restoring", "save_checkpoint", "warn_of_changes"]

_log = logging.getLogger(__name__)


class Ema:
    """Exponential moving average of a module's parameters and buffers (integers are copied)."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state = {name: value.detach().clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Add the module as it is after step number `step` (from 0); the average starts fast."""
        decay = min(self.decay, (1 + step) / (10 + step))
        now = module.state_dict()
        real = [name for name, value in now.items() if value.dtype.is_floating_point]
        # All at once: on a GPU a launch for each of some hundred tensors takes longer than the work.
        torch._foreach_lerp_([self.state[name] for name in real], [now[name] for name in real], 1.0 - decay)
        for name in now.keys() - set(real):
            self.state[name].copy_(now[name])

    @torch.no_grad()
    def repair(self, module: nn.Module) -> None:
        """Replace running statistics that are not finite, as a bad step leaves them, by their average."""
        for name, value in module.named_buffers():
            if value.dtype.is_floating_point and not torch.isfinite(value).all():
                value.copy_(self.state[name])


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
