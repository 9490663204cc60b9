"""Color mathematics: Y'CbCr, R'G'B', CIE Lab, and chroma at a fixed luma.

All functions are pure, take and return float32 (or float64 where given float64) NumPy arrays, and state their ranges.
Channels come first: (3, ...) or (2, ...).

Sources: ITU-R BT.601-7, BT.709-6, BT.2020-2 (luma weights and quantization), IEC 61966-2-1 (sRGB transfer), CIE 15 (Lab
and Luv, D65 2 degrees). R'G'B' of all three matrices is decoded with the sRGB transfer function, which is what a player
on a computer screen does with video; BT.601 is read with BT.709 primaries, as players do.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import cv2
import numpy as np

from videocolor.types import Array, Matrix, Range

__all__ = [
    "ab_to_ycbcr",
    "chroma_inside",
    "chroma_to_codes",
    "code_offsets",
    "codes_to_chroma",
    "codes_to_luma",
    "gamut_scale",
    "lab_of",
    "lab_to_rgb",
    "luma_to_codes",
    "luv_gamut_scale",
    "luv_to_lab",
    "luv_to_rgb",
    "rgb_to_lab",
    "rgb_to_luma",
    "rgb_to_luv",
    "rgb_to_ycbcr",
    "to_display",
    "to_linear",
    "xyz_matrix",
    "ycbcr_to_ab",
    "ycbcr_to_rgb",
]

LUMA_WEIGHTS: Final[dict[Matrix, tuple[float, float, float]]] = {
    "bt601": (0.299, 0.587, 0.114),
    "bt709": (0.2126, 0.7152, 0.0722),
    "bt2020": (0.2627, 0.6780, 0.0593),
}
"""(Kr, Kg, Kb) of Y' = Kr R' + Kg G' + Kb B'."""

_XYZ_709 = np.array(
    [
        [0.412453, 0.357580, 0.180423],
        [0.212671, 0.715160, 0.072169],
        [0.019334, 0.119193, 0.950227],
    ]
)
_XYZ_2020 = np.array(
    [
        [0.636958, 0.144617, 0.168881],
        [0.262700, 0.677998, 0.059302],
        [0.000000, 0.028073, 1.060985],
    ]
)
_AGAINST_G: Final = np.array([[1.0, -1.0, 0.0], [0.0, 1.0, 0.0], [0.0, -1.0, 1.0]])
"""R, G, B -> R - G, G, B - G: exactly (0, G, 0) for gray, hence exactly X = Y = Z. The hue term multiplies the roots of
both chromas, so a gray that is off by 1e-5 would be off by 0.02 against a saturated color."""


def xyz_matrix(matrix: Matrix) -> Array:
    """Linear RGB -> XYZ relative to its own white, so that white is exactly (1, 1, 1)."""
    m = _XYZ_2020 if matrix == "bt2020" else _XYZ_709
    return np.asarray(m / m.sum(axis=1, keepdims=True))


def _mix(m: Array, x: Array) -> Array:
    """Apply a 3x3 matrix to (3, ...)."""
    return np.tensordot(m.astype(x.dtype), x, axes=1)


def code_offsets(depth: int, range_: Range) -> tuple[float, float, float, float]:
    """(luma offset, luma span, chroma offset, chroma span) in code values."""
    if range_ == "full":
        top = float(2**depth - 1)
        return 0.0, top, float(2 ** (depth - 1)), top
    scale = float(2 ** (depth - 8))
    return 16 * scale, 219 * scale, 128 * scale, 224 * scale


def codes_to_luma(codes: Array, depth: int, range_: Range) -> Array:
    """Convert stored luma samples to Y', nominal 0..1 (limited range can exceed it), float32."""
    offset, span, _, _ = code_offsets(depth, range_)
    return np.asarray((codes.astype(np.float32) - np.float32(offset)) * np.float32(1 / span))


def luma_to_codes(luma: Array, depth: int, range_: Range) -> Array:
    """Y' 0..1 -> stored samples, rounded and clipped to the depth (uint8, or uint16 above 8 bits)."""
    offset, span, _, _ = code_offsets(depth, range_)
    return _quantize(luma * span + offset, depth)


