"""The hint network's decoder: from features and matched hints to color."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import fuse_conv_bn_eval

from videocolor.models.hint import PROPAGATED_CHANNELS
from videocolor.models.hint.encoder import TAP_CHANNELS
from videocolor.models.hint.local_linear import LINE_CHANNELS, OFFSET_CHANNELS, LocalLinear

__all__ = ["LOOKED_UP", "MIXED", "ConvNorm", "Decoder", "up"]

MIXED = 32
LOOKED_UP = 2 + MIXED
"""Channels of a token's a*b*, and of the mix of it and the features there."""


class ConvNorm(nn.Sequential):
    """Convolution, batch norm, ReLU (`HintNet.folded` folds the norm into the convolution)."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int = 3) -> None:
        super().__init__(
            nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(inplace=True),
        )

    def fold(self) -> None:
        """Replace convolution and norm by one convolution that computes the same, in evaluation mode."""
        conv, norm = self[0], self[1]
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            self[0], self[1] = fuse_conv_bn_eval(conv.eval(), norm.eval()), nn.Identity()


def up(x: Tensor) -> Tensor:
    """Twice the size, bilinear."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


class Decoder(nn.Module):
    """U-Net decoder from 1/32 to 1/2; takes the matched chroma at 1/8, 1/4 and 1/2."""

    def __init__(self) -> None:
        super().__init__()
        self.at32 = ConvNorm(TAP_CHANNELS[4], 192, 1)
        self.context = nn.Conv2d(192, 192, 1)
        self.deep32 = ConvNorm(192, 192)
        self.at16 = ConvNorm(192 + TAP_CHANNELS[3], 128, 1)
        self.deep16 = nn.Sequential(ConvNorm(128, 128), ConvNorm(128, 128))
        self.down16 = nn.Conv2d(128, 96, 1)
        self.at8 = ConvNorm(96 + TAP_CHANNELS[2] + LOOKED_UP + 2 + PROPAGATED_CHANNELS + OFFSET_CHANNELS, 96, 1)
        self.context8 = nn.Conv2d(96, 96, 1)
        self.deep8 = ConvNorm(96, 96)
        self.down8 = nn.Conv2d(96, 40, 1)
        self.at4 = ConvNorm(40 + TAP_CHANNELS[1] + 3 + PROPAGATED_CHANNELS + LINE_CHANNELS, 32)
        self.down4 = nn.Conv2d(32, 16, 1)
        self.at2 = ConvNorm(16 + TAP_CHANNELS[0] + 3 + PROPAGATED_CHANNELS + LINE_CHANNELS, 16)
        self.out = nn.Conv2d(16, 2, 3, padding=1)
        self.judge = nn.Sequential(ConvNorm(16 + PROPAGATED_CHANNELS, 8), nn.Conv2d(8, 1, 1))
        self.doubt = nn.Sequential(ConvNorm(32 + PROPAGATED_CHANNELS, 16), nn.Conv2d(16, 1, 1))
        self.follow = nn.Sequential(ConvNorm(16 + LINE_CHANNELS + 1 + 2, 8), nn.Conv2d(8, 1, 1))
        for last in (self.out, self.judge[1], self.doubt[1], self.context8, self.follow[1]):
            assert isinstance(last, nn.Conv2d) and last.bias is not None
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(
        self, luma: Tensor, taps: list[Tensor], matched: Tensor, chroma: Tensor, line: LocalLinear, propagated: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Decode a*b*, the share of propagated chroma to take (0..1), and the log of the expected error; all at 1/2."""
        x = self.at32(taps[4])
        x = self.deep32(x + self.context(x.mean(dim=(2, 3), keepdim=True))) + x
        x = self.at16(torch.cat((up(x), taps[3]), dim=1))
        x = self.deep16(x) + x
        at4 = F.avg_pool2d(propagated, 2)
        luma2 = F.avg_pool2d(luma, 2)
        luma4 = F.avg_pool2d(luma2, 2)
        beside = line.offsets(F.avg_pool2d(luma4, 2))
        x = self.at8(torch.cat((up(self.down16(x)), taps[2], matched, F.avg_pool2d(at4, 2), beside), dim=1))
        x = self.deep8(x + self.context8(x.mean(dim=(2, 3), keepdim=True))) + x
        chroma = up(chroma)
        x = self.at4(torch.cat((up(self.down8(x)), taps[1], chroma, at4, line.at(luma4, 2).seen), dim=1))
        # The expected error is learned from the features, and must not shape them.
        log_error = up(self.doubt(torch.cat((x.detach(), at4), dim=1)))
        found = line.at(luma2, 4)
        x = self.at2(torch.cat((up(self.down4(x)), taps[0], up(chroma), propagated, found.seen), dim=1))
        own = self.out(x)
        followed = torch.tanh(self.follow(torch.cat((x, found.seen, found.confidence, own), dim=1)))
        own = own + followed * (found.confidence * 4.0).clamp(0.0, 1.0) * (found.ab - own)
        # Where propagation has no confidence at all, nothing is taken, whatever the network says.
        held = (propagated[:, 2:3] * 20.0).clamp(0.0, 1.0)
        taken = torch.sigmoid(self.judge(torch.cat((x, propagated), dim=1)) + 1.0) * held
        return own, taken, log_error
