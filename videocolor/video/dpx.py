"""What FFmpeg leaves out of DPX headers (SMPTE ST 268-1): rate and timecode when it writes, curves when it reads."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from videocolor.types import VideoInfo

__all__ = ["DpxHeader", "read_dpx_header", "with_times"]

_HEADER: Final = 2048
"""Bytes of all headers of the standard; FFmpeg's encoder stops before the film's and the television's."""
_FILM_RATE, _TIMECODE, _RATE = 1724, 1920, 1940
"""Where frames a second of film, the timecode, and frames a second of television are."""
_OFFSET, _SIZE, _FIRST, _INDUSTRY, _ELEMENT = 4, 16, 24, 28, 808
"""Where the header says: where samples begin, bytes of the file, of the first and second headers, of the first
element's samples."""
_FIRST_SIZE: Final = 1664
_WIDTH, _KIND = 772, 800
"""Where width and height are, and what samples are: descriptor, transfer, colorimetry, bits."""
_LUMA: Final = 6
_CURVES: Final = {1: "printing density (logarithmic)", 2: "linear light", 3: "logarithmic"}


@dataclass(frozen=True)
class DpxHeader:
    """What a file says of its picture."""

    size: tuple[int, int]
    """Width and height."""
    depth: int
    """Bits a sample."""
    color: bool
    curve: str | None
    """What samples are, where it is not the gamma of video."""
    timecode: str | None
    """HH:MM:SS:FF, HH:MM:SS;FF where frames are dropped; None: not stated."""


def read_dpx_header(file: Path) -> DpxHeader | None:
    """Read the first bytes of a file; None where it is no DPX."""
    with file.open("rb") as opened:
        data = opened.read(_HEADER)
    if len(data) < _HEADER or data[:4] not in (b"SDPX", b"XPDS"):
        return None
    order = ">" if data[:4] == b"SDPX" else "<"
    width, height = struct.unpack_from(f"{order}II", data, _WIDTH)
    kind, curve, _, depth = data[_KIND : _KIND + 4]
    begin, code = (struct.unpack_from(f"{order}I", data, at)[0] for at in (_OFFSET, _TIMECODE))
    stated = _digits(code) if begin >= _TIMECODE + 4 else None
    return DpxHeader((width, height), depth, kind != _LUMA, _CURVES.get(curve), stated)


def _digits(code: int) -> str | None:
    """Read eight decimal digits of four bits each; the highest but one bit of the frames says that some are dropped."""
    digits = f"{code & 0x3F7F7F3F:08x}"
    if code == 0xFFFFFFFF or not digits.isdecimal():
        return None
    hours, minutes, seconds, frames = (digits[at : at + 2] for at in (0, 2, 4, 6))
    return f"{hours}:{minutes}:{seconds}{';' if code & 0x40 else ':'}{frames}"


def with_times(data: bytes, info: VideoInfo, pts: int) -> bytes:
    """Add frame rate and timecode to an image that FFmpeg's encoder made.

    Args:
        data: the file.
        info: the film; its rate, and its timecode where it has one that counts every frame.
        pts: the frame's time in `info.time_base`.

    Returns:
        The file with complete headers.
    """
    order = ">" if data.startswith(b"SDPX") else "<"
    (begin,) = struct.unpack_from(f"{order}I", data, _OFFSET)
    head = bytearray(data[:begin] + b"\xff" * (_HEADER - begin))
    for at, value in ((_OFFSET, _HEADER), (_SIZE, len(data) + _HEADER - begin), (_ELEMENT, _HEADER)):
        struct.pack_into(f"{order}I", head, at, value)
    struct.pack_into(f"{order}II", head, _FIRST, _FIRST_SIZE, _HEADER - _FIRST_SIZE)
    if info.rate is not None:
        for at in (_FILM_RATE, _RATE):
            struct.pack_into(f"{order}f", head, at, float(info.rate))
        number = round((pts - info.start_pts) * info.time_base * info.rate)
        code = _timecode(info.metadata.get("timecode", ""), number, round(info.rate))
        if code is not None:
            struct.pack_into(f"{order}I", head, _TIMECODE, code)
    return bytes(head) + data[begin:]


def _timecode(start: str, number: int, rate: int) -> int | None:
    """Count on from HH:MM:SS:FF, as eight decimal digits of four bits each."""
    match = re.fullmatch(r"(\d\d):(\d\d):(\d\d):(\d\d)", start)
    if match is None:
        return None
    hours, minutes, seconds, frames = (int(part) for part in match.groups())
    count = ((hours * 60 + minutes) * 60 + seconds) * rate + frames + number
    seconds, frames = divmod(count, rate)
    parts = (seconds // 3600 % 24, seconds // 60 % 60, seconds % 60, frames)
    return int("".join(f"{part:02}" for part in parts), 16)
