"""Decode the pictures of hints: every kind that a camera, a scanner or a paint program writes, upright and as sRGB."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageCms

from videocolor.errors import HintError
from videocolor.types import Array
from videocolor.video.tiff import UNREADABLE, upright

__all__ = ["decode_samples", "unit_samples"]

log = logging.getLogger(__name__)

_HEIF: Final = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
"""Brands of HEIC files."""
_UNREADABLE: Final = (*UNREADABLE, Image.DecompressionBombError)
"""What Pillow raises at damaged files."""


@dataclass(frozen=True)
class _Header:
    """What a picture says of itself."""

    mode: str = ""
    """Pillow's; empty: it cannot read the picture."""
    orientation: int = 1
    """As EXIF counts, 1 to 8; 1 where the decoder obeys it."""
    profile: bytes = b""
    """ICC profile; empty: none."""
    for_pillow: bool = False
    """OpenCV converts CMYK without its profile, and multiplies 8-bit TIFF with its opacity."""


def decode_samples(data: Array, name: str) -> tuple[Array, Array | None]:
    """Decode the bytes of a picture.

    EXIF's orientation and ICC profiles (by Little CMS, relative colorimetric) are applied; without a profile, samples
    count as sRGB.

    Args:
        data: (n,) uint8.
        name: for messages.

    Returns:
        (h, w, 3) R'G'B' and (h, w) opacity (None: opaque), samples as stored: 8 or 16 bits, or floating point 0..1;
        8 bits where a profile was applied.

    Raises:
        HintError: not a picture, or samples that cannot be used.
    """
    header = _look(data)
    image = None if header.for_pillow else _by_opencv(data)
    if image is None:
        image = _by_pillow(data, name)
        header = header if header.mode != "CMYK" else _Header("RGB", header.orientation)
    _check_samples(name, image)
    image = upright(image, header.orientation)
    mask = None
    if image.ndim == 2:
        return np.repeat(image[..., None], 3, axis=2), None
    if image.shape[2] == 4:
        alpha = image[..., 3]
        mask = None if bool((unit_samples(alpha) > 0.999).all()) else alpha
    return _to_srgb(image[..., :3], header.profile, name), mask


def _look(data: Array) -> _Header:
    """Read a header with Pillow."""
    _register_heif(data)
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(bytes(data))) as picture:
            exif = picture.getexif() if picture.format == "JPEG" else Image.Exif()
            if picture.format != "TIFF" and not exif and picture.info.get("exif"):  # OpenCV turns TIFF by itself
                exif.load(picture.info["exif"])
            orientation = exif.get(ExifTags.Base.Orientation, 1)
            profile = picture.info.get("icc_profile")
            mixed = picture.format == "TIFF" and picture.mode == "RGBA" and ";16" not in str(picture.tile)
            for_pillow = mixed or (picture.mode == "CMYK" and bool(profile))
            return _Header(picture.mode, orientation if orientation in range(1, 9) else 1, profile or b"", for_pillow)
    except _UNREADABLE:
        return _Header()


def _is_heif(data: Array) -> bool:
    head = bytes(data[:12])
    return head[4:8] == b"ftyp" and head[8:12] in _HEIF


def _register_heif(data: Array) -> None:
    """Have Pillow read HEIC, where the extra is installed."""
    if _is_heif(data):
        with contextlib.suppress(ImportError):
            from pillow_heif import register_heif_opener

            register_heif_opener()


def _by_opencv(data: Array) -> Array | None:
    if not data.size or bytes(data[4:8]) == b"ftyp":  # AVIF: not every build of OpenCV reads it
        return None
    try:
        image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    except cv2.error:  # too many pixels, or a header that lies
        return None
    return image if image is None or image.ndim == 2 else image[..., [2, 1, 0, 3][: image.shape[2]]]


def _by_pillow(data: Array, name: str) -> Array:
    """Decode what OpenCV does not: AVIF, HEIC, GIF, and CMYK by its profile."""
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(bytes(data))) as picture:
            if picture.mode == "CMYK" and picture.info.get("icc_profile"):
                return np.asarray(_convert(picture, picture.info["icc_profile"], name))
            mode = {"1": "L", "P": "RGBA", "PA": "RGBA", "LA": "RGBA", "La": "RGBA", "RGBa": "RGBA"}.get(picture.mode)
            known = picture.mode in ("L", "RGB", "RGBA", "I;16")
            return np.asarray(picture if known else picture.convert(mode or "RGB"))
    except _UNREADABLE as error:
        log.debug("%s: %s", name, error)
        if _is_heif(data):
            raise HintError(f"{name}: HEIC; install videocolor[heic] (pillow-heif) to read it, or save PNG") from error
        raise HintError(
            f"{name}: not a picture that can be read; a frame of a film is given as FILM@TIME (other.mkv@12.0)"
        ) from error


def _convert(picture: Image.Image, profile: bytes, name: str) -> Image.Image:
    """Convert to sRGB by a profile; a damaged one is passed over with a warning."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        done = ImageCms.profileToProfile(
            picture,
            source,
            ImageCms.createProfile("sRGB"),
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (OSError, ImageCms.PyCMSError) as error:
        log.warning("%s: its ICC profile cannot be used (%s); its samples count as sRGB", name, error)
        done = None
    return picture.convert("RGB") if done is None else done


def _to_srgb(rgb: Array, profile: bytes, name: str) -> Array:
    """Apply a profile to R'G'B' samples, with 8 bits; samples of sRGB stay what they are."""
    if not profile or rgb.dtype.kind != "u":
        return rgb
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        known = "srgb" in ImageCms.getProfileDescription(source).lower()
        foreign = source.profile.xcolor_space.strip() != "RGB"
    except (OSError, ImageCms.PyCMSError):
        known, foreign = False, False  # `_convert` says so
    if known or foreign:  # a gray or CMYK profile is none of R'G'B'
        return rgb
    eight = rgb if rgb.dtype == np.uint8 else np.rint(rgb / 257).astype(np.uint8)
    picture = Image.fromarray(np.ascontiguousarray(eight))
    done = _convert(picture, profile, name)
    return np.asarray(done)


def _check_samples(name: str, image: Array) -> None:
    """Integers of 8 or 16 bits, or floating point that holds 0..1."""
    if image.dtype in (np.uint8, np.uint16):
        return
    if image.dtype not in (np.float32, np.float64):
        raise HintError(f"{name}: samples of type {image.dtype}; expected 8 or 16 bits, or floating point in 0..1")
    if not np.isfinite(image).all():
        raise HintError(f"{name}: holds NaN or infinity; floating point is expected in 0..1")
    low, high = float(image.min()), float(image.max())
    if low < -0.001 or high > 1.001:
        raise HintError(f"{name}: holds values from {low:g} to {high:g}; floating point is expected in 0..1")


def unit_samples(image: Array) -> Array:
    """Convert samples of `decode_samples` to contiguous float32 in 0..1."""
    top = np.iinfo(image.dtype).max if image.dtype.kind == "u" else 1.0
    return np.ascontiguousarray(image, np.float32) / np.float32(top)
