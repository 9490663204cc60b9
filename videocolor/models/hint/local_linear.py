"""Local linear chroma model: a*b* as an affine function of luma within the 8x8 pixels of a token.

A token's mean color mixes what meets in it, such as an arm and the sea behind it. Within so small a place chroma is
nearly affine in luma (Levin, Lischinski, Weiss, Colorization using Optimization, SIGGRAPH 2004; He, Sun, Tang, Guided
Image Filtering, ECCV 2010), and gray film shows luma at every pixel. Tokens carry moments, not coefficients: attention
mixes moments linearly, so the model fits all the pixels that were matched.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["LINE_CHANNELS", "MOMENTS", "OFFSET_CHANNELS", "LocalChroma", "LocalLinear", "fit", "moments"]

MOMENTS = 4
"""Means of Y' - 0.5, of its square, and of its products with a* and b*."""
LINE_CHANNELS = 3
"""Of `LocalChroma.seen`."""
OFFSET_CHANNELS = 2
"""Of `LocalLinear.offsets`."""
_FLAT = 1e-3
"""Variance of Y' at which half of the slope is left: with less variation the slope is that of noise."""
_FURTHEST = 2.0
"""Deviations of Y' up to which the model is extrapolated."""


class LocalChroma(NamedTuple):
    """The model evaluated at a frame's pixels; f is the grid's factor over 1/8."""

    ab: Tensor
    """(n, 2, f * h/8, f * w/8)."""
    seen: Tensor
    """(n, 3, ...), input of the decoder: `ab` weighted by relevance, and Y' minus the mean weighted by confidence."""
    confidence: Tensor
    """(n, 1, ...) in 0..1."""


class LocalLinear(NamedTuple):
    """An affine model of a*b* over luma for each 8x8 pixels."""

    mean_luma: Tensor
    """(n, 1, h/8, w/8) mean Y' - 0.5."""
    deviation: Tensor
    """(n, 1, h/8, w/8) deviation of Y'."""
    mean_ab: Tensor
    """(n, 2, h/8, w/8) a*b* at the mean luma."""
    slope: Tensor
    """(n, 2, h/8, w/8) a*b* by Y'."""
    confidence: Tensor
    """(n, 1, h/8, w/8) in 0..1, of the match times relevance."""
    relevance: Tensor
    """(n, 1, h/8, w/8) in 0..1."""

    def at(self, luma: Tensor, factor: int) -> LocalChroma:
        """Evaluate the model at a frame's pixels.

        Args:
            luma: (n, 1, f * h/8, f * w/8) Y' in 0..1.
            factor: f.
        """
        places = F.interpolate(torch.cat(self, dim=1), scale_factor=float(factor), mode="bilinear")
        mean_luma, deviation, mean_ab, slope, confidence, relevance = torch.split(places, [1, 1, 2, 2, 1, 1], dim=1)
        apart, reach = luma - 0.5 - mean_luma, _FURTHEST * deviation
        ab = mean_ab + slope * torch.minimum(torch.maximum(apart, -reach), reach)
        return LocalChroma(ab, torch.cat((ab * relevance, apart * confidence), dim=1), confidence)

    def offsets(self, luma: Tensor) -> Tensor:
        """(n, 2, h/8, w/8): the deviation, and a frame's (n, 1, h/8, w/8) Y' minus the mean, weighted by confidence."""
        return torch.cat((self.deviation, luma - 0.5 - self.mean_luma), dim=1) * self.confidence


def moments(luma: Tensor, ab: Tensor, mask: Tensor) -> Tensor:
    """Compute the moments of a hint's painted pixels, per 8x8 token.

    Args:
        luma: (n, 1, h, w) Y' in 0..1.
        ab: (n, 2, h, w) of any scale.
        mask: (n, 1, h, w) in 0..1.

    Returns:
        (n, 4, h/8, w/8), see `MOMENTS`; 0 where nothing is painted.
    """
    centered = luma - 0.5
    products = torch.cat((torch.ones_like(centered), centered, ab), dim=1) * centered
    return F.avg_pool2d(products * mask, 8) / F.avg_pool2d(mask, 8).clamp(min=1e-4)


def fit(mean: Tensor, mixed: Tensor, confidence: Tensor, relevance: Tensor) -> LocalLinear:
    """Fit the model to what was matched.

    Args:
        mean: (n, 2, h/8, w/8) a*b*.
        mixed: (n, 4, h/8, w/8) moments.
        confidence: (n, 1, h/8, w/8) in 0..1.
        relevance: (n, 1, 1, 1) or (n, 1, h/8, w/8) in 0..1.
    """
    level, square, product = mixed[:, :1], mixed[:, 1:2], mixed[:, 2:]
    variance = (square - level * level).clamp(min=0.0)
    slope = (product - level * mean) / (variance + _FLAT)
    deviation, supported = (variance + 1e-6).sqrt(), confidence * relevance
    return LocalLinear(level, deviation, mean, slope, supported, relevance.expand_as(confidence))
