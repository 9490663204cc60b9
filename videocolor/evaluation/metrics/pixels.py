"""Metrics of samples: PSNR, SSIM, colorfulness, luma.

Pictures are (h, w, 3) R'G'B' (sRGB): uint8, uint16 (0..65535) or float in 0..1; truth and test of one type and size.
Sums are taken in float64, and no difference is formed in an unsigned type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

import cv2
import numpy as np

from videocolor.evaluation.metrics.base import Column, Metric, MetricOptions, Score, ScoredFrame
from videocolor.evaluation.metrics.lab import peak_of
from videocolor.types import Array

__all__ = [
    "Colorfulness",
    "LumaMaxDiff",
    "PsnrAb",
    "PsnrRgb",
    "Ssim",
    "colorfulness",
    "mean_squared_error",
    "psnr",
    "ssim",
]

_CAP: Final = 100.0
"""dB: a frame's PSNR counts as at most this, for equal frames have an infinite one. Results say how many frames did."""
_WINDOW: Final = 7
"""Pixels a side of the window of SSIM."""
_ROWS: Final = 48
"""Rows of a picture that SSIM works on at once."""


class PsnrRgb(Metric):
    """Peak signal-to-noise ratio over all pixels and channels, dB.

    `psnr_rgb` is the mean over frames, `psnr_rgb_pooled` that of the mean squared error over all frames, as ColorMNet,
    SVCNet and VCGAN average; both are at most `psnr_cap`.
    """

    name = "psnr_rgb"
    keys = ("psnr_rgb", "psnr_rgb_pooled", "psnr_rgb_capped_frames")
    columns = (Column("psnr_rgb", "PSNR RGB, dB", 2, "higher", on_page=True),)
    peak: ClassVar[float] = 1.0

    def __init__(self, options: MetricOptions) -> None:
        super().__init__(options)
        self._capped = 0

    def measure(self, frame: ScoredFrame) -> Mapping[str, Any]:
        """Take the mean squared error."""
        return {"error": mean_squared_error(frame.truth.rgb, frame.test.rgb)}

    def update(self, measured: Mapping[str, Any]) -> None:
        """Sum errors and ratios."""
        value = psnr(measured["error"], self.peak)
        self._capped += value > _CAP
        super().update({**measured, "psnr": min(value, _CAP)})

    def result(self) -> dict[str, Score]:
        """Return the mean, the pooled ratio, and the number of capped frames."""
        error = self.mean("error")
        pooled = None if error is None else min(psnr(error, self.peak), _CAP)
        values = (self.mean("psnr"), pooled, None if error is None else self._capped)
        return {**dict(zip(self.keys, values, strict=True)), "psnr_cap": _CAP}


class PsnrAb(PsnrRgb):
    """Peak signal-to-noise ratio of the color alone: over CIE a* and b*, peak 255.

    SVCNet's "Lab" score (Evaluation/comp_psnr_ssim_video_Lab.py) takes OpenCV's 8-bit Lab, whose a and b are a* + 128
    and b* + 128 rounded, and subtracts unsigned bytes; this is the same ratio without rounding and wrap-around.
    """

    name = "psnr_ab"
    keys = ("psnr_ab", "psnr_ab_pooled", "psnr_ab_capped_frames")
    columns = (Column("psnr_ab", "PSNR ab, dB", 2, "higher"),)
    peak = 255.0

    def measure(self, frame: ScoredFrame) -> Mapping[str, Any]:
        """Take the mean squared error, in CIE units."""
        return {"error": mean_squared_error(frame.truth.lab[1:], frame.test.lab[1:])}


class Ssim(Metric):
    """Structural similarity, see `ssim`."""

    name = "ssim"
    keys = ("ssim",)
    columns = (Column("ssim", "SSIM", 4, "higher"),)
    missing = f"the picture is smaller than {_WINDOW} pixels a side"

    def measure(self, frame: ScoredFrame) -> Mapping[str, Any]:
        """Measure; nothing for pictures smaller than the window."""
        return {"ssim": ssim(frame.truth.rgb, frame.test.rgb)} if frame.side >= _WINDOW else {}


class Colorfulness(Metric):
    """Colorfulness of result and truth, see `colorfulness`, and the mean over frames of |result - truth|."""

    name = "colorfulness"
    keys = (
        "colorfulness", "colorfulness_truth", "colorfulness_abs", "colorfulness_abs_truth", "colorfulness_delta",
    )  # fmt: skip
    columns = (
        Column("colorfulness", "colorfulness", 1),
        Column("colorfulness_delta", "colorfulness, difference", 1, "lower", on_page=True),
    )

    def measure(self, frame: ScoredFrame) -> Mapping[str, Any]:
        """Measure both forms, of both pictures."""
        (test, test_abs), (truth, truth_abs) = colorfulness(frame.test.rgb), colorfulness(frame.truth.rgb)
        return dict(zip(self.keys, (test, truth, test_abs, truth_abs, abs(test - truth)), strict=True))


class LumaMaxDiff(Metric):
    """The largest difference of a stored luma sample in any frame."""

    name = "luma_max_diff"
    keys = ("luma_max_diff",)
    frames = "all"
    missing = "stored luma is not known from R'G'B' pictures"

    def __init__(self, options: MetricOptions) -> None:
        super().__init__(options)
        self._most: int | None = None

    def measure(self, frame: ScoredFrame) -> Mapping[str, Any]:
        """Take what the reader of both films found."""
        return {} if frame.luma_diff is None else {"luma_max_diff": frame.luma_diff}

    def update(self, measured: Mapping[str, Any]) -> None:
        """Keep the largest."""
        self._most = max([*measured.values(), self._most or 0]) if measured else self._most

    def result(self) -> dict[str, Score]:
        """Return it, in code values; None where it is unknown."""
        return {"luma_max_diff": self._most}


