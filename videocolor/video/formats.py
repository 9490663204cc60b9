"""Pixel formats: what planes a decoded frame has, and views of them without copying.

Planar little-endian YUV and gray are handed out as views of the decoder's memory. Everything else that a film may
come in (semi-planar, packed, big-endian, palette, one-bit, RGB) is unpacked here with numpy, sample by sample, because
swscale may touch samples on such trips and does not say so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from av.video.format import VideoFormat
from av.video.frame import VideoFrame

from videocolor.errors import UnsupportedVideoError
from videocolor.types import Array, Matrix, PixelLayout

__all__ = ["WEIGHTS", "Planes", "describe", "from_rgb", "plane_view", "rgb_channels", "split_planes"]

WEIGHTS: dict[Matrix, tuple[float, float, float]] = {
    "bt601": (0.299, 0.587, 0.114),
    "bt709": (0.2126, 0.7152, 0.0722),
    "bt2020": (0.2627, 0.6780, 0.0593),
}
"""Luma weights (Kr, Kg, Kb)."""

_SEMI_PLANAR: dict[str, tuple[int, int, bool]] = {
    # name: (bits, shift of the sample inside its 16-bit word, Cr before Cb)
    "nv12": (8, 0, False),
    "nv21": (8, 0, True),
    "nv16": (8, 0, False),
    "nv24": (8, 0, False),
    "nv42": (8, 0, True),
    "nv20le": (10, 0, False),
    **{f"p{sub}10le": (10, 6, False) for sub in ("0", "2", "4")},
    **{f"p{sub}12le": (12, 4, False) for sub in ("0", "2", "4")},
    **{f"p{sub}16le": (16, 0, False) for sub in ("0", "2", "4")},
}
_PACKED_422: dict[str, tuple[int, int, int, int, int]] = {
    # name: (bits, shift, offset of the first Y, of Cb, of Cr) in groups of four samples
    "yuyv422": (8, 0, 0, 1, 3),
    "uyvy422": (8, 0, 1, 0, 2),
    "yvyu422": (8, 0, 0, 3, 1),
    "y210le": (10, 6, 0, 1, 3),
    "y212le": (12, 4, 0, 1, 3),
}
_PACKED_RGB: dict[str, tuple[int, tuple[int, int, int]]] = {
    # name: (samples a pixel, where R, G and B lie)
    "rgb24": (3, (0, 1, 2)),
    "bgr24": (3, (2, 1, 0)),
    **{name: (4, (0, 1, 2)) for name in ("rgba", "rgb0")},
    **{name: (4, (2, 1, 0)) for name in ("bgra", "bgr0")},
    **{name: (4, (1, 2, 3)) for name in ("argb", "0rgb")},
    **{name: (4, (3, 2, 1)) for name in ("abgr", "0bgr")},
    "rgb48": (3, (0, 1, 2)),
    "bgr48": (3, (2, 1, 0)),
    "rgba64": (4, (0, 1, 2)),
    "bgra64": (4, (2, 1, 0)),
}
_SMALL_RGB = re.compile(r"(rgb|bgr)(8|4|4_byte|444|555|565)(le|be)?")
"""Formats of fewer than 8 bits a channel: swscale widens them to rgb24 as every player does."""


@dataclass(frozen=True)
class Planes:
    """Luma (height, width) and, where the source has it, (Cb, Cr), all native-endian uint8 or uint16."""

    luma: Array
    chroma: tuple[Array, Array] | None


def describe(name: str) -> PixelLayout:
    """Describe a decoder's pixel format as the planes that `split_planes` makes of it.

    Args:
        name: FFmpeg's name of the format.

    Returns:
        Its layout; `depth` counts the bits of the luma that `split_planes` returns.

    Raises:
        UnsupportedVideoError: The format holds no luma that we could keep (XYZ, Bayer, hardware surfaces).
    """
    if name in ("monow", "monob"):
        return PixelLayout(name, 8, "gray", (0, 0))
    if name == "pal8" or _SMALL_RGB.fullmatch(name):
        return PixelLayout(name, 8, "rgb", (0, 0))
    if name.startswith(("x2rgb10", "x2bgr10")):
        return PixelLayout(name, 10, "rgb", (0, 0))
    fmt = VideoFormat(name, 16, 16)
    if name.startswith("xyz") or fmt.is_bayer or not fmt.components:
        raise UnsupportedVideoError(f"pixel format {name} has no luma to keep; convert the film to RGB or YUV first")
    bits = fmt.components[0].bits
    if "f32" in name or "f16" in name:
        bits = 16
    if fmt.is_rgb:
        return PixelLayout(name, bits, "rgb", (0, 0))
    if name.startswith(("gray", "ya")):
        return PixelLayout(name, bits, "gray", (0, 0))
    shift = (5 - fmt.chroma_width(16).bit_length(), 5 - fmt.chroma_height(16).bit_length())
    return PixelLayout(name, bits, "yuv", shift)


def plane_view(frame: VideoFrame, index: int, per_pixel: int = 1, order: str = "<", words: int = 0) -> Array:
    """View one plane of a frame as (rows, samples) without copying.

    Args:
        frame: A decoded frame, or one about to be encoded.
        index: Number of the plane.
        per_pixel: Samples a pixel of that plane.
        order: Byte order of 16-bit samples, `<` or `>`.
        words: Bytes a sample (1, 2 or 4); 0 takes it from the format's depth.

    Returns:
        View of the frame's memory, honoring its line size and direction.
    """
    plane = frame.planes[index]
    size = words or (1 if frame.format.components[0].bits <= 8 else 2)
    dtype = np.dtype({1: "u1", 2: f"{order}u2", 4: f"{order}f4"}[size])
    stride = plane.line_size
    rows = np.frombuffer(plane, dtype=np.uint8).reshape(plane.height, abs(stride))  # type: ignore[call-overload]
    if stride < 0:  # stored bottom-up: the buffer starts at the last row
        rows = rows[::-1]
    view: Array = rows[:, : plane.width * per_pixel * size].view(dtype)
    return view


def split_planes(frame: VideoFrame, layout: PixelLayout, matrix: Matrix, *, chroma: bool = True) -> Planes:
    """Split a decoded frame into luma and chroma planes.

    Args:
        frame: The decoder's frame.
        layout: `describe(frame.format.name)`.
        matrix: Weights by which RGB becomes luma.
        chroma: False spares the chroma of RGB sources, which must be computed.

    Returns:
        Views where the format is planar and little-endian, exact copies elsewhere.
    """
    name = layout.name
    if layout.kind == "rgb":
        return from_rgb(rgb_channels(frame), layout.depth, matrix, chroma)
    if name in _SEMI_PLANAR:
        return _semi_planar(frame, *_SEMI_PLANAR[name][1:])
    if name in _PACKED_422:
        return _packed_422(frame, *_PACKED_422[name])
    if name in ("monow", "monob"):
        return Planes(_one_bit(frame, name), None)
    if name.startswith("grayf"):
        return Planes(_float_to_16(_float_plane(frame, 0, name)), None)
    order = ">" if name.endswith("be") else "<"
    if name.startswith("ya"):
        return Planes(_native(plane_view(frame, 0, 2, order)[:, 0::2]), None)
    luma = _native(plane_view(frame, 0, 1, order))
    if layout.kind == "gray":
        return Planes(luma, None)
    if not frame.format.is_planar or len(frame.planes) < 3:
        raise UnsupportedVideoError(f"pixel format {name} is not supported; convert the film to a planar format first")
    return Planes(luma, (_native(plane_view(frame, 1, 1, order)), _native(plane_view(frame, 2, 1, order))))


def _native(samples: Array) -> Array:
    """Swap big-endian samples; everything else stays the view it is."""
    return samples.astype(np.uint16) if samples.dtype.byteorder == ">" else samples


def _semi_planar(frame: VideoFrame, shift: int, swapped: bool) -> Planes:
    luma, pairs = plane_view(frame, 0), plane_view(frame, 1, 2)
    if shift:
        luma, pairs = luma >> shift, pairs >> shift
    first, second = pairs[:, 0::2], pairs[:, 1::2]
    return Planes(luma, (second, first) if swapped else (first, second))


def _packed_422(frame: VideoFrame, bits: int, shift: int, y: int, cb: int, cr: int) -> Planes:
    plane = frame.planes[0]
    size = 1 if bits <= 8 else 2
    rows = np.frombuffer(plane, dtype=np.uint8).reshape(frame.height, -1)  # type: ignore[call-overload]
    rows = rows[::-1] if plane.line_size < 0 else rows
    half = (frame.width + 1) // 2
    samples = rows[:, : half * 4 * size].view(np.uint8 if size == 1 else np.dtype("<u2"))
    if shift:
        samples = samples >> shift
    return Planes(samples[:, y::2][:, : frame.width], (samples[:, cb::4], samples[:, cr::4]))


def _one_bit(frame: VideoFrame, name: str) -> Array:
    plane = frame.planes[0]
    rows = np.frombuffer(plane, dtype=np.uint8).reshape(frame.height, -1)  # type: ignore[call-overload]
    rows = rows[::-1] if plane.line_size < 0 else rows
    bits = np.unpackbits(rows, axis=1)[:, : frame.width]
    return (1 - bits if name == "monow" else bits) * np.uint8(255)


def _float_plane(frame: VideoFrame, index: int, name: str) -> Array:
    if "f16" in name:
        words = plane_view(frame, index, 1, ">" if name.endswith("be") else "<", words=2)
        return words.view(words.dtype.str.replace("u", "f")).astype(np.float32)
    return plane_view(frame, index, 1, ">" if name.endswith("be") else "<", words=4).astype(np.float32)


def _float_to_16(samples: Array) -> Array:
    scaled: Array = np.rint(np.clip(np.nan_to_num(samples), 0.0, 1.0) * np.float32(65535)).astype(np.uint16)
    return scaled


def rgb_channels(frame: VideoFrame) -> tuple[Array, Array, Array]:
    """Return R, G and B of an RGB frame as (height, width) arrays in the format's own depth."""
    name = frame.format.name
    order = ">" if name.endswith("be") else "<"
    bare = name.removesuffix("le").removesuffix("be")
    if bare.startswith("gbr"):
        if "f32" in bare or "f16" in bare:
            green, blue, red = (_float_to_16(_float_plane(frame, i, name)) for i in range(3))
        else:
            green, blue, red = (_native(plane_view(frame, i, 1, order)) for i in range(3))
        return red, green, blue
    if bare in _PACKED_RGB:
        count, (r, g, b) = _PACKED_RGB[bare]
        samples = _native(plane_view(frame, 0, count, order))
        return samples[:, r::count], samples[:, g::count], samples[:, b::count]
    if name == "pal8":
        palette = np.frombuffer(frame.planes[1], dtype="<u4")[:256]  # type: ignore[call-overload]
        pixels = palette[plane_view(frame, 0)]
        return tuple((pixels >> shift & 255).astype(np.uint8) for shift in (16, 8, 0))
    if bare in ("x2rgb10", "x2bgr10"):
        words = plane_view(frame, 0, 1, order, words=4).view(f"{order}u4")
        shifts = (20, 10, 0) if bare == "x2rgb10" else (0, 10, 20)
        return tuple((words >> shift & 1023).astype(np.uint16) for shift in shifts)  # type: ignore[return-value]
    if _SMALL_RGB.fullmatch(name):
        return rgb_channels(frame.reformat(format="rgb24"))
    raise UnsupportedVideoError(f"pixel format {name} is not supported; convert the film to rgb24 or rgb48 first")


def from_rgb(rgb: tuple[Array, Array, Array], depth: int, matrix: Matrix, with_chroma: bool) -> Planes:
    """Derive full-range luma and 4:4:4 chroma from RGB of the same depth; R = G = B comes out as itself."""
    kr, _, kb = (np.float32(w) for w in WEIGHTS[matrix])
    red, green, blue = (c.astype(np.float32) for c in rgb)
    peak, middle = np.float32(2**depth - 1), np.float32(2 ** (depth - 1))
    # Written around G so that equal channels cancel exactly instead of summing to 1 - 6e-8.
    luma = green + kr * (red - green) + kb * (blue - green)
    dtype = np.uint8 if depth <= 8 else np.uint16

    def stored(samples: Array) -> Array:
        codes: Array = np.rint(np.clip(samples, 0, peak)).astype(dtype)
        return codes

    if not with_chroma:
        return Planes(stored(luma), None)
    cb, cr = (blue - luma) / (2 * (1 - kb)) + middle, (red - luma) / (2 * (1 - kr)) + middle
    return Planes(stored(luma), (stored(cb), stored(cr)))
