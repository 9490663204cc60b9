"""Pictures of hints, previews and the finished film for the page, and the compact form in which previews are kept."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

import cv2
import numpy as np

from videocolor.color import rgb_to_lab, rgb_to_luma
from videocolor.errors import HintError, InputError
from videocolor.hints.plan import frame_to_rgb, load_hint
from videocolor.preview import PreviewFrame, before_rgb, chroma_rgb, preview_rgb
from videocolor.studio.frames import jpeg_bytes
from videocolor.studio.projectdata import HintKind
from videocolor.types import Array
from videocolor.video import open_video, probe

__all__ = [
    "BYTES_PER_PIXEL",
    "Kind",
    "PackedFrame",
    "chroma_alone",
    "color_at",
    "film_jpeg",
    "frame_jpeg",
    "hint_jpeg",
    "hint_rgb",
    "main_colors",
    "painted_picture",
    "resized",
]

Kind = Literal["before", "after", "chroma"]
BYTES_PER_PIXEL: Final = 3
"""Of a `PackedFrame`."""
_CELL: Final = 12.0
"""Edge of the cells of Lab whose pixels count as one color."""
_UNLIKE: Final = 18.0
"""Least distance in Lab of two main colors."""
_KNEE: Final = 16.0
"""a*, b* up to which quantization steps are about equal; beyond, they grow in proportion, as discrimination does."""
_MOST: Final = 176.0
"""Largest a*, b* kept; no color of BT.2020 exceeds it."""


def resized(rgb: Array, height: int, aspect: Fraction) -> Array:
    """Resize a picture (h, w, 3) uint8 to `height` lines and `aspect` times as many columns."""
    size = (max(1, round(height * aspect)), height)
    smaller = height < rgb.shape[0]
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR))


def frame_jpeg(frame: PreviewFrame, kind: Kind, saturation: float) -> bytes:
    """Encode a colored frame as JPEG: as it was, in color, or its chroma alone."""
    if kind == "before":
        return jpeg_bytes(before_rgb(frame))
    return jpeg_bytes((preview_rgb if kind == "after" else chroma_rgb)(frame, saturation))


def hint_jpeg(path: Path, kind: HintKind, sar: Fraction, height: int) -> bytes:
    """Encode a hint as JPEG, unpainted parts in gray.

    Args:
        path: its picture.
        kind: painted frames and points have the film's stored size.
        sar: the film's sample aspect ratio.
        height: lines of the JPEG.

    Raises:
        HintError: the picture is missing or cannot be read.
    """
    hint = load_hint(None, path, check=False)
    rgb = hint.rgb
    if hint.mask is not None:
        gray = rgb_to_luma(np.moveaxis(rgb, -1, 0), "bt709")[..., None]
        rgb = rgb * hint.mask[..., None] + gray * (1 - hint.mask[..., None])
    aspect = Fraction(rgb.shape[1], rgb.shape[0]) * (sar if kind in ("painted", "points") else 1)
    return jpeg_bytes(resized(_bytes(rgb), height, min(aspect, Fraction(8))))


def film_jpeg(path: Path, height: int) -> bytes:
    """Encode a frame from the first third of a film as JPEG of so many lines.

    Raises:
        InputError: it cannot be read.
    """
    info = probe(path)
    start = Fraction(info.duration or 0) / 3 + info.start_pts * info.time_base
    frame = None
    for at in (start, Fraction(0)):  # a film may end before a third of what it says
        with open_video(path, start=at if at > 0 else None) as reader:
            frame = frame or next(iter(reader), None)
    if frame is None:
        raise InputError(f"{path}: has no frame")
    rgb = _bytes(np.asarray(frame_to_rgb(frame)))
    return jpeg_bytes(resized(rgb, height, Fraction(info.width, info.height) * info.sar))


def painted_picture(path: Path) -> Array | None:
    """Return (h, w, 3) uint8 of a hint that is painted everywhere; None: partly painted, or unreadable."""
    try:
        hint = load_hint(None, path)
    except HintError:
        return None
    return _bytes(hint.rgb) if hint.mask is None else None


def hint_rgb(path: Path) -> Array:
    """Return (h, w, 3) uint8 of a hint's picture.

    Raises:
        HintError: it is missing or cannot be read.
    """
    return _bytes(load_hint(None, path).rgb)


def color_at(rgb: Array, x: float, y: float) -> str:
    """Return `#rrggbb`, the mean of 3x3 pixels at a point; `x`, `y` are shares of the picture, 0..1."""
    height, width = rgb.shape[:2]
    row, column = min(height - 1, int(y * height)), min(width - 1, int(x * width))
    around = rgb[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2].reshape(-1, 3)
    return "#" + "".join(f"{round(float(value)):02x}" for value in around.mean(axis=0))


def main_colors(rgb: Array, count: int = 8) -> list[str]:
    """Return up to `count` colors `#rrggbb` that a picture (h, w, 3) uint8 has most of, each unlike the others."""
    small = cv2.resize(rgb, (128, 96), interpolation=cv2.INTER_AREA).reshape(-1, 3)
    lab = rgb_to_lab(small.T.astype(np.float32) / np.float32(255)).T
    _, cell, sizes = np.unique(np.rint(lab / _CELL), axis=0, return_inverse=True, return_counts=True)
    found: list[Array] = []
    names: list[str] = []
    for place in np.argsort(-sizes, kind="stable"):
        inside = cell.reshape(-1) == place
        middle = lab[inside].mean(axis=0)
        if all(np.linalg.norm(middle - other) >= _UNLIKE for other in found):
            found.append(middle)
            names.append("#" + bytes(np.rint(small[inside].mean(axis=0)).astype(np.uint8)).hex())
        if len(found) == count:
            break
    return names


def chroma_alone(rgb: Array) -> Array:
    """Return (h, w, 3) uint8 of a picture's chroma at constant lightness, see `videocolor.preview.chroma_rgb`."""
    planes = np.moveaxis(np.asarray(rgb, np.float32) / np.float32(255), -1, 0)
    luma, ab = rgb_to_luma(planes, "bt709"), rgb_to_lab(planes)[1:]
    return chroma_rgb(PreviewFrame(0, 0, Fraction(1), luma, ab))


