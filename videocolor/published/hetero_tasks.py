"""Training of H: its autoencoders, then the color network over their frozen codes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videocolor.color import LUMA_WEIGHTS
from videocolor.errors import ModelError
from videocolor.models.artifact import load_checkpoint
from videocolor.published.autoencoder import Autoencoder, initialize, outlines
from videocolor.published.compressors import Blocks
from videocolor.published.config import HeteroConfig
from videocolor.published.hetero import DenseNet, HeteroNet, HeteroSettings
from videocolor.published.training import Pictures, PublishedTask, as_bytes, tensors_of
from videocolor.types import Array

__all__ = ["AutoencoderTask", "ColorTask", "hetero_task"]

_FITTED: Final = 256
"""Samples that principal components are computed of."""


def hetero_task(config: HeteroConfig) -> PublishedTask[HeteroConfig]:
    """Make the task of one of H's configurations."""
    return ColorTask(config) if config.part == "color" else AutoencoderTask(config)


class AutoencoderTask(PublishedTask[HeteroConfig]):
    """Training of an autoencoder: gray -> gray, gray -> Sobel outlines, or hint -> hint."""

    net: Autoencoder

    def __init__(self, config: HeteroConfig) -> None:
        super().__init__(config)
        self.net = Autoencoder(config.part)
        initialize(self.net, config.seed, config.code_bias)
        assert self.net.decoder.last.bias is not None
        nn.init.constant_(self.net.decoder.last.bias, config.output_bias)

    def _pair(self, batch: Pictures) -> tuple[Tensor, Tensor]:
        """Input, and the target in three channels: one of gray or outlines is repeated."""
        _, hint, luma = tensors_of(batch, self.device)
        if self.config.part == "hint":
            return hint, hint
        return luma, (luma if self.config.part == "gray" else outlines(luma)).expand(-1, 3, -1, -1)

    def error(self, batch: Pictures) -> Tensor:
        """Mean squared error of pictures in 0..1; in training the sparsity's share beside it."""
        source, target = self._pair(batch)
        if self.net.training and self.config.noise:
            random = torch.Generator().manual_seed(self.step)
            noise = torch.randn(source.shape, generator=random).to(source)
            source = (source + self.config.noise * noise).clamp(0, 1)
        code = self.net.encoder(source.contiguous(memory_format=torch.channels_last))
        error = F.mse_loss(torch.sigmoid(self.net.decoder(code).float()), target)
        return error + self.config.sparsity * code.mean() if self.net.training else error

    def signs(self, batch: Pictures) -> dict[str, float]:
        """Measure the code's share of values above 0; 0 is a dead code."""
        source, _ = self._pair(batch)
        return {"alive": float((self.net.encoder(source) > 0).float().mean())}

    def columns(self, batch: Pictures) -> Mapping[str, Array]:
        """Input, target, output."""
        source, target = self._pair(batch)
        return {"input": as_bytes(source), "target": as_bytes(target), "output": as_bytes(self.net(source))}

    def card(self) -> None:
        """Return None: an autoencoder colors nothing by itself; h2 to h6 use it."""


class Coded(NamedTuple):
    """A batch of the color network: what it gets, and what it should make of it."""

    codes: Tensor
    """(n, channels, h/4, w/4), or luma (n, 1, h, w) where nothing is compressed."""
    rgb: Tensor
    """(n, h, w, 3) uint8."""
    luma: Tensor
    """(n, 1, h, w) in 0..1, for pictures."""
    hint: Tensor
    """(n, 3, h, w) in 0..1, for pictures."""


