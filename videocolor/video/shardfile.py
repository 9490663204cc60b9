r"""A shard of a film: its encoded picture, packet by packet, with exact times.

No container serves: NUT and Matroska keep no decoding times, QuickTime shifts them and does not take every codec,
and what is merged from shards must be packet for packet what one encoder would have written. So a shard is

    b"videocolor shard 1\\n"
    one line of JSON          codec, pix_fmt, width, height, time_base, extradata (hex)
    packets                   size, flags (u32 each), pts, dts, duration (i64 each, in time_base), then the data
    an end mark               size 0xffffffff, the number of packets

all numbers little-endian. `INT64_MIN` is a time that is not known.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import secrets
import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
from av.container import OutputContainer
from av.packet import Packet

from videocolor.errors import InputError
from videocolor.types import Array, Frame, VideoInfo
from videocolor.video.film import PictureEncoder
from videocolor.video.opening import muxer_errors
from videocolor.video.output import OutputPlan
from videocolor.video.packets import Written

__all__ = ["PacketFile", "ShardFile", "ShardSink", "shard_header", "sync_folder"]

_MAGIC: Final = b"videocolor shard 1\n"
_HEAD: Final = struct.Struct("<IIqqq")
_END: Final = 0xFFFFFFFF
_NONE: Final = -(2**63)
_KEY: Final = 1


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last through a loss of power, where the file system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


class PacketFile:
    """A shard file that grows under a temporary name; it gets its own when it is complete and synced."""

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        self.path = path
        # A worker that was given up for lost may still write: no two may have one name, on whatever machine.
        self._part = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
        self._file = self._part.open("wb")
        self._digest = hashlib.sha256()
        self._packets = 0
        self.bytes = 0
        self._write(_MAGIC)
        self._write(json.dumps(header).encode() + b"\n")

    @property
    def sha256(self) -> str:
        """Of what was written, in hex."""
        return self._digest.hexdigest()

    def add(self, data: bytes, pts: int | None, dts: int | None, duration: int, *, key: bool) -> None:
        """One packet, in the order of decoding."""
        times = (_NONE if t is None else t for t in (pts, dts))
        self._write(_HEAD.pack(len(data), _KEY if key else 0, *times, duration))
        self._write(data)
        self._packets += 1

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._digest.update(data)
        self.bytes += len(data)

    def finish(self) -> None:
        """Sync and rename."""
        self._write(_HEAD.pack(_END, 0, self._packets, 0, 0))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        os.replace(self._part, self.path)
        sync_folder(self.path.parent)

    def discard(self) -> None:
        """Remove what was written."""
        self._file.close()
        self._part.unlink(missing_ok=True)


class ShardSink:
    """Where the planes of a shard go; a sink of `VideoWriter`."""

    def __init__(self, info: VideoInfo, plan: OutputPlan, path: Path) -> None:
        self._info, self._plan, self.path = plan.stored(info), plan, path
        self._file: PacketFile | None = None
        self._encoder: PictureEncoder | None = None
        self._out: OutputContainer | None = None

    @property
    def sha256(self) -> str:
        """Of the file, in hex; final after `finish`."""
        return "" if self._file is None else self._file.sha256

    @property
    def bytes(self) -> int:
        """Size of the file; final after `finish`."""
        return 0 if self._file is None else self._file.bytes

    def put(self, frame: Frame, luma: Array, cb: Array, cr: Array, *, key: bool = False) -> None:
        """Encode one frame; `key`: decoding can begin with it."""
        with muxer_errors(self.path):
            if self._encoder is None:
                # The container is never written to; the encoder is set up by it as it will be by the film's.
                self._out = av.open(io.BytesIO(), "w", format=self._plan.container)
                self._encoder = PictureEncoder(self._out, self._info, self._plan, frame)
            self._add(self._encoder.encode(frame, luma, cb, cr, key=key))

    def _add(self, packets: list[Any]) -> None:
        assert self._encoder is not None
        if self._file is None:
            self._file = PacketFile(self.path, shard_header(self._info, self._plan, self._encoder.extradata))
        for packet in packets:
            base = Fraction(packet.time_base)
            if base != self._info.time_base:
                raise ValueError(f"{self.path}: the encoder counts in {base}, the film in {self._info.time_base}")
            self._file.add(bytes(packet), packet.pts, packet.dts, packet.duration or 0, key=packet.is_keyframe)

    def finish(self) -> Written:
        """Flush the encoder, sync and rename the file."""
        assert self._encoder is not None
        with muxer_errors(self.path):
            self._add(self._encoder.flush())
            assert self._file is not None
            self._file.finish()
            self._release()
        return Written()

    def _release(self) -> None:
        if self._out is not None:
            self._out.close()
        self._encoder = self._out = None

    def discard(self) -> None:
        """Remove what was written."""
        self._release()
        if self._file is not None:
            self._file.discard()


def shard_header(info: VideoInfo, plan: OutputPlan, extradata: bytes | None) -> dict[str, Any]:
    """Make the first line of a shard file; `extradata`: the encoder's, None where it is not known."""
    return {
        "codec": plan.codec,
        "pix_fmt": plan.pix_fmt,
        "width": info.width,
        "height": info.height,
        "time_base": str(info.time_base),
        "extradata": None if extradata is None else extradata.hex(),
    }


@dataclass(frozen=True)
class ShardFile:
    """A shard on disk."""

    path: Path
    codec: str
    pix_fmt: str
    width: int
    height: int
    time_base: Fraction
    extradata: bytes | None
    """None: not known, the shard was taken out of a film."""
    _body: int
    """Where the packets begin."""

    @classmethod
    def open(cls, path: Path) -> ShardFile:
        """Read the header.

        Raises:
            InputError: it cannot be read or is no shard.
        """
        try:
            with path.open("rb") as file:
                if file.read(len(_MAGIC)) != _MAGIC:
                    raise InputError(f"{path}: is not a shard of videocolor")
                fields = json.loads(file.readline(1 << 20))
                base, words = Fraction(fields.pop("time_base")), fields.pop("extradata")
                extradata = None if words is None else bytes.fromhex(words)
                return cls(path, time_base=base, extradata=extradata, _body=file.tell(), **fields)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: its header is damaged ({error}); remove the file and run again") from error

    def packets(self) -> Iterator[Packet[Any]]:
        """Yield the packets in decoding order.

        Raises:
            InputError: the file is cut short or damaged.
        """
        with self.path.open("rb") as file:
            file.seek(self._body)
            count = 0
            while True:
                head = file.read(_HEAD.size)
                if len(head) < _HEAD.size:
                    raise InputError(f"{self.path}: is cut short after {count} packets; remove it and run again")
                size, flags, pts, dts, duration = _HEAD.unpack(head)
                if size == _END:
                    if pts != count:
                        raise InputError(f"{self.path}: holds {count} packets, {pts} were written")
                    return
                data = file.read(size)
                if len(data) < size:
                    raise InputError(f"{self.path}: is cut short in packet {count}; remove it and run again")
                packet: Packet[Any] = Packet(size)
                packet.update(data)  # memory of FFmpeg's: bytes of Python's must not be freed by a muxer's thread
                packet.time_base = self.time_base
                packet.pts = None if pts == _NONE else pts
                packet.dts = None if dts == _NONE else dts
                packet.duration = duration
                packet.is_keyframe = bool(flags & _KEY)
                count += 1
                yield packet