def codes_to_chroma(codes: Array, depth: int, range_: Range) -> Array:
    """Convert stored chroma samples to Cb or Cr, nominal -0.5..0.5, float32."""
    _, _, offset, span = code_offsets(depth, range_)
    return np.asarray((codes.astype(np.float32) - np.float32(offset)) * np.float32(1 / span))


def chroma_to_codes(chroma: Array, depth: int, range_: Range) -> Array:
    """Cb or Cr -0.5..0.5 -> stored samples, rounded and clipped to the depth."""
    _, _, offset, span = code_offsets(depth, range_)
    return _quantize(chroma * span + offset, depth)


def _quantize(values: Array, depth: int) -> Array:
    kind = np.uint8 if depth == 8 else np.uint16
    return np.clip(np.rint(values), 0, 2**depth - 1).astype(kind)


def rgb_to_luma(rgb: Array, matrix: Matrix) -> Array:
    """R'G'B' (3, ...) -> Y' of the matrix, same range; gray in is exactly that gray out."""
    kr, _, kb = LUMA_WEIGHTS[matrix]
    # Written as differences to G', so that R' = G' = B' gives exactly that value.
    return np.asarray(rgb[1] + kr * (rgb[0] - rgb[1]) + kb * (rgb[2] - rgb[1]))


def rgb_to_ycbcr(rgb: Array, matrix: Matrix) -> tuple[Array, Array, Array]:
    """R'G'B' (3, ...) in 0..1 -> Y' in 0..1, Cb and Cr in -0.5..0.5."""
    kr, _, kb = LUMA_WEIGHTS[matrix]
    y = rgb_to_luma(rgb, matrix)
    return y, (rgb[2] - y) / (2 * (1 - kb)), (rgb[0] - y) / (2 * (1 - kr))


def ycbcr_to_rgb(y: Array, cb: Array, cr: Array, matrix: Matrix) -> Array:
    """Y' in 0..1, Cb and Cr in -0.5..0.5 -> R'G'B' (3, ...), not clipped."""
    kr, kg, kb = LUMA_WEIGHTS[matrix]
    r = y + 2 * (1 - kr) * cr
    b = y + 2 * (1 - kb) * cb
    g = y - (2 * kb * (1 - kb) / kg) * cb - (2 * kr * (1 - kr) / kg) * cr
    return np.stack([r, g, b])


def to_linear(rgb: Array) -> Array:
    """SRGB transfer, odd-symmetric below zero so that it stays invertible out of gamut."""
    size = np.abs(rgb)
    return np.asarray(
        np.where(size <= 0.04045, rgb / 12.92, np.sign(rgb) * ((size + 0.055) / 1.055) ** 2.4), dtype=rgb.dtype
    )


def to_display(linear: Array) -> Array:
    """Undo `to_linear`."""
    size = np.abs(linear)
    low = linear * 12.92
    high = np.sign(linear) * (1.055 * size ** (1 / 2.4) - 0.055)
    return np.asarray(np.where(size <= 0.0031308, low, high), dtype=linear.dtype)


def _f(t: Array) -> Array:
    return np.asarray(np.where(t > 216 / 24389, np.cbrt(t), (24389 / 27 * t + 16) / 116), dtype=t.dtype)


def _f_inverse(t: Array) -> Array:
    return np.asarray(np.where(t > 6 / 29, t * t * t, (116 * t - 16) * (27 / 24389)), dtype=t.dtype)


def rgb_to_lab(rgb: Array, matrix: Matrix = "bt709") -> Array:
    """R'G'B' (3, ...) in 0..1, primaries of BT.2020 for `bt2020`, else of BT.709 -> CIE L* 0..100, a*, b*, D65."""
    fx, fy, fz = _f(_mix(xyz_matrix(matrix), to_linear(rgb)))
    return np.stack([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)])


