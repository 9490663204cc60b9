"""CIE L*a*b* and CIEDE2000 of pictures, in float32, within 1e-3 of scikit-image.

Kept for speed: CIEDE2000 here takes 0.42 of the CPU time of scikit-image's in float32, and is a quarter of the cost of
the frame metrics (854x480, benchmarks/metrics.py).

G. Sharma, W. Wu, E. Dalal: The CIEDE2000 color-difference formula (Color Research & Application 30, 2005); equation
numbers are theirs. Nothing here needs an angle: hue is a unit vector, a mean hue is the bisector of two of them, and
cosines of its multiples are polynomials. Elsewhere use `skimage.color.deltaE_ciede2000`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np

from videocolor.types import Array

__all__ = ["ciede2000", "peak_of"]

_BLOCK: Final = 1 << 15
"""Pixels computed at once: a dozen intermediate arrays of them fit into a core's cache."""


def peak_of(picture: Array) -> float:
    """Return the value of white: 255 (uint8), 65535 (uint16), or 1 (floats).

    Raises:
        ValueError: another type.
    """
    if picture.dtype.kind == "f":
        return 1.0
    found = {"u1": 255.0, "u2": 65535.0}.get(picture.dtype.str[1:])
    if found is None:
        raise ValueError(f"{picture.dtype=}: expected uint8, uint16 or float")
    return found


def ciede2000(first: Array, second: Array) -> Array:
    """Compute CIEDE2000 color differences, kL = kC = kH = 1.

    Args:
        first: (3, h, w) float32 CIE L*a*b*, from `videocolor.color.lab_of`.
        second: the same.

    Returns:
        (h, w) float32 differences, >= 0.
    """
    shape = first.shape[1:]
    a, b = first.reshape(3, -1), second.reshape(3, -1)
    out = np.empty(a.shape[1], np.float32)
    for start in range(0, out.size, _BLOCK):
        part = slice(start, start + _BLOCK)
        out[part] = _block(a[:, part], b[:, part])
    return out.reshape(shape)


def _block(first: Array, second: Array) -> Array:
    """CIEDE2000 of (3, n) float32 colors; the constants are Python floats, so nothing leaves float32."""
    (l1, a1, b1), (l2, a2, b2) = first, second
    tiny = np.float32(1e-20)
    g = 1.5 - 0.5 * _seventh((np.sqrt(a1 * a1 + b1 * b1) + np.sqrt(a2 * a2 + b2 * b2)) * 0.5)
    a1, a2 = a1 * g, a2 * g
    c1, c2 = np.sqrt(a1 * a1 + b1 * b1), np.sqrt(a2 * a2 + b2 * b2)
    ux, uy = a1 / (c1 + tiny), b1 / (c1 + tiny)
    vx, vy = a2 / (c2 + tiny), b2 / (c2 + tiny)
    dx, dy = vx - ux, vy - uy
    # The sign of the sine between the hues; for opposite ones (14) goes up from the hue under 180.
    side = np.copysign(np.float32(1), ux * vy - uy * vx + tiny * b1)
    # |u + v| is 2 cos(turn/2), |v - u| is 2 sin(turn/2), along or across the bisector: their sum points along
    # it and is never short.
    nx, ny = ux + vx + side * dy, uy + vy - side * dx
    length = np.sqrt(nx * nx + ny * ny) + tiny
    nx /= length
    ny /= length
    dl, dc = l2 - l1, c2 - c1
    dh = side * np.sqrt(c1 * c2 * (dx * dx + dy * dy))
    lightness, chroma = (l1 + l2) * 0.5 - 50, (c1 + c2) * 0.5
    lightness *= lightness
    s_l = 1 + 0.015 * lightness / np.sqrt(20 + lightness)
    s_c, s_h = 1 + 0.045 * chroma, 1 + 0.015 * chroma * _hue_weight(nx, ny)
    x, y, z = dl / s_l, dc / s_c, dh / s_h
    rotation = -2 * _seventh(chroma) * _blue_turn(nx, ny)
    return np.asarray(np.sqrt(np.maximum(x * x + y * y + z * z + rotation * y * z, 0)))


def _seventh(chroma: Array) -> Array:
    """sqrt(C^7 / (C^7 + 25^7))."""
    c = chroma * np.float32(1 / 25)
    power = c * c
    power = power * power * power * c
    return np.asarray(np.sqrt(power / (power + 1)))


def _hue_weight(x: Array, y: Array) -> Array:
    """T of (15) from the hue's cosine and sine, by the addition theorems."""

    def turned(cosine: Array, sine: Array, degrees: float, factor: float) -> Array:
        angle = np.radians(degrees)
        return float(factor * np.cos(angle)) * cosine + float(factor * np.sin(angle)) * sine

    x2, y2 = x * x - y * y, 2 * x * y
    x3, y3 = x2 * x - y2 * y, y2 * x + x2 * y
    x4, y4 = x2 * x2 - y2 * y2, 2 * x2 * y2
    weight = turned(x, y, 30, -0.17) + 0.24 * x2
    weight += turned(x3, y3, -6, 0.32)
    weight += turned(x4, y4, 63, -0.20)
    return np.asarray(weight + 1)


def _blue_turn(x: Array, y: Array) -> Array:
    """Sine of 2 x (16): sin(60 deg exp(-((h - 275 deg) / 25 deg)^2)), without the hue itself.

    With q = 1 - cos d, d^2 is a power series of q; beyond q = 1.2 (102 degrees away) the exponential is below 1e-7.
    """
    middle = np.radians(275)
    q = np.clip(1 - (float(np.cos(middle)) * x + float(np.sin(middle)) * y), 0, 1.2)
    squared = np.zeros_like(q)
    for coefficient in _squared_angle():
        squared = squared * q + coefficient
    return np.asarray(np.sin(float(np.radians(60)) * np.exp(squared * float(-1 / np.radians(25) ** 2))))


@lru_cache(maxsize=1)
def _squared_angle() -> tuple[float, ...]:
    """Coefficients, highest first, of arccos(1 - q)^2 for q in 0..1.2; the error is under 1e-8."""
    nodes = 0.6 - 0.6 * np.cos(np.pi * (np.arange(400) + 0.5) / 400)
    fitted = np.polynomial.Polynomial.fit(nodes, np.arccos(1 - nodes) ** 2 / nodes, 9).convert()
    return tuple(float(c) for c in (*fitted.coef[::-1], 0.0))
