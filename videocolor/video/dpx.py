"""Frame rate and timecode in the header of a DPX image (SMPTE ST 268-1), which FFmpeg's encoder leaves out."""

from __future__ import annotations

import re
import struct
from typing import Final

from videocolor.types import VideoInfo

__all__ = ["with_times"]

_HEADER: Final = 2048
"""Bytes of all headers of the standard; FFmpeg's encoder stops before the film's and the television's."""
_FILM_RATE, _TIMECODE, _RATE = 1724, 1920, 1940
"""Where frames a second of film, the timecode, and frames a second of television are."""
_OFFSET, _SIZE, _FIRST, _INDUSTRY, _ELEMENT = 4, 16, 24, 28, 808
"""Where the header says: where samples begin, bytes of the file, of the first and second headers, of the first
element's samples."""
_FIRST_SIZE: Final = 1664


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
