"""Read uploaded pictures, which may be hostile: their header is checked before anything is decoded.

Refused, with the reason: other than five formats, more than `MOST_PIXELS`, truncated files. Pictures larger than any
film are reduced.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Final

import cv2
import numpy as np

from videocolor.errors import HintError
from videocolor.hints.decoding import decode_samples, unit_samples
from videocolor.types import Array

__all__ = ["MOST_PIXELS", "decode_picture", "picture_size"]

MOST_PIXELS: Final = 100_000_000
"""Limit of a picture that is decoded."""
_KEPT_PIXELS: Final = 7680 * 4320
"""Limit of a picture that is kept; larger ones are reduced to this."""
_LEAST: Final = 16
"""Pixels of the shorter side."""
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_OTHERS: Final = (
    (0, b"GIF8", "a GIF"),
    (0, b"%PDF", "a PDF"),
    (0, b"8BPS", "a Photoshop file"),
    (0, b"gimp xcf", "a GIMP file"),
    (0, b"PK\x03\x04", "an archive or a layered file (Krita, MyPaint)"),
    (0, b"\x76\x2f\x31\x01", "OpenEXR"),
    (0, b"#?RADIANCE", "Radiance HDR"),
    (0, b"\x00\x00\x00\x0cjP", "JPEG 2000"),
    (4, b"ftypavif", "AVIF"),
    (4, b"ftyphei", "HEIC"),
    (4, b"ftypmif1", "HEIC"),
    (4, b"ftyp", "a film"),
    (0, b"\x1a\x45\xdf\xa3", "a film"),
)


def decode_picture(data: bytes, name: str) -> tuple[Array, Array | None]:
    """Decode PNG, JPEG, TIFF, BMP or WebP, of 8 or 16 bits, with or without alpha.

    EXIF orientation and ICC profiles are applied (`decode_samples`).

    Args:
        data: the file's bytes.
        name: of the file, for display.

    Returns:
        (h, w, 3) float32 R'G'B' in 0..1 and (h, w) float32 opacity in 0..1, None where all is opaque; at most
        33 megapixels, larger ones reduced.

    Raises:
        HintError: another format, damaged, too large or too small.
    """
    shown = name.strip() or "the picture"
    width, height = picture_size(data, shown)
    if width * height > MOST_PIXELS:
        raise HintError(
            f"{shown}: {width} x {height} pixels; {MOST_PIXELS // 1_000_000} megapixels at most are read. "
            "Save it at the film's size"
        )
    if min(width, height) < _LEAST:
        raise HintError(f"{shown}: {width} x {height} pixels; a hint has {_LEAST} x {_LEAST} at least")
    _check_whole(data, shown)
    try:
        image, alpha = decode_samples(np.frombuffer(data, np.uint8), shown)
    except HintError as error:
        if "not a picture" in str(error):
            raise HintError(f"{shown}: damaged, it cannot be decoded; save it again") from error
        raise
    if {width, height} != {image.shape[0], image.shape[1]}:
        raise HintError(f"{shown}: damaged, its header says {width} x {height} and it is not; save it again")
    factor = (_KEPT_PIXELS / (width * height)) ** 0.5
    if factor < 1:
        size = (max(1, int(image.shape[1] * factor)), max(1, int(image.shape[0] * factor)))
        image = cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_AREA)
        alpha = None if alpha is None else cv2.resize(np.ascontiguousarray(alpha), size, interpolation=cv2.INTER_AREA)
    return np.clip(unit_samples(image), 0, 1), None if alpha is None else np.clip(unit_samples(alpha), 0, 1)


def picture_size(data: bytes, name: str) -> tuple[int, int]:
    """Read (width, height) from a picture's header, before orientation; nothing is decoded.

    Raises:
        HintError: not PNG, JPEG, TIFF, BMP or WebP, or its header is damaged.
    """
    reader = _reader(data)
    if reader is None:
        what = next((kind for at, magic, kind in _OTHERS if data[at : at + len(magic)] == magic), None)
        said = "it is empty" if not data else f"it is {what}" if what else "not a picture that can be read"
        raise HintError(f"{name}: {said}; give PNG, JPEG, TIFF, BMP or WebP")
    try:
        size = reader(data)
    except (struct.error, IndexError) as error:
        raise HintError(f"{name}: damaged, it ends inside its header; save it again") from error
    if size is None or min(size) < 1:
        raise HintError(f"{name}: damaged, its header states no size; save it again")
    return size


def _reader(data: bytes) -> Callable[[bytes], tuple[int, int] | None] | None:
    if data.startswith(_PNG):
        return _png_size
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg_size
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp_size
    if data.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return _tiff_size
    return _bmp_size if data.startswith(b"BM") else None


def _png_size(data: bytes) -> tuple[int, int] | None:
    width, height = struct.unpack_from(">II", data, 16)
    return (width, height) if data[12:16] == b"IHDR" else None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    for marker, at in _jpeg_segments(data):
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
    return None


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the markers up to the first scan, and their offsets."""
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            return
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if 0xD0 <= marker <= 0xD8 or marker == 0x01:
            at += 2
            continue
        yield marker, at
        if marker == 0xDA:
            return
        at += 2 + max(2, struct.unpack_from(">H", data, at + 2)[0])


def _webp_size(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
        return (width, height) if len(data) >= 30 else None
    return None


def _bmp_size(data: bytes) -> tuple[int, int] | None:
    (header,) = struct.unpack_from("<I", data, 14)
    if header == 12:
        width, height = struct.unpack_from("<HH", data, 18)
        return width, height
    width, height = struct.unpack_from("<ii", data, 18)
    return width, abs(height)


def _tiff_size(data: bytes) -> tuple[int, int] | None:
    order = "<" if data.startswith(b"II") else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    if big:
        (at,) = struct.unpack_from(order + "Q", data, 8)
        (count,) = struct.unpack_from(order + "Q", data, at)
        entries, step, value = at + 8, 20, 12
    else:
        (at,) = struct.unpack_from(order + "I", data, 4)
        (count,) = struct.unpack_from(order + "H", data, at)
        entries, step, value = at + 2, 12, 8
    found: dict[int, int] = {}
    for n in range(min(count, 1000)):
        place = entries + n * step
        tag, kind = struct.unpack_from(order + "HH", data, place)
        form = {3: "H", 4: "I", 16: "Q"}.get(kind)
        if tag in (256, 257) and form is not None:
            (found[tag],) = struct.unpack_from(order + form, data, place + value)
    return (found[256], found[257]) if len(found) == 2 else None


def _check_whole(data: bytes, name: str) -> None:
    """Refuse truncated files; some decoders silently fill the rest with gray."""
    whole = True
    if data.startswith(_PNG):
        whole = _png_is_whole(data, name)
    elif data.startswith(b"\xff\xd8"):
        whole = data.rfind(b"\xff\xd9") > data.find(b"\xff\xda") >= 0
    elif data.startswith(b"RIFF"):
        whole = struct.unpack_from("<I", data, 4)[0] + 8 <= len(data)
    if not whole:
        raise HintError(f"{name}: is truncated; save or send it again")


def _png_is_whole(data: bytes, name: str) -> bool:
    at = len(_PNG)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind, end = data[at + 4 : at + 8], at + 12 + length
        if end > len(data):
            return False
        if zlib.crc32(data[at + 4 : end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
            raise HintError(
                f"{name}: damaged, the check sum of its part {kind.decode('latin-1')} is wrong; send it again"
            )
        if kind == b"IEND":
            return True
        at = end
    return False
