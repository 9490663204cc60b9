"""Pictures made for the page of what the studio knows of a frame's colour: hints, previews, the finished film."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from videocolor.color import rgb_to_lab, rgb_to_luma
from videocolor.errors import HintError
from videocolor.hints.plan import load_hint
from videocolor.preview import PreviewFrame, chroma_rgb
from videocolor.studio.frames import jpeg_bytes
from videocolor.studio.problems import NotFoundError
from videocolor.studio.project import ProjectHint
from videocolor.types import Array

if TYPE_CHECKING:
    from videocolor.studio.session import Studio

__all__ = ["chroma_alone", "color_at", "colored_frame", "hint_jpeg", "resized"]


def resized(rgb: Array, height: int, aspect: Fraction) -> Array:
    """A picture (h, w, 3) uint8 brought to `height` lines and `aspect` times as many columns."""
    size = (max(1, round(height * aspect)), height)
    smaller = height < rgb.shape[0]
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR))


def hint_jpeg(studio: Studio, hint: ProjectHint, height: int) -> bytes:
    """A hint as JPEG; what is not painted is shown in gray.

    Raises:
        HintError: its picture is missing or cannot be read.
    """
    hint_picture = load_hint(None, studio.store.image_path(hint))
    rgb, mask = hint_picture.rgb, hint_picture.mask
    if mask is not None:
        gray = np.repeat(rgb_to_luma(np.moveaxis(rgb, -1, 0), "bt709")[..., None], 3, axis=2)
        rgb = rgb * mask[..., None] + gray * (1 - mask[..., None])
    aspect = Fraction(rgb.shape[1], rgb.shape[0])
    if hint.kind in ("painted", "points"):  # as large as the film's frame is stored
        aspect *= studio.info.sar
    return jpeg_bytes(resized(_bytes(rgb), height, min(aspect, Fraction(8))))


def colored_frame(studio: Studio, index: int) -> tuple[Array, str]:
    """(h, w, 3) uint8 of a frame in the colour that is known of it, and where that comes from: hint, preview, render.

    Raises:
        NotFoundError: none is known.
    """
    studio.check_frame(index)
    for hint in studio.store.data.hints:
        if hint.kind == "painted" and hint.frame == index and hint.enabled:
            painted = _whole(studio.store.image_path(hint))
            if painted is not None:
                return painted, "hint"
    preview = studio.previews.colored(index, studio.saturation_at(index))
    if preview is not None:
        return preview, "preview"
    try:
        return studio.renders.frame(index), "render"
    except NotFoundError:
        raise NotFoundError(f"no colour is known of frame {index} yet; preview its shot, or paint it") from None


def _whole(path: Path) -> Array | None:
    try:
        hint = load_hint(None, path)
    except HintError:
        return None
    return _bytes(hint.rgb) if hint.mask is None else None


def color_at(rgb: Array, x: float, y: float) -> str:
    """`#rrggbb`: mean of 3x3 pixels at a place in 0..1 of the picture."""
    height, width = rgb.shape[:2]
    row, column = min(height - 1, int(y * height)), min(width - 1, int(x * width))
    around = rgb[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2].reshape(-1, 3)
    return "#" + "".join(f"{round(float(value)):02x}" for value in around.mean(axis=0))


def chroma_alone(rgb: Array) -> Array:
    """(h, w, 3) uint8 of a picture's chroma alone, as `videocolor.preview.chroma_rgb` shows it."""
    planes = np.moveaxis(np.asarray(rgb, np.float32) / np.float32(255), -1, 0)
    luma, ab = rgb_to_luma(planes, "bt709"), rgb_to_lab(planes)[1:]
    return chroma_rgb(PreviewFrame(0, 0, Fraction(1), luma, ab))


def _bytes(rgb: Array) -> Array:
    return np.asarray(np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8))
