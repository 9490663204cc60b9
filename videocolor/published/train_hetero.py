"""Training of H: the autoencoders, and the colour network over their frozen codes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videocolor.errors import ModelError
from videocolor.models.artifact import Artifact
from videocolor.published.autoencoder import Autoencoder, initialize, outlines
from videocolor.published.backbones import check_name
from videocolor.published.hetero import ARCHITECTURE, DenseNet, HeteroNet, HeteroSettings, hetero_card
from videocolor.published.samples import Pictures
from videocolor.published.task import Task, artifact_of, bytes_of, pictures_of
from videocolor.published.train_config import HeteroConfig
from videocolor.training.checkpoint import load_checkpoint
from videocolor.types import Array

__all__ = ["AutoencoderTask", "ColorTask", "hetero_task"]


def hetero_task(config: HeteroConfig, *, learning: bool = True) -> Task[HeteroConfig]:
    """The task of one of H's configurations."""
    return (
        ColorTask(config, learning=learning) if config.part == "color" else AutoencoderTask(config, learning=learning)
    )


class AutoencoderTask(Task[HeteroConfig]):
    """gray -> gray, gray -> Sobel outlines, or hint -> hint."""

    net: Autoencoder

    def __init__(self, config: HeteroConfig, *, learning: bool = True) -> None:
        super().__init__(config, learning=learning)
        self.net = Autoencoder(config.part)
        initialize(self.net, config.seed, config.code_bias)
        assert self.net.decoder.last.bias is not None
        nn.init.constant_(self.net.decoder.last.bias, config.output_bias)

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

    def signs(self, batch: Pictures) -> dict[str, float]:
        """The code's share of values above 0; 0 is a dead code."""
        source, _ = self._pair(batch)
        return {"alive": float((self.net.encoder(source) > 0).float().mean())}

    def columns(self, batch: Pictures) -> Mapping[str, Array]:
        """Input, target, output."""
        source, target = self._pair(batch)
        return {"input": bytes_of(source), "target": bytes_of(target), "output": bytes_of(self.net(source))}

    def artifact(self, notes: dict[str, Any]) -> Artifact:
        """There is none."""
        raise ModelError(f"{self.config.out}: an autoencoder; it colours nothing by itself, h2 to h6 use it")


class Coded(NamedTuple):
    """A batch of the colour network: what it gets, and what it should make of it."""

    codes: Tensor
    """(n, channels, h/4, w/4), or luma (n, 1, h, w) where nothing is compressed."""
    rgb: Tensor
    """(n, h, w, 3) uint8."""
    luma: Tensor
    """(n, 1, h, w) in 0..1, for pictures."""
    hint: Tensor
    """(n, 3, h, w) in 0..1, for pictures."""


class ColorTask(Task[HeteroConfig]):
    """The colour network; the frozen encoders see every sample once, before the first step."""

    net: HeteroNet

    def __init__(self, config: HeteroConfig, *, learning: bool = True) -> None:
        super().__init__(config, learning=learning)
        check_name(config.backbone)
        self.net = HeteroNet(
            HeteroSettings(
                config.size,
                config.inputs,
                config.bottleneck,
                config.hidden,
                config.features_layout,
                config.input_scale,
            )
        )
        initialize(self.net.color, config.seed, config.code_bias)
        self._codes: dict[bool, Tensor] = {}
        if learning:
            for kind in self.net.encoders:
                self._freeze(kind, getattr(config, kind))
            if self.net.features is not None:
                self.net.features.load(config.encoder_weights)

    def _freeze(self, kind: str, folder: Path) -> None:
        """Take over the encoder of an autoencoder's run."""
        path = folder / "checkpoint.pt"
        if not path.is_file():
            raise ModelError(f"{path}: missing; train it first: videocolor train --config published/h_{kind}")
        content = load_checkpoint(path)
        if content.get("system") != "hetero" or content["config"]["part"] != kind:
            raise ModelError(f"{path}: not of the autoencoder {kind!r}")
        whole = Autoencoder(kind)
        whole.load_state_dict(content["net"])
        self.net.encoders[kind].load_state_dict(whole.encoder.state_dict())

    def place(self, device: torch.device) -> None:
        """Encode all samples; where asked, take the codes' mean and deviation from those that are learnt from."""
        super().place(device)
        self.net.eval()
        for held, samples in ((False, self.samples), (True, self.held)):
            if samples is not None:
                self._codes[held] = torch.cat([self._encoded(part, held) for part in _parts(len(samples))])
        if self.config.standardize:
            deviation, mean = torch.std_mean(self._codes[False].float(), dim=(0, 2, 3))
            self.net.mean.copy_(mean)
            self.net.deviation.copy_(deviation.clamp_min(1e-3))

    @torch.no_grad()
    def _encoded(self, numbers: Array, held: bool) -> Tensor:
        _, hint, luma = pictures_of(super().draw(numbers, 0, held), self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bf16):
            return self.net.codes(luma, hint).to("cpu", torch.float16)

    def draw(self, numbers: Array, epoch: int, held: bool = False) -> Coded:
        """Codes and truth by number."""
        batch: Pictures = super().draw(numbers, 0, held)
        _, hint, luma = pictures_of(batch, torch.device("cpu"))
        return Coded(self._codes[held][torch.from_numpy(numbers)], torch.from_numpy(batch.rgb), luma, hint)

    def _made(self, batch: Coded) -> Tensor:
        return self.net.colors(batch.codes.to(self.device).float())

    def error(self, batch: Coded) -> Tensor:
        """Mean squared error of R'G'B' in 0..1."""
        return F.mse_loss(self._made(batch), batch.rgb.to(self.device).permute(0, 3, 1, 2).float() / 255)

    def signs(self, batch: Coded) -> dict[str, float]:
        """Signs of life; a dead network gives 0 for both.

        `alive` is the share of values above 0 in its middle; `spread` how much its pictures of several samples differ,
        the mean over pixels of their standard deviation over samples, in codes of 0..255.
        """
        middle: list[Tensor] = []
        color = self.net.color
        layer = color.first if isinstance(color, DenseNet) else cast(nn.ModuleList, color.encode)[-1]
        assert isinstance(layer, nn.Module)
        handle = layer.register_forward_hook(lambda _m, _i, output: middle.append(output))
        made = self._made(batch)
        handle.remove()
        return {"alive": float((middle[0] > 0).float().mean()), "spread": 255 * float(made.std(dim=0).mean())}

    def columns(self, batch: Coded) -> Mapping[str, Array]:
        """Truth, gray, hint, output."""
        return {
            "truth": batch.rgb.numpy(),
            "gray": bytes_of(batch.luma),
            "hint": bytes_of(batch.hint),
            "output": bytes_of(self._made(batch)),
        }

    def artifact(self, notes: dict[str, Any]) -> Artifact:
        """The colour network with its frozen encoders."""
        card = hetero_card(self.net, self.config.out.name)
        return artifact_of(self.net, card, ARCHITECTURE, self.net.settings.as_dict(), notes)


def _parts(count: int) -> list[Array]:
    return np.array_split(np.arange(count), max(1, count // 32))
