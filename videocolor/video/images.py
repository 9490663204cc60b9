"""Images as output: RGB, 8 or 16 bits, renamed when all are complete."""

from __future__ import annotations

import contextlib
import os
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from av.codec import CodecContext
from av.video.frame import VideoFrame

from videocolor.types import Array, Frame, VideoInfo
from videocolor.video.dpx import with_times
from videocolor.video.formats import WEIGHTS, plane_view
from videocolor.video.opening import muxer_errors
from videocolor.video.output import OutputPlan
from videocolor.video.packets import Written
from videocolor.video.plan import image_names
from videocolor.video.sequences import find_sequence

__all__ = ["ImageSink", "planes_to_rgb"]


def planes_to_rgb(
    luma: Array, cb: Array, cr: Array, depth: int, full: bool, weights: tuple[float, float, float]
) -> Array:
    """Turn 4:4:4 planes into R'G'B'.

    Args:
        luma: (h, w) codes of `depth` bits.
        cb: Like `luma`.
        cr: Like `luma`.
        depth: Bits a sample.
        full: Full range; else limited.
        weights: Kr, Kg, Kb.

    Returns:
        (h, w, 3) float32 in 0..1, clipped.
    """
    scale = 2.0 ** (depth - 8)
    black, white, swing = (0.0, 2**depth - 1, 2**depth - 1) if full else (16 * scale, 219 * scale, 224 * scale)
    kr, kg, kb = weights
    y = (luma.astype(np.float32) - np.float32(black)) / np.float32(white)
    blue = (cb.astype(np.float32) - np.float32(128 * scale)) * np.float32(2 * (1 - kb) / swing)
    red = (cr.astype(np.float32) - np.float32(128 * scale)) * np.float32(2 * (1 - kr) / swing)
    green = (np.float32(kb / kg) * blue) + (np.float32(kr / kg) * red)
    rgb: Array = np.stack((y + red, y - green, y + blue), axis=-1)
    return np.clip(rgb, 0, 1, out=rgb)


class ImageSink:
    """Writes one image a frame into a folder of its own, and moves them at the end."""

    def __init__(self, info: VideoInfo, plan: OutputPlan) -> None:
        self._info = info
        self._plan = plan
        self._folder, self._pattern, self._name = image_names(plan.target)
        # Beside the images where their folder exists: it may be a disk of its own, which a rename cannot leave.
        beside = self._folder if self._folder.is_dir() else self._folder.parent
        self._part = beside / f".{self._folder.name}.{os.getpid()}.part"
        source = find_sequence(info.path)
        self._number = source.first_number if source is not None else 1
        self._follow = source is not None
        self._done: list[Path] = []
        self._offset: int | None = None

    def put(self, frame: Frame, luma: Array, cb: Array, cr: Array, *, key: bool = False) -> None:
        """Encode one image; numbered sources keep their numbers, gaps included."""
        del key  # every image is one
        self._plan.check_samples(luma=luma, cb=cb, cr=cr)
        number = self._number + (frame.pts if self._follow else frame.index)
        name = self._name if self._pattern is None else self._pattern % number
        with muxer_errors(self._plan.target):
            self._part.mkdir(parents=False, exist_ok=True)
            file = self._part / name
            data = self._encode(luma, cb, cr)
            file.write_bytes(with_times(data, self._info, frame.pts) if self._plan.codec == "dpx" else data)
            self._done.append(file)

    def _encode(self, luma: Array, cb: Array, cr: Array) -> bytes:
        plan = self._plan
        weights, full = WEIGHTS[plan.color.matrix], plan.color.range == "full"
        rgb = planes_to_rgb(luma, cb, cr, plan.layout.depth, full, weights)
        frame = VideoFrame(self._info.width, self._info.height, plan.pix_fmt)
        codes = np.rint(rgb * np.float32(2 ** frame.format.components[0].bits - 1))
        order = ">" if plan.pix_fmt.endswith("be") else "<"
        if frame.format.is_planar:
            for index, channel in enumerate((1, 2, 0)):  # G, B, R
                plane_view(frame, index, 1, order)[...] = codes[..., channel]
        else:
            view = plane_view(frame, 0, 3, order)
            view[...] = codes.reshape(view.shape)
        context: Any = CodecContext.create(plan.codec, "w")
        context.width, context.height, context.pix_fmt = self._info.width, self._info.height, plan.pix_fmt
        context.time_base = Fraction(1, 24)
        context.thread_count = 1
        context.sample_aspect_ratio = self._info.sar
        context.options = dict(plan.codec_options)
        frame.color_primaries, frame.color_trc, frame.color_range = plan.color.primaries, plan.color.transfer, 2
        frame.pts = 0
        return b"".join(bytes(packet) for packet in (*context.encode(frame), *context.encode(None)))

    def finish(self) -> Written:
        """Move the images to their names."""
        with muxer_errors(self._plan.target):
            self._folder.mkdir(exist_ok=True)
            for file in self._done:
                with open(file, "rb+") as handle:
                    os.fsync(handle.fileno())
                os.replace(file, self._folder / file.name)
            self._part.rmdir()
        return Written()

    def discard(self) -> None:
        """Remove the folder of unfinished images."""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self._part)