class ColorTask(PublishedTask[HeteroConfig]):
    """Training of the color network; the frozen encoders see every sample once, before the first step."""

    architecture: ClassVar[str] = "published-h"
    net: HeteroNet

    def __init__(self, config: HeteroConfig) -> None:
        super().__init__(config)
        self.net = HeteroNet(
            HeteroSettings(
                *(config.size, config.inputs, config.bottleneck, config.hidden, config.features_layout),
                *(config.input_scale, config.compressor, config.width, config.depth, config.backbone),
            )
        )
        initialize(self.net.color, config.seed, config.code_bias)
        self._codes: dict[bool, Tensor] = {}

    def pretrain(self) -> None:
        """Load the frozen encoders and the backbone."""
        for kind in self.net.encoders if self.config.compressor == "autoencoder" else ():
            own = {"before": "hint"}.get(kind, kind)
            self._freeze(kind, own, getattr(self.config, own))
        if self.net.features is not None:
            self.net.features.load(self.config.encoder_weights)

    def _freeze(self, kind: str, own: str, folder: Path) -> None:
        """Take over the encoder of the run of the autoencoder `own`."""
        path = folder / "checkpoint.pt"
        if not path.is_file():
            raise ModelError(f"{path}: missing; train it first: videocolor train --config published/h_{own}")
        content = load_checkpoint(path)
        if content.get("system") != "hetero" or content["config"]["part"] != own:
            raise ModelError(f"{path}: not of the autoencoder {own!r}")
        trained = Autoencoder(own)
        trained.load_state_dict(content["net"])
        self.net.encoders[kind].load_state_dict(trained.encoder.state_dict())

    def place(self) -> None:
        """Encode all samples; where asked, take the codes' mean and deviation from the training samples."""
        super().place()
        self.net.eval()
        if self.config.compressor == "pca":
            _, hint, luma = tensors_of(super().draw(np.arange(min(_FITTED, len(self.samples))), 0), self.device)
            for encoder in self.net.encoders.values():
                colored = cast("Blocks", encoder).kind in ("hint", "before")
                cast("Blocks", encoder).fit(hint if colored else luma)
        for held, samples in ((False, self.samples), (True, self.held)):
            if samples is not None:
                self._codes[held] = torch.cat([self._encoded(part, held) for part in _parts(len(samples))])
        if self.config.standardize:
            deviation, mean = torch.std_mean(self._codes[False].float(), dim=(0, 2, 3))
            self.net.mean.copy_(mean)
            self.net.deviation.copy_(deviation.clamp_min(1e-3))

    @torch.no_grad()
    def _encoded(self, numbers: Array, held: bool) -> Tensor:
        batch: Pictures = super().draw(numbers, 0, held)
        _, hint, luma = tensors_of(batch, self.device)
        before = torch.from_numpy(batch.before).to(luma).permute(0, 3, 1, 2) / 255
        # Every second sample begins a shot, so that its own gray is a good start.
        first = torch.from_numpy(numbers % 2 == 0).to(self.device)[:, None, None, None]
        before = torch.where(first, luma.expand_as(before), before)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bf16):
            return self.net.codes(luma, hint, before).to("cpu", torch.float16)

    def draw(self, numbers: Array, _epoch: int, held: bool = False) -> Coded:
        """Codes and truth by number."""
        batch: Pictures = super().draw(numbers, 0, held)
        _, hint, luma = tensors_of(batch, torch.device("cpu"))
        return Coded(self._codes[held][torch.from_numpy(numbers)], torch.from_numpy(batch.rgb), luma, hint)

    def _made(self, batch: Coded) -> Tensor:
        return self.net.colors(batch.codes.to(self.device).float())

    def error(self, batch: Coded) -> Tensor:
        """Mean squared error of R'G'B' in 0..1."""
        return F.mse_loss(self._made(batch), batch.rgb.to(self.device).permute(0, 3, 1, 2).float() / 255)

    def signs(self, batch: Coded) -> dict[str, float]:
        """Signs of life; a dead network gives 0 for both.

        `alive` is the share of values above 0 in its middle; `spread` how much its pictures of several samples differ,
        the mean over pixels of their standard deviation over samples, in codes of 0..255. `sharpness` is the mean
        length of its pictures' outlines, as a share of the truth's.
        """
        middle: list[Tensor] = []
        color = self.net.color
        layer = color.first if isinstance(color, DenseNet) else cast("nn.ModuleList", color.encode)[-1]
        assert isinstance(layer, nn.Module)
        handle = layer.register_forward_hook(lambda _m, _i, output: middle.append(output))
        made = self._made(batch)
        handle.remove()
        weights = made.new_tensor(LUMA_WEIGHTS["bt709"])[:, None, None]
        drawn = outlines((made * weights).sum(dim=1, keepdim=True)).mean() / outlines(batch.luma.to(made)).mean()
        return {
            "alive": float((middle[0] > 0).float().mean()),
            "spread": 255 * float(made.std(dim=0).mean()),
            "sharpness": float(drawn),
        }

    def columns(self, batch: Coded) -> Mapping[str, Array]:
        """Truth, gray, hint, output."""
        return {
            "truth": batch.rgb.numpy(),
            "gray": as_bytes(batch.luma),
            "hint": as_bytes(batch.hint),
            "output": as_bytes(self._made(batch)),
        }


def _parts(count: int) -> list[Array]:
    return np.array_split(np.arange(count), max(1, count // 32))
