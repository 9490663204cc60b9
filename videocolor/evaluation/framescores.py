"""All that is measured on one frame: a pure function of the frame, the one before it, and the options.

What several metrics need is computed once: the Lab pictures, the CIEDE2000 map, the flow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np

from videocolor.evaluation import metrics, temporal
from videocolor.evaluation.ciede import ciede2000_fast, lab_of
from videocolor.evaluation.lpips import LPIPS_SMALLEST
from videocolor.types import Array

__all__ = ["DELTA_BIN", "FrameScores", "FrameTask", "View", "measure"]

DELTA_BIN: Final = 0.01
"""Width of the bins that CIEDE2000 values of pixels are counted in for the percentile over a film; 0 has its own."""
_DELTA_BINS: Final = 20001
"""Up to 200; R'G'B' colours are at most about 120 apart."""


class View:
    """One picture and what is derived from it on demand. Not changed once made."""

    def __init__(self, rgb: Array) -> None:
        self.rgb = rgb

    @cached_property
    def lab(self) -> Array:
        """(3, h, w) float32 CIE L*a*b*."""
        return lab_of(self.rgb)


@dataclass(frozen=True, eq=False)
class FrameTask:
    """A frame that waits to be measured."""

    truth: View
    test: View
    before: tuple[View, View] | None
    """(truth, test) of the frame before, where motion is to be measured between the two."""
    reference: bool
    lpips: bool
    """Measure LPIPS here: it is sampled."""


@dataclass(eq=False)
class FrameScores:
    """What was measured on a frame; None or absent is not measured."""

    reference: bool
    histograms: tuple[Array, Array] | None = None
    """Of truth and test, for CDC."""
    values: dict[str, float] = field(default_factory=dict)
    """Values whose mean over frames is a score."""
    delta_counts: Array | None = None
    """Pixels in each `DELTA_BIN` of CIEDE2000."""


def measure(
    task: FrameTask,
    wanted: frozenset[str],
    chroma_shift: tuple[int, int],
    lpips: Callable[[Array, Array], float] | None,
) -> FrameScores:
    """Measure one frame.

    Args:
        task: the frame.
        wanted: names of `videocolor.evaluation.scoring.METRICS`.
        chroma_shift: grid of `reference_ciede2000`.
        lpips: distance of two (h, w, 3) pictures, where weights are there.
    """
    truth, test = task.truth, task.test
    scores = FrameScores(task.reference)
    if "cdc" in wanted:
        scores.histograms = temporal.histograms(truth.rgb), temporal.histograms(test.rgb)
    if task.reference:
        if "reference_ciede2000" in wanted:
            scores.values["reference_ciede2000"] = metrics.reference_ciede2000(truth.rgb, test.rgb, chroma_shift)
        return scores
    values = scores.values
    if "psnr_rgb" in wanted:
        peak = metrics.peak_of(truth.rgb)
        values["mse_rgb"] = metrics.mean_squared_error(truth.rgb, test.rgb) / peak**2
    if "psnr_ab" in wanted:
        values["mse_ab"] = metrics.mean_squared_error(truth.lab[1:], test.lab[1:])
    if "ssim" in wanted and min(truth.rgb.shape[:2]) >= metrics.SSIM_WINDOW:
        values["ssim"] = metrics.ssim(truth.rgb, test.rgb)
    if "colorfulness" in wanted:
        _colorfulness(truth, test, values)
    if "ciede2000" in wanted or "edge_ciede2000" in wanted:
        _differences(truth, test, wanted, scores)
    if task.before is not None and min(truth.rgb.shape[:2]) >= temporal.FLOW_SMALLEST:
        _motion(task.before, (truth, test), wanted, values)
    if lpips is not None and task.lpips and min(truth.rgb.shape[:2]) >= LPIPS_SMALLEST:
        values["lpips_alex"] = lpips(truth.rgb, test.rgb)
    return scores


def _colorfulness(truth: View, test: View, values: dict[str, float]) -> None:
    values["colorfulness"], values["colorfulness_abs"] = metrics.colorfulness_pair(test.rgb)
    values["colorfulness_truth"], values["colorfulness_abs_truth"] = metrics.colorfulness_pair(truth.rgb)
    values["colorfulness_delta"] = abs(values["colorfulness"] - values["colorfulness_truth"])


def _differences(truth: View, test: View, wanted: frozenset[str], scores: FrameScores) -> None:
    delta = ciede2000_fast(truth.lab, test.lab)
    if "ciede2000" in wanted:
        scores.values["ciede2000_mean"] = float(delta.mean(dtype=np.float64))
        bins = np.minimum(np.ceil(delta * np.float32(1 / DELTA_BIN)), _DELTA_BINS - 1).astype(np.int32)
        scores.delta_counts = np.bincount(bins.ravel(), minlength=_DELTA_BINS)
    if "edge_ciede2000" in wanted:
        band = metrics.edge_band(truth.lab)
        if band.any():
            scores.values["edge_ciede2000"] = float(delta[band].mean(dtype=np.float64))


def _motion(
    before: tuple[View, View], now: tuple[View, View], wanted: frozenset[str], values: dict[str, float]
) -> None:
    forward, backward = temporal.truth_flow(before[0].rgb, now[0].rgb)
    for name, old, new in (("_truth", before[0], now[0]), ("", before[1], now[1])):
        if "warp_error" in wanted:
            hidden = temporal.occluded(forward, backward)
            error = temporal.warp_error(old.rgb, new.rgb, forward, hidden)
            if error is not None:
                values[f"warp_error{name}"] = error
        if "flicker" in wanted:
            hidden = temporal.occluded(backward, forward)
            change = temporal.flicker(old.lab, new.lab, backward, hidden)
            if change is not None:
                values[f"flicker{name}"] = change
