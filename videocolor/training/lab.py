"""CIE Lab (D65) in torch, float32; `videocolor.color` is the same in NumPy."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["gray_lightness", "rgb_to_lab"]

_TO_XYZ = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
_WHITE = (0.95047, 1.0, 1.08883)


def rgb_to_lab(rgb: Tensor) -> Tensor:
    """Convert R'G'B' (sRGB, IEC 61966-2-1) to CIE 1976 L*a*b*.

    Args:
        rgb: (n, 3, h, w) float32 in 0..1.

    Returns:
        (n, 3, h, w) float32, L* in 0..100, a* and b* about -110..110.
    """
    matrix = rgb.new_tensor(_TO_XYZ) / rgb.new_tensor(_WHITE)[:, None]
    xyz = torch.einsum("ij,njhw->nihw", matrix, _to_linear(rgb))
    x, y, z = _cube_root(xyz).unbind(dim=1)
    return torch.stack((116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)), dim=1)


def gray_lightness(luma: Tensor) -> Tensor:
    """CIE L* in 0..100 of a gray pixel R' = G' = B' = Y'; any shape, Y' in 0..1."""
    return 116.0 * _cube_root(_to_linear(luma)) - 16.0


def _to_linear(rgb: Tensor) -> Tensor:
    return torch.where(rgb > 0.04045, ((rgb + 0.055) / 1.055).clamp_min(0.0) ** 2.4, rgb / 12.92)


def _cube_root(t: Tensor) -> Tensor:
    """Compute f of CIE 15, linear near 0."""
    return torch.where(t > 216 / 24389, t.clamp_min(1e-6) ** (1 / 3), (24389 / 27 * t + 16) / 116)
