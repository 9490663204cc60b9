"""Metrics of CIEDE2000 (over the picture, at color edges, at reference frames), and of color beyond a tint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import cv2
import numpy as np

from videocolor.color import lab_of
from videocolor.evaluation.metrics.base import Column, Metric, MetricOptions, Score, ScoredFrame
from videocolor.evaluation.metrics.lab import ciede2000, peak_of
from videocolor.types import Array

__all__ = ["BeyondTint", "Ciede2000", "EdgeCiede2000", "ReferenceCiede2000", "beyond_tint", "differences", "edge_band"]

_BIN: Final = 0.01
"""Width of the bins in which the pixels of a film are counted for the percentile; 0 has a bin of its own."""
_BINS: Final = 20001
"""Up to 200; R'G'B' colors are at most about 120 apart."""
_EDGE_THRESHOLDS: Final = (20, 40)
"""Canny's low and high threshold on a* and b* (one CIE unit a level): a clean step of 10 units is an edge, one of 5
continues one."""
_EDGE_PIXELS: Final = 3.0
"""Half width of the band around an edge in pixels, at 480 lines."""


class Ciede2000(Metric):
    """CIEDE2000 color difference (Sharma, Wu, Dalal 2005), D65: means and percentiles.

    `ciede2000_p90` is over all pixels of all scored frames (counted in bins of 0.01), `ciede2000_frames_p90` over the
    frames' means.
    """

    name = "ciede2000"
    keys = ("ciede2000_mean", "ciede2000_p90", "ciede2000_frames_p90")
    columns = (
        Column("ciede2000_mean", "dE00", 2, "lower", on_page=True),
        Column("ciede2000_p90", "dE00 p90", 2, "lower", on_page=True),
    )

    def __init__(self, options: MetricOptions) -> None:
        super().__init__(options)
        self._pixels = np.zeros(_BINS, np.int64)
        self._means: list[float] = []

    def measure(self, frame: ScoredFrame) -> Mapping[str, Any]:
        """Take the mean over the picture, and count its pixels in bins."""
        bins = np.minimum(np.ceil(frame.once(differences) * np.float32(1 / _BIN)), _BINS - 1).astype(np.int32)
        mean = float(frame.once(differences).mean(dtype=np.float64))
        return {"ciede2000_mean": mean, "pixels": np.bincount(bins.ravel(), minlength=_BINS)}

    def update(self, measured: Mapping[str, Any]) -> None:
        """Add up."""
        super().update({"ciede2000_mean": measured["ciede2000_mean"]})
        self._pixels += measured["pixels"]
        self._means.append(measured["ciede2000_mean"])

    def result(self) -> dict[str, Score]:
        """Return the mean and the percentiles."""
        of_frames = float(np.percentile(self._means, 90)) if self._means else None
        values = (self.mean("ciede2000_mean"), self._percentile(0.9), of_frames)
        return dict(zip(self.keys, values, strict=True))

    def _percentile(self, share: float) -> float | None:
        """Over pixels: linear inside the bin."""
        if not self._means:
            return None
        sums = np.cumsum(self._pixels)
        place = share * float(sums[-1])
        at = int(np.searchsorted(sums, place))
        below = float(sums[at - 1]) if at else 0.0
        return float((at - 1 + (place - below) / float(self._pixels[at])) * _BIN) if at else 0.0


class EdgeCiede2000(Metric):
    """Mean CIEDE2000 in the band around the truth's color edges: how much color bleeds over them."""

    name = "edge_ciede2000"
    keys = ("edge_ciede2000",)
    columns = (Column("edge_ciede2000", "dE00 at color edges", 2, "lower", on_page=True),)
    missing = "the truth has no color edges"

    def measure(self, frame: ScoredFrame) -> Mapping[str, Any]:
        """Take the mean over the band; nothing where the truth has no color edge."""
        band = edge_band(frame.truth.lab)
        return {"edge_ciede2000": float(frame.once(differences)[band].mean(dtype=np.float64))} if band.any() else {}

    def result(self) -> dict[str, Score]:
        """Return the mean, the number of its frames, and how edges are found."""
        about: dict[str, Score] = {"edge_thresholds": _EDGE_THRESHOLDS, "edge_pixels_at_480": _EDGE_PIXELS}
        return {**super().result(), "edge_frames": self.count("edge_ciede2000")} | about


class ReferenceCiede2000(Metric):
    """Mean CIEDE2000 at the reference frames, on the grid of the chroma planes: how well a hint is reproduced.

    A film of 4:2:0 stores one color for four pixels, so no film can reproduce a hint more finely; both pictures are
    averaged over these cells first.
    """

    name = "reference_ciede2000"
    keys = ("reference_ciede2000",)
    columns = (Column("reference_ciede2000", "dE00 at hints", 2, "lower"),)
    frames = "reference"
    missing = "no reference frames"

    def measure(self, frame: ScoredFrame) -> Mapping[str, Any]:
        """Take the mean over the cells."""
        (h, w), (across, down) = frame.truth.rgb.shape[:2], self.options.chroma_shift
        size = (-(-w >> across) or 1, -(-h >> down) or 1)
        peak = np.float32(peak_of(frame.truth.rgb))
        cells = (
            cv2.resize(p.rgb.astype(np.float32) / peak, size, interpolation=cv2.INTER_AREA)
            for p in (frame.truth, frame.test)
        )
        return {"reference_ciede2000": float(ciede2000(*map(lab_of, cells)).mean(dtype=np.float64))}

    def result(self) -> dict[str, Score]:
        """Return the mean, and the grid."""
        return {**super().result(), "reference_chroma_shift": self.options.chroma_shift}


def differences(frame: ScoredFrame) -> Array:
    """Return the CIEDE2000 differences of result and truth, (h, w) float32."""
    return ciede2000(frame.truth.lab, frame.test.lab)


def edge_band(truth_lab: Array) -> Array:
    """Find the pixels within 3 px (at 480 lines, scaled with height) of an edge of the truth's a* or b*.

    Edges are Canny's (IEEE PAMI 8, 1986) on a* and on b*, each rounded to levels of one unit, with thresholds 20 and 40
    on the L2 norm of the 3x3 Sobel gradient.

    Args:
        truth_lab: (3, h, w) float32 CIE L*a*b*.

    Returns:
        (h, w) bool; all False where the picture has no color edge.
    """
    levels = np.clip(np.rint(truth_lab[1:] + 128), 0, 255).astype(np.uint8)
    a, b = (cv2.Canny(plane, *_EDGE_THRESHOLDS, L2gradient=True) for plane in levels)
    edges: Array = cv2.bitwise_or(a, b)
    if not edges.any():
        return np.zeros(edges.shape, bool)
    distance = cv2.distanceTransform(cv2.bitwise_not(edges), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distance <= _EDGE_PIXELS * edges.shape[0] / 480)


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
