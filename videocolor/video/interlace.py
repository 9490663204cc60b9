"""A cheap check for woven fields: combing that the flags of a film often do not admit."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from videocolor.types import Array

__all__ = ["WOVEN_ORDERS", "comb_share", "earlier_field", "is_combed"]

WOVEN_ORDERS = ("tt", "bb", "tb", "bt")
"""Orders of films whose frames hold two fields; the first letter is the earlier one, as FFmpeg's muxers have it."""

_STEP = 12 / 255
"""Least difference between neighboring lines, as a share of full scale, that counts as a comb tooth."""
_SHARE = 0.01
"""Least share of the picture that must comb."""
_EXCESS = 4.0
"""How much more the lines must comb than every second line does: grain and fine texture comb at both spacings."""


def comb_share(luma: Array, depth: int) -> tuple[float, float]:
    """Measure how much of a picture zigzags from line to line.

    Args:
        luma: (height, width) luma samples.
        depth: Bits a sample.

    Returns:
        Share of samples in 0..1 that zigzag between neighboring lines, and between every second line.
    """
    rows = luma[: luma.shape[0] // 4 * 4, ::2].astype(np.int16 if depth < 15 else np.int32)
    if rows.shape[0] < 16:
        return 0.0, 0.0
    step = _STEP * (2**depth - 1)
    return _zigzag(rows, step), max(_zigzag(rows[0::2], step), _zigzag(rows[1::2], step))


def _zigzag(rows: Array, step: float) -> float:
    up, down = rows[1:-1] - rows[:-2], rows[1:-1] - rows[2:]
    # Samples are integers, and so are the bounds: 16 bits are enough, and less work.
    least = rows.dtype.type(math.floor(step))
    teeth = (np.minimum(up, down) > least) | (np.maximum(up, down) < -least)
    teeth &= np.abs(up - down) < rows.dtype.type(math.ceil(step))
    return float(np.count_nonzero(teeth) / teeth.size)


def is_combed(luma: Array, depth: int) -> bool:
    """Tell whether a picture looks like two fields of different times woven together."""
    near, far = comb_share(luma, depth)
    return near > _SHARE and near > _EXCESS * far


def earlier_field(luma: Array, depth: int, order: str) -> Literal["", "top", "bottom"]:
    """Tell which field of a picture is the earlier one; nothing where both look like one time.

    Args:
        luma: (height, width) luma samples.
        depth: Bits a sample.
        order: The film's order of fields; in a progressive film nothing is looked at.
    """
    if order not in WOVEN_ORDERS or not is_combed(luma, depth):
        return ""
    return "top" if order[0] == "t" else "bottom"
