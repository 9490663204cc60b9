"""Color beyond a tint: a sepia picture can score well on colorfulness, and has none of this."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from videocolor.evaluation.metrics.base import Column, Metric, ScoredFrame
from videocolor.types import Array

__all__ = ["BeyondTint", "beyond_tint"]


class BeyondTint(Metric):
    """Color that lightness does not predict, of result and truth; see `beyond_tint`."""

    name = "beyond_tint"
    keys = ("beyond_tint", "beyond_tint_truth")
    columns = (Column("beyond_tint", "beyond a tint", 1),)

    def measure(self, frame: ScoredFrame) -> Mapping[str, Any]:
        """Measure both pictures."""
        return {"beyond_tint": beyond_tint(frame.test.lab), "beyond_tint_truth": beyond_tint(frame.truth.lab)}


def beyond_tint(lab: Array) -> float:
    """Measure how much color a picture has that a tint could not give: what its lightness does not predict.

    Args:
        lab: (3, h, w) float32 CIE L*a*b*.

    Returns:
        Root mean square length, in Lab units, of a*b* less the cubic in L* that fits it best. 0 for gray and sepia;
        color film has about 5 to 12.
    """
    lightness, ab = lab[0].ravel().astype(np.float64) / 50 - 1, lab[1:].reshape(2, -1).astype(np.float64)
    powers = np.stack([lightness**degree for degree in range(4)])
    # A picture of few lightnesses leaves the normal equations singular.
    fit = np.linalg.pinv(powers @ powers.T, hermitian=True) @ (powers @ ab.T)
    return float(np.sqrt(np.square(ab - fit.T @ powers).sum(axis=0).mean()))
