"""(luma, a*b*) -> stored (Cb, Cr) by a look-up table: what `ab_to_ycbcr` computes, fast enough for a film."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import cv2
import numpy as np

from videocolor.color import chroma_inside, code_offsets, rgb_to_luma, xyz_matrix
from videocolor.types import Array, ColorSpec, Matrix

__all__ = ["ChromaTable", "chroma_atlas"]

_AB_LIMIT: Final[dict[Matrix, float]] = {"bt601": 110.0, "bt709": 110.0, "bt2020": 180.0}
"""Largest |a*| and |b*| that the table covers; the colors of the primaries stay inside it."""
_SLICES: Final = 128
_GRID: Final = 81
_CLOSE: Final = 3e-5
"""Luma that is missed by less is made up for by one more step along the slope."""
_MOST_STEPS: Final = 32
"""Ten are enough for all three matrices."""
_ROWS: Final = 32
"""Rows of a chroma plane that are converted at once."""


class ChromaTable:
    """(luma, a*b*) -> stored (Cb, Cr), as a table that `cv2.remap` reads.

    `ab_to_ycbcr` costs some hundred operations a pixel, a film has 10^10 of them: so luma is cut into
    128 slices, a*b* into an 81x81 grid inside each, and chroma is interpolated in a*b*. The atlas is one
    picture, the slices side by side, because a bilinear picture look-up is the fastest interpolation
    that a CPU offers through OpenCV. Between its nodes the error is below the rounding of 8-bit chroma,
    except beside the gamut's edge and in blacks, where it can be some codes.
    """

    def __init__(self, color: ColorSpec, depth: int) -> None:
        self.depth = depth
        self._atlas = chroma_atlas(color.matrix)
        self._limit = _AB_LIMIT[color.matrix]
        _, _, self._offset, self._span = code_offsets(depth, color.range)

    def codes(self, luma: Array, ab: Array, saturation: float = 1.0) -> tuple[Array, Array]:
        """Return stored chroma planes.

        Args:
            luma: (h, w) float32, Y' in 0..1 on the chroma grid.
            ab: (2, h, w) float32 CIE a*b*.
            saturation: factor on a*b*.

        Returns:
            Cb and Cr (h, w), uint8 or uint16 of the table's depth and range.
        """
        codes = np.empty((2, *luma.shape), np.uint8 if self.depth == 8 else np.uint16)
        for top in range(0, luma.shape[0], _ROWS):  # what is made on the way stays in the processor's cache
            rows = slice(top, top + _ROWS)
            codes[:, rows] = self._codes(luma[rows], ab[:, rows], saturation)
        return codes[0], codes[1]

    def _codes(self, luma: Array, ab: Array, saturation: float) -> tuple[Array, Array]:
        """`codes` of some rows."""
        scale = saturation * (_GRID - 1) / (2 * self._limit)
        middle, top = (_GRID - 1) / 2, _GRID - 1
        row, column = (cv2.addWeighted(channel, scale, channel, 0, middle) for channel in ab)
        np.clip(row, 0, top, out=row)
        np.clip(column, 0, top, out=column)
        slice_ = np.rint(np.clip(luma, 0, 1) * np.float32(_SLICES - 1))
        column = cv2.scaleAdd(slice_, _GRID, column)
        chroma: Array = cv2.remap(self._atlas, column, row, cv2.INTER_LINEAR)
        cb, cr = cv2.split(chroma)
        return self._stored(cb), self._stored(cr)

    def _stored(self, chroma: Array) -> Array:
        """Codes of Cb or Cr, rounded."""
        if self.depth == 8:
            return cv2.convertScaleAbs(chroma, alpha=self._span, beta=self._offset)
        chroma *= np.float32(self._span)
        # + 0.5 and truncation is rounding: every value is positive.
        chroma += np.float32(self._offset + 0.5)
        return np.asarray(np.clip(chroma, 0, np.float32(2**self.depth - 0.5)).astype(np.uint16))


@lru_cache(maxsize=3)
def chroma_atlas(matrix: Matrix) -> Array:
    """(81, 128*81, 2) float32: Cb and Cr by (a*, slice of luma x b*), within 1e-4 of the exact solution.

    L* is found by Newton's method, all cells of a slice at once, from white down: each slice starts where the three
    slices above it lead, so that one evaluation is enough for most cells.
    """
    axis = np.linspace(-_AB_LIMIT[matrix], _AB_LIMIT[matrix], _GRID, dtype=np.float32)
    ab = np.stack(np.meshgrid(axis, axis, indexing="ij")).reshape(2, -1)
    from_xyz = np.linalg.inv(xyz_matrix(matrix)).astype(np.float32)
    atlas = np.empty((_GRID, _SLICES, _GRID, 2), np.float32)
    everything, lightness = np.arange(ab.shape[1]), np.full_like(ab[0], 100)
    before = earlier = lightness
    cells: Any
    for number in reversed(range(_SLICES)):
        y = np.array(number / (_SLICES - 1), np.float32)
        lightness, before, earlier = 3 * (lightness - before) + earlier, lightness, before
        rgb, cells = np.empty((3, everything.size), np.float32), slice(None)
        for _ in range(_MOST_STEPS):
            found, slopes = _rgb_and_slopes(lightness[cells], ab[:, cells], from_xyz)
            left = y - rgb_to_luma(found, matrix)
            step = left / rgb_to_luma(slopes, matrix)
            lightness[cells] += step
            rgb[:, cells] = found + step * slopes
            cells = everything[cells][np.abs(left) > _CLOSE]
            if not cells.size:
                break
        else:
            raise AssertionError(f"{matrix}: no luma of {y} in {_MOST_STEPS} steps")
        atlas[:, number] = np.stack(chroma_inside(rgb, y, matrix), axis=-1).reshape(_GRID, _GRID, 2)
    atlas[_GRID // 2, :, _GRID // 2] = 0  # no color is no chroma, exactly, whatever the search left over
    return atlas.reshape(_GRID, _SLICES * _GRID, 2)


def _rgb_and_slopes(lightness: Array, ab: Array, from_xyz: Array) -> tuple[Array, Array]:
    """R'G'B' (3, n) as `lab_to_rgb` computes it of L* (n,) and a*b* (2, n), and its derivatives by L*."""
    fy = (lightness + 16) / 116
    f = np.stack([fy + ab[0] / 500, fy, fy - ab[1] / 200])
    bright, square = f > 6 / 29, f * f
    linear = from_xyz @ np.where(bright, square * f, (116 * f - 16) * (27 / 24389))
    slopes = from_xyz @ np.where(bright, 3 / 116 * square, 27 / 24389)
    size = np.maximum(np.abs(linear), 0.0031308)
    root = 1.055 * size ** (1 / 2.4)
    toe = size == 0.0031308
    rgb = np.where(toe, 12.92 * linear, np.copysign(root - 0.055, linear))
    return rgb, slopes * np.where(toe, 12.92, root / (2.4 * size))
