"""Scores of one frame against its true colours: pure functions of NumPy arrays.

Pictures are (h, w, 3) R'G'B' (sRGB) in display order: uint8, uint16 (0..65535) or float in 0..1; truth and test of one
type and size. Sums are taken in float64, and no difference is formed in an unsigned type.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from videocolor.evaluation.ciede import ciede2000, ciede2000_fast, lab_of
from videocolor.types import Array

__all__ = [
    "EDGE_PIXELS",
    "EDGE_THRESHOLDS",
    "SSIM_WINDOW",
    "ciede2000",
    "ciede2000_mean",
    "ciede2000_percentile",
    "colorfulness",
    "colorfulness_abs",
    "colorfulness_pair",
    "edge_band",
    "edge_ciede2000",
    "mean_squared_error",
    "peak_of",
    "psnr_ab",
    "psnr_of",
    "psnr_rgb",
    "reference_ciede2000",
    "ssim",
]

EDGE_THRESHOLDS: Final = (20, 40)
"""Canny's low and high threshold on a* and b* (one CIE unit a level): a clean step of 10 units is an edge, one of 5
continues one."""
EDGE_PIXELS: Final = 3.0
"""Half width of the band around an edge in pixels, at 480 lines."""
SSIM_WINDOW: Final = 7
"""Pixels a side of the window of SSIM."""
_SSIM_ROWS: Final = 48
"""Rows of a picture that SSIM works on at once."""


def peak_of(picture: Array) -> float:
    """The value of white: 255, 65535, or 1 for floats.

    Raises:
        ValueError: another type.
    """
    peaks = {"u1": 255.0, "u2": 65535.0}
    if picture.dtype.kind == "f":
        return 1.0
    found = peaks.get(picture.dtype.str[1:])
    if found is None:
        raise ValueError(f"{picture.dtype=}: expected uint8, uint16 or float")
    return found


def mean_squared_error(truth: Array, test: Array) -> float:
    """Mean squared difference of all samples, in the unit of the samples, summed in float64."""
    if truth.dtype == np.uint8:
        return float(cv2.norm(np.ascontiguousarray(truth), np.ascontiguousarray(test), cv2.NORM_L2SQR) / truth.size)
    return float(np.mean((truth.astype(np.float64) - test.astype(np.float64)) ** 2))


def psnr_of(error: float, peak: float) -> float:
    """10 log10(peak^2 / error) in dB; infinite without error."""
    return float("inf") if error == 0 else float(10 * np.log10(peak**2 / error))


def psnr_rgb(truth: Array, test: Array) -> float:
    """Peak signal-to-noise ratio over all pixels and channels: 10 log10(peak^2 / mean((x - y)^2)), in float64.

    Args:
        truth: (h, w, 3) R'G'B', see the module.
        test: the same.

    Returns:
        dB; infinite for equal pictures.
    """
    return psnr_of(mean_squared_error(truth, test), peak_of(truth))


def psnr_ab(truth: Array, test: Array) -> float:
    """Peak signal-to-noise ratio of the colour alone: over CIE a* and b*, peak 255.

    SVCNet's "Lab" score (Evaluation/comp_psnr_ssim_video_Lab.py) takes OpenCV's 8-bit Lab, whose a and b are a* + 128
    and b* + 128 rounded, and subtracts unsigned bytes; this is the same ratio without rounding and wrap-around.

    Args:
        truth: (h, w, 3) R'G'B', see the module.
        test: the same.

    Returns:
        dB; infinite for equal colours.
    """
    return psnr_of(mean_squared_error(lab_of(truth)[1:], lab_of(test)[1:]), 255.0)


def ssim(truth: Array, test: Array) -> float:
    """Structural similarity, mean over pixels and channels: Wang, Bovik, Sheikh, Simoncelli (IEEE TIP 13, 2004).

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
    window = SSIM_WINDOW
    h, w = truth.shape[:2]
    if min(h, w) < window:
        raise ValueError(f"{truth.shape=}: SSIM needs at least {window} pixels a side")
    scale = np.float32(255.0 / peak_of(truth))
    total, count = 0.0, (h - window + 1) * (w - window + 1) * truth.shape[2]
    for top in range(0, h - window + 1, _SSIM_ROWS):  # bands, so that what is between stays in the core's cache
        rows = slice(top, min(top + _SSIM_ROWS + window - 1, h))
        x, y = truth[rows].astype(np.float32) * scale, test[rows].astype(np.float32) * scale
        total += float(_ssim_map(x, y).sum(dtype=np.float64))
    return float(total / count)


def _ssim_map(x: Array, y: Array) -> Array:
    """SSIM of every whole window of two (h, w, 3) float32 pictures on the scale of 255.

    Written in the sum and the difference of the pictures: four window means in place of five, and none of them is lost
    in the rounding of a much larger one where the pictures are alike.
    """
    edge = SSIM_WINDOW // 2
    inner = np.s_[edge:-edge, edge:-edge]

    def mean(picture: Array) -> Array:
        """Window means of the interior; OpenCV sums them in float64."""
        return cv2.blur(picture, (SSIM_WINDOW, SSIM_WINDOW))[inner]

    def variance(picture: Array, average: Array) -> Array:
        """Sample variance of the windows, times 1 / 2."""
        spread = mean(picture * picture)
        spread -= average * average
        spread *= np.float32(0.5 * SSIM_WINDOW**2 / (SSIM_WINDOW**2 - 1))
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


