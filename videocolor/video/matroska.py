"""The display size in Matroska's header, which FFmpeg's muxer writes only where a stream states its pixels' shape.

PyAV cannot state that for a stream, and FFV1, VP9 and others have no place for it in their own bits: an anamorphic film
would be shown in the wrong shape. So room is kept in the header, in the name of the picture's stream, and when the file
is whole DisplayWidth and DisplayHeight (RFC 9559, sections 5.1.4.1.28.12 and .13) are written there. Nothing moves.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

from videocolor.errors import OutputError
from videocolor.types import VideoInfo

__all__ = ["RESERVED", "needs_display_size", "write_display_size"]

RESERVED: Final = " (videocolor keeps this room for the display size)"
"""Suffix of the name of the picture's stream until the file is complete."""
_IN_BAND: Final = frozenset({"libx264", "libx265", "mpeg4", "mpeg2video"})
"""Encoders that write the shape of pixels into their own bits, which players read."""
_SEGMENT, _TRACKS, _CLUSTER, _ENTRY = 0x18538067, 0x1654AE6B, 0x1F43B675, 0xAE
_NAME, _VIDEO, _VOID, _CRC = 0x536E, 0xE0, 0xEC, 0xBF
_DISPLAY_WIDTH, _DISPLAY_HEIGHT, _DISPLAY_UNIT = 0x54B0, 0x54BA, 0x54B2
_HEAD: Final = 2**26


@dataclass(frozen=True)
class _Element:
    """An EBML element (RFC 8794) in a buffer."""

    id: int
    begin: int
    """Of its identifier."""
    data: int
    """Of what it holds."""
    end: int


def needs_display_size(container: str, codec: str, info: VideoInfo) -> bool:
    """Whether the shape of the film's pixels is lost unless it is written into the header."""
    return container in ("matroska", "webm") and codec not in _IN_BAND and info.sar != 1


def write_display_size(path: Path, width: int, height: int, sar: Fraction) -> None:
    """State how a film is shown, in the room that `RESERVED` keeps in the name of its picture.

    The size has exactly the film's display aspect, and of such sizes the one whose height is nearest to the stored one
    (FFmpeg keeps the height and rounds the width, by which 64x48 with pixels of 4:3 would come back as 85:64).

    Args:
        path: a complete Matroska or WebM file.
        width: of the picture as stored.
        height: of the picture as stored.
        sar: its sample aspect ratio.

    Raises:
        OutputError: the file has no such room.
    """
    with path.open("rb+") as file:
        head = bytearray(file.read(_HEAD))
        tracks = _find_tracks(head)
        for entry in () if tracks is None else _elements(head, tracks.data, tracks.end):
            made = _with_size(head, entry, *_shown(width, height, sar)) if entry.id == _ENTRY else None
            if tracks is None or made is None:
                continue
            head[entry.data : entry.end] = made
            first = next(_elements(head, tracks.data, tracks.end))
            if first.id == _CRC:
                head[first.data : first.end] = zlib.crc32(head[first.end : tracks.end]).to_bytes(4, "little")
            file.seek(tracks.begin)
            file.write(head[tracks.begin : tracks.end])
            return
    raise OutputError(f"{path}: its header has no room for the display size")


def _shown(width: int, height: int, sar: Fraction) -> tuple[int, int]:
    aspect = width * sar / height
    times = max(1, round(height / aspect.denominator))
    return aspect.numerator * times, aspect.denominator * times


def _with_size(head: bytearray, entry: _Element, width: int, height: int) -> bytes | None:
    """Write a track's elements in as many bytes, the name shortened, the display size added; None: it has no room."""
    made, found = bytearray(), False
    for child in _elements(head, entry.data, entry.end):
        whole, held = head[child.begin : child.end], head[child.data : child.end]
        if child.id == _NAME and held.endswith(RESERVED.encode()):
            name = held[: -len(RESERVED.encode())]
            whole, found = _element(_NAME, name) if name else bytearray(), True
        elif child.id == _VIDEO:
            # FFmpeg has written that the unit is unknown; left out, it is pixels.
            kept = (c for c in _elements(head, child.data, child.end) if c.id != _DISPLAY_UNIT)
            video = bytearray().join(head[c.begin : c.end] for c in kept)
            whole = _element(_VIDEO, video + _number(_DISPLAY_WIDTH, width) + _number(_DISPLAY_HEIGHT, height))
        made += whole
    room = entry.end - entry.data - len(made)
    if not found or room < 2:
        return None
    void = _element(_VOID, bytearray(room - 2))
    return bytes(made + void) if len(void) == room else bytes(made + _element(_VOID, bytearray(room - 3)))


def _find_tracks(head: bytearray) -> _Element | None:
    """Find the element that describes the streams."""
    for top in _elements(head, 0, len(head)):
        if top.id != _SEGMENT:
            continue
        for child in _elements(head, top.data, len(head)):
            if child.id == _TRACKS:
                return child
            if child.id == _CLUSTER:
                break
        break
    return None


def _elements(head: bytearray, begin: int, end: int) -> Iterator[_Element]:
    """List the elements between two offsets, as far as they are in the buffer (a segment's end need not)."""
    at = begin
    while at < end:
        id_length = _length(head[at])
        size_at = at + id_length
        if id_length > 4 or size_at >= len(head):
            return
        size_length = _length(head[size_at])
        data = size_at + size_length
        size = int.from_bytes(head[size_at:data], "big") & ((1 << 7 * size_length) - 1)
        element = _Element(int.from_bytes(head[at:size_at], "big"), at, data, data + size)
        if element.id != _SEGMENT and element.end > len(head):
            return
        yield element
        at = element.end


def _length(first: int) -> int:
    """Bytes of a variable-size integer, by its first one."""
    return 9 - first.bit_length()


def _element(identifier: int, data: bytes | bytearray) -> bytearray:
    """Encode an element with the shortest size that says its length."""
    length = next(n for n in range(1, 9) if len(data) < (1 << 7 * n) - 1)
    size = (len(data) | 1 << 7 * length).to_bytes(length, "big")
    return bytearray(identifier.to_bytes((identifier.bit_length() + 7) // 8, "big") + size + data)


def _number(identifier: int, value: int) -> bytearray:
    """Encode an element that holds an unsigned integer."""
    return _element(identifier, value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big"))
