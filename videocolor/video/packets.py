"""Digests of copied streams: what the source holds beside the picture, the result must hold, byte for byte.

Compared is the payload of all packets of a stream, joined: containers may cut PCM or E-AC-3 into other packets; of
covers and attachments, which are streams in some containers and files in others, the file. Not payload are the
headers of ADTS, which MP4 and Matroska keep in the stream's description (ISO/IEC 14496-3, 1.A.2.2), and the empty
samples between lines of text in MP4 (ISO/IEC 14496-17).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from av.container import InputContainer
from av.packet import Packet

from videocolor.video.opening import ignore, open_input, read_packets
from videocolor.video.streams import is_cover, other_streams, stream_name

__all__ = ["PacketSums", "StreamDigest", "Written", "attached_files", "cover_packets", "digests_of", "sums_of"]

_ADTS_SYNC = 0xFFF0
"""The first twelve bits of a header, all set, and the layer, which is 0."""


@dataclass(frozen=True)
class StreamDigest:
    """What was copied of a stream."""

    stream: str
    """As `stream_name` names it in the source."""
    packets: int
    bytes: int
    """Of payload."""
    sha256: str
    """Of the payload of all packets, joined."""
    stored: str = ""
    """As what it is stored, where it is not copied; the digest is of that."""


@dataclass(frozen=True)
class Written:
    """What came of the streams beside the picture."""

    warnings: tuple[str, ...] = ()
    """What the source did not give: read errors, the timecode of a trimmed film."""
    copied: tuple[StreamDigest, ...] = ()
    """Streams whose packets are all in the result, as it was read back."""


@dataclass
class _Sum:
    packets: int = 0
    bytes: int = 0
    hash: Any = field(default_factory=hashlib.sha256)


class PacketSums:
    """Adds up packets, stream by stream.

    Args:
        codecs: codec of each stream, by the number that `add` gets.
    """

    def __init__(self, codecs: Mapping[int, str]) -> None:
        self._codecs = codecs
        self._sums: dict[int, _Sum] = {}

    def add(self, index: int, packet: Packet[Any]) -> None:
        """Add a packet to its stream."""
        data = _payload(self._codecs.get(index, ""), bytes(packet))
        if data:
            found = self._sums.setdefault(index, _Sum())
            found.packets += 1
            found.bytes += len(data)
            found.hash.update(data)

    def digest(self, index: int, name: str, stored: str = "") -> StreamDigest:
        """Return what was added of a stream."""
        found = self._sums.get(index, _Sum())
        return StreamDigest(name, found.packets, found.bytes, found.hash.hexdigest(), stored)


def _payload(codec: str, data: bytes) -> bytes:
    if codec == "aac" and len(data) > 7 and int.from_bytes(data[:2], "big") & 0xFFF6 == _ADTS_SYNC:
        return data[7 if data[1] & 1 else 9 :]
    return b"" if codec == "mov_text" and data == b"\0\0" else data


def sums_of(path: Path, streams: Iterable[int]) -> PacketSums:
    """Read the packets of some streams of a film.

    Raises:
        InputError: it cannot be read.
    """
    wanted = set(streams)
    with open_input(path) as container:
        chosen = [stream for stream in container.streams if stream.index in wanted]
        for stream in container.streams:
            if stream.index not in wanted:
                ignore(stream)
        sums = PacketSums({s.index: s.codec_context.name for s in chosen if s.codec_context is not None})
        for packet in read_packets(container, chosen) if chosen else ():
            if packet.size:
                sums.add(packet.stream_index, packet)
    return sums


def digests_of(film: Path, names: Collection[str]) -> list[StreamDigest]:
    """Read those streams of a source that have these names (`stream_name`): packets, covers, attachments.

    Raises:
        InputError: it cannot be read.
    """
    with open_input(film) as container:
        known = {stream.index: stream_name(stream) for stream in other_streams(container, film)}
    files = [digest for digest in attached_files(film) if digest.stream in names]
    others = {digest.stream for digest in files}
    found = {index: name for index, name in known.items() if name in names and name not in others}
    sums = sums_of(film, found)
    return [*files, *(sums.digest(index, name) for index, name in found.items())]


def attached_files(film: Path) -> list[StreamDigest]:
    """Read covers and attachments of a film.

    Raises:
        InputError: it cannot be read.
    """
    found = []
    with open_input(film) as container:
        streams = [s for s in other_streams(container, film) if is_cover(s) or s.type == "attachment"]
        files = {s.index: bytes(s.data or b"") for s in streams if s.type == "attachment"}
        files |= {index: bytes(packet) for index, packet in cover_packets(container, streams).items()}
        for stream in streams:
            if stream.index in files:
                data = files[stream.index]
                found.append(StreamDigest(stream_name(stream), 1, len(data), hashlib.sha256(data).hexdigest()))
    return found


def cover_packets(container: InputContainer, streams: Iterable[Any]) -> dict[int, Packet[Any]]:
    """Read the covers among some streams of a film that was opened for this."""
    covers = [stream for stream in streams if is_cover(stream)]
    found: dict[int, Packet[Any]] = {}
    for packet in read_packets(container, covers) if covers else ():
        if packet.size:
            found.setdefault(packet.stream_index, packet)
        if len(found) == len(covers):
            break
    return found
