"""The display size and the crop in Matroska's header, which FFmpeg writes only where a stream states them.

PyAV cannot state them for a stream, and FFV1, VP9 and others have no place for it in their own bits: an anamorphic film
would be shown in the wrong shape. So room is kept in the header, in the name of the picture's stream, and when the file
is whole DisplayWidth and DisplayHeight (RFC 9559, sections 5.1.4.1.28.12 and .13) are written there. Nothing moves.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
from av.error import FFmpegError

from videocolor.errors import OutputError
from videocolor.types import VideoInfo

__all__ = ["RESERVED", "needs_display_size", "read_crop", "write_display_size"]

RESERVED: Final = " (videocolor keeps this room for the display size)"
"""Suffix of the name of the picture's stream until the file is complete."""
_IN_BAND: Final = frozenset({"libx264", "libx265", "mpeg4", "mpeg2video"})
"""Encoders that write the shape of pixels into their own bits, which players read."""
_SEGMENT, _TRACKS, _CLUSTER, _ENTRY = 0x18538067, 0x1654AE6B, 0x1F43B675, 0xAE
_NAME, _VIDEO, _VOID, _CRC = 0x536E, 0xE0, 0xEC, 0xBF
_DISPLAY_WIDTH, _DISPLAY_HEIGHT, _DISPLAY_UNIT = 0x54B0, 0x54BA, 0x54B2
_CROPS: Final = (0x54CC, 0x54BB, 0x54DD, 0x54AA)
"""PixelCropLeft, Top, Right and Bottom (RFC 9559, section 5.1.4.1.28.8 to .11)."""
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
    """Whether the shape of the film's pixels, or its crop, is lost unless it is written into the header."""
    if container in ("mp4", "mov"):
        return any(info.crop)
    return container in ("matroska", "webm") and (any(info.crop) or (codec not in _IN_BAND and info.sar != 1))


def read_crop(stream: Any) -> tuple[int, int, int, int]:
    """Return the pixels at left, top, right and bottom that a container hides.

    PyAV does not tell; FFmpeg's muxer writes what its demuxer read, be it of Matroska or of MP4, into a header of ours.
    """
    with io.BytesIO() as file:
        with av.open(file, "w", format="matroska") as out:
            try:
                out.add_stream_from_template(stream, opaque=True)
                out.start_encoding()
            except (FFmpegError, ValueError):
                return 0, 0, 0, 0
        head = bytearray(file.getvalue())
    tracks = _find_tracks(head)
    entries = () if tracks is None else _elements(head, tracks.data, tracks.end)
    videos = (c for e in entries if e.id == _ENTRY for c in _elements(head, e.data, e.end) if c.id == _VIDEO)
    found = {
        c.id: int.from_bytes(head[c.data : c.end], "big")
        for video in videos
        for c in _elements(head, video.data, video.end)
    }
    left, top, right, bottom = (found.get(number, 0) for number in _CROPS)
    return left, top, right, bottom


def write_display_size(
    path: Path, width: int, height: int, sar: Fraction, crop: tuple[int, int, int, int] = (0, 0, 0, 0)
) -> None:
    """State how a film is shown, in the room that `RESERVED` keeps in the name of its picture.

    The size has exactly the film's display aspect, and of such sizes the one whose height is nearest to the stored one
    (FFmpeg keeps the height and rounds the width, by which 64x48 with pixels of 4:3 would come back as 85:64).

    Args:
        path: a complete Matroska or WebM file.
        width: of the picture as stored.
        height: of the picture as stored.
        sar: its sample aspect ratio.
        crop: pixels at left, top, right and bottom that are hidden; the display size is of the rest.

    Raises:
        OutputError: the file has no such room.
    """
    shown = _shown(width - crop[0] - crop[2], height - crop[1] - crop[3], sar)
    said = bytearray().join(_number(name, value) for name, value in zip(_CROPS, crop, strict=True) if value)
    said += _number(_DISPLAY_WIDTH, shown[0]) + _number(_DISPLAY_HEIGHT, shown[1])
    with path.open("rb+") as file:
        head = bytearray(file.read(_HEAD))
        tracks = _find_tracks(head)
        for entry in () if tracks is None else _elements(head, tracks.data, tracks.end):
            made = _with_size(head, entry, said) if entry.id == _ENTRY else None
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


def _with_size(head: bytearray, entry: _Element, said: bytearray) -> bytes | None:
    """Write a track's elements in as many bytes, the name shortened, the sizes added; None: it has no room."""
    made, found = bytearray(), False
    for child in _elements(head, entry.data, entry.end):
        whole, held = head[child.begin : child.end], head[child.data : child.end]
        if child.id == _NAME and held.endswith(RESERVED.encode()):
            name = held[: -len(RESERVED.encode())]
            whole, found = _element(_NAME, name) if name else bytearray(), True
        elif child.id == _VIDEO:
            # FFmpeg has written that the unit is unknown; left out, it is pixels.
            given = (_DISPLAY_UNIT, _DISPLAY_WIDTH, _DISPLAY_HEIGHT)
            kept = (c for c in _elements(head, child.data, child.end) if c.id not in given)
            video = bytearray().join(head[c.begin : c.end] for c in kept)
            whole = _element(_VIDEO, video + said)
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