def lab_of(rgb: Array) -> Array:
    """Convert a picture to CIE L*a*b*, fast: within 1e-3 of `rgb_to_lab` in float64.

    Args:
        rgb: (h, w, 3) R'G'B' (sRGB): uint8, uint16 (0..65535), or float in 0..1, which need not be clipped.

    Returns:
        (3, h, w) float32: L* 0..100, a*, b*.
    """
    if rgb.dtype.kind == "f":
        return np.asarray(rgb_to_lab(np.moveaxis(rgb, -1, 0).astype(np.float64)), np.float32)
    if rgb.dtype == np.uint8:
        linear: Array = cv2.LUT(np.ascontiguousarray(rgb), _linear_codes(255))
    else:
        linear = _linear_codes(65535)[rgb]
    xyz = cv2.transform(cv2.transform(linear, _AGAINST_G), _xyz_from_g())
    f = np.cbrt(xyz)
    dark = xyz <= np.float32(216 / 24389)
    np.copyto(f, np.float32(24389 / 27 / 116) * xyz + np.float32(16 / 116), where=dark)
    fx, fy, fz = cv2.split(f)
    return np.stack([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)])


@lru_cache(maxsize=1)
def _xyz_from_g() -> Array:
    """(R - G, G, B - G) -> X, Y, Z relative to white, (3, 3) float64."""
    weights: Array = xyz_matrix("bt709").copy()
    weights[:, 1] = 1
    return weights


@lru_cache(maxsize=2)
def _linear_codes(peak: int) -> Array:
    """Linear light 0..1 of each R'G'B' code, (peak + 1,) float32, computed in float64 (IEC 61966-2-1)."""
    codes = np.arange(peak + 1) / peak
    return np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4).astype(np.float32)


def lab_to_rgb(lab: Array, matrix: Matrix = "bt709") -> Array:
    """CIE L* 0..100, a*, b* (3, ...) -> R'G'B' (3, ...), not clipped: out-of-gamut colors leave 0..1."""
    fy = (lab[0] + 16) / 116
    xyz = _f_inverse(np.stack([fy + lab[1] / 500, fy, fy - lab[2] / 200]))
    return to_display(_mix(np.linalg.inv(xyz_matrix(matrix)), xyz))


def _white() -> tuple[Array, float, float]:
    """(X, Y, Z) of D65, and its u', v'."""
    white = np.asarray(_XYZ_709.sum(axis=1))
    weight = float(white @ (1, 15, 3))
    return white, 4 * float(white[0]) / weight, 9 * float(white[1]) / weight


def rgb_to_luv(rgb: Array) -> Array:
    """R'G'B' (3, ...) in 0..1 with BT.709 primaries -> CIE L* 0..100, u*, v* (3, ...), D65."""
    white, u_white, v_white = _white()
    x, y, z = _mix(white[:, None] * xyz_matrix("bt709"), to_linear(rgb))
    lightness = 116 * _f(y) - 16
    weight = np.maximum(x + 15 * y + 3 * z, 1e-12)  # black has no chromaticity; its L* of 0 takes u* and v* away
    return np.stack(
        [lightness, 13 * lightness * (4 * x / weight - u_white), 13 * lightness * (9 * y / weight - v_white)]
    )


def _luv_to_xyz(luv: Array) -> Array:
    """(3, ...) L*u*v* -> XYZ relative to white. Chromaticities that no light has (v' <= 0) give huge values."""
    white, u_white, v_white = _white()
    thirteen = 13 * np.maximum(luv[0], 1e-6)
    u, v = luv[1] / thirteen + u_white, luv[2] / thirteen + v_white
    y = _f_inverse((luv[0] + 16) / 116)
    per_v = y / np.where(np.abs(v) < 1e-6, 1e-6, 4 * v)
    return np.stack([9 * u * per_v / white[0], y, (12 - 3 * u - 20 * v) * per_v / white[2]]).astype(luv.dtype)


def luv_to_lab(luv: Array) -> Array:
    """CIE L* 0..100, u*, v* (3, ...) -> CIE L*, a*, b* (3, ...), both D65; see `luv_gamut_scale` for dark places."""
    fx, fy, fz = _f(_luv_to_xyz(luv))
    return np.stack([luv[0], 500 * (fx - fy), 200 * (fy - fz)])


def luv_to_rgb(luv: Array) -> Array:
    """CIE L* 0..100, u*, v* (3, ...) -> R'G'B' (3, ...), BT.709 primaries, not clipped."""
    return to_display(_mix(np.linalg.inv(xyz_matrix("bt709")), _luv_to_xyz(luv)))


