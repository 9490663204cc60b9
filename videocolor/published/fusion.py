"""F: encoder, global features, fusion, decoder.

Baldassarre, Gonzalez Moran, Rodes-Guirao: "Deep Koalarization" (2017), and after them Pandey, Sahay, Jayavarthini
(2020) and Yassin's reproduction. Layer widths are the parent paper's as remembered. The global features are
EfficientNet-Lite0's 1000 values before softmax, or those of a user's ONNX file; the fused width follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videocolor.errors import ModelError
from videocolor.models.base import ModelCard, Prediction
from videocolor.published.autoencoder import initialize
from videocolor.published.backbones import NAME, Lite0Values, OnnxValues
from videocolor.published.colorizer import PublishedNet, TorchColorizer
from videocolor.published.config import FusionConfig
from videocolor.published.training import ChromaTask
from videocolor.training.lab import gray_lightness
from videocolor.types import Array

__all__ = ["FusionColorizer", "FusionNet", "FusionSettings", "FusionTask"]

AB_SCALE = 128.0
"""a*b* of -128..128 are -1..1 for the network."""
ENCODER: Final = ((64, 2), (128, 1), (128, 2), (256, 1), (256, 2), (512, 1), (512, 1), (256, 1))
"""Channels and strides of the 3x3 convolutions; the output is a picture's eighth, 256 channels deep."""
_SEEN: Final = 224
"""Side of what EfficientNet-Lite0 is shown."""


@dataclass(frozen=True)
class FusionSettings:
    """What the network is built from."""

    size: int
    """Side of its square input in pixels: 224 (Pandey), 200 (Yassin)."""
    fit: str
    """`stretch`, or `white`: aspect kept, the rest white."""
    extractor: str
    """`efficientnet-lite0`, or an ONNX file."""
    extractor_range: tuple[float, float]
    """What an ONNX file's input calls black and white."""
    width: int
    """Number of global values."""
    extractor_sha256: str
    """Of the ONNX file; empty without."""


