"""The clean aperture (`clap`) of MP4 and QuickTime, which FFmpeg writes only where a stream states its crop.

PyAV cannot state it. So room is kept in the name of the picture's track, as for Matroska's display size, and when the
file is whole the box (ISO/IEC 14496-12, 12.1.4) is written into the picture's description. Nothing else moves.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from videocolor.errors import OutputError
from videocolor.video.matroska import RESERVED

__all__ = ["write_aperture"]

_FIELDS: Final = 86
"""Bytes of a picture's description before its boxes (VisualSampleEntry, 12.1.3)."""
_WAY: Final = (b"mdia", b"minf", b"stbl", b"stsd")


@dataclass(frozen=True)
class _Box:
    kind: bytes
    begin: int
    data: int
    end: int


def write_aperture(path: Path, width: int, height: int, crop: tuple[int, int, int, int]) -> None:
    """State which part of the picture is shown, in the room that `RESERVED` keeps in the name of its track.

    Args:
        path: a complete MP4 or QuickTime file.
        width: of the picture as stored.
        height: of the picture as stored.
        crop: pixels at left, top, right and bottom that are hidden.

    Raises:
        OutputError: the file has no such room.
    """
    left, top, right, bottom = crop
    # Size, and the offset of its center from the picture's, as fractions.
    sizes = (width - left - right, 1, height - top - bottom, 1, left - right, 2, top - bottom, 2)
    aperture = _box(b"clap", struct.pack(">4I2iii", *sizes))
    with path.open("rb+") as file:
        file.seek(0, 2)
        size, at = file.tell(), 0
        while at + 8 <= size:
            file.seek(at)
            head = file.read(16)
            length = int.from_bytes(head[:4], "big")
            length = int.from_bytes(head[8:16], "big") if length == 1 else length or size - at
            if head[4:8] == b"moov":
                file.seek(at)
                moov = file.read(length)
                for track in _boxes(moov, 8, len(moov)):
                    made = _with_aperture(moov[track.begin : track.end], aperture) if track.kind == b"trak" else None
                    if made is not None:
                        file.seek(at + track.begin)
                        file.write(made)
                        return
            at += max(8, length)
    raise OutputError(f"{path}: its header has no room for the crop")


def _with_aperture(track: bytes, aperture: bytes) -> bytes | None:
    """Return a track of as many bytes, its name shortened and its description longer; None: it has no room."""
    said = RESERVED.encode()
    made = bytearray()
    found = False
    for child in _boxes(track, 8, len(track)):
        held = track[child.begin : child.end]
        if child.kind == b"udta" and said in held:
            names = [_named(held[box.begin : box.end], said) for box in _boxes(held, 8, len(held))]
            held, found = _box(b"udta", b"".join(names)) if any(names) else b"", True
        elif child.kind == b"mdia":
            held = _described(held, aperture)
        made += held
    room = len(track) - 8 - len(made)
    if not found or (room and room < 8):
        return None
    return _box(b"trak", bytes(made) + (_box(b"free", bytes(room - 8)) if room else b""))


def _named(box: bytes, said: bytes) -> bytes:
    if not box.endswith(said):
        return box
    name = box[8 : -len(said)]
    return _box(box[4:8], name) if name else b""


def _described(media: bytes, aperture: bytes) -> bytes:
    """Put a box into the first description of a track's pictures, and make all boxes around it longer."""
    data, grown = bytearray(media), [0]
    begin, end = 8, len(media)
    for kind in _WAY[1:]:
        box = next(box for box in _boxes(media, begin, end) if box.kind == kind)
        grown.append(box.begin)
        begin, end = box.data, box.end
    entry = next(_boxes(media, begin + 8, end))  # after version, flags and count
    for at in (*grown, entry.begin):
        data[at : at + 4] = (int.from_bytes(data[at : at + 4], "big") + len(aperture)).to_bytes(4, "big")
    place = entry.begin + _FIELDS
    return bytes(data[:place] + aperture + data[place:])


def _boxes(data: bytes, begin: int, end: int) -> Iterator[_Box]:
    at = begin
    while at + 8 <= end:
        size = int.from_bytes(data[at : at + 4], "big")
        if size < 8 or at + size > end:
            return
        yield _Box(bytes(data[at + 4 : at + 8]), at, at + 8, at + size)
        at += size


def _box(kind: bytes, data: bytes) -> bytes:
    return (8 + len(data)).to_bytes(4, "big") + kind + data
