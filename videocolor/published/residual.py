"""R, the deep residual colorizer: a ResNet front for gray pictures, a decoder, and padding for any size.

Mikhalina and others (Bryansk, "ResNet-Gray", 2019). L* in, a*b* out, mean squared error. The front's depth is not in
the paper: ResNet-18 here (He et al., CVPR 2016), its modules under torchvision's names so that a user's file fits.
The decoder is our reading: at each of five scales a 3x3 convolution, norm, ReLU and a doubling.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videocolor.errors import ModelError
from videocolor.models.base import Prediction
from videocolor.models.hint.encoder import GrayEncoder
from videocolor.published.chroma import ChromaTask
from videocolor.published.colorizer import PublishedNet, TorchColorizer
from videocolor.published.config import ResidualConfig
from videocolor.training.lab import gray_lightness
from videocolor.types import Array

__all__ = ["ResidualColorizer", "ResidualNet", "ResidualSettings", "ResidualTask"]

AB_SPAN = 255.0
"""a*b* of -127.5..127.5 are 0..1 for the network."""
_MULTIPLE = 32


@dataclass(frozen=True)
class ResidualSettings:
    """What the network is built from."""

    size: int
    """Side in pixels that it was trained at."""
    front: str
    """`resnet18` or `efficientnet-lite0`."""


class _BasicBlock(nn.Module):
    """Two 3x3 convolutions and a skip connection."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = (
            nn.Sequential(nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))
            if stride > 1 or channels_in != channels
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        around = x if self.downsample is None else self.downsample(x)
        return F.relu(around + self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))


class ResNetFront(nn.Module):
    """ResNet-18 without its classifier, for one channel."""

    channels = 512

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        widths = (64, 64, 128, 256, 512)
        for number, (before, after) in enumerate(pairwise(widths), 1):
            blocks = nn.Sequential(_BasicBlock(before, after, 1 if number == 1 else 2), _BasicBlock(after, after, 1))
            self.add_module(f"layer{number}", blocks)

    def forward(self, light: Tensor) -> Tensor:
        """(n, 1, h, w) L* / 100 to (n, 512, h/32, w/32)."""
        x = F.max_pool2d(F.relu(self.bn1(self.conv1((light - 0.45) / 0.226))), 3, 2, 1)  # ImageNet's gray statistics
        for number in range(1, 5):
            x = getattr(self, f"layer{number}")(x)
        return x

    def load(self, path: Path) -> None:
        """Begin with an ImageNet ResNet-18; weights for R, G and B are summed, for gray is the same in all three.

        Raises:
            ModelError: the file is missing or of another network.
        """
        try:
            if path.suffix == ".safetensors":
                from safetensors.torch import load_file

                state = load_file(path)
            else:
                state = torch.load(path, map_location="cpu", weights_only=True)
            kept = {name: value for name, value in state.items() if not name.startswith("fc.")}
            kept["conv1.weight"] = kept["conv1.weight"].sum(dim=1, keepdim=True)
            self.load_state_dict(kept)
        except (OSError, RuntimeError, LookupError, EOFError, ValueError, TypeError, pickle.UnpicklingError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ModelError(f"{path}: not ResNet-18's weights under torchvision's names ({reason})") from error


class LiteFront(nn.Module):
    """The named substitute: EfficientNet-Lite0's features, L* / 100 seen as if it were Y'."""

    channels = 320

    def __init__(self) -> None:
        super().__init__()
        self.encoder = GrayEncoder()

    def forward(self, light: Tensor) -> Tensor:
        """(n, 1, h, w) L* / 100 to (n, 320, h/32, w/32)."""
        taps: list[Tensor] = self.encoder(light)
        return taps[-1]


class ResidualNet(PublishedNet):
    """Front and decoder."""

    def __init__(self, settings: ResidualSettings) -> None:
        super().__init__(settings)
        self.front: ResNetFront | LiteFront = ResNetFront() if settings.front == "resnet18" else LiteFront()
        layers: list[nn.Module] = []
        before = self.front.channels
        for width in (256, 128, 64, 32, 16):
            layers += [nn.Conv2d(before, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            layers.append(nn.Upsample(scale_factor=2.0, mode="nearest"))
            before = width
        self.decoder = nn.Sequential(*layers)
        self.last = nn.Conv2d(before, 2, 3, padding=1)

    def installed(self) -> dict[str, Callable[[], object]]:
        """Name the substitute."""
        return {"front.": self.front.encoder.load_imagenet} if isinstance(self.front, LiteFront) else {}

    def forward(self, luma: Tensor) -> Tensor:
        """Color pictures of any size: padded to a multiple of 32 by repeating the edge, cropped after.

        Args:
            luma: (n, 1, h, w) Y' in 0..1.

        Returns:
            (n, 2, h, w): a*b* / 255 + 0.5, so 0..1.
        """
        height, width = luma.shape[2:]
        down, right = -height % _MULTIPLE, -width % _MULTIPLE
        light = F.pad(gray_lightness(luma) / 100, (0, right, 0, down), mode="replicate")
        ab: Tensor = self.last(self.decoder(self.front(light))).float() + 0.5
        return ab[..., :height, :width]

    def about(self) -> dict[str, Any]:
        """Return its fields of the card."""
        return {
            "title": f"R: deep residual colorizer, {self.settings.front} front",
            "hints": "none",
            "area": self.settings.size**2,
            "output_stride": 1,
            "source": "Mikhalina et al. (Bryansk), ResNet-Gray, 2019; ResNet-18 and the decoder are our reading",
        }


class ResidualColorizer(TorchColorizer):
    """Colors frames of any size independently."""

    net: ResidualNet
    network, settings = ResidualNet, ResidualSettings

    def step(self, _state: None, luma: Array, _propagated: Array | None = None, /) -> Prediction:
        """(n, 2, h, w) a*b*; any h and w."""
        ab = self._run(self.net, np.ascontiguousarray(luma[:, None], dtype=np.float32))
        return Prediction((ab - np.float32(0.5)) * np.float32(AB_SPAN))


class ResidualTask(ChromaTask[ResidualConfig]):
    """Training of R; a*b* in 0..1."""

    architecture: ClassVar[str] = "published-r"
    net: ResidualNet
    scale, offset = AB_SPAN, 0.5

    def __init__(self, config: ResidualConfig) -> None:
        super().__init__(config)
        torch.manual_seed(config.seed)
        self.net = ResidualNet(ResidualSettings(config.size, config.front))
        self.net.front.requires_grad_(not config.frozen)

    def pretrain(self) -> None:
        """Load the front's ImageNet weights."""
        if isinstance(self.net.front, LiteFront):
            self.net.front.encoder.load_imagenet(self.config.encoder_weights)
        elif self.config.weights is not None:
            self.net.front.load(self.config.weights)
