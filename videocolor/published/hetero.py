"""H, the heterogeneous network with a colour hint: a colour network over frozen codes, and what it is used through.

Bulygin, Gayanova, Vulfin, Kirillova, Gayanov: "Convolutional neural network in the images colorization problem" (Ufa).
The colour network's layers are not in the paper. Our reading: the autoencoders' own kind (2x2 convolutions, ReLU,
sigmoid at the end), without further pooling, for the codes are compressed already; experiment 1: one hidden layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videocolor.color import ab_to_ycbcr, rgb_to_lab, ycbcr_to_rgb
from videocolor.models.artifact import Artifact
from videocolor.models.base import HintInput, ModelCard, Prediction
from videocolor.published.autoencoder import FILTERS, Encoder, SameConv2
from videocolor.published.backbones import FirstFeatures
from videocolor.published.running import TorchColorizer, network_settings, placed
from videocolor.types import Array

__all__ = ["ARCHITECTURE", "DenseNet", "HeteroColorizer", "HeteroNet", "HeteroSettings", "hetero_card", "load_hetero"]

ARCHITECTURE = "published-h"


@dataclass(frozen=True)
class HeteroSettings:
    """What the network is built from."""

    size: int
    """Side in pixels that it was trained at."""
    inputs: tuple[str, ...]
    """`image` alone, or any of gray, outlines, hint, features."""
    bottleneck: int
    """Channels in the middle of the colour network."""
    hidden: int
    """Units of the fully connected network's hidden layer."""
    features_layout: str
    """`reshape` or `shuffle`."""
    input_scale: float
    """Factor on the colour network's inputs."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


class ColorNet(nn.Module):
    """Codes at a quarter of height and width to colour."""

    def __init__(self, channels: int, bottleneck: int) -> None:
        super().__init__()
        self.encode = nn.ModuleList([SameConv2(channels, 256), SameConv2(256, bottleneck, gives_code=True)])
        self.decode = nn.ModuleList([SameConv2(bottleneck, 256), SameConv2(256, 128)])
        self.last = SameConv2(128, 3)

    def forward(self, codes: Tensor) -> Tensor:
        """(n, channels, h, w) to (n, 3, 4h, 4w), before the sigmoid."""
        x = codes
        for layer in self.encode:
            x = F.relu(layer(x))
        for layer in self.decode:
            x = F.interpolate(F.relu(layer(x)), scale_factor=2.0)
        out: Tensor = self.last(x)
        return out


class DenseNet(nn.Module):
    """A whole small picture to its colour, fully connected."""

    def __init__(self, size: int, hidden: int) -> None:
        super().__init__()
        self.size = size
        self.first, self.last = nn.Linear(size * size, hidden), nn.Linear(hidden, 3 * size * size)

    def forward(self, image: Tensor) -> Tensor:
        """(n, 1, size, size) to (n, 3, size, size), before the sigmoid."""
        hidden = F.relu(self.first(image.flatten(1)))
        out: Tensor = self.last(hidden)
        return out.reshape(-1, 3, self.size, self.size)


class HeteroNet(nn.Module):
    """Frozen encoders, and the colour network over what they give."""

    mean: Tensor
    """(channels,), taken off the codes."""
    deviation: Tensor
    """(channels,), what they are divided by then."""

    def __init__(self, settings: HeteroSettings) -> None:
        super().__init__()
        self.settings = settings
        kinds = [kind for kind in settings.inputs if kind in FILTERS]
        self.encoders = nn.ModuleDict({kind: Encoder(*FILTERS[kind]) for kind in kinds})
        self.features = FirstFeatures(settings.features_layout) if "features" in settings.inputs else None
        channels = sum(FILTERS[kind][1][2] for kind in kinds) + (self.features is not None)
        dense = settings.inputs == ("image",)
        self.color: nn.Module = (
            DenseNet(settings.size, settings.hidden) if dense else ColorNet(channels, settings.bottleneck)
        )
        self.register_buffer("mean", torch.zeros(max(1, channels)))
        self.register_buffer("deviation", torch.ones(max(1, channels)))
        for part in (self.encoders, self.features):
            if part is not None:
                part.requires_grad_(False)

    def codes(self, luma: Tensor, hint: Tensor) -> Tensor:
        """What the colour network gets, before any scaling.

        Args:
            luma: (n, 1, h, w) Y' in 0..1; h and w multiples of 4.
            hint: (n, 3, h, w) R'G'B' in 0..1.

        Returns:
            (n, channels, h/4, w/4); for `image` the luma itself.
        """
        parts = []
        for kind in self.settings.inputs:
            if kind == "image":
                return luma
            if kind == "features":
                assert self.features is not None
                grid = (luma.shape[2] // 4, luma.shape[3] // 4)
                features = self.features(luma).float()
                parts.append(F.interpolate(features, size=grid, mode="bilinear", antialias=True))
            else:
                parts.append(self.encoders[kind](hint if kind == "hint" else luma))
        return torch.cat(parts, dim=1)

    def colors(self, codes: Tensor) -> Tensor:
        """(n, 3, h, w) R'G'B' in 0..1 from what `codes` gives."""
        scaled = (codes - self.mean[:, None, None]) / self.deviation[:, None, None]
        logits: Tensor = self.color(scaled * self.settings.input_scale)
        return torch.sigmoid(logits.float())

    def forward(self, luma: Tensor, hint: Tensor) -> Tensor:
        """(n, 3, h, w) R'G'B' in 0..1."""
        return self.colors(self.codes(luma, hint))


