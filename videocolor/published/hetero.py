"""H, the heterogeneous network with a color hint: a color network over frozen codes, and what it is used through.

Bulygin, Gayanova, Vulfin, Kirillova, Gayanov: "Convolutional neural network in the images colorization problem" (Ufa).
The color network's layers are not in the paper. Our reading: the autoencoders' own kind (2x2 convolutions, ReLU,
sigmoid at the end), without further pooling, for the codes are compressed already; experiment 1: one hidden layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videocolor.color import ab_to_ycbcr, rgb_to_lab, ycbcr_to_rgb
from videocolor.models.base import HintInput, Prediction
from videocolor.published.autoencoder import FILTERS, SameConv2
from videocolor.published.backbones import NAME, FirstFeatures, OnnxFeatures
from videocolor.published.colorizer import PublishedNet, TorchColorizer
from videocolor.published.compressors import code_channels, compressor_of
from videocolor.types import Array

__all__ = ["ColorNet", "DenseNet", "HeteroColorizer", "HeteroNet", "HeteroSettings", "Shot"]


@dataclass(frozen=True)
class HeteroSettings:
    """What the network is built from."""

    size: int
    """Side in pixels that it was trained at."""
    inputs: tuple[str, ...]
    """`image` alone, or any of gray, outlines, hint, features."""
    bottleneck: int
    """Channels in the middle of the color network."""
    hidden: int
    """Units of the fully connected network's hidden layer."""
    features_layout: str
    """`reshape` or `shuffle`."""
    input_scale: float
    """Factor on the color network's inputs."""
    compressor: str = "autoencoder"
    """`autoencoder`, `pca` or `none`."""
    width: int = 256
    """Channels of the color network's outer layers."""
    depth: int = 2
    """Its layers on each side of the middle."""
    backbone: str = NAME
    """`efficientnet-lite0`, or an ONNX file."""


class ColorNet(nn.Module):
    """Codes at a quarter of height and width to color."""

    def __init__(self, channels: int, bottleneck: int, width: int = 256, depth: int = 2) -> None:
        super().__init__()
        half = width // 2
        down, up = [channels, *[width] * (depth - 1)], [bottleneck, *[width] * (depth - 1), half]
        self.encode = nn.ModuleList([*(SameConv2(a, b) for a, b in pairwise(down))])
        self.encode.append(SameConv2(down[-1], bottleneck, gives_code=True))
        self.decode = nn.ModuleList([SameConv2(a, b) for a, b in pairwise(up)])
        self.last = SameConv2(half, 3)

    def forward(self, codes: Tensor) -> Tensor:
        """(n, channels, h, w) to (n, 3, 4h, 4w), before the sigmoid."""
        x = codes
        for layer in self.encode:
            x = F.relu(layer(x))
        for left, layer in zip(range(len(self.decode), 0, -1), self.decode, strict=True):
            x = F.relu(layer(x))
            x = F.interpolate(x, scale_factor=2.0) if left <= 2 else x  # the last two layers double
        out: Tensor = self.last(x)
        return out


class DenseNet(nn.Module):
    """A fully connected network from a small picture to its color."""

    def __init__(self, size: int, hidden: int) -> None:
        super().__init__()
        self.size = size
        self.first, self.last = nn.Linear(size * size, hidden), nn.Linear(hidden, 3 * size * size)

    def forward(self, image: Tensor) -> Tensor:
        """(n, 1, size, size) to (n, 3, size, size), before the sigmoid."""
        hidden = F.relu(self.first(image.flatten(1)))
        out: Tensor = self.last(hidden)
        return out.reshape(-1, 3, self.size, self.size)


