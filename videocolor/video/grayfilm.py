"""A black-and-white film of luma that a program holds: lossless, tagged."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np

from videocolor.types import Array, ColorSpec
from videocolor.video.tags import output_numbers

__all__ = ["GRAY_FORMATS", "write_gray"]

GRAY_FORMATS: Final = {8: "gray", 10: "gray10le", 12: "gray12le", 16: "gray16le"}
"""Bits a sample -> FFmpeg's name."""


def write_gray(path: Path, lumas: Iterable[Array], rate: Fraction, depth: int, color: ColorSpec) -> int:
    """Write luma samples as FFV1 in Matroska; how many frames there are.

    Args:
        path: the file to write.
        lumas: (h, w) uint8, or uint16 of `depth` bits, all of one size.
        rate: frames a second.
        depth: 8, 10, 12 or 16.
        color: how samples map to color.
    """
    count, tags = 0, output_numbers(color)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=rate)
        for luma in lumas:
            if count == 0:
                stream.height, stream.width = luma.shape
                stream.pix_fmt = GRAY_FORMATS[depth]
                stream.codec_context.color_range, stream.codec_context.colorspace = tags.range, tags.matrix
                stream.codec_context.color_primaries = tags.primaries
                stream.codec_context.color_trc = tags.transfer
                stream.codec_context.time_base = 1 / rate
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(luma), format=GRAY_FORMATS[depth])
            frame.pts, frame.time_base = count, 1 / rate
            frame.color_range, frame.colorspace = tags.range, tags.matrix
            out.mux(stream.encode(frame))
            count += 1
        if count:
            out.mux(stream.encode(None))
    return count