def hetero_card(net: HeteroNet, name: str) -> ModelCard:
    """The card of such a network."""
    settings = net.settings
    dense = settings.inputs == ("image",)
    return ModelCard(
        name=name,
        title=f"H: heterogeneous network, {' + '.join(settings.inputs)}",
        hints="one" if "hint" in settings.inputs else "none",
        parameters=sum(parameter.numel() for parameter in net.parameters()),
        macs=None,
        area=settings.size**2,
        multiple=8,
        output_stride=1,
        size=(settings.size, settings.size) if dense else None,
        licence="Apache-2.0",
        source="Bulygin et al. (Ufa), Convolutional neural network in the images colorization problem; our reading",
    )


class HeteroColorizer(TorchColorizer):
    """Colours frames for themselves; its pictures are R'G'B', of which a film gets the chroma."""

    net: HeteroNet

    def begin(self, hints: Sequence[HintInput]) -> Array | None:
        """(3, h, w) R'G'B' of the hint; None without one: then each frame's own gray stands in for it."""
        self._check_hints(hints)
        if not hints:
            return None
        luma, ab = hints[0].luma, hints[0].ab
        cb, cr = ab_to_ycbcr(luma, ab, "bt709")
        rgb = np.clip(ycbcr_to_rgb(luma, cb, cr, "bt709"), 0, 1)
        mask = hints[0].mask
        return np.asarray(rgb if mask is None else mask * rgb + (1 - mask) * luma, np.float32)

    def rgb(self, memory: Array | None, luma: Array) -> Array:
        """The network's own pictures, as the paper scores them.

        Returns:
            (n, 3, h, w) float32 R'G'B' in 0..1.
        """
        self._check_size(luma)
        gray = np.ascontiguousarray(luma[:, None], dtype=np.float32)
        hint = np.repeat(gray, 3, axis=1) if memory is None else np.broadcast_to(memory, (len(gray), *memory.shape))
        if hint.shape[2:] != gray.shape[2:]:
            raise ValueError(f"hint {hint.shape[2:]} and frame {gray.shape[2:]} are not of one size")
        return self._run(self.net, gray, hint)

    def step(self, memory: Array | None, luma: Array, carried: Array | None = None) -> Prediction:
        """The chroma of the network's pictures."""
        rgb = np.moveaxis(self.rgb(memory, luma), 1, 0)
        return Prediction(np.ascontiguousarray(np.moveaxis(rgb_to_lab(rgb)[1:], 0, 1), dtype=np.float32))


def load_hetero(artifact: Artifact, device: str, threads: int | None) -> HeteroColorizer:
    """Put a weights file to use.

    Raises:
        ModelError: weights, card and settings do not belong together.
        DeviceError: the device is not there.
    """
    settings = network_settings(artifact, HeteroSettings)
    net = HeteroNet(settings)
    placed(net, artifact, hetero_card(net, artifact.card.name), device, threads)
    return HeteroColorizer(artifact.card, net, device)
