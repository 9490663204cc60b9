"""The checksums that FFV1 has in itself: a CRC-32 in every slice (RFC 9043, 4.9), checked without decoding."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from videocolor.video.opening import ignore, main_video, open_input, read_packets

__all__ = ["SliceSums", "check_slices"]

_FOOTER: Final = 8
"""Bytes: size of the slice (3), error status (1), CRC (4)."""
_INVERTED: Final = 0xFFFFFFFF
_REVERSED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
"""FFV1's CRC takes the highest bit first and begins with 0, zlib's takes the lowest first and begins inverted."""


@dataclass(frozen=True)
class SliceSums:
    """Slices of a film and their checksums."""

    slices: int
    wrong: int
    first_wrong: int | None
    """Packet of the first wrong slice, from 0; in FFV1 a packet is a frame."""


def check_slices(film: Path) -> SliceSums | None:
    """Check the CRC of every slice; reads the film once, one packet in memory.

    Returns:
        None: not FFV1, or no slice has a CRC.

    Raises:
        InputError: the film cannot be read.
    """
    slices = wrong = 0
    first: int | None = None
    with open_input(film) as container:
        stream = main_video(container, film)
        if stream.codec_context.name != "ffv1":
            return None
        for other in container.streams:
            if other.index != stream.index:
                ignore(other)
        for number, packet in enumerate(packet for packet in read_packets(container, [stream]) if packet.size):
            for right in _slices(bytes(packet)):
                slices += 1
                wrong += not right
                first = number if first is None and not right else first
    return None if wrong == slices else SliceSums(slices, wrong, first)


def _slices(data: bytes) -> Iterator[bool]:
    """Yield for each slice of a packet, from its end, whether CRC and status are right."""
    while data:
        size = int.from_bytes(data[-_FOOTER : -_FOOTER + 3], "big") + _FOOTER
        if size > len(data):
            yield False
            return
        part = data[-size:]
        yield not part[-5] and zlib.crc32(part.translate(_REVERSED), _INVERTED) == _INVERTED
        data = data[:-size]
