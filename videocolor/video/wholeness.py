"""Is a file as long as it says it is? Some demuxers end quietly where a file was cut off or overwritten."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np

from videocolor.video.pipes import window_of

__all__ = ["cut_short"]

_EBML: Final = b"\x1a\x45\xdf\xa3"
_SEGMENT: Final = b"\x18\x53\x80\x67"
_STRIDES: Final = ((188, 0), (192, 4), (204, 0))
"""(bytes a packet, place of the sync byte): transport stream, Blu-ray's with a time stamp, with error correction."""


def cut_short(path: Path, container: str) -> str | None:
    """Say what of a file is missing by its container's own measure.

    Matroska and AVI state the length of their body (RFC 9559, section 5.1; RIFF); a transport stream is a row of
    packets of one size that each begin with 0x47 (ISO/IEC 13818-1, 2.4.3.2).

    Args:
        path: The film.
        container: FFmpeg's name of its demuxer.

    Returns:
        A sentence, or None where nothing is missing or the container has no such measure.
    """
    window = window_of(path)
    size = path.stat().st_size if window is None else window.end
    with path.open("rb") if window is None else window.head() as file:
        if "matroska" in container:
            promised = _matroska_size(file)
        elif container == "avi":
            head = file.read(8)
            # Films over 1 GB have several RIFF parts; the first one's length is no promise about the rest.
            promised = 8 + struct.unpack("<I", head[4:])[0] if head[:4] == b"RIFF" else None
        elif container == "mpegts" and window is None:
            return _transport_damage(file, size)
        else:
            return None
    if promised is None or promised <= size:
        return None
    return f"the file is cut short: {size} of {promised} bytes are there"


def _number(file: BinaryIO) -> int | None:
    """Read an EBML variable-length number; None for the reserved value "unknown"."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    length = 9 - first[0].bit_length()
    value = int.from_bytes(bytes([first[0] & (1 << (8 - length)) - 1]) + file.read(length - 1), "big")
    return None if value == (1 << 7 * length) - 1 else value


def _matroska_size(file: BinaryIO) -> int | None:
    """End of the segment, in bytes from the file's start; None where it is not stated or not found."""
    if file.read(4) != _EBML:
        return None
    head = _number(file)
    if head is None:
        return None
    file.seek(head, 1)
    if file.read(4) != _SEGMENT:
        return None
    body = _number(file)
    return None if body is None else file.tell() + body


def _transport_damage(file: BinaryIO, size: int) -> str | None:
    """Count the packets without their sync byte, and check whether the last one is complete."""
    if size < 8 * 204:
        return None
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        best, damaged, total = 0, 0, 1
        for stride, place in _STRIDES:
            marks = np.frombuffer(view, np.uint8)[place::stride] == 0x47
            good, count = int(marks.sum()), int(marks.size)
            del marks  # the view cannot be closed while an array looks into it
            if good * total > best * count or not best:
                best, damaged, total, last = good, count - good, count, size % stride
    if best < total // 2:
        return None  # not in step with any packet size: nothing can be said of single packets
    if damaged:
        return f"{damaged} of {total} transport packets are damaged; what they held is lost"
    return f"the file is cut short: its last transport packet has {last} bytes" if last else None