def ciede2000_mean(truth: Array, test: Array) -> float:
    """Mean CIEDE2000 difference of two pictures, see `videocolor.evaluation.ciede`.

    Args:
        truth: (h, w, 3) R'G'B', see the module.
        test: the same.

    Returns:
        0 for equal pictures; about 1 is just noticeable.
    """
    return float(ciede2000_fast(lab_of(truth), lab_of(test)).mean(dtype=np.float64))


def ciede2000_percentile(truth: Array, test: Array, percent: float = 90.0) -> float:
    """The CIEDE2000 difference that `percent` of the pixels stay under."""
    return float(np.percentile(ciede2000_fast(lab_of(truth), lab_of(test)), percent))


def colorfulness(rgb: Array) -> float:
    """How colourful a picture is: 0 gray, about 33 moderate, 80 and more very.

    D. Hasler, S. Suesstrunk: Measuring colourfulness in natural images (SPIE 2003), metric M3: with rg = R - G and
    yb = (R + G) / 2 - B, sqrt(var rg + var yb) + 0.3 sqrt(mean(rg)^2 + mean(yb)^2), R'G'B' on the scale of 255.

    Args:
        rgb: (h, w, 3) R'G'B', see the module.
    """
    return colorfulness_pair(rgb)[0]


def colorfulness_abs(rgb: Array) -> float:
    """Colourfulness with |rg| and |yb| in place of rg and yb, as the released code of DDColor and ColorMNet has it.

    Not the published metric: opposite colours count as one. For comparison with their tables only.

    Args:
        rgb: (h, w, 3) R'G'B', see the module.
    """
    return colorfulness_pair(rgb)[1]


_OPPONENT: Final = np.array([[1.0, -1.0, 0.0], [0.5, 0.5, -1.0]])
"""R, G, B -> rg, yb."""


def colorfulness_pair(rgb: Array) -> tuple[float, float]:
    """`colorfulness` and `colorfulness_abs` of a picture at once."""
    scale = np.float32(255.0 / peak_of(rgb))
    opponent = cv2.transform(rgb.astype(np.float32), _OPPONENT * scale)
    return _hasler(opponent), _hasler(np.abs(opponent))


def _hasler(opponent: Array) -> float:
    mean, deviation = (np.asarray(v).ravel() for v in cv2.meanStdDev(opponent))
    return float(np.hypot(*deviation) + 0.3 * np.hypot(*mean))


def edge_band(truth_lab: Array) -> Array:
    """Where colours of the truth meet: pixels within 3 px (at 480 lines, scaled with height) of an edge of a* or b*.

    Edges are Canny's (IEEE PAMI 8, 1986) on a* and on b*, each rounded to levels of one unit, with `EDGE_THRESHOLDS` on
    the L2 norm of the 3x3 Sobel gradient.

    Args:
        truth_lab: (3, h, w) float32 CIE L*a*b*.

    Returns:
        (h, w) bool; all False where the picture has no colour edge.
    """
    levels = np.clip(np.rint(truth_lab[1:] + 128), 0, 255).astype(np.uint8)
    a, b = (cv2.Canny(plane, *EDGE_THRESHOLDS, L2gradient=True) for plane in levels)
    edges: Array = cv2.bitwise_or(a, b)
    if not edges.any():
        return np.zeros(edges.shape, bool)
    distance = cv2.distanceTransform(cv2.bitwise_not(edges), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distance <= EDGE_PIXELS * edges.shape[0] / 480)


def edge_ciede2000(truth: Array, test: Array) -> float | None:
    """Mean CIEDE2000 in the band around the truth's colour edges: how much colour bleeds over them.

    Args:
        truth: (h, w, 3) R'G'B', see the module.
        test: the same.

    Returns:
        The mean; None where the truth has no colour edge.
    """
    lab = lab_of(truth)
    band = edge_band(lab)
    return float(ciede2000_fast(lab, lab_of(test))[band].mean(dtype=np.float64)) if band.any() else None


def reference_ciede2000(truth: Array, test: Array, chroma_shift: tuple[int, int] = (1, 1)) -> float:
    """Mean CIEDE2000 on the grid of the chroma planes: how well a hint is reproduced at its own frame.

    A film of 4:2:0 stores one colour for four pixels, so no film can reproduce a hint more finely; both pictures are
    averaged over these cells first.

    Args:
        truth: (h, w, 3) R'G'B', see the module.
        test: the same.
        chroma_shift: log2 of horizontal and vertical chroma subsampling; (1, 1) is 4:2:0, (0, 0) is 4:4:4.
    """
    h, w = truth.shape[:2]
    size = (-(-w >> chroma_shift[0]) or 1, -(-h >> chroma_shift[1]) or 1)
    peak = np.float32(peak_of(truth))
    cells = (cv2.resize(p.astype(np.float32) / peak, size, interpolation=cv2.INTER_AREA) for p in (truth, test))
    first, second = (lab_of(cell) for cell in cells)
    return float(ciede2000_fast(first, second).mean(dtype=np.float64))
