"""Encrypted films: what their container declares, as a decoder makes anything of ciphertext."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import BinaryIO, Final

from videocolor.errors import InputError
from videocolor.video.pipes import window_of

__all__ = ["is_encrypted"]

_HEAD: Final = 2**20
_MOOV: Final = 2**28
_MATROSKA: Final = re.compile(rb"\x6d\x80.{1,64}?\x62\x40.{1,64}?\x50\x35", re.DOTALL)
"""ContentEncodings containing a ContentEncoding containing a ContentEncryption (RFC 9559, section 5.1.4.1.31)."""
_CLUSTER: Final = b"\x1f\x43\xb6\x75"
"""End of the description of a Matroska file; packets, which may contain any bytes, follow."""
_MP4: Final = re.compile(rb"stsd.{12}encv", re.DOTALL)
"""A sample description whose first entry is an encrypted picture: box type, version, count, size, entry type."""


def is_encrypted(path: Path) -> bool:
    """Return whether a file declares its picture encrypted: MP4's `encv` (ISO/IEC 23001-7), or ContentEncryption.

    Raises:
        InputError: it cannot be read.
    """
    try:
        window = window_of(path)
        with path.open("rb") if window is None else window.head() as file:
            head = file.read(_HEAD)
            if head[:4] == b"\x1a\x45\xdf\xa3":
                return _MATROSKA.search(head.partition(_CLUSTER)[0]) is not None
            return _MP4.search(_moov(file)) is not None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def _moov(file: BinaryIO) -> bytes:
    """Read the box of an MP4 file that describes its streams; empty if there is none."""
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    while len(head := file.read(16)) >= 8:
        size, kind, used = int.from_bytes(head[:4], "big"), head[4:8], 8
        if not kind.isascii():
            return b""
        if size == 1:
            size, used = int.from_bytes(head[8:16], "big"), 16
        if kind == b"moov":
            file.seek(used - len(head), 1)
            return file.read(min(size - used if size else _MOOV, _MOOV))
        if not used <= size <= length:
            return b""
        file.seek(size - len(head), 1)
    return b""
