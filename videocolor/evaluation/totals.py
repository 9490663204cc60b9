"""From scores of frames to scores of a film."""

from __future__ import annotations

from typing import Any

import numpy as np

from videocolor.evaluation import metrics, temporal
from videocolor.evaluation.framescores import DELTA_BIN, FrameScores
from videocolor.evaluation.scores import METRICS, PSNR_CAP, Metric, ScoreOptions, Scores
from videocolor.types import Array

__all__ = ["FilmTotals"]


class FilmTotals:
    """Sums over frames, in film order, so that they do not depend on the number of threads."""

    def __init__(self) -> None:
        self.frames = self.references = 0
        self.sums: dict[str, float] = {}
        self.counts: dict[str, int] = {}
        self.capped = {"psnr_rgb": 0, "psnr_ab": 0}
        self.deltas: Array | None = None
        self.frame_means: list[float] = []
        self.cdc = temporal.CdcMeter(), temporal.CdcMeter()

    def add(self, scores: FrameScores) -> None:
        """Take the next frame's."""
        self.frames += not scores.reference
        self.references += scores.reference
        if scores.histograms is not None:
            for meter, shares in zip(self.cdc, scores.histograms, strict=True):
                meter.add(shares, count=not scores.reference)
        for name, value in scores.values.items():
            self._add(name, value)
        for name, peak in (("rgb", 1.0), ("ab", 255.0)):
            error = scores.values.get(f"mse_{name}")
            if error is not None:
                value = metrics.psnr_of(error, peak)
                self.capped[f"psnr_{name}"] += value > PSNR_CAP
                self._add(f"psnr_{name}", min(value, PSNR_CAP))
        if scores.delta_counts is not None:
            self.deltas = scores.delta_counts if self.deltas is None else self.deltas + scores.delta_counts
            self.frame_means.append(scores.values["ciede2000_mean"])

    def _add(self, name: str, value: float) -> None:
        self.sums[name] = self.sums.get(name, 0.0) + value
        self.counts[name] = self.counts.get(name, 0) + 1

    def mean(self, name: str) -> float | None:
        """Over the frames that have the value; None where none has."""
        return self.sums[name] / self.counts[name] if name in self.counts else None

    def pooled(self, name: str, peak: float) -> float | None:
        """PSNR of the mean squared error over all frames."""
        error = self.mean(f"mse_{name}")
        return None if error is None else min(metrics.psnr_of(error, peak), PSNR_CAP)

    def percentile(self, share: float) -> float | None:
        """Over pixels: linear inside the bin."""
        if self.deltas is None:
            return None
        sums = np.cumsum(self.deltas)
        place = share * float(sums[-1])
        at = int(np.searchsorted(sums, place))
        below = float(sums[at - 1]) if at else 0.0
        return float((at - 1 + (place - below) / float(self.deltas[at])) * DELTA_BIN) if at else 0.0

    def scores(self, options: ScoreOptions, wanted: frozenset[str]) -> Scores:
        """The film's scores so far."""
        cdc_truth, cdc = (meter.result() for meter in self.cdc)
        warp, warp_truth = self.mean("warp_error"), self.mean("warp_error_truth")
        plain = (
            "psnr_rgb", "psnr_ab", "ssim", "ciede2000_mean", "colorfulness", "colorfulness_truth", "colorfulness_abs",
            "colorfulness_abs_truth", "colorfulness_delta", "flicker", "flicker_truth", "edge_ciede2000",
            "reference_ciede2000", "lpips_alex",
        )  # fmt: skip
        values: dict[str, Any] = {name: self.mean(name) for name in plain}
        values |= {
            "frames": self.frames,
            "reference_frames": self.references,
            "psnr_rgb_pooled": self.pooled("rgb", 1.0),
            "psnr_ab_pooled": self.pooled("ab", 255.0),
            "psnr_rgb_capped_frames": self.capped["psnr_rgb"] if "mse_rgb" in self.counts else None,
            "psnr_ab_capped_frames": self.capped["psnr_ab"] if "mse_ab" in self.counts else None,
            "ciede2000_p90": self.percentile(0.9),
            "ciede2000_frames_p90": float(np.percentile(self.frame_means, 90)) if self.frame_means else None,
            "cdc": cdc,
            "cdc_truth": cdc_truth,
            "cdc_delta": None if cdc is None or cdc_truth is None else abs(cdc - cdc_truth),
            "warp_error": warp,
            "warp_error_truth": warp_truth,
            "warp_error_ratio": warp / warp_truth if warp is not None and warp_truth else None,
            "flow_every": options.flow_every,
            "flow_pairs": max(self.counts.get("warp_error", 0), self.counts.get("flicker", 0)),
            "edge_frames": self.counts.get("edge_ciede2000", 0),
            "reference_chroma_shift": options.chroma_shift,
            "lpips_every": options.lpips_every,
            "lpips_frames": self.counts.get("lpips_alex", 0),
        }
        return Scores(**values, not_measured=self._reasons(values, options, wanted))

    def _reasons(self, values: dict[str, Any], options: ScoreOptions, wanted: frozenset[str]) -> dict[str, str]:
        """Why each metric that is None is None."""
        none_scored = "every frame is a reference frame" if not self.frames else ""
        unseen = "no two neighbouring frames of at least 16 pixels a side in which anything can be compared"
        lpips = "no weights given (--lpips-weights FILE)" if options.lpips_weights is None else "under 32 pixels a side"
        cases = {
            "ssim": "the picture is smaller than 7 pixels a side",
            "cdc": "the film has fewer than five frames whose neighbours can be compared",
            "warp_error": unseen,
            "warp_error_ratio": "the truth's warp error is 0",
            "flicker": unseen,
            "edge_ciede2000": "the truth has no colour edges",
            "reference_ciede2000": "no reference frames",
            "lpips_alex": lpips,
        }
        names = dict.fromkeys((*values, "luma_max_diff", "seconds_per_frame", "peak_memory_bytes"))
        reasons = {}
        for name in names:
            if values.get(name) is not None:
                continue
            metric = _metric_of(name)
            if metric is not None and metric not in wanted:
                reasons[name] = "not asked for"
            elif metric is None:
                reasons[name] = "the run that made the result is not known"
            elif metric == "luma_max_diff":
                reasons[name] = "stored luma is not known from R'G'B' pictures"
            elif metric == "lpips_alex" and options.lpips_weights is None:
                reasons[name] = cases[metric]
            else:
                own = cases.get(name) if values.get(metric) is not None else cases.get(metric)
                reasons[name] = (none_scored if metric != "reference_ciede2000" else "") or own or "nothing to measure"
        return reasons


def _metric_of(key: str) -> Metric | None:
    """The metric that a key of the result belongs to."""
    return next((name for name in METRICS if key.startswith(name)), None)
