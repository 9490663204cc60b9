"""What compresses the inputs of H 16-fold: the papers' autoencoders, and controls that the papers lack."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videocolor.published.autoencoder import FILTERS, Encoder, outlines

__all__ = ["Blocks", "code_channels", "compressor_of"]

_SIDE = 4
"""Of a block in pixels: 4x4 pixels are one place of the code's grid."""


def code_channels(kind: str, compressor: str) -> int:
    """Channels of a code; without compression all values of a block are kept."""
    channels, filters = FILTERS[kind]
    return channels * _SIDE * _SIDE if compressor == "none" else filters[2]


def compressor_of(kind: str, compressor: str) -> nn.Module:
    """Make the encoder of `gray`, `outlines`, `hint` or `before`."""
    return Encoder(*FILTERS[kind]) if compressor == "autoencoder" else Blocks(kind, compressor)


class Blocks(nn.Module):
    """4x4 blocks as vectors: all their values, or their first principal components.

    Args:
        kind: `gray`, `outlines`, `hint` or `before`; of `outlines` the blocks are the outlines', not the picture's.
        compressor: `pca` or `none`.
    """

    def __init__(self, kind: str, compressor: str) -> None:
        super().__init__()
        self.kind = kind
        self.project: nn.Conv2d | None = None
        if compressor == "pca":
            self.project = nn.Conv2d(code_channels(kind, "none"), code_channels(kind, "pca"), 1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 1 or 3, h, w) in 0..1 to (n, code, h/4, w/4)."""
        blocks = F.pixel_unshuffle(outlines(x) if self.kind == "outlines" else x, _SIDE)
        return blocks if self.project is None else self.project(blocks)

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """Compute the principal components of these pictures' blocks."""
        assert self.project is not None and self.project.bias is not None
        rows = F.pixel_unshuffle(outlines(x) if self.kind == "outlines" else x, _SIDE).movedim(1, -1).flatten(0, 2)
        mean = rows.mean(dim=0)
        vectors = torch.linalg.eigh((rows - mean).T @ (rows - mean))[1]  # the largest eigenvalue last
        chosen = vectors[:, -self.project.out_channels :].flip(1).T
        self.project.weight.copy_(chosen[:, :, None, None])
        self.project.bias.copy_(-chosen @ mean)
