"""Reels that can be opened and yet are not right: encrypted ones, and sound that goes on when the picture has ended."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, Final

from videocolor.errors import InputError
from videocolor.video.opening import fraction, open_input, read_packets

__all__ = ["SOUND_LONGER", "is_encrypted", "sound_end"]

SOUND_LONGER: Final = Fraction(2)
"""Seconds by which sound may outlast the picture: encoders round up, and end music plays on over black."""
_HEAD: Final = 2**20
_MOOV: Final = 2**28
_MATROSKA: Final = re.compile(rb"\x6d\x80.{1,64}?\x62\x40.{1,64}?\x50\x35", re.DOTALL)
"""ContentEncodings holding a ContentEncoding holding a ContentEncryption (RFC 9559, section 5.1.4.1.31)."""
_CLUSTER: Final = b"\x1f\x43\xb6\x75"
"""Where the description of a Matroska file ends and its packets begin, in which any bytes may stand."""
_MP4: Final = re.compile(rb"stsd.{12}encv", re.DOTALL)
"""A sample description whose first entry is an encrypted picture: box type, version, count, size, entry type."""


def is_encrypted(path: Path) -> bool:
    """Whether a file says that its picture is encrypted: MP4's `encv` (ISO/IEC 23001-7), Matroska's ContentEncryption.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
            if head[:4] == b"\x1a\x45\xdf\xa3":
                return _MATROSKA.search(head.partition(_CLUSTER)[0]) is not None
            return _MP4.search(_moov(file)) is not None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def _moov(file: BinaryIO) -> bytes:
    """The box of an MP4 file that describes its streams; empty where there is none."""
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
        if size < used:
            return b""
        file.seek(size - len(head), 1)
    return b""


def sound_end(path: Path) -> Fraction | None:
    """When the last sound of a film ends, in seconds of its own time; None: it is silent, or cannot be told.

    Only the end of the file is read. Raises InputError where it cannot be opened.
    """
    with open_input(path) as container:
        sounds = list(container.streams.audio)
        if not sounds:
            return None
        ends: list[Fraction] = []
        if container.duration:
            begin = int(container.start_time or 0) + int(container.duration)
            container.seek(max(0, begin - 10 * 10**6), any_frame=True, backward=True)
        for packet in read_packets(container, sounds, lambda error: None):
            base = fraction(packet.time_base)
            if packet.size and packet.pts is not None and base is not None:
                ends.append((packet.pts + (packet.duration or 0)) * base)
        return max(ends, default=None)
