"""Training of H: the autoencoders, and the colour network over their frozen codes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videocolor.errors import ModelError
from videocolor.models.artifact import Artifact
from videocolor.models.published.autoencoder import Autoencoder, initialize, outlines
from videocolor.training.checkpoint import load_checkpoint
from videocolor.training.published_config import HeteroConfig
from videocolor.training.published_samples import Pictures
from videocolor.training.published_task import Task, bytes_of, pictures_of
from videocolor.types import Array

__all__ = ["AutoencoderTask", "ColorTask", "hetero_task"]


def hetero_task(config: HeteroConfig, *, learning: bool = True) -> Task[HeteroConfig]:
    """The task of one of H's configurations."""
    return ColorTask(config, learning=learning) if config.part == "color" else AutoencoderTask(config, learning=learning)


class AutoencoderTask(Task[HeteroConfig]):
    """gray -> gray, gray -> Sobel outlines, or hint -> hint."""

    def __init__(self, config: HeteroConfig, *, learning: bool = True) -> None:
        super().__init__(config, learning=learning)
        self.net = Autoencoder(config.part)
        initialize(self.net, config.seed, config.code_bias)

    def _pair(self, batch: Pictures) -> tuple[Tensor, Tensor]:
        """Input, and the target in three channels: one of gray or outlines is repeated."""
        _, hint, luma = pictures_of(batch, self.device)
        if self.config.part == "hint":
            return hint, hint
        return luma, (luma if self.config.part == "gray" else outlines(luma)).expand(-1, 3, -1, -1)

    def error(self, batch: Pictures) -> Tensor:
        """Mean squared error of pictures in 0..1."""
        source, target = self._pair(batch)
        return F.mse_loss(self.net(source.contiguous(memory_format=torch.channels_last)), target)

    def columns(self, batch: Pictures) -> Mapping[str, Array]:
        """Input, target, output."""
        source, target = self._pair(batch)
        return {"input": bytes_of(source), "target": bytes_of(target), "output": bytes_of(self.net(source))}

    def artifact(self, notes: dict[str, Any]) -> Artifact:
        """There is none."""
        raise ModelError(f"{self.config.out}: an autoencoder; it colours nothing by itself, h2 to h6 use it")
