"""Training of R and F: chroma from gray, mean squared error of a*b*."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from videocolor.models.artifact import Artifact
from videocolor.models.base import ModelCard
from videocolor.published import fusion, residual
from videocolor.published.autoencoder import initialize
from videocolor.published.backbones import NAME, Lite0Values, OnnxValues, load_imagenet
from videocolor.published.samples import Pictures
from videocolor.published.task import C, Task, artifact_of, bytes_of, pictures_of
from videocolor.published.train_config import FusionConfig, ResidualConfig
from videocolor.training.hint.validate import recolor
from videocolor.training.lab import rgb_to_lab
from videocolor.types import Array

__all__ = ["FusionTask", "ResidualTask"]


class _ChromaTask(Task[C]):
    """Both predict a*b* in units of their own."""

    scale: float
    offset: float

    def error(self, batch: Pictures) -> Tensor:
        """Mean of the squares over pixels and both channels, in the system's own units: 1 / 2HW of their sum."""
        rgb, _, luma = pictures_of(batch, self.device)
        predicted = self.net(luma).float()
        truth = rgb_to_lab(rgb)[:, 1:] / self.scale + self.offset
        shown = torch.from_numpy(batch.shown).to(self.device)[:, None]
        squares: Tensor = (predicted - truth).square() * shown
        return squares.sum() / (2 * shown.sum())

    def columns(self, batch: Pictures) -> Mapping[str, Array]:
        """Truth, gray, and the truth's lightness with the predicted chroma."""
        rgb, _, luma = pictures_of(batch, self.device)
        ab = ((self.net(luma).float() - self.offset) * self.scale).cpu().numpy()
        made = np.stack([recolor(truth, chroma) for truth, chroma in zip(batch.rgb, ab, strict=True)])
        return {"truth": bytes_of(rgb), "gray": bytes_of(luma), "predicted": made}


class ResidualTask(_ChromaTask[ResidualConfig]):
    """R; a*b* in 0..1."""

    net: residual.ResidualNet
    scale, offset = residual.AB_SPAN, 0.5

    def __init__(self, config: ResidualConfig, *, learning: bool = True) -> None:
        super().__init__(config, learning=learning)
        torch.manual_seed(config.seed)
        self.net = residual.ResidualNet(residual.ResidualSettings(config.size, config.front))
        if learning and isinstance(self.net.front, residual.LiteFront):
            load_imagenet(self.net.front.encoder, config.encoder_weights)
        elif learning and config.weights is not None and isinstance(self.net.front, residual.ResNetFront):
            self.net.front.load(config.weights)

    def artifact(self, notes: dict[str, Any]) -> Artifact:
        """The network, its norms as they are."""
        card = residual.residual_card(self.net, self.config.out.name)
        return artifact_of(self.net, card, residual.ARCHITECTURE, self.net.settings.as_dict(), notes)


class FusionTask(_ChromaTask[FusionConfig]):
    """F; a*b* in -1..1."""

    net: fusion.FusionNet
    scale, offset = fusion.AB_SCALE, 0.0

    def __init__(self, config: FusionConfig, *, learning: bool = True) -> None:
        super().__init__(config, learning=learning)
        width, sha256 = Lite0Values.width, ""
        if config.extractor != NAME:
            given = OnnxValues(Path(config.extractor), config.extractor_range)
            width, sha256 = given.width, given.sha256
        settings = fusion.FusionSettings(
            config.size, config.data.fit, config.extractor, config.extractor_range, width, sha256
        )
        self.net = fusion.FusionNet(settings)
        initialize(self.net, config.seed)
        if learning and isinstance(self.net.extractor, Lite0Values):
            self.net.extractor.load(config.encoder_weights)

    def artifact(self, notes: dict[str, Any]) -> Artifact:
        """The network with its extractor, if that is not an ONNX file."""
        card: ModelCard = fusion.fusion_card(self.net, self.config.out.name)
        return artifact_of(self.net, card, fusion.ARCHITECTURE, self.net.settings.as_dict(), notes)