def _bytes(rgb: Array) -> Array:
    return np.asarray(np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8))


@dataclass(frozen=True, eq=False)
class PackedFrame:
    """A preview frame in three bytes a pixel: 8-bit luma; a* and b* in 127 steps to either side.

    A step of a*, b* is 0.4 at gray, 0.6 at 20 and 1.3 at 50; the error is at most half a step, about that of 8-bit
    R'G'B'. Gray stays gray.
    """

    frame: PreviewFrame
    """Without its planes."""
    luma: Array
    """(h, w) uint8, full range."""
    ab: Array
    """(2, h, w) uint8, see `_decoded`."""

    @classmethod
    def of(cls, frame: PreviewFrame) -> PackedFrame:
        """Pack a frame."""
        empty = np.empty(0, np.float32)
        bare = PreviewFrame(frame.index, frame.pts, frame.time_base, empty, empty, frame.matrix, frame.kept)
        luma = np.rint(np.clip(frame.luma, 0, 1) * 255).astype(np.uint8)
        halves = np.clip(frame.ab, -_MOST, _MOST).astype(np.float16)
        return cls(bare, luma, _codes()[halves.view(np.uint16)])

    def unpacked(self) -> PreviewFrame:
        """Unpack the frame."""
        f, luma = self.frame, self.luma.astype(np.float32) / np.float32(255)
        return PreviewFrame(f.index, f.pts, f.time_base, luma, _decoded()[self.ab], f.matrix, f.kept)

    @property
    def bytes(self) -> int:
        """Size of the planes in bytes."""
        return int(self.luma.nbytes + self.ab.nbytes)


@lru_cache(maxsize=1)
def _decoded() -> Array:
    """Return (256,) float32, the a* or b* of each code; code 128 is 0."""
    place = (np.arange(256) - 128) / 127 * np.arcsinh(_MOST / _KNEE)
    return np.asarray((_KNEE * np.sinh(place)).astype(np.float32))


@lru_cache(maxsize=1)
def _codes() -> Array:
    """Return (65536,) uint8, the code of each half float by its bits; ten times as fast as the logarithm."""
    values = np.nan_to_num(np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float64), nan=0.0)
    place = np.arcsinh(np.clip(values, -_MOST, _MOST) / _KNEE) / np.arcsinh(_MOST / _KNEE)
    return np.asarray((np.rint(place * 127) + 128).astype(np.uint8))
