"""`videocolor.models.hint.calibration` as operations of a graph, for the exported network: the same fit, in torch.

The normal equations are solved by Newton's iteration for an inverse (Schulz 1933), since ONNX has no solver.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from videocolor.models.hint import calibration

__all__ = ["corrected"]

_STEPS = 24
"""Of the iteration; each doubles the digits, after as many as the ridge leaves the matrix ill-conditioned."""


def corrected(made: Tensor, confidence: Tensor, luma: Tensor, hints: tuple[Tensor, Tensor, Tensor, Tensor]) -> Tensor:
    """Add to a prediction what the network misses on the hints themselves.

    Args:
        made: (n, 2, h/2, w/2) predicted a*b* of frames, Lab units.
        confidence: (n, 1, h/2, w/2) in 0..1.
        luma: (n, 1, h, w) Y' in 0..1 of the frames.
        hints: prediction for the hints (k, 2, h'/2, w'/2), their luma (k, 1, h', w'), a*b* and mask.

    Returns:
        As `made`; unchanged where fewer pixels are painted than a fit needs.
    """
    own, hint_luma, hint_ab, mask = hints
    weight = (F.avg_pool2d(mask, 2) > 0.99).to(own.dtype).flatten()
    count = weight.sum()
    seen, bins = _features(own, F.avg_pool2d(hint_luma, 2)), _bins(own, F.avg_pool2d(hint_luma, 2))
    error = _rows(F.avg_pool2d(hint_ab, 2) - own)
    share = weight[:, None] / count.clamp(min=1.0)
    mean = (seen * share).sum(dim=0)
    deviation = ((seen - mean).square() * share).sum(dim=0).sqrt() + 1e-3
    one = torch.cat((torch.ones_like(mean[:1]), torch.zeros_like(mean[1:])))  # the constant is not scaled
    mean, deviation = mean * (1 - one), deviation * (1 - one) + one
    x = ((seen - mean) / deviation).double()
    moments = (x * share.double()).transpose(0, 1) @ x + calibration.RIDGE * torch.eye(x.shape[1], dtype=torch.float64)
    weights = (_inverse(moments) @ ((x * share.double()).transpose(0, 1) @ error.double())).to(own.dtype)
    small = F.avg_pool2d(luma, 2)
    wanted = confidence.flatten() * _shown(bins, share[:, 0])[_bins(made, small)]
    wanted = wanted * (wanted > calibration.LITTLE) * (count >= calibration.FEWEST)
    found = ((_features(made, small) - mean) / deviation) @ weights * wanted[:, None]
    return made + found.reshape(made.shape[0], made.shape[2], made.shape[3], 2).permute(0, 3, 1, 2)


def _rows(planes: Tensor) -> Tensor:
    """(n * h * w, c) of (n, c, h, w)."""
    return planes.permute(0, 2, 3, 1).flatten(0, 2)


def _features(ab: Tensor, luma: Tensor) -> Tensor:
    """(pixels, features) of (n, 2, h, w) a*b* and (n, 1, h, w) luma."""
    details = [luma - _blurred(luma, blur) for blur in calibration.BLURS]
    y, a, b, *fine = (_rows(plane)[:, 0] for plane in (luma, ab[:, :1], ab[:, 1:], *details))
    small_a, small_b = a / 40, b / 40
    planes = [torch.ones_like(y), y, small_a, small_b, y * y, y * small_a, y * small_b]
    planes += [small_a * small_a, small_b * small_b, small_a * small_b]
    planes += [detail * factor for detail in fine for factor in (torch.ones_like(y), small_a, small_b, y)]
    waves, phases = (torch.from_numpy(part) for part in calibration.waves())
    lengths = torch.from_numpy(calibration.LENGTHS)
    angles = (torch.stack([y, a, b, *fine], dim=1) * lengths) @ waves + phases
    return torch.cat((torch.stack(planes, dim=1), torch.cos(angles)), dim=1)


def _blurred(luma: Tensor, sigma: float) -> Tensor:
    """Blur as OpenCV does; sides of at least its reach."""
    reach = round(sigma * 8 + 1) // 2
    at = np.arange(-reach, reach + 1)
    kernel = np.exp(-(at**2) / (2 * sigma**2))
    line = torch.from_numpy((kernel / kernel.sum()).astype(np.float32))
    padded = F.pad(luma, (reach, reach, reach, reach), mode="reflect")
    return F.conv2d(F.conv2d(padded, line[None, None, None]), line[None, None, :, None])


def _bins(ab: Tensor, luma: Tensor) -> Tensor:
    """(pixels,) number of each pixel's bin."""
    levels, colors, _ = calibration.BINS
    light = _rows(luma * levels)[:, 0].floor().clamp(0, levels - 1)
    a, b = ((_rows(ab)[:, i] / 10).floor().add(colors // 2).clamp(0, colors - 1) for i in range(2))
    return ((light * colors + a) * colors + b).long()


def _shown(bins: Tensor, share: Tensor) -> Tensor:
    """(bins,) in 0..1: how well the hints cover each."""
    levels, colors, _ = calibration.BINS
    cube = torch.zeros(levels * colors * colors).scatter_add(0, bins, share).reshape(1, 1, levels, colors, colors)
    for axis in range(3):
        kernel = torch.tensor([0.25, 0.5, 0.25]).reshape([3 if axis == other else 1 for other in range(3)])
        cube = F.conv3d(cube, kernel[None, None], padding=[int(axis == other) for other in range(3)])
    return (cube / (cube + calibration.RARE)).flatten()


def _inverse(matrix: Tensor) -> Tensor:
    """Invert a symmetric positive definite matrix."""
    size = matrix.shape[0]
    found = torch.eye(size, dtype=matrix.dtype) / matrix.abs().sum(dim=1).max()
    for _ in range(_STEPS):
        found = 2 * found - found @ (matrix @ found)
    return found
