"""The convolutional autoencoders of the heterogeneous hint network, and its 2x2 convolution.

Bulygin, Gayanova, Vulfin, Kirillova, Gayanov: "Convolutional neural network in the images colorization problem"
(Ufa). ReLU everywhere, sigmoid at the last layer; 2x2 kernels, "same" padding. That the 16-fold compression comes
from two 2x2 max-pools, and the way back from two 2x2 repetitions, is our reading.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["FILTERS", "Autoencoder", "Encoder", "SameConv2", "initialize", "outlines"]

FILTERS: Final[dict[str, tuple[int, tuple[int, int, int]]]] = {
    "gray": (1, (512, 256, 1)),
    "outlines": (1, (512, 256, 1)),
    "hint": (3, (768, 384, 3)),
    "before": (3, (768, 384, 3)),
}
"""Input channels and the encoder's filters; the decoder's are 256, 512, 3 and 384, 768, 3. `before` is `hint`'s."""


class SameConv2(nn.Conv2d):
    """A 2x2 convolution whose output is as large as its input: the missing row and column are zeros at the far end.

    That is where Keras pads for even kernels. torch's own `padding="same"` gives the same numbers more slowly.

    Args:
        channels_in: of the input.
        channels_out: of the output.
        gives_code: its output is a network's code (see `initialize`).
    """

    def __init__(self, channels_in: int, channels_out: int, *, gives_code: bool = False) -> None:
        super().__init__(channels_in, channels_out, 2)
        self.gives_code = gives_code

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels_in, h, w) to (n, channels_out, h, w)."""
        return super().forward(F.pad(x, (0, 1, 0, 1)))


class Encoder(nn.Module):
    """Encodes a picture to a code at a quarter of height and width."""

    def __init__(self, channels: int, filters: tuple[int, int, int]) -> None:
        super().__init__()
        first, second, code = filters
        self.first, self.second = SameConv2(channels, first), SameConv2(first, second)
        self.code = SameConv2(second, code, gives_code=True)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) in 0..1 to (n, code, h/4, w/4), not negative; h and w multiples of 4."""
        # The maximum first: ReLU does not change which value is largest, and a quarter of the values is left for it.
        x = F.relu(F.max_pool2d(self.first(x), 2))
        x = F.relu(F.max_pool2d(self.second(x), 2))
        return F.relu(self.code(x))


class Decoder(nn.Module):
    """Decodes a code to the three channels of a picture."""

    def __init__(self, filters: tuple[int, int, int]) -> None:
        super().__init__()
        wide, narrow, code = filters
        self.first, self.second = SameConv2(code, narrow), SameConv2(narrow, wide)
        self.last = SameConv2(wide, 3)

    def forward(self, code: Tensor) -> Tensor:
        """(n, code, h, w) to (n, 3, 4h, 4w), before the sigmoid."""
        x = F.interpolate(F.relu(self.first(code)), scale_factor=2.0)
        x = F.interpolate(F.relu(self.second(x)), scale_factor=2.0)
        out: Tensor = self.last(x)
        return out


class Autoencoder(nn.Module):
    """One of the three.

    Args:
        kind: `gray`, `outlines` (both: gray in) or `hint` (color in).
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        channels, filters = FILTERS[kind]
        self.encoder, self.decoder = Encoder(channels, filters), Decoder(filters)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 1 or 3, h, w) in 0..1 to (n, 3, h, w) in 0..1."""
        logits: Tensor = self.decoder(self.encoder(x))
        return torch.sigmoid(logits.float())


def initialize(module: nn.Module, seed: int, code_bias: float = 0.0) -> None:
    """Glorot-uniform weights and zero biases, Keras' defaults; all random numbers follow from the seed.

    Args:
        module: what gets them.
        seed: of the random numbers.
        code_bias: of the layers that give a code. A code of one or three ReLU channels begins near 0, and the first
            steps often push it below, where no gradient is left; a bias above 0 keeps it alive.
    """
    random = torch.Generator().manual_seed(seed)
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(part.weight, generator=random)
            if part.bias is not None:
                nn.init.constant_(part.bias, code_bias if getattr(part, "gives_code", False) else 0.0)


def outlines(gray: Tensor) -> Tensor:
    """Sobel outlines: the gradient's length, at most 1.

    Args:
        gray: (n, 1, h, w) in 0..1.

    Returns:
        (n, 1, h, w) in 0..1; the border repeats the nearest pixel. The kernels are divided by 4, so that a step of
        height 1 gives 1.
    """
    smooth, slope = gray.new_tensor([1.0, 2.0, 1.0]) / 4, gray.new_tensor([-1.0, 0.0, 1.0])
    across = (smooth[:, None] * slope[None, :])[None, None]
    padded = F.pad(gray, (1, 1, 1, 1), mode="replicate")
    gx, gy = F.conv2d(padded, across), F.conv2d(padded, across.transpose(2, 3))
    return torch.sqrt(gx * gx + gy * gy).clamp(0, 1)
