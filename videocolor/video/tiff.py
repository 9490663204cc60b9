"""TIFF beyond FFmpeg's decoder: several pages, tiles, BigTIFF, floating point, JPEG inside."""

from __future__ import annotations

import logging
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from videocolor.errors import InputError, UnsupportedVideoError
from videocolor.types import Array

__all__ = ["TIFF_SUFFIXES", "UNREADABLE", "read_tiff", "tiff_pages", "upright"]

UNREADABLE: Final = (
    *(OSError, ValueError, SyntaxError, TypeError, KeyError, IndexError, OverflowError, ZeroDivisionError, EOFError),
    *(AttributeError, MemoryError, struct.error),
)
"""What Pillow and tifffile raise at damaged files."""
logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # its errors are raised as ours
TIFF_SUFFIXES: Final = (".tif", ".tiff")
_COPIES: Final = 0b101
"""Bits of NewSubfileType: a reduced copy of another page, a mask."""
_FFMPEG_READS: Final = frozenset({1, 2, 3, 4, 5, 8, 32773, 32946})
"""Compressions: none, CCITT, LZW, Deflate, PackBits. It decodes what it does not know, such as JPEG, to black."""
_MOST_MAPPED: Final = 2**31 - 1
"""Bytes of the longest array that OpenCV takes."""


@dataclass(frozen=True)
class _Pages:
    """What the directories of a file say."""

    numbers: tuple[int, ...]
    """Pages that are frames, without reduced copies and masks."""
    odd: str
    """What differs in a page that is neither a frame like the others nor a small copy; empty: there is none."""
    offsets: tuple[int, ...]
    """Where the directory of each page begins; pages that are no frames included."""
    for_ffmpeg: bool
    inverted: bool
    """Zero is white."""
    plain: bool
    """Gray or RGB, which tifffile returns as it is; not a palette, CMYK or YCbCr."""
    orientation: int
    """As EXIF counts, 1 to 8."""
    header: tuple[int, int, str]
    """Where the header states the first directory: offset, bytes, byte order."""


def tiff_pages(path: Path) -> tuple[tuple[int, ...], int]:
    """List the pages of a TIFF.

    Returns:
        Which are frames, and how many are not: thumbnails, masks. The first one alone where the file cannot be read,
        for the decoder to say why.

    Raises:
        UnsupportedVideoError: its pages are not of one size and kind.
    """
    try:
        pages = _look(path)
    except InputError:
        return (0,), 0
    if pages.odd:
        raise UnsupportedVideoError(
            f"{path}: {pages.odd}; save the pages as files of their own (tiffsplit), and convert them to one size"
        )
    return pages.numbers, len(pages.offsets) - len(pages.numbers)


def read_tiff(path: Path, page: int = 0) -> Array | None:
    """Decode a frame of a TIFF that FFmpeg's decoder does not read.

    Args:
        path: the file.
        page: which of its frames.

    Returns:
        (h, w) or (h, w, 3 or 4) uint8 or uint16 R'G'B', upright; None where FFmpeg reads the file.

    Raises:
        InputError: it is damaged, or its samples are of a kind that is not read.
    """
    pages = _look(path)
    if pages.numbers == (0,) and pages.for_ffmpeg:
        return None
    number = pages.numbers[page]
    image = _by_tifffile(path, pages, number) if pages.plain else None
    if image is None:
        image = _by_opencv(path, pages, number)
    if image.ndim == 3 and image.shape[2] < 3:  # gray, perhaps with opacity
        image = image[..., 0]
    if not image.size or image.ndim not in (2, 3):
        raise InputError(f"{path}: page {number + 1} is damaged: an array of {image.shape}; save it again")
    if image.dtype.kind == "f":
        image = _codes(image, path)
    if image.dtype not in (np.uint8, np.uint16):
        raise InputError(f"{path}: holds samples of type {image.dtype}; save it with 8 or 16 bits")
    return image


def _look(path: Path) -> _Pages:
    try:
        state = path.stat()
        return _directories(path, state.st_size, state.st_mtime_ns)
    except UNREADABLE as error:
        raise InputError(f"{path}: cannot be read as TIFF ({error}); save it again") from error


