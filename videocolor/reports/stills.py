"""Single frames out of a long film, by their times, without decoding what lies between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np

from videocolor.color import codes_to_chroma, codes_to_luma, ycbcr_to_rgb
from videocolor.errors import InputError, UsageError
from videocolor.reports.side_by_side import Scaler, picture_size
from videocolor.types import Array, Frame, Matrix, VideoInfo
from videocolor.video import VideoReader
from videocolor.video.opening import clock_restarts

__all__ = ["read_stills", "still_rgb"]


def read_stills(info: VideoInfo, times: Sequence[Fraction]) -> Iterator[Frame | None]:
    """For each time the first frame that stands at it or behind it.

    Each is reached by a seek to the keyframe before it; films whose clock starts anew on the way, in which a seek
    leads anywhere, are decoded once from their beginning.

    Args:
        info: of the film, as `probe` returns it.
        times: film times in seconds, ascending.

    Yields:
        A frame for each time; None where the film has ended or cannot be read there. Neighbouring times may give the
        same frame.
    """
    path = info.path
    if info.format != "image2" and path.is_file() and clock_restarts(path):
        yield from _in_one_go(info, times)
        return
    for time in times:
        yield _frame_at(info, time)


def _frame_at(info: VideoInfo, time: Fraction) -> Frame | None:
    with VideoReader(info, start=time, end=None, fast=False, threads=0) as video:
        try:
            return next(iter(video), None)
        except (InputError, UsageError):  # damaged there, or the film has ended
            return None


def _in_one_go(info: VideoInfo, times: Sequence[Fraction]) -> Iterator[Frame | None]:
    with VideoReader(info, start=None, end=None, fast=False, threads=0) as video:
        frames = iter(video)
        frame = next(frames, None)
        for time in times:
            while frame is not None and frame.pts * frame.time_base < time:
                frame = next(frames, None)
            yield frame


def still_rgb(frame: Frame, info: VideoInfo, width: float, height: float) -> Array:
    """A frame as it is shown: square pixels, upright, sRGB.

    Args:
        frame: of the film `info`.
        info: of the film.
        width: of the picture at most, pixels.
        height: of the picture at most, pixels; it is never made larger than the film is shown.

    Returns:
        (h, w, 3) uint8 R'G'B'.
    """
    size = picture_size(info, width, height)
    # Scaling to another matrix goes by R'G'B' of BT.709's primaries, which is what screens show.
    matrix: Matrix = "bt709" if frame.color.matrix == "bt2020" else frame.color.matrix
    y, cb, cr = Scaler(info, size, replace(frame.color, matrix=matrix, range="limited"))(frame)
    upright = (y.shape[1], y.shape[0])
    blue, red = (
        codes_to_chroma(cv2.resize(plane, upright, interpolation=cv2.INTER_LINEAR), 8, "limited") for plane in (cb, cr)
    )
    rgb = ycbcr_to_rgb(codes_to_luma(y, 8, "limited"), blue, red, matrix)
    return np.ascontiguousarray(np.moveaxis(np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8), 0, -1))
