"""Which pixel format of an encoder holds a film's luma, and how luma gets there."""

from __future__ import annotations

import os
from dataclasses import replace
from fractions import Fraction
from typing import Any, Final

import cv2
import numpy as np
from av.codec import Codec, CodecContext
from av.codec.codec import UnknownCodecError
from av.error import FFmpegError

from videocolor.errors import UsageError
from videocolor.types import Array, ColorSpec, PixelLayout
from videocolor.video.formats import describe
from videocolor.video.reasons import reason_of
from videocolor.video.tags import output_numbers

__all__ = ["choose_format", "find_encoder", "luma_table", "output_spec", "same_each_time", "set_tags"]

_AVX_512F: Final = 13
"""OpenCV's number of this instruction set (CV_CPU_AVX_512F)."""


def find_encoder(name: str) -> Codec:
    """Return a video encoder by FFmpeg's name.

    Raises:
        UsageError: There is none of that name.
    """
    try:
        codec = Codec(name, "w")
    except UnknownCodecError as error:
        raise UsageError(f"codec {name}: no such encoder; try libx264, libx265, ffv1 or prores_ks") from error
    if name == "libsvtav1":
        os.environ.setdefault("SVT_LOG", "1")  # else it prints its settings to the terminal
    if codec.type != "video" or not codec.video_formats:
        raise UsageError(f"codec {name}: is not a video encoder; try libx264, libx265, ffv1 or prores_ks")
    return codec


def _color_formats(codec: Codec) -> list[PixelLayout]:
    """List the encoder's planar little-endian YUV formats without alpha."""
    names = [f.name for f in codec.video_formats or ()]
    plain = [n for n in names if n.startswith("yuv") and not n.startswith(("yuva", "yuvj")) and not n.endswith("be")]
    return [layout for layout in map(describe, plain) if layout.kind == "yuv"]


def _ranked(formats: list[PixelLayout], source: PixelLayout) -> list[PixelLayout]:
    """Sort formats: luma untouched first, then the least chroma that is not less than the source's."""
    need = source.chroma_shift if source.kind == "yuv" else (0, 0) if source.kind == "rgb" else (1, 1)

    def rank(layout: PixelLayout) -> tuple[int, int, int, int]:
        too_shallow = int(layout.depth < source.depth)
        across, down = layout.chroma_shift
        coarser = int(across > need[0]) + int(down > need[1])
        return too_shallow, abs(layout.depth - source.depth), coarser, abs(across - need[0]) + abs(down - need[1])

    return sorted(formats, key=rank)


def choose_format(
    codec: Codec,
    wanted: str | None,
    source: PixelLayout,
    size: tuple[int, int],
    color: ColorSpec,
    options: dict[str, str],
) -> PixelLayout:
    """Choose the smallest color format in which the encoder holds the source's luma.

    Args:
        codec: The encoder.
        wanted: A format that a person asked for, or None.
        source: The film's format; gray asks for 4:2:0.
        size: Width and height.
        color: What the output is tagged with.
        options: Options of the encoder; they are tried out as well.

    Raises:
        UsageError: No format fits, an option does not exist, or the encoder refuses them.
    """
    formats = _color_formats(codec)
    if wanted is not None:
        formats = [f for f in formats if f.name == wanted]
        if not formats:
            names = ", ".join(f.name for f in _color_formats(codec)) or "none"
            raise UsageError(f"pix_fmt {wanted}: {codec.name} cannot write it as planar color; it takes {names}")
    refusals = []
    for layout in _ranked(formats, source):
        refusal = _refusal(codec.name, layout, size, color, options)
        if refusal is None:
            return layout
        refusals.append(f"{layout.name}: {refusal}")
    best = _ranked(formats, source)[:1]
    said = reason_of((codec.name,), _refusal, codec.name, *best, size, color, options) if best else None
    reason = said or "; ".join(refusals[:3]) or "it has no planar YUV format"
    raise UsageError(f"codec {codec.name} cannot write {size[0]}x{size[1]} {source.name} film ({reason})")


def _refusal(
    codec: str, layout: PixelLayout, size: tuple[int, int], color: ColorSpec, options: dict[str, str]
) -> str | None:
    """Open the encoder for a moment; return why it refuses, or None."""
    context: Any = CodecContext.create(codec, "w")
    context.width, context.height = size
    context.pix_fmt = layout.name
    context.time_base = Fraction(1, 24)
    context.framerate = Fraction(24)
    context.thread_count = 1
    context.options = dict(options)
    set_tags(context, color)
    try:
        context.open()
    except (FFmpegError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)
    unknown = [name for name in options if name in context.options]
    if unknown:
        raise UsageError(f"codec {codec} has no option {', '.join(unknown)}")
    return None


def same_each_time() -> str:
    """Return parameters of x264 without which it gives other samples in each run; empty where none are needed.

    On a CPU with AVX-512 its macroblock tree depends on what memory happened to hold; AVX2 code does not.
    """
    return "asm=AVX2" if cv2.checkHardwareSupport(_AVX_512F) else ""


def set_tags(target: Any, color: ColorSpec) -> None:
    """Write the four color tags on an encoder context or a frame (ProRes writes the frame's)."""
    tags = output_numbers(color)
    target.color_range = tags.range
    target.colorspace = tags.matrix
    target.color_primaries = tags.primaries
    target.color_trc = tags.transfer


def luma_table(source: PixelLayout, given: ColorSpec, target: PixelLayout, color: ColorSpec) -> Array | None:
    """Return the table that maps source luma codes to target codes; None where samples pass untouched.

    Deeper targets and equal ranges keep every code apart from every other, so the source can be restored.
    """
    if source.depth == target.depth and given.range == color.range:
        return None
    codes = np.arange(2**source.depth, dtype=np.float64)
    if given.range == color.range == "limited":
        mapped = codes * 2.0 ** (target.depth - source.depth)
    else:
        share = codes / (2**source.depth - 1)
        if given.range == "limited":
            share = (codes / 2.0 ** (source.depth - 8) - 16) / 219
        peak = 2**target.depth - 1
        scale = 2.0 ** (target.depth - 8)
        mapped = share * peak if color.range == "full" else (16 + 219 * share) * scale
    table: Array = np.clip(np.floor(mapped + 0.5), 0, 2**target.depth - 1)
    return table.astype(np.uint8 if target.depth <= 8 else np.uint16)


def output_spec(info_color: ColorSpec, states_range: bool) -> ColorSpec:
    """Return the output's color: the source's, but limited where the file could not say "full"."""
    if info_color.range == "full" and not states_range:
        return replace(info_color, range="limited")
    return info_color
