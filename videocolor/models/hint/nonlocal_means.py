"""One surface, one colour: the network's own colours of places that look alike are brought together.

What no hint supports is a guess, and guesses for neighbouring places differ: walls and skies get patches. The features
that hints are matched by say which places of a frame are alike. Averaging over these is non-local means (Buades, Coll,
Morel 2005) with learnt features in place of patches. Nothing is trained; numbers: docs/experiments.md.
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["smooth_by_feature_similarity", "places", "tokens"]

SHARPNESS: Final = 10.0
"""Factor on the features' cosine: how much alike places must be."""
NEARNESS: Final = 2.0
"""Factor on squared distance, sides of the picture being 2: far places count for less."""
VIVID: Final = 1.15
"""Averaging mutes colours by so much, on the training footage; this gives it back."""


def smooth_by_feature_similarity(features: Tensor, own: Tensor, support: Tensor) -> Tensor:
    """The network's own colours with less of what is patchy in them.

    Args:
        features: (n, c, h/8, w/8) matching features; h, w multiples of 32.
        own: (n, 2, h/2, w/2) a*b* of any scale.
        support: (n, 1, h/8, w/8) in 0..1; where a hint supports the colour it stays as it is.

    Returns:
        As `own`. Detail finer than 8 pixels is kept.
    """
    direction = F.normalize(features, dim=1)
    coarse = F.normalize(F.avg_pool2d(direction, 2), dim=1)  # those asked are of half the size: a quarter of the cost
    cells = F.avg_pool2d(own, 4)
    (x, y), (u, v) = places(direction[:, :1]), places(coarse[:, :1])
    # -|p - q|^2 but for |p|^2, which the softmax takes out.
    near = torch.cat((2 * x, 2 * y, torch.ones_like(x)), dim=1) * NEARNESS
    asked = torch.cat((u, v, -(u * u + v * v)), dim=1)
    logits = torch.matmul(
        tokens(torch.cat((direction * SHARPNESS, near), dim=1)),
        torch.cat((coarse, asked), dim=1).flatten(2),
    )
    alike = torch.matmul(torch.softmax(logits, dim=2), tokens(F.avg_pool2d(cells, 2)))
    shift = alike.transpose(1, 2).reshape(cells.shape) - cells
    free = (1.0 - support).clamp(0.0, 1.0)
    return own * (1.0 + (VIVID - 1.0) * up4(free)) + up4(shift * free) * VIVID


def up4(x: Tensor) -> Tensor:
    """Four times the size, bilinear."""
    return F.interpolate(x, scale_factor=4.0, mode="bilinear", align_corners=False)


def tokens(x: Tensor) -> Tensor:
    """(n, h * w, c) of (n, c, h, w)."""
    return x.flatten(2).transpose(1, 2)


def places(like: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates in -1..1 of (n, 1, h, w), made without reading the shape."""
    ones = torch.ones_like(like)
    x, y = torch.cumsum(ones, dim=3), torch.cumsum(ones, dim=2)
    return (2 * x - 1) / x[:, :, :, -1:] - 1, (2 * y - 1) / y[:, :, -1:, :] - 1
