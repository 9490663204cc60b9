"""R'G'B' (sRGB, D65) to CIE Lab in torch, float32."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["rgb_to_lab", "rgb_to_linear"]

_TO_XYZ = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
_WHITE = (0.95047, 1.0, 1.08883)


def rgb_to_linear(rgb: Tensor) -> Tensor:
    """Undo the sRGB transfer curve (IEC 61966-2-1); values in 0..1."""
    return torch.where(rgb > 0.04045, ((rgb + 0.055) / 1.055).clamp_min(0.0) ** 2.4, rgb / 12.92)


def rgb_to_lab(rgb: Tensor) -> Tensor:
    """CIE 1976 L*a*b*, D65.

    Args:
        rgb: (n, 3, h, w) float32 R'G'B' in 0..1, sRGB.

    Returns:
        (n, 3, h, w) float32, L* in 0..100, a* and b* about -110..110.
    """
    matrix = rgb.new_tensor(_TO_XYZ) / rgb.new_tensor(_WHITE)[:, None]
    xyz = torch.einsum("ij,njhw->nihw", matrix, rgb_to_linear(rgb))
    f = torch.where(xyz > 0.008856, xyz.clamp_min(1e-6) ** (1.0 / 3.0), 7.787 * xyz + 16.0 / 116.0)
    x, y, z = f.unbind(dim=1)
    return torch.stack((116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)), dim=1)
