"""Checkpoints: atomic on disk, and everything in them that going on needs."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import nn

from videocolor.errors import ModelError

__all__ = ["Ema", "load_checkpoint", "save_checkpoint"]


class Ema:
    """Exponential moving average of a module's parameters and buffers (integers are copied)."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state = {name: value.detach().clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Take in the module after step number `step` (from 0); the average starts fast."""
        decay = min(self.decay, (1 + step) / (10 + step))
        now = module.state_dict()
        real = [name for name, value in now.items() if value.dtype.is_floating_point]
        # All at once: on a GPU a launch for each of some hundred tensors takes longer than the work.
        torch._foreach_lerp_([self.state[name] for name in real], [now[name] for name in real], 1.0 - decay)
        for name in now.keys() - set(real):
            self.state[name].copy_(now[name])

    @torch.no_grad()
    def mend(self, module: nn.Module) -> None:
        """Replace running statistics that are not finite, as a bad step leaves them, by their average."""
        for name, value in module.named_buffers():
            if value.dtype.is_floating_point and not torch.isfinite(value).all():
                value.copy_(self.state[name])


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write to a neighbour, flush to disk, rename: a killed run leaves the old file or the new one."""
    partial = path.with_name(path.name + ".part")
    with partial.open("wb") as handle:
        torch.save(content, handle)
        handle.flush()
        os.fsync(handle.fileno())
    partial.replace(path)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote, into the machine's own memory.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0][:200]
        raise ModelError(f"{path}: not a checkpoint that can be read ({reason})") from error
    return dict(content)