class FusionNet(PublishedNet):
    """The four parts; the extractor is frozen.

    Args:
        settings: what it is built from.

    Raises:
        ModelError: an ONNX file is missing, or not the one that the network was trained with.
    """

    def __init__(self, settings: FusionSettings) -> None:
        super().__init__(settings)
        self.extractor: nn.Module | None = None
        self._onnx: OnnxValues | None = None
        if settings.extractor == NAME:
            self.extractor = Lite0Values().requires_grad_(False)
        else:
            self._onnx = OnnxValues(Path(settings.extractor), settings.extractor_range)
            if settings.extractor_sha256 not in ("", self._onnx.sha256):
                raise ModelError(f"{settings.extractor}: not the file that the network was trained with (sha256)")
            if settings.width != self._onnx.width:
                raise ModelError(f"{settings.extractor}: {self._onnx.width} values, the network has {settings.width}")
        before, layers = 1, []
        for channels, stride in ENCODER:
            layers += [nn.Conv2d(before, channels, 3, stride, 1), nn.ReLU()]
            before = channels
        self.encoder = nn.Sequential(*layers)
        self.fuse = nn.Conv2d(256 + settings.width, 256, 1)
        up = {"scale_factor": 2.0, "mode": "nearest"}
        self.decoder = nn.Sequential(
            *(nn.Conv2d(256, 128, 3, padding=1), nn.ReLU(), nn.Upsample(**up)),  # type: ignore[arg-type]
            *(nn.Conv2d(128, 64, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.Upsample(**up)),  # type: ignore[arg-type]
            *(nn.Conv2d(64, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 2, 3, padding=1)),
        )

    def values(self, luma: Tensor) -> Tensor:
        """(n, 1, h, w) Y' in 0..1 to the (n, width) global features; no gradient."""
        with torch.no_grad():
            if self._onnx is not None:
                return self._onnx(luma)
            assert self.extractor is not None
            out: Tensor = self.extractor(F.interpolate(luma, size=(_SEEN, _SEEN), mode="bilinear", antialias=True))
            return out

    def forward(self, luma: Tensor) -> Tensor:
        """Color square pictures.

        Args:
            luma: (n, 1, s, s) Y' in 0..1, s a multiple of 8.

        Returns:
            (n, 2, s, s): a*b* / 128 in -1..1.
        """
        n, _, height, width = luma.shape
        local = self.encoder(gray_lightness(luma) / 50 - 1)
        assert local.shape == (n, 256, height // 8, width // 8)
        values = self.values(luma).to(local.dtype)
        assert values.shape == (n, self.settings.width)
        spread = values[:, :, None, None].expand(-1, -1, height // 8, width // 8)
        fused = F.relu(self.fuse(torch.cat((local, spread), dim=1)))
        assert fused.shape == (n, 256, height // 8, width // 8)
        ab = torch.tanh(self.decoder(fused).float())
        assert ab.shape == (n, 2, height // 2, width // 2)
        return F.interpolate(ab, scale_factor=2.0)

    def card(self, name: str) -> ModelCard:
        """Describe a network."""
        settings = self.settings
        side = (settings.size, settings.size)
        return ModelCard(
            name=name,
            title=f"F: encoder, {settings.width} global features, fusion, decoder; "
            f"{settings.fit} to {settings.size} px",
            hints="none",
            parameters=sum(parameter.numel() for parameter in self.parameters()),
            macs=None,
            # White borders: the film keeps its aspect, and fills the square's width or height.
            area=settings.size * settings.size * 9 // 16,
            multiple=8,
            output_stride=1,
            size=side if settings.fit == "stretch" else None,
            licence="Apache-2.0",
            source="Baldassarre et al. 2017 (Deep Koalarization), Pandey et al. 2020; extractor replaced as named",
        )


class FusionColorizer(TorchColorizer):
    """Colors frames independently."""

    net: FusionNet
    network, settings = FusionNet, FusionSettings

    def step(self, _state: None, luma: Array, _propagated: Array | None = None, /) -> Prediction:
        """(n, 2, h, w) a*b* of frames of the card's size; for `white`, of any size."""
        self._check_size(luma)
        if self.net.settings.fit == "stretch":
            return Prediction(self._colored(luma[:, None]))
        height, width = luma.shape[1:]
        square, (top, left, h, w) = into_white(torch.from_numpy(np.array(luma[:, None])), self.net.settings.size)
        inner = torch.from_numpy(self._colored(square.numpy()))[..., top : top + h, left : left + w]
        ab = F.interpolate(inner, size=(height, width), mode="bilinear", antialias=True)
        return Prediction(np.ascontiguousarray(ab.numpy()))

    def _colored(self, luma: Array) -> Array:
        return self._run(self.net, luma) * np.float32(AB_SCALE)


def into_white(luma: Tensor, size: int) -> tuple[Tensor, tuple[int, int, int, int]]:
    """Scale pictures into the middle of a white square, aspect kept.

    Args:
        luma: (n, 1, h, w) in 0..1.
        size: side of the square.

    Returns:
        (n, 1, size, size), and where the picture is: top, left, height, width.
    """
    height, width = luma.shape[2:]
    scale = size / max(height, width)
    h, w = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = (size - h) // 2, (size - w) // 2
    small = F.interpolate(luma, size=(h, w), mode="bilinear", antialias=True)
    square = F.pad(small, (left, size - w - left, top, size - h - top), value=1.0)
    return square, (top, left, h, w)


class FusionTask(ChromaTask[FusionConfig]):
    """Training of F; a*b* in -1..1."""

    architecture: ClassVar[str] = "published-f"
    net: FusionNet
    scale, offset = AB_SCALE, 0.0

    def __init__(self, config: FusionConfig) -> None:
        super().__init__(config)
        width, sha256 = Lite0Values.width, ""
        if config.extractor != NAME:
            given = OnnxValues(Path(config.extractor), config.extractor_range)
            width, sha256 = given.width, given.sha256
        self.net = FusionNet(
            FusionSettings(config.size, config.data.fit, config.extractor, config.extractor_range, width, sha256)
        )
        initialize(self.net, config.seed)

    def pretrain(self) -> None:
        """Load the extractor's ImageNet weights."""
        if isinstance(self.net.extractor, Lite0Values):
            self.net.extractor.load(self.config.encoder_weights)
