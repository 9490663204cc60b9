"""Lines of colour over lightness: what a hint's colours do inside of the 8x8 pixels that a token stands for.

A token's mean colour mixes what meets in it, as an arm and the sea behind it. Inside of so small a place colour nearly
follows lightness along a line (Levin, Lischinski, Weiss, Colorization using Optimization, SIGGRAPH 2004; He, Sun, Tang,
Guided Image Filtering, ECCV 2010), and gray film shows lightness at every pixel. Tokens carry moments, not lines: the
moments of what attention mixes are the mixed moments, so the line is that of all the pixels that were matched.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["BESIDE_CHANNELS", "LINE_CHANNELS", "MOMENTS", "Followed", "Lines", "lines", "moments"]

MOMENTS = 4
"""Means of Y' - 0.5, of its square, and of its products with a* and b*."""
LINE_CHANNELS = 3
"""Of `Followed.seen`."""
BESIDE_CHANNELS = 2
"""Of `Lines.beside`."""
_FLAT = 1e-3
"""Variance of Y' at which half of a line's slope is left: it is noise's where there is little lightness to follow."""
_FURTHEST = 2.0
"""Deviations of Y' up to which a line is followed."""


class Followed(NamedTuple):
    """Lines, followed to the lightness of a frame's pixels; f is the grid's factor over 1/8."""

    ab: Tensor
    """(n, 2, f * h/8, f * w/8)."""
    seen: Tensor
    """(n, 3, ...), what a network is shown: this as far as the hints are believed, and how far each pixel's Y' lies
    from the level as far as it is sure."""
    sure: Tensor
    """(n, 1, ...) in 0..1."""


class Lines(NamedTuple):
    """Lines of colour over lightness, for places of 8x8 pixels."""

    level: Tensor
    """(n, 1, h/8, w/8) mean Y' - 0.5."""
    spread: Tensor
    """(n, 1, h/8, w/8) deviation of Y'."""
    middle: Tensor
    """(n, 2, h/8, w/8) a*b* at the level."""
    slope: Tensor
    """(n, 2, h/8, w/8) a*b* by Y'."""
    sure: Tensor
    """(n, 1, h/8, w/8) in 0..1: confidence, as far as the hints are believed."""
    belief: Tensor
    """(n, 1, h/8, w/8) in 0..1."""

    def at(self, luma: Tensor, factor: int) -> Followed:
        """Follow the lines to the pixels of a frame that lies on these places.

        Args:
            luma: (n, 1, f * h/8, f * w/8) Y' in 0..1.
            factor: f.
        """
        places = F.interpolate(torch.cat(self, dim=1), scale_factor=float(factor), mode="bilinear")
        level, spread, middle, slope, sure, belief = torch.split(places, [1, 1, 2, 2, 1, 1], dim=1)
        apart, reach = luma - 0.5 - level, _FURTHEST * spread
        ab = middle + slope * torch.minimum(torch.maximum(apart, -reach), reach)
        return Followed(ab, torch.cat((ab * belief, apart * sure), dim=1), sure)

    def beside(self, luma: Tensor) -> Tensor:
        """(n, 2, h/8, w/8): the spread, and how much brighter a frame's places are, from its (n, 1, h/8, w/8) Y'."""
        return torch.cat((self.spread, luma - 0.5 - self.level), dim=1) * self.sure


def moments(luma: Tensor, ab: Tensor, mask: Tensor) -> Tensor:
    """Moments of a hint's painted pixels, place by place.

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


def lines(mean: Tensor, mixed: Tensor, confidence: Tensor, belief: Tensor) -> Lines:
    """The lines through what was matched.

    Args:
        mean: (n, 2, h/8, w/8) a*b*.
        mixed: (n, 4, h/8, w/8) moments.
        confidence: (n, 1, h/8, w/8) in 0..1.
        belief: (n, 1, 1, 1) or (n, 1, h/8, w/8) in 0..1.
    """
    level, square, product = mixed[:, :1], mixed[:, 1:2], mixed[:, 2:]
    variance = (square - level * level).clamp(min=0.0)
    slope = (product - level * mean) / (variance + _FLAT)
    return Lines(level, (variance + 1e-6).sqrt(), mean, slope, confidence * belief, belief.expand_as(confidence))