def luv_gamut_scale(luv: Array) -> Array:
    """Largest factor <= 1 on (u*, v*) that keeps R'G'B' inside 0..1 at this L*; shape of one channel.

    With X = 9 u' Y / 4 v' and Z = (12 - 3 u' - 20 v') Y / 4 v', linear R, G and B times 4 v' / Y are linear in u', v',
    and so in the factor: both bounds of each channel are crossed at a place that can be written down.
    """
    white, _, v_white = _white()
    thirteen = 13 * np.maximum(luv[0], 1e-6)
    du, dv = luv[1] / thirteen, luv[2] / thirteen
    y = np.clip(_f_inverse((luv[0] + 16) / 116), 0, 1)
    direction = np.stack([9 * du / white[0], 4 * dv, -(3 * du + 20 * dv) / white[2]])
    slope, start = _mix(np.linalg.inv(xyz_matrix("bt709")), direction), 4 * v_white
    low = np.where(slope < 0, start / np.maximum(-slope, 1e-12), np.inf)
    rise = y * slope - 4 * dv
    high = np.where(rise > 0, start * (1 - y) / np.maximum(rise, 1e-12), np.inf)
    return np.asarray(np.clip(np.minimum(low, high).min(axis=0), 0, 1), dtype=luv.dtype)


def ycbcr_to_ab(y: Array, cb: Array, cr: Array, matrix: Matrix) -> Array:
    """Y' in 0..1, Cb and Cr in -0.5..0.5 (one grid) -> a*b* (2, ...)."""
    return rgb_to_lab(ycbcr_to_rgb(y, cb, cr, matrix), matrix)[1:]


def ab_to_ycbcr(y: Array, ab: Array, matrix: Matrix) -> tuple[Array, Array]:
    """Return the chroma of the color that has this luma and this a*b*.

    L* is not known: it is the one whose luma is `y`. Luma grows with L*, so a bracketed secant (Illinois) search finds
    it; nine steps leave 5e-5 of Cb and Cr on average, and up to 0.005 in dark, saturated colors.

    Args:
        y: Y' in 0..1, any shape.
        ab: (2, *y.shape) CIE a*b*.
        matrix: of the film's Y'CbCr.

    Returns:
        Cb and Cr in -0.5..0.5, shape of `y`. Colors outside of R'G'B' 0..1 become the nearest ones inside, of the same
        hue angle in CbCr: a player would clip them, and so change luma.
    """
    y = np.clip(y, 0, 1)

    def excess(lightness: Array) -> Array:
        return rgb_to_luma(lab_to_rgb(np.stack([lightness, ab[0], ab[1]]), matrix), matrix) - y

    low, high = np.full_like(y, -60.0), np.full_like(y, 160.0)
    f_low, f_high = excess(low), excess(high)
    guess = np.asarray(116 * _f(to_linear(y)) - 16)
    for _ in range(9):
        f = excess(guess)
        above = f > 0
        # Illinois: halve the value of the end that stays, or a curved function converges from one side only.
        high, f_high, f_low = (
            np.where(above, guess, high),
            np.where(above, f, f_high * 0.5),
            np.where(above, f_low * 0.5, f),
        )
        low = np.where(above, low, guess)
        guess = np.asarray((low * f_high - high * f_low) / np.maximum(f_high - f_low, 1e-12))
    return chroma_inside(lab_to_rgb(np.stack([guess, ab[0], ab[1]]), matrix), y, matrix)


def chroma_inside(rgb: Array, y: Array, matrix: Matrix) -> tuple[Array, Array]:
    """Cb and Cr of R'G'B' (3, ...) with nearly the luma `y`, or of the nearest color inside 0..1 of the same hue."""
    # The luma left over by a search goes into all three channels alike: luma is exact, hue is kept.
    rgb = rgb + (y - rgb_to_luma(rgb, matrix))
    _, cb, cr = rgb_to_ycbcr(rgb, matrix)
    scale = gamut_scale(y, rgb - y)
    return cb * scale, cr * scale


def gamut_scale(y: Array, offset: Array) -> Array:
    """Largest factor <= 1 that keeps `y + factor * offset` (3, ...) inside 0..1."""
    room = np.where(offset > 0, 1 - y, y)
    factor = np.asarray(room / np.maximum(np.abs(offset), 1e-9))
    return np.asarray(np.clip(factor.min(axis=0), 0, 1))