@lru_cache(maxsize=1 << 16)
def _directories(path: Path, _size: int, _changed: int) -> _Pages:
    """Read all directories; size and time of change are part of the cache's key."""
    import tifffile  # a thirtieth of a start: not for films that are no TIFF

    with tifffile.TiffFile(path) as file:
        every: list[Any] = list(file.pages)
        whole = [number for number, page in enumerate(every) if not int(page.subfiletype) & _COPIES] or [0]
        largest = max(every[number].imagelength for number in whole)
        # Some thumbnails are not marked as reduced.
        whole = [number for number in whole if every[number].imagelength * 2 > largest]
        first = every[whole[0]]
        odd = (_difference(first, every[number], number) for number in whole if not _alike(first, every[number]))
        big, samples = bool(file.is_bigtiff), str(first.dtype)
        return _Pages(
            tuple(whole),
            next(odd, ""),
            tuple(int(page.offset) for page in every),
            samples in ("bool", "uint8", "uint16")
            and not big
            and not first.is_tiled
            and int(first.compression) in _FFMPEG_READS,
            int(first.photometric) == 0,
            int(first.photometric) in (0, 1, 2),
            int(first.tags.valueof(274, 1)),
            (8, 8, file.byteorder) if big else (4, 4, file.byteorder),
        )


def _alike(first: Any, page: Any) -> bool:
    return bool(page.shape == first.shape and page.dtype == first.dtype and page.photometric == first.photometric)


def _difference(first: Any, page: Any, number: int) -> str:
    one, other = (f"{p.imagewidth}x{p.imagelength} {p.photometric.name} of {p.dtype}" for p in (page, first))
    return f"page {number + 1} is {one}, others are {other}"


def _by_tifffile(path: Path, pages: _Pages, number: int) -> Array | None:
    """Read what is not compressed, or by Deflate or PackBits; None: more needs a package of its own, or is damaged."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        page: Any = file.pages[number]
        try:
            image: Array = page.asarray()
        except UNREADABLE:  # OpenCV will say
            return None
        planes = page.samplesperpixel > 1 and int(page.planarconfig) == 2 and image.ndim == 3
    image = np.moveaxis(image, 0, -1) if planes else image
    image = image.astype(np.uint8) * np.uint8(255) if image.dtype == bool else image
    image = image.astype(image.dtype.newbyteorder("="))
    if pages.inverted and image.dtype.kind == "u":
        image = np.asarray(np.iinfo(image.dtype).max - image)
    return upright(image[..., :4] if image.ndim == 3 else image, pages.orientation)


def _by_opencv(path: Path, pages: _Pages, number: int) -> Array:
    """Decode one page: of a private mapping of the file, of which that page is the first, or by counting to it."""
    at, size, order = pages.header
    images: Sequence[Array | None] = ()
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        if path.stat().st_size <= _MOST_MAPPED:
            data = np.memmap(path, mode="c")
            first = pages.offsets[number].to_bytes(size, "little" if order == "<" else "big")
            data[at : at + size] = np.frombuffer(first, np.uint8)
            images = (cv2.imdecode(data, cv2.IMREAD_UNCHANGED),)
        if not images or images[0] is None:  # it takes no tiles of 8-bit gray out of memory
            images = cv2.imreadmulti(str(path), number, 1, flags=cv2.IMREAD_UNCHANGED)[1]
    except cv2.error:  # more pixels than it takes, or a header that lies
        images = ()
    finally:
        cv2.utils.logging.setLogLevel(level)
    if not images or images[0] is None:
        raise InputError(f"{path}: page {number + 1} could not be decoded; save it again, uncompressed")
    image = images[0]
    if image.ndim == 3:
        image = image[..., [2, 1, 0, 3][: image.shape[2]]]
    # It turns 8 bits around where zero is white, and returns more of them as they are.
    return np.asarray(65535 - image) if pages.inverted and image.dtype == np.uint16 else image


def upright(image: Array, orientation: int) -> Array:
    """Turn a picture as EXIF's orientation (1 to 8) says; other numbers change nothing."""
    if orientation in (5, 6, 7, 8):
        image = np.swapaxes(image, 0, 1)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return image


def _codes(image: Array, path: Path) -> Array:
    """Turn floating point in 0..1 into 16 bits."""
    low, high = float(image.min()), float(image.max())  # NaN fails the comparison
    if not (low > -0.001 and high < 1.001):
        raise InputError(f"{path}: holds values from {low:g} to {high:g}; floating point is read in 0..1: save 16 bits")
    codes: Array = np.rint(np.clip(image, 0, 1) * np.float32(65535)).astype(np.uint16)
    return codes
