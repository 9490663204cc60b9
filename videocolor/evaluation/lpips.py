"""LPIPS-Alex (R. Zhang et al.: The unreasonable effectiveness of deep features as a perceptual metric, CVPR 2018)."""

from __future__ import annotations

from pathlib import Path

from videocolor.types import Array

__all__ = ["LpipsAlex"]


class LpipsAlex:
    """Learned perceptual distance of two pictures."""

    @classmethod
    def load(cls, weights: Path) -> LpipsAlex:
        """Read a weights file."""
        raise NotImplementedError

    def __call__(self, truth: Array, test: Array) -> float:
        """The distance."""
        raise NotImplementedError
