"""Training in phases with averaged weights: what the hint network's and the keyframe network's runs share."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from videocolor.datasets.pack import PackReader
from videocolor.models.artifact import Artifact, write_artifact
from videocolor.training.config import OptimizerConfig, PhasedConfig, ValidationConfig
from videocolor.training.loop import Task
from videocolor.types import Array

__all__ = ["AveragedTask", "Ema", "learning_rate", "on_device"]

P = TypeVar("P", bound=PhasedConfig)
N = TypeVar("N", bound=nn.Module)


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


def learning_rate(step: int, steps: int, config: OptimizerConfig) -> float:
    """Warm-up, then cosine to 1 % of `lr`; a function of the step alone."""
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    done = (step - config.warmup) / max(1, steps - config.warmup)
    return config.lr * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


def on_device(net: N, device: torch.device) -> N:
    """Move a network, channels last."""
    return net.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


class AveragedTask(Task[P]):
    """A task whose result is the moving average of the weights."""

    net: nn.Module
    ema: Ema
    held: PackReader | None = None
    """Held-back footage; None: no validation."""
    licences: object = None
    """Counts by licence of the footage."""

    def __init__(self, config: P) -> None:
        self.config, self.clip = config, config.optimizer.clip

    def rate(self) -> float:
        """Set the learning rate of the step in all parameter groups."""
        rate = learning_rate(self.step, self.config.steps, self.config.optimizer)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["share"]
        return rate

    def update(self, values: Mapping[str, float], samples: int) -> None:
        """Apply the gradient and update the averaged weights."""
        super().update(values, samples)
        self.ema.update(self.net, self.step)

    def skip(self) -> None:
        """Repair the norms' running statistics."""
        self.ema.repair(self.net)

    def validation(self) -> tuple[Mapping[str, float], Array | None] | None:
        """Score the averaged weights on held-back footage, every some steps and at the end."""
        settings = self.config.validation
        if self.held is None or (self.step % settings.every and self.step != self.config.steps):
            return None
        return self.validated(self.held, settings)

    @abstractmethod
    def validated(self, held: PackReader, settings: ValidationConfig) -> tuple[Mapping[str, float], Array | None]:
        """Scores of the averaged weights, and a sheet of pictures where the settings ask for one."""

    def save_due(self) -> bool:
        """Whether a checkpoint is due after this step."""
        return self.step % self.config.save_every == 0

    @abstractmethod
    def artifact(self) -> Artifact:
        """Make what the weights file holds."""

    def state(self) -> dict[str, Any]:
        """Network, averaged weights, optimizer; and the artifact, with the weights that it is made of."""
        artifact = self.artifact()
        weights = {name: torch.from_numpy(value) for name, value in artifact.weights.items()}
        parts = {"net": self.net.state_dict(), "ema": self.ema.state, "optimizer": self.optimizer.state_dict()}
        return {**parts, "artifact": artifact.about() | {"weights": weights}}

    def finish(self, checkpoint: Path) -> Path:
        """Write OUT/NAME.safetensors."""
        artifact, target = self.artifact(), checkpoint.parent / f"{checkpoint.parent.name}.safetensors"
        write_artifact(target, artifact.weights, artifact.card, artifact.architecture, artifact.training)
        return target

    def restore(self, content: dict[str, Any]) -> None:
        """Take over network, averaged weights and optimizer."""
        self.net.load_state_dict(content["net"])
        self.optimizer.load_state_dict(content["optimizer"])
        for name, value in content["ema"].items():
            self.ema.state[name].copy_(value)