class HeteroNet(PublishedNet):
    """Frozen encoders, and the color network over their codes."""

    mean: Tensor
    """(channels,), taken off the codes."""
    deviation: Tensor
    """(channels,), what they are divided by then."""

    def __init__(self, settings: HeteroSettings) -> None:
        super().__init__(settings)
        kinds = [kind for kind in settings.inputs if kind in FILTERS]
        compressor, layout = settings.compressor, settings.features_layout
        self.encoders = nn.ModuleDict({kind: compressor_of(kind, compressor) for kind in kinds})
        self.features: FirstFeatures | None = None
        self._onnx: OnnxFeatures | None = None
        if "features" in settings.inputs and settings.backbone == NAME:
            self.features = FirstFeatures(layout)
        elif "features" in settings.inputs:
            self._onnx = OnnxFeatures(Path(settings.backbone), layout)
        channels = sum(code_channels(kind, compressor) for kind in kinds) + ("features" in settings.inputs)
        dense = settings.inputs == ("image",)
        self.color: nn.Module = (
            DenseNet(settings.size, settings.hidden)
            if dense
            else ColorNet(channels, settings.bottleneck, settings.width, settings.depth)
        )
        self.register_buffer("mean", torch.zeros(max(1, channels)))
        self.register_buffer("deviation", torch.ones(max(1, channels)))
        for part in (self.encoders, self.features):
            if part is not None:
                part.requires_grad_(False)

    def installed(self) -> dict[str, Callable[[], object]]:
        """Name the backbone."""
        return {} if self.features is None else {"features.": lambda: cast("FirstFeatures", self.features).load(None)}

    def codes(self, luma: Tensor, hint: Tensor, before: Tensor) -> Tensor:
        """Compute the input of the color network, before any scaling.

        Args:
            luma: (n, 1, h, w) Y' in 0..1; h and w multiples of 4.
            hint: (n, 3, h, w) R'G'B' in 0..1.
            before: the same of the frame before.

        Returns:
            (n, channels, h/4, w/4); for `image` the luma itself.
        """
        parts = []
        for kind in self.settings.inputs:
            if kind == "image":
                return luma
            if kind == "features":
                grid = (luma.shape[2] // 4, luma.shape[3] // 4)
                features = cast("Callable[[Tensor], Tensor]", self.features or self._onnx)(luma).float()
                parts.append(F.interpolate(features, size=grid, mode="bilinear", antialias=True))
            else:
                parts.append(self.encoders[kind]({"hint": hint, "before": before}.get(kind, luma)))
        return torch.cat(parts, dim=1)

    def colors(self, codes: Tensor) -> Tensor:
        """(n, 3, h, w) R'G'B' in 0..1 from what `codes` gives."""
        scaled = (codes - self.mean[:, None, None]) / self.deviation[:, None, None]
        logits: Tensor = self.color(scaled * self.settings.input_scale)
        return torch.sigmoid(logits.float())

    def forward(self, luma: Tensor, hint: Tensor, before: Tensor) -> Tensor:
        """(n, 3, h, w) R'G'B' in 0..1."""
        return self.colors(self.codes(luma, hint, before))

    def about(self) -> dict[str, Any]:
        """Return its fields of the card."""
        settings = self.settings
        return {
            "title": f"H: heterogeneous network, {' + '.join(settings.inputs)}"
            + f" ({settings.compressor})" * (settings.compressor != "autoencoder"),
            "hints": "one" if "hint" in settings.inputs else "none",
            "area": settings.size**2,
            "output_stride": 1,
            "size": (settings.size, settings.size) if settings.inputs == ("image",) else None,
            "source": "Bulygin et al. (Ufa), Convolutional neural network in the images colorization problem; "
            "our reading",
        }


@dataclass
class Shot:
    """What is kept of a shot."""

    hint: Array | None
    """(3, h, w) R'G'B'; None: each frame's own gray is used."""
    last: Array | None = None
    """(1, 3, h, w): the last picture that was made, for a recurrent network."""


class HeteroColorizer(TorchColorizer):
    """Colors frames independently; its pictures are R'G'B', of which a film gets the chroma."""

    net: HeteroNet
    network, settings = HeteroNet, HeteroSettings

    def begin(self, hints: Sequence[HintInput]) -> Shot:
        """Keep the hint as R'G'B'."""
        self._check_hints(hints)
        if not hints:
            return Shot(None)
        luma, ab = hints[0].luma, hints[0].ab
        cb, cr = ab_to_ycbcr(luma, ab, "bt709")
        rgb = np.clip(ycbcr_to_rgb(luma, cb, cr, "bt709"), 0, 1)
        mask = hints[0].mask
        return Shot(np.asarray(rgb if mask is None else mask * rgb + (1 - mask) * luma, np.float32))

    def rgb(self, state: Shot, luma: Array) -> Array:
        """Make the network's own pictures, as the paper scores them.

        Returns:
            (n, 3, h, w) float32 R'G'B' in 0..1.
        """
        self._check_size(luma)
        gray = np.ascontiguousarray(luma[:, None], dtype=np.float32)
        own = np.repeat(gray, 3, axis=1)
        hint = own if state.hint is None else np.broadcast_to(state.hint, own.shape)
        if "before" not in self.net.settings.inputs:
            return self._run(self.net, gray, hint, own)
        frames = []
        for number in range(len(gray)):
            one = slice(number, number + 1)
            state.last = self._run(self.net, gray[one], hint[one], own[one] if state.last is None else state.last)
            frames.append(state.last)
        return np.concatenate(frames)

    def step(self, state: Shot, luma: Array, _propagated: Array | None = None, /) -> Prediction:
        """Return the chroma of the network's pictures."""
        rgb = np.moveaxis(self.rgb(state, luma), 1, 0)
        return Prediction(np.ascontiguousarray(np.moveaxis(rgb_to_lab(rgb)[1:], 0, 1), dtype=np.float32))
