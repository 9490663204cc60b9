"""Smooth the network's own colors by feature similarity, so that one surface gets one color.

Colors that no hint supports are guesses, and guesses for neighboring tokens differ: walls and skies get patches. The
features that hints are matched by say which tokens of a frame are similar; averaging over these is non-local means
(Buades, Coll, Morel, CVPR 2005) with learned features in place of patches. Nothing is trained.
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["positions", "smooth_by_feature_similarity", "tokens"]

SHARPNESS: Final = 10.0
"""Factor on the features' cosine: how similar tokens must be."""
NEARNESS: Final = 2.0
"""Factor on squared distance, sides of the picture being 2: distant tokens count for less."""
VIVID: Final = 1.15
"""Factor on chroma that undoes the muting by averaging, measured on the training footage."""


def smooth_by_feature_similarity(features: Tensor, own: Tensor, support: Tensor) -> Tensor:
    """Smooth the network's own colors over similar tokens.

    Args:
        features: (n, c, h/8, w/8) matching features; h, w multiples of 32.
        own: (n, 2, h/2, w/2) a*b* of any scale.
        support: (n, 1, h/8, w/8) in 0..1; where a hint supports the color it is kept.

    Returns:
        As `own`. Detail finer than 8 pixels is kept.
    """
    direction = F.normalize(features, dim=1)
    coarse = F.normalize(F.avg_pool2d(direction, 2), dim=1)  # keys at half the size: a quarter of the cost
    cells = F.avg_pool2d(own, 4)
    (x, y), (u, v) = positions(direction[:, :1]), positions(coarse[:, :1])
    # -|p - q|^2 but for |p|^2, which the softmax takes out.
    near = torch.cat((2 * x, 2 * y, torch.ones_like(x)), dim=1) * NEARNESS
    centers = torch.cat((u, v, -(u * u + v * v)), dim=1)
    logits = torch.matmul(
        tokens(torch.cat((direction * SHARPNESS, near), dim=1)),
        torch.cat((coarse, centers), dim=1).flatten(2),
    )
    similar = torch.matmul(torch.softmax(logits, dim=2), tokens(F.avg_pool2d(cells, 2)))
    shift = similar.transpose(1, 2).reshape(cells.shape) - cells
    free = (1.0 - support).clamp(0.0, 1.0)
    return own * (1.0 + (VIVID - 1.0) * up4(free)) + up4(shift * free) * VIVID


def up4(x: Tensor) -> Tensor:
    """Four times the size, bilinear."""
    return F.interpolate(x, scale_factor=4.0, mode="bilinear", align_corners=False)


def tokens(x: Tensor) -> Tensor:
    """(n, h * w, c) of (n, c, h, w)."""
    return x.flatten(2).transpose(1, 2)


def positions(like: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates in -1..1 of (n, 1, h, w), made without reading the shape."""
    ones = torch.ones_like(like)
    x, y = torch.cumsum(ones, dim=3), torch.cumsum(ones, dim=2)
    return (2 * x - 1) / x[:, :, :, -1:] - 1, (2 * y - 1) / y[:, :, -1:, :] - 1
