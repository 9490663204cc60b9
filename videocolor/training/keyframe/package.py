"""From averaged weights to what a weights file holds: norms folded, a card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from videocolor.errors import ModelError
from videocolor.models.artifact import Artifact
from videocolor.models.base import ModelCard
from videocolor.models.keyframe.colorizer import ARCHITECTURE
from videocolor.models.keyframe.network import KeyframeNet
from videocolor.training.hint.package import count_macs

__all__ = ["make_artifact", "network_of"]


def network_of(weights: Mapping[str, Tensor]) -> KeyframeNet:
    """Build the network, norms not folded, that a checkpoint's weights belong to.

    Raises:
        ModelError: they belong to another network.
    """
    try:
        net = KeyframeNet(len(weights["centers"]))
        net.load_state_dict(dict(weights))
    except (RuntimeError, KeyError) as error:
        reason = str(error).partition("\n")[0][:200]
        raise ModelError(f"these weights are not a keyframe network's ({reason})") from error
    return net


def make_artifact(averaged: Mapping[str, Tensor], training: dict[str, Any]) -> Artifact:
    """Make what a weights file holds.

    Args:
        averaged: a run's averaged weights.
        training: notes on the run: steps, settings, counts by license of the footage.

    Raises:
        ModelError: the weights belong to another network.
    """
    net = network_of(averaged).folded()
    card = ModelCard(
        name="keyframe",
        title="Keyframe network: EfficientNet-Lite0 on gray, decoder to 1/4, mean and distribution of a*b*",
        hints="none",
        parameters=sum(p.numel() for p in net.parameters()),
        macs=count_macs(net),
        area=352 * 192,
        output_stride=4,
        licence="Apache-2.0",
        source="trained by videocolor (videocolor train --config train/keyframe_encoder)",
    )
    weights = {name: value.float().cpu().contiguous().numpy() for name, value in net.state_dict().items()}
    return Artifact(card, ARCHITECTURE, training, lambda: weights)
