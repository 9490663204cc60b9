"""Labels that machines read: where the picture comes from, in the container's own metadata.

The value is IPTC's term for media that were altered by a trained algorithm (IPTC NewsCodes, Digital Source Type). MP4
and QuickTime hold it as XMP in a `uuid` box (XMP Specification part 3, 1.2.7), Matroska and WebM as a tag.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import BinaryIO, Final
from uuid import UUID

from videocolor.errors import InputError
from videocolor.video.opening import open_input

__all__ = ["DIGITAL_SOURCE_TYPE", "label_tags", "read_labels", "write_xmp"]

DIGITAL_SOURCE_TYPE: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
_TAG: Final = "DIGITAL_SOURCE_TYPE"
_XMP: Final = UUID("be7acfcb-97a9-42e8-9c71-999491e3afac").bytes
_LONGEST: Final = 1 << 20
"""Bytes of a packet that are read at most."""
_PACKET: Final = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">
<Iptc4xmpExt:DigitalSourceType>{source}</Iptc4xmpExt:DigitalSourceType>
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{text}</rdf:li></rdf:Alt></dc:description>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>"""


def label_tags(container: str) -> dict[str, str]:
    """Return the tags of a container that holds any tag; MP4 and QuickTime get XMP by `write_xmp`."""
    return {_TAG: DIGITAL_SOURCE_TYPE} if container in ("matroska", "webm") else {}


def write_xmp(path: Path, text: str) -> None:
    """Append XMP with the digital source type and a description to a complete MP4 or QuickTime file."""
    packet = _PACKET.format(source=DIGITAL_SOURCE_TYPE, text=escape(text, quote=False)).encode()
    with path.open("ab") as file:
        file.write(struct.pack(">I4s", 24 + len(packet), b"uuid") + _XMP + packet)


def read_labels(path: Path) -> tuple[str | None, str | None]:
    """Return the digital source type and the comment that a film's container states.

    Raises:
        InputError: it cannot be read.
    """
    with open_input(path) as container:
        tags = {key.lower(): value for key, value in container.metadata.items()}
    source = tags.get(_TAG.lower())
    if source is None and path.suffix.lower() in (".mp4", ".mov", ".m4v"):
        source = DIGITAL_SOURCE_TYPE if any(DIGITAL_SOURCE_TYPE in packet for packet in _packets(path)) else None
    return source, tags.get("comment")


def _packets(path: Path) -> Iterator[str]:
    """Yield the XMP of the top-level boxes."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            yield from _boxes(file, size)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def _boxes(file: BinaryIO, size: int) -> Iterator[str]:
    at = 0
    while at + 8 <= size:
        file.seek(at)
        head = file.read(24)
        length = int.from_bytes(head[:4], "big")
        length = int.from_bytes(head[8:16], "big") if length == 1 else length or size - at
        if head[4:8] == b"uuid" and head[8:24] == _XMP:
            yield file.read(min(max(length - 24, 0), _LONGEST)).decode(errors="replace")
        at += max(length, 8)
