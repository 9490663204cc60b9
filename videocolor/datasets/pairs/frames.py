"""Pictures of a data set: from a film's frame to bytes and back, and the hint that a single picture makes of itself."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from videocolor.color import codes_to_chroma, codes_to_luma, lab_to_rgb, rgb_to_lab, ycbcr_to_rgb
from videocolor.datasets.pairs.manifest import uniforms
from videocolor.datasets.pairs.settings import StoreConfig
from videocolor.errors import InputError
from videocolor.images import encode_image, resized
from videocolor.types import Array, Frame, VideoInfo

__all__ = ["SUFFIX", "decode_picture", "encode_picture", "picture_of", "picture_size", "self_hint", "shrink_to"]

SUFFIX: Final = {"jpeg": ".jpg", "png": ".png"}


def picture_size(width: int, height: int, short_side: int | None) -> tuple[int, int]:
    """(width, height) scaled down, aspect kept, so that the short side is at most `short_side`; never up."""
    scale = 1.0 if short_side is None else min(1.0, short_side / min(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def picture_of(frame: Frame, info: VideoInfo, short_side: int | None) -> Array:
    """Convert a frame of a film to the picture that data sets hold: upright, square pixels, sRGB/BT.709 primaries.

    Planes are scaled before the matrix is applied, which is the same (both are linear) and cheaper.

    Args:
        frame: with chroma.
        info: the film's; its matrix, range, sample aspect ratio and rotation count.
        short_side: of the result, at most; None: as the film is.

    Returns:
        (h, w, 3) uint8 R'G'B'.
    """
    depth, range_ = frame.layout.depth, frame.color.range
    height, width = frame.luma.shape
    stretched = round(width * float(info.sar)) if info.sar else width
    size = picture_size(max(1, stretched), height, short_side)

    def scaled(plane: Array) -> Array:
        return resized(plane, size[::-1])

    y = scaled(codes_to_luma(frame.luma, depth, range_))
    if frame.chroma is None:
        rgb = np.stack([y, y, y])
    else:
        cb, cr = (scaled(codes_to_chroma(plane, depth, range_)) for plane in frame.chroma)
        rgb = ycbcr_to_rgb(y, cb, cr, frame.color.matrix)
        if frame.color.matrix == "bt2020":
            rgb = lab_to_rgb(rgb_to_lab(rgb, "bt2020"), "bt709")
    picture = np.rint(np.clip(np.moveaxis(rgb, 0, -1), 0, 1) * np.float32(255)).astype(np.uint8)
    return np.ascontiguousarray(np.rot90(picture, info.rotation // 90 % 4))


def shrink_to(rgb: Array, short_side: int | None) -> Array:
    """(h, w, 3) uint8, scaled down to a short side of at most `short_side`; never up."""
    size = picture_size(rgb.shape[1], rgb.shape[0], short_side)
    if size == (rgb.shape[1], rgb.shape[0]):
        return rgb
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))


def encode_picture(rgb: Array, settings: StoreConfig) -> bytes:
    """(h, w, 3) uint8 R'G'B' as JPEG without chroma subsampling, or as PNG."""
    return encode_image(rgb, SUFFIX[settings.format], quality=settings.quality, full_chroma=True)


def decode_picture(data: bytes, name: str) -> Array:
    """(h, w, 3) uint8 R'G'B' of an image file's bytes; EXIF orientation is obeyed.

    Raises:
        InputError: not a picture that can be read; `name` says which.
    """
    try:
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    except cv2.error:  # too many pixels, or a wrong header
        bgr = None
    if bgr is None:
        raise InputError(f"{name}: not a picture that can be read")
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def self_hint(rgb: Array, key: str) -> Array:
    """Make a hint from the picture itself: cropped, rotated, sheared and bent, so that it does not fit its target.

    Args:
        rgb: (h, w, 3) uint8.
        key: decides the crop and the warp; the same key gives the same hint.

    Returns:
        (h, w, 3) uint8.
    """
    height, width = rgb.shape[:2]
    draw = uniforms(3 + 4 + 32, "self_hint", key)
    zoom = 0.7 + 0.25 * draw[0]
    left, top = draw[1] * (1 - zoom) * width, draw[2] * (1 - zoom) * height
    matrix = np.eye(2) * zoom + (np.array(draw[3:7]).reshape(2, 2) - 0.5) * 0.16
    knots = (np.array(draw[7:], np.float32).reshape(4, 4, 2) - 0.5) * np.float32(0.06 * min(width, height))
    bend = cv2.resize(knots, (width, height), interpolation=cv2.INTER_CUBIC)
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    centered = np.stack((xs - width / 2, ys - height / 2), axis=-1)
    middle = np.array([left + zoom * width / 2, top + zoom * height / 2])
    where = (centered @ matrix.T + middle + bend).astype(np.float32)
    x, y = np.ascontiguousarray(where[..., 0]), np.ascontiguousarray(where[..., 1])
    return np.asarray(cv2.remap(rgb, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101))
