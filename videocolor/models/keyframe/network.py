"""The keyframe network: gray features, a decoder to 1/4 of the picture, a mean and a distribution of a*b*.

Encoder and trunk are those of the hint network, so that a run can begin with what that has learned.
"""

from __future__ import annotations

from copy import deepcopy
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videocolor.models.hint.decoder import ConvNorm, up
from videocolor.models.hint.encoder import TAP_CHANNELS, GrayEncoder

__all__ = ["FEATURES", "KeyframeNet", "Output", "Trunk"]

FEATURES = 64
"""Channels of the last features, from which both heads decide."""


class Output(NamedTuple):
    """What the network says of n pictures (n, 1, h, w), on a grid of (h/4, w/4)."""

    mean: Tensor
    """(n, 2, h/4, w/4) a*b* / AB_SCALE, the mean of what is plausible."""
    scores: Tensor
    """(n, q, h/4, w/4) logits over the bins."""


def _conv(channels_in: int, channels_out: int, kernel: int = 3) -> nn.Sequential:
    """Convolution and ReLU without a norm, as `ConvNorm` is after folding."""
    conv = nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2)
    return nn.Sequential(conv, nn.Identity(), nn.ReLU(inplace=True))


class Trunk(nn.Module):
    """The hint network's decoder at 1/32 and 1/16, its norms folded; names and shapes are that decoder's."""

    channels = (192, 128)
    """At 1/32 and 1/16."""

    def __init__(self) -> None:
        super().__init__()
        self.at32 = _conv(TAP_CHANNELS[4], 192, 1)
        self.context = nn.Conv2d(192, 192, 1)
        self.deep32 = _conv(192, 192)
        self.at16 = _conv(192 + TAP_CHANNELS[3], 128, 1)
        self.deep16 = nn.Sequential(_conv(128, 128), _conv(128, 128))

    def forward(self, taps: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Features at 1/32 and 1/16."""
        x = self.at32(taps[4])
        x = self.deep32(x + self.context(x.mean(dim=(2, 3), keepdim=True))) + x
        y = self.at16(torch.cat((up(x), taps[3]), dim=1))
        return x, self.deep16(y) + y


class KeyframeNet(nn.Module):
    """Encoder, trunk, a wider decoder and two heads.

    Args:
        bins: how many bins the distribution is over.
    """

    def __init__(self, bins: int) -> None:
        super().__init__()
        self.encoder = GrayEncoder()
        self.trunk = Trunk()
        self.at16 = ConvNorm(sum(Trunk.channels) + TAP_CHANNELS[3], 192, 1)
        self.context = nn.Conv2d(192, 192, 1)
        self.deep16 = nn.Sequential(ConvNorm(192, 192), ConvNorm(192, 192))
        self.at8 = ConvNorm(192 + TAP_CHANNELS[2], 128, 1)
        self.deep8 = ConvNorm(128, 128)
        self.down8 = nn.Conv2d(128, 48, 1)
        self.at4 = ConvNorm(48 + TAP_CHANNELS[1] + 1, FEATURES, 1)
        self.deep4 = ConvNorm(FEATURES, FEATURES)
        self.mean = nn.Conv2d(FEATURES, 2, 1)
        self.scores = nn.Conv2d(FEATURES, bins, 1)
        self.centers: Tensor
        self.weights: Tensor
        self.register_buffer("centers", torch.zeros(bins, 2))
        self.register_buffer("weights", torch.ones(bins))

    def forward(self, luma: Tensor) -> Output:
        """Color pictures.

        Args:
            luma: (n, 1, h, w) full-range Y' in 0..1; h and w multiples of 32.
        """
        x = self.features(luma, self.encoder(luma))
        return Output(self.mean(x), self.scores(x))

    def features(self, luma: Tensor, taps: list[Tensor]) -> Tensor:
        """Compute the last features, (n, FEATURES, h/4, w/4), from the encoder's."""
        x32, x16 = self.trunk(taps)
        x = self.at16(torch.cat((up(x32), x16, taps[3]), dim=1))
        x = self.deep16(x + self.context(x.mean(dim=(2, 3), keepdim=True))) + x
        x = self.at8(torch.cat((up(x), taps[2]), dim=1))
        x = self.down8(self.deep8(x) + x)
        x = self.at4(torch.cat((up(x), taps[1], F.avg_pool2d(luma, 4)), dim=1))
        last: Tensor = self.deep4(x) + x
        return last

    def folded(self) -> KeyframeNet:
        """Return a copy for inference whose norms are part of its convolutions."""
        net = deepcopy(self).eval()
        for module in net.modules():
            if isinstance(module, ConvNorm):
                module.fold()
        return net.requires_grad_(False)
