"""F: encoder, global features, fusion, decoder.

Baldassarre, Gonzalez Moran, Rodes-Guirao: "Deep Koalarization" (2017), and after them Pandey, Sahay, Jayavarthini
(2020) and Yassin's reproduction. Layer widths are the parent paper's as remembered. The global features are
EfficientNet-Lite0's 1000 values before softmax, or those of a user's ONNX file; the fused width follows. They are of
the original picture, brought to the extractor's own size, not of the smaller one that the encoder sees.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videocolor.errors import ModelError
from videocolor.models.base import Prediction
from videocolor.models.hint.encoder import TAP_CHANNELS
from videocolor.published.autoencoder import initialize
from videocolor.published.backbones import NAME, Lite0Values, OnnxValues
from videocolor.published.chroma import ChromaTask
from videocolor.published.colorizer import PublishedNet, TorchColorizer
from videocolor.published.config import FusionConfig
from videocolor.training.lab import gray_lightness
from videocolor.types import Array

__all__ = ["FusionColorizer", "FusionNet", "FusionSettings", "FusionTask"]

AB_SCALE = 128.0
"""a*b* of -128..128 are -1..1 for the network."""
ENCODER: Final = ((64, 2), (128, 1), (128, 2), (256, 1), (256, 2), (512, 1), (512, 1), (256, 1))
"""Channels and strides of the 3x3 convolutions; the output is a picture's eighth, 256 channels deep."""


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
    encoder: str = "published"
    """`published`, or `efficientnet-lite0`."""


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
        self.encoder: nn.Module | None = None
        depth = sum(TAP_CHANNELS[2:5])  # EfficientNet-Lite0's features at 1/8, 1/16 and 1/32
        if settings.encoder == "published":
            depth, layers = 1, []
            for channels, stride in ENCODER:
                layers += [nn.Conv2d(depth, channels, 3, stride, 1), nn.ReLU()]
                depth = channels
            self.encoder = nn.Sequential(*layers)
        self.fuse = nn.Conv2d(depth + settings.width, 256, 1)
        up = {"scale_factor": 2.0, "mode": "nearest"}
        self.decoder = nn.Sequential(
            *(nn.Conv2d(256, 128, 3, padding=1), nn.ReLU(), nn.Upsample(**up)),  # type: ignore[arg-type]
            *(nn.Conv2d(128, 64, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.Upsample(**up)),  # type: ignore[arg-type]
            *(nn.Conv2d(64, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 2, 3, padding=1)),
        )

    @property
    def side(self) -> int:
        """Side of the square picture that holds all that the network can see, a multiple of 16."""
        seen: int = Lite0Values.side if self._onnx is None else self._onnx.side
        return -(-max(int(self.settings.size), seen) // 16) * 16

    def installed(self) -> dict[str, Callable[[], object]]:
        """Name the extractor."""
        return {} if self.extractor is None else {"extractor.": lambda: cast("Lite0Values", self.extractor).load(None)}

    def forward(self, square: Tensor, original: Tensor) -> Tensor:
        """Color square pictures.

        Args:
            square: (n, 1, s, s) Y' in 0..1, s a multiple of 8; stretched, or padded white.
            original: (n, 1, h, w) Y' in 0..1, the pictures as they are, for the global features.

        Returns:
            (n, 2, s, s): a*b* / 128 in -1..1.
        """
        n, _, height, width = square.shape
        grid = (height // 8, width // 8)
        local, values = self._features(square, original, grid)
        spread = values[:, :, None, None].expand(-1, -1, *grid)
        fused = F.relu(self.fuse(torch.cat((local, spread), dim=1)))
        assert fused.shape == (n, 256, *grid)
        ab = torch.tanh(self.decoder(fused).float())
        assert ab.shape == (n, 2, height // 2, width // 2)
        return F.interpolate(ab, scale_factor=2.0)

    def _features(self, square: Tensor, original: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Local features on the grid, and (n, width) global ones, which have no gradient."""
        taps: list[Tensor] = []
        with torch.no_grad():
            if self._onnx is not None:
                values = self._onnx(original)
            else:
                values, taps = cast("Lite0Values", self.extractor)(original)
            if self.encoder is None:
                resized = (F.interpolate(tap, grid, mode="bilinear", antialias=True) for tap in taps[2:5])
                return torch.cat(list(resized), dim=1), values
        local: Tensor = self.encoder(gray_lightness(square) / 50 - 1)
        return local, values.to(local.dtype)

    def about(self) -> dict[str, Any]:
        """Return its fields of the card."""
        settings = self.settings
        encoder = "encoder" if settings.encoder == "published" else "EfficientNet-Lite0 for the encoder"
        return {
            "title": f"F: {encoder}, {settings.width} global features, fusion, decoder; "
            f"{settings.fit} to {settings.size} px",
            "hints": "none",
            # White borders: the film keeps its aspect, and fills the square's width or height.
            "area": self.side * self.side * 9 // 16,
            "size": (self.side, self.side) if settings.fit == "stretch" else None,
            "source": "Baldassarre et al. 2017 (Deep Koalarization), Pandey et al. 2020; extractor replaced as named",
        }


class FusionColorizer(TorchColorizer):
    """Colors frames independently."""

    net: FusionNet
    network, settings = FusionNet, FusionSettings

    def step(self, _state: None, luma: Array, _propagated: Array | None = None, /) -> Prediction:
        """(n, 2, h/2, w/2) a*b* of frames of the card's size; for `white`, of any size."""
        self._check_size(luma)
        original = torch.from_numpy(np.array(luma[:, None], np.float32))
        half = (luma.shape[1] // 2, luma.shape[2] // 2)
        square, (top, left, h, w) = as_square(original, self.net.settings)
        inner = torch.from_numpy(self._run(self.net, square.numpy(), original.numpy()))
        inner = inner[..., top : top + h, left : left + w] * AB_SCALE
        ab = F.interpolate(inner, size=half, mode="bilinear", antialias=True)
        return Prediction(np.ascontiguousarray(ab.numpy()))


def as_square(luma: Tensor, settings: FusionSettings) -> tuple[Tensor, tuple[int, int, int, int]]:
    """Bring pictures to the square that the encoder sees: stretched, or in the middle of a white one.

    Args:
        luma: (n, 1, h, w) in 0..1.
        settings: of the network.

    Returns:
        (n, 1, size, size), and where the picture is: top, left, height, width.
    """
    size = settings.size
    height, width = luma.shape[2:]
    scale = size / max(height, width)
    h, w = (size, size) if settings.fit == "stretch" else (max(1, round(height * scale)), max(1, round(width * scale)))
    top, left = (size - h) // 2, (size - w) // 2
    small = F.interpolate(luma, size=(h, w), mode="bilinear", antialias=True)
    return F.pad(small, (left, size - w - left, top, size - h - top), value=1.0), (top, left, h, w)


class FusionTask(ChromaTask[FusionConfig]):
    """Training of F; a*b* in -1..1. Samples are as large as what the extractor sees."""

    architecture: ClassVar[str] = "published-f"
    net: FusionNet
    scale, offset = AB_SCALE, 0.0

    def __init__(self, config: FusionConfig) -> None:
        super().__init__(config)
        width, sha256 = Lite0Values.width, ""
        if config.extractor != NAME:
            given = OnnxValues(Path(config.extractor), config.extractor_range)
            width, sha256 = given.width, given.sha256
        span = config.extractor_range
        self.net = FusionNet(
            FusionSettings(config.size, config.data.fit, config.extractor, span, width, sha256, config.encoder)
        )
        initialize(self.net, config.seed)

    def side(self) -> int:
        """Of the original pictures, which the encoder sees smaller."""
        return self.net.side

    def predict(self, luma: Tensor, shown: Tensor) -> Tensor:
        """(n, 2, size, size) of pictures that may have white borders, which the extractor does not see."""
        size = self.config.size
        square = F.interpolate(luma, (size, size), mode="bilinear", antialias=True)
        originals = [_within(picture, mask[0]) for picture, mask in zip(luma, shown, strict=True)]
        return cast("Tensor", self.net(square, torch.stack(originals)))

    def pretrain(self) -> None:
        """Load the extractor's ImageNet weights."""
        if isinstance(self.net.extractor, Lite0Values):
            self.net.extractor.load(self.config.encoder_weights)


def _within(picture: Tensor, mask: Tensor) -> Tensor:
    """(1, s, s) picture without its borders, stretched to the same square."""
    rows, columns = mask.any(dim=1).nonzero(), mask.any(dim=0).nonzero()
    if len(rows) == len(columns) == len(mask):
        return picture
    inner = picture[:, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    return F.interpolate(inner[None], picture.shape[1:], mode="bilinear", antialias=True)[0]