def mean_squared_error(truth: Array, test: Array) -> float:
    """Return the mean squared difference of all samples, summed in float64, where white is 1."""
    if truth.dtype == np.uint8:
        error = float(cv2.norm(np.ascontiguousarray(truth), np.ascontiguousarray(test), cv2.NORM_L2SQR) / truth.size)
    else:
        error = float(np.mean((truth.astype(np.float64) - test.astype(np.float64)) ** 2))
    return error / peak_of(truth) ** 2


def psnr(error: float, peak: float = 1.0) -> float:
    """Return 10 log10(peak^2 / error) in dB; infinite without error."""
    return float("inf") if error == 0 else float(10 * np.log10(peak**2 / error))


def ssim(truth: Array, test: Array) -> float:
    """Return the structural similarity, mean over pixels and channels: Wang et al. (IEEE TIP 13, 2004).

    As scikit-image computes it by default (`structural_similarity(..., channel_axis=2)`): 7x7 uniform window, sample
    covariance, K1 = 0.01, K2 = 0.03, a border of 3 pixels left out.

    Args:
        truth: (h, w, 3) R'G'B', at least 7 pixels a side, see the module.
        test: the same.

    Returns:
        -1..1; 1 for equal pictures.

    Raises:
        ValueError: the picture is smaller than the window.
    """
    h, w = truth.shape[:2]
    if min(h, w) < _WINDOW:
        raise ValueError(f"{truth.shape=}: SSIM needs at least {_WINDOW} pixels a side")
    scale = np.float32(255.0 / peak_of(truth))
    total, count = 0.0, (h - _WINDOW + 1) * (w - _WINDOW + 1) * truth.shape[2]
    for top in range(0, h - _WINDOW + 1, _ROWS):  # bands, so that intermediate pictures stay in the core's cache
        rows = slice(top, min(top + _ROWS + _WINDOW - 1, h))
        x, y = truth[rows].astype(np.float32) * scale, test[rows].astype(np.float32) * scale
        total += float(_ssim_map(x, y).sum(dtype=np.float64))
    return float(total / count)


def _ssim_map(x: Array, y: Array) -> Array:
    """SSIM of every complete window of two (h, w, 3) float32 pictures on the scale of 255.

    Written in the sum and the difference of the pictures: four window means in place of five, and no small one is lost
    in the rounding of a large one where the pictures are alike.
    """
    edge = _WINDOW // 2
    inner = np.s_[edge:-edge, edge:-edge]

    def mean(picture: Array) -> Array:
        """Window means of the interior, which OpenCV sums in float64."""
        return cv2.blur(picture, (_WINDOW, _WINDOW))[inner]

    def variance(picture: Array, average: Array) -> Array:
        """Half the sample variance of the windows."""
        spread = mean(picture * picture)
        spread -= average * average
        spread *= np.float32(0.5 * _WINDOW**2 / (_WINDOW**2 - 1))
        return spread

    difference = x - y
    x += y
    x -= np.float32(255)  # variances do not mind the offset and are more exact without it; means need it
    mean_sum, mean_difference = mean(x), mean(difference)
    both, apart = variance(x, mean_sum), variance(difference, mean_difference)
    mean_sum += np.float32(255)
    mean_sum *= mean_sum
    mean_sum *= np.float32(0.5)
    mean_difference *= mean_difference
    mean_difference *= np.float32(0.5)
    c1, c2 = np.float32((0.01 * 255) ** 2), np.float32((0.03 * 255) ** 2)
    # With s = x + y, d = x - y: 2 ux uy = (us^2 - ud^2) / 2, ux^2 + uy^2 = (us^2 + ud^2) / 2, and so for variances.
    top = (mean_sum - mean_difference + c1) * (both - apart + c2)
    top /= (mean_sum + mean_difference + c1) * (both + apart + c2)
    return np.asarray(top)


def colorfulness(rgb: Array) -> tuple[float, float]:
    """Measure how colorful a picture is: 0 gray, about 33 moderate, 80 and more very.

    D. Hasler, S. Suesstrunk: Measuring colourfulness in natural images (SPIE 2003), metric M3: with rg = R - G and
    yb = (R + G) / 2 - B, sqrt(var rg + var yb) + 0.3 sqrt(mean(rg)^2 + mean(yb)^2), R'G'B' on the scale of 255.

    Args:
        rgb: (h, w, 3) R'G'B', see the module.

    Returns:
        M3; and the same of |rg| and |yb|, as in the code of DDColor and ColorMNet: not the published metric, since
        opposite colors count as one, but comparable with their tables.
    """
    opponent = cv2.transform(rgb.astype(np.float32), _OPPONENT * np.float32(255.0 / peak_of(rgb)))
    return _hasler(opponent), _hasler(np.abs(opponent))


_OPPONENT: Final = np.array([[1.0, -1.0, 0.0], [0.5, 0.5, -1.0]])
"""R, G, B -> rg, yb."""


def _hasler(opponent: Array) -> float:
    mean, deviation = (np.asarray(v).ravel() for v in cv2.meanStdDev(opponent))
    return float(np.hypot(*deviation) + 0.3 * np.hypot(*mean))
