"""Scores of one frame against its true colours: pure functions of NumPy arrays."""

from __future__ import annotations

import numpy as np

from videocolor.color import rgb_to_lab
from videocolor.types import Array

__all__ = ["ciede2000", "ciede2000_mean", "colorfulness", "psnr_rgb"]


def psnr_rgb(truth: Array, test: Array) -> float:
    """Peak signal-to-noise ratio over all pixels and channels, in float64.

    Args:
        truth: (h, w, 3) uint8 R'G'B'.
        test: the same.

    Returns:
        dB; infinite for equal pictures.
    """
    error = float(np.mean((truth.astype(np.float64) - test.astype(np.float64)) ** 2))
    return float("inf") if error == 0 else float(10 * np.log10(255.0**2 / error))


def colorfulness(rgb: Array) -> float:
    """How colourful a picture is: 0 gray, about 33 moderate, 80 and more very.

    D. Hasler, S. Suesstrunk: Measuring colourfulness in natural images (SPIE 2003), metric M3.

    Args:
        rgb: (h, w, 3) uint8 R'G'B'.
    """
    r, g, b = np.moveaxis(rgb.astype(np.float64), -1, 0)
    rg, yb = r - g, 0.5 * (r + g) - b
    return float(np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean()))


def ciede2000_mean(truth: Array, test: Array) -> float:
    """Mean CIEDE2000 difference of two pictures.

    Args:
        truth: (h, w, 3) uint8 R'G'B' (sRGB).
        test: the same.
    """
    first, second = (rgb_to_lab(np.moveaxis(x, -1, 0).astype(np.float64) / 255) for x in (truth, test))
    return float(ciede2000(first, second).mean())


def ciede2000(first: Array, second: Array) -> Array:
    """CIEDE2000 colour difference, kL = kC = kH = 1.

    G. Sharma, W. Wu, E. Dalal: The CIEDE2000 color-difference formula (Color Research & Application 30, 2005);
    equation numbers are theirs.

    Args:
        first: (3, ...) CIE L*a*b*.
        second: (3, ...) CIE L*a*b*.

    Returns:
        (...) differences, >= 0.
    """
    (l1, a1, b1), (l2, a2, b2) = first, second
    mean = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    g = 1.5 - 0.5 * np.sqrt(mean**7 / (mean**7 + 25.0**7))  # 1 + G, (4)
    c1, c2 = np.hypot(a1 * g, b1), np.hypot(a2 * g, b2)  # (6)
    h1, h2 = (np.degrees(np.arctan2(b, a * g)) % 360 for a, b in ((a1, b1), (a2, b2)))  # (7)
    gray = c1 * c2 == 0
    turn = np.where(gray, 0.0, (h2 - h1 + 180) % 360 - 180)  # (10)
    dl, dc, dh = l2 - l1, c2 - c1, 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn) / 2)  # (8), (9), (11)
    lightness, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    hue = np.where(gray, h1 + h2, h1 + _half_turn(h1, h2))  # (14)
    t = (
        1 - 0.17 * _cos(hue - 30) + 0.24 * _cos(2 * hue) + 0.32 * _cos(3 * hue + 6) - 0.20 * _cos(4 * hue - 63)  # (15)
    )
    s_l = 1 + 0.015 * (lightness - 50) ** 2 / np.sqrt(20 + (lightness - 50) ** 2)  # (18)
    s_c, s_h = 1 + 0.045 * chroma, 1 + 0.015 * chroma * t  # (19), (20)
    angle = 60 * np.exp(-(((hue % 360 - 275) / 25) ** 2))  # 2 x (16)
    rotation = -2 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7)) * np.sin(np.radians(angle))  # (17), (21)
    x, y, z = dl / s_l, dc / s_c, dh / s_h
    return np.asarray(np.sqrt(np.maximum(x * x + y * y + z * z + rotation * y * z, 0)))  # (22)


def _cos(degrees: Array) -> Array:
    return np.asarray(np.cos(np.radians(degrees)))


def _half_turn(h1: Array, h2: Array) -> Array:
    """Half the shorter way from hue h1 to hue h2, in degrees; 180 apart counts upwards as in (14)."""
    apart = h2 - h1
    return np.asarray(np.where(np.abs(apart) <= 180, apart, np.where(h1 + h2 < 360, apart + 360, apart - 360)) / 2)
