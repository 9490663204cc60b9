"""H, the heterogeneous network with a color hint: a color network over frozen codes, and what it is used through.

Bulygin, Gayanova, Vulfin, Kirillova, Gayanov: "Convolutional neural network in the images colorization problem" (Ufa).
The color network's layers are not in the paper. Our reading: the autoencoders' own kind (2x2 convolutions, ReLU,
sigmoid at the end), without further pooling, for the codes are compressed already; experiment 1: one hidden layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, Final, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videocolor.color import LUMA_WEIGHTS, ab_to_ycbcr, rgb_to_lab, ycbcr_to_rgb
from videocolor.errors import ModelError
from videocolor.models.artifact import load_checkpoint
from videocolor.models.base import HintInput, ModelCard, Prediction
from videocolor.published.autoencoder import FILTERS, Autoencoder, SameConv2, initialize, outlines
from videocolor.published.backbones import NAME, FirstFeatures, OnnxFeatures
from videocolor.published.colorizer import PublishedNet, TorchColorizer
from videocolor.published.compressors import Blocks, code_channels, compressor_of
from videocolor.published.config import HeteroConfig
from videocolor.published.training import Pictures, PublishedTask, as_bytes, tensors_of
from videocolor.types import Array

__all__ = ["ColorTask", "HeteroColorizer", "HeteroNet", "HeteroSettings", "hetero_task"]


_FITTED: Final = 256
"""Samples that principal components are computed of."""


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

    def codes(self, luma: Tensor, hint: Tensor) -> Tensor:
        """Compute the input of the color network, before any scaling.

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
                grid = (luma.shape[2] // 4, luma.shape[3] // 4)
                features = cast("Callable[[Tensor], Tensor]", self.features or self._onnx)(luma).float()
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

    def card(self, name: str) -> ModelCard:
        """Describe a network."""
        settings = self.settings
        dense = settings.inputs == ("image",)
        return ModelCard(
            name=name,
            title=f"H: heterogeneous network, {' + '.join(settings.inputs)}"
            + f" ({settings.compressor})" * (settings.compressor != "autoencoder"),
            hints="one" if "hint" in settings.inputs else "none",
            parameters=sum(parameter.numel() for parameter in self.parameters()),
            macs=None,
            area=settings.size**2,
            multiple=8,
            output_stride=1,
            size=(settings.size, settings.size) if dense else None,
            licence="Apache-2.0",
            source="Bulygin et al. (Ufa), Convolutional neural network in the images colorization problem; our reading",
        )


class HeteroColorizer(TorchColorizer):
    """Colors frames independently; its pictures are R'G'B', of which a film gets the chroma."""

    net: HeteroNet
    network, settings = HeteroNet, HeteroSettings

    def begin(self, hints: Sequence[HintInput]) -> Array | None:
        """(3, h, w) R'G'B' of the hint; None without one: then each frame's own gray is used."""
        self._check_hints(hints)
        if not hints:
            return None
        luma, ab = hints[0].luma, hints[0].ab
        cb, cr = ab_to_ycbcr(luma, ab, "bt709")
        rgb = np.clip(ycbcr_to_rgb(luma, cb, cr, "bt709"), 0, 1)
        mask = hints[0].mask
        return np.asarray(rgb if mask is None else mask * rgb + (1 - mask) * luma, np.float32)

    def rgb(self, state: Array | None, luma: Array) -> Array:
        """Make the network's own pictures, as the paper scores them.

        Returns:
            (n, 3, h, w) float32 R'G'B' in 0..1.
        """
        self._check_size(luma)
        gray = np.ascontiguousarray(luma[:, None], dtype=np.float32)
        hint = np.repeat(gray, 3, axis=1) if state is None else np.broadcast_to(state, (len(gray), *state.shape))
        if hint.shape[2:] != gray.shape[2:]:
            raise ValueError(f"hint {hint.shape[2:]} and frame {gray.shape[2:]} are not of one size")
        return self._run(self.net, gray, hint)

    def step(self, state: Array | None, luma: Array, _propagated: Array | None = None, /) -> Prediction:
        """Return the chroma of the network's pictures."""
        rgb = np.moveaxis(self.rgb(state, luma), 1, 0)
        return Prediction(np.ascontiguousarray(np.moveaxis(rgb_to_lab(rgb)[1:], 0, 1), dtype=np.float32))


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
            self._freeze(kind, getattr(self.config, kind))
        if self.net.features is not None:
            self.net.features.load(self.config.encoder_weights)

    def _freeze(self, kind: str, folder: Path) -> None:
        """Take over the encoder of an autoencoder's run."""
        path = folder / "checkpoint.pt"
        if not path.is_file():
            raise ModelError(f"{path}: missing; train it first: videocolor train --config published/h_{kind}")
        content = load_checkpoint(path)
        if content.get("system") != "hetero" or content["config"]["part"] != kind:
            raise ModelError(f"{path}: not of the autoencoder {kind!r}")
        trained = Autoencoder(kind)
        trained.load_state_dict(content["net"])
        self.net.encoders[kind].load_state_dict(trained.encoder.state_dict())

    def place(self) -> None:
        """Encode all samples; where asked, take the codes' mean and deviation from the training samples."""
        super().place()
        self.net.eval()
        if self.config.compressor == "pca":
            _, hint, luma = tensors_of(super().draw(np.arange(min(_FITTED, len(self.samples))), 0), self.device)
            for encoder in self.net.encoders.values():
                cast("Blocks", encoder).fit(hint if cast("Blocks", encoder).kind == "hint" else luma)
        for held, samples in ((False, self.samples), (True, self.held)):
            if samples is not None:
                self._codes[held] = torch.cat([self._encoded(part, held) for part in _parts(len(samples))])
        if self.config.standardize:
            deviation, mean = torch.std_mean(self._codes[False].float(), dim=(0, 2, 3))
            self.net.mean.copy_(mean)
            self.net.deviation.copy_(deviation.clamp_min(1e-3))

    @torch.no_grad()
    def _encoded(self, numbers: Array, held: bool) -> Tensor:
        _, hint, luma = tensors_of(super().draw(numbers, 0, held), self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bf16):
            return self.net.codes(luma, hint).to("cpu", torch.float16)

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
