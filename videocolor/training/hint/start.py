"""The weights that a run of the hint network begins with: untrained, of earlier runs, or of a weights file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from videocolor.errors import ConfigError, ModelError
from videocolor.models.artifact import Artifact, load_checkpoint
from videocolor.models.hint.network import HintNet
from videocolor.models.registry import find_artifact
from videocolor.training.averaged import on_device
from videocolor.training.config import PhasedConfig, TrainConfig
from videocolor.training.hint.network import forward
from videocolor.training.prefetch import open_sampler
from videocolor.training.samples import Batch

__all__ = [
    "begin_with",
    "initial_network",
    "kept_network",
    "new_network",
    "unfuse",
    "unfuse_batchnorm",
    "unseen_batches",
]

_MEASURED_ON: Final = 20
"""Batches that the statistics of a weights file's norms are measured on."""


def initial_network(config: TrainConfig, resumed: bool = False) -> HintNet:
    """Make the network of a run's first step.

    Args:
        config: the settings.
        resumed: a checkpoint's weights follow, so none need be read.

    Raises:
        ModelError: the initial weights cannot be read or are of another network.
        UsageError: no network has the name that `start` gives.
    """
    if not resumed and config.start is None:
        return new_network(config.seed, config.encoder_weights)
    torch.manual_seed(config.seed)
    net = HintNet()
    if not resumed:
        begin_with(net, _initial_weights(config))
    return net


def kept_network(config: TrainConfig, device: torch.device) -> HintNet | None:
    """Make the network whose automatic color is kept, ready for use; None where `loss.keep_automatic` is off.

    Raises:
        ConfigError: the settings name no `start`.
        ModelError, UsageError: it cannot be read.
    """
    if not config.loss.keep_automatic:
        return None
    if config.start is None:
        raise ConfigError("loss.keep_automatic: there is nothing to keep to without start")
    net = HintNet()
    begin_with(net, _initial_weights(config))
    return on_device(net, device).eval().requires_grad_(False)


def new_network(seed: int, encoder_weights: Path | None = None) -> HintNet:
    """Make an untrained network on the ImageNet encoder.

    Args:
        seed: of the untrained part.
        encoder_weights: file of the encoder's weights; None: the one of the installed package.

    Raises:
        ModelError: the weights are missing or not EfficientNet-Lite0's.
    """
    torch.manual_seed(seed)
    net = HintNet()
    net.encoder.load_imagenet(encoder_weights)
    return net


@lru_cache(maxsize=1)  # asked for twice where automatic color is kept
def _initial_weights(config: TrainConfig) -> dict[str, Tensor]:
    """Read the weights that a run begins with: a weights file's, or the mean of earlier runs' averages."""
    start = config.start
    if isinstance(start, Path) and start.suffix != ".pt":
        return unfuse_batchnorm(find_artifact(str(start)), unseen_batches(config)).state_dict()
    assert start is not None
    return _mean_of((start,) if isinstance(start, Path) else start)


def unseen_batches(config: PhasedConfig) -> Iterator[Batch]:
    """Draw some batches that no step of the run will see."""
    sampler, after = open_sampler(config), config.steps
    for number in range(_MEASURED_ON):
        yield sampler.batch(after + number, config.phases[0].batch, config.phases[0].size)


def _mean_of(checkpoints: Sequence[Path]) -> dict[str, Tensor]:
    """Mean of some runs' averaged weights (Wortsman et al., Model soups, ICML 2022); counters are the last one's.

    Raises:
        ModelError: a checkpoint cannot be read, or they are of different networks.
    """
    states = [load_checkpoint(path)["ema"] for path in checkpoints]
    mean = dict(states[-1])
    for name, value in mean.items():
        if any(name not in state or state[name].shape != value.shape for state in states):
            raise ModelError(f"start: {name} is not alike in {', '.join(map(str, checkpoints))}")
        if value.is_floating_point():
            mean[name] = torch.stack([state[name].float() for state in states]).mean(dim=0).to(value.dtype)
    return mean


def begin_with(net: HintNet, state: dict[str, Tensor]) -> None:
    """Load the weights of an earlier run.

    Raises:
        ModelError: they are of another network.
    """
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(f"start: its weights do not fit this network ({reason})") from error


@torch.no_grad()
def unfuse_batchnorm(artifact: Artifact, batches: Iterable[Batch]) -> HintNet:
    """Make a network that computes what a weights file's does, with batch norms that training can go on from.

    A norm's mean and variance are measured on samples, and its scale and offset undo them: evaluation is unchanged,
    and in training each batch is normalized by itself.

    Args:
        artifact: of the hint network.
        batches: training samples, at least one batch; a few hundred samples are plenty.

    Raises:
        ModelError: the weights belong to another network.
    """
    net = HintNet().eval()
    unfuse(net, artifact, partial(forward, net), batches)
    return net


@torch.no_grad()
def unfuse(net: nn.Module, artifact: Artifact, run: Callable[[Batch], object], batches: Iterable[Batch]) -> None:
    """Give a network in evaluation mode, norms not folded, a weights file's weights, as `unfuse_batchnorm` does.

    Args:
        net: it is changed.
        artifact: of such a network.
        run: puts a batch through it.
        batches: as above.

    Raises:
        ModelError: the weights belong to another network.
    """
    own = net.state_dict()
    for name, value in artifact.weights.items():
        offset = name.removesuffix("0.bias") + "1.bias"  # a convolution's own bias is its norm's offset
        target = own.get(name, own.get(offset))
        if target is None or target.shape != value.shape:
            raise ModelError(f"{artifact.card.name}: its weights {name} {value.shape} are not this network's")
        target.copy_(torch.from_numpy(value))
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.weight.fill_((1.0 + norm.eps) ** 0.5)
    measured = [_Statistics(norm) for norm in norms]
    for batch in batches:
        run(batch)
    for statistics in measured:
        statistics.set()


class _Statistics:
    """Mean and variance of a norm's input."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        self.norm = norm
        self.count = 0
        self.sum = torch.zeros(norm.num_features, dtype=torch.float64)
        self.squares = self.sum.clone()
        self._hook = norm.register_forward_pre_hook(self._add)

    def _add(self, _norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0].double()
        self.count += x.numel() // x.shape[1]
        self.sum += x.sum(dim=(0, 2, 3))
        self.squares += x.square().sum(dim=(0, 2, 3))

    def set(self) -> None:
        """Make these the norm's running statistics, undone by its scale and offset."""
        self._hook.remove()
        norm, mean = self.norm, self.sum / self.count
        variance = (self.squares / self.count - mean.square()).clamp(min=0.0)
        assert norm.running_mean is not None and norm.running_var is not None
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.add_(mean)
