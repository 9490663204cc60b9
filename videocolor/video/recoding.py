"""Streams that a container takes in no other way: sound stored as PCM, text subtitles as the container's own kind.

PCM holds the very samples that the decoder gives; MXF takes 16 and 24 bits only, and floating point is rounded to 24
there. Subtitles keep words, lines and times, and of their style what the new kind has.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final, Protocol

from av.audio.resampler import AudioResampler
from av.container import OutputContainer
from av.packet import Packet

__all__ = ["SUBTITLES", "Recoder", "SoundRecoder", "SubtitleRecoder"]

SUBTITLES: Final = {"mp4": "mov_text", "mov": "mov_text", "matroska": "subrip", "webm": "webvtt"}
"""Container -> the text subtitles that every player of it knows."""

_PCM: Final = {"u8": "pcm_u8", "s16": "pcm_s16le", "s32": "pcm_s32le", "flt": "pcm_f32le", "dbl": "pcm_f64le"}


_JITTER: Final = Fraction(1, 10)
"""Seconds by which a time may come late without a gap."""


class Recoder(Protocol):
    """What a stream is stored by in place of a copy."""

    stream: Any
    """Of the output."""

    def recode(self, packet: Packet[Any]) -> list[Packet[Any]]:
        """Decode a packet of the source, and return those that can be made of it, at its time."""

    def flush(self) -> list[Packet[Any]]:
        """Return the packets that are left."""


class SubtitleRecoder:
    """Stores text subtitles as another kind.

    Args:
        out: before its header.
        stream: of the source; its decoder is used.
        container: the muxer of `out`.
    """

    def __init__(self, out: OutputContainer, stream: Any, container: str) -> None:
        self._decoder: Any = stream.codec_context
        self._decoder.open(strict=False)
        self.stream: Any = out.add_stream(SUBTITLES[container])
        context: Any = self.stream.codec_context
        context.subtitle_header, context.time_base = self._decoder.subtitle_header or b"", Fraction(1, 1000)
        context.open(strict=False)
        self.stream.metadata.update(stream.metadata)
        self.stream.disposition = stream.disposition.value

    def recode(self, packet: Packet[Any]) -> list[Packet[Any]]:
        """Decode a line, and return it as the new kind, at its time."""
        found = self._decoder.decode2(packet)
        if found is None or not found.rects:
            return []
        made: Packet[Any] = self.stream.codec_context.encode_subtitle(found)
        made.pts = made.dts = packet.pts
        made.time_base = packet.time_base
        made.duration = packet.duration
        return [made]

    def flush(self) -> list[Packet[Any]]:
        """Return nothing: each line is complete."""
        return []


class SoundRecoder:
    """Decodes a sound stream and stores it as PCM of the decoder's sample format.

    Args:
        out: before its header.
        stream: of the source; its decoder is used.
    """

    def __init__(self, out: OutputContainer, stream: Any) -> None:
        self._decoder: Any = stream.codec_context
        layout, rate = self._decoder.layout.name, self._decoder.sample_rate
        if self._decoder.format is None:
            raise ValueError("nothing is known of its sound")
        packed = self._decoder.format.packed.name
        codec = _PCM[packed]
        if out.format.name == "mxf" and packed != "s16":  # it takes PCM of 16 and 24 bits
            packed, codec = "s32", "pcm_s24le"
        self._end: int | None = None
        """Sample after the last one."""
        self._packing = AudioResampler(format=packed, layout=layout, rate=rate)
        self.stream: Any = out.add_stream(codec, rate=rate, layout=layout)
        context: Any = self.stream.codec_context
        context.format = packed
        self.stream.metadata.update(stream.metadata)
        self.stream.disposition = stream.disposition.value

    def recode(self, packet: Packet[Any]) -> list[Packet[Any]]:
        """Decode a packet, and return those that can be made of it, at its time."""
        made: list[Packet[Any]] = []
        for frame in self._decoder.decode(packet):
            self._follow(frame)
            made += self._encode(frame)
        return made

    def _follow(self, frame: Any) -> None:
        """Have a frame's time follow on the one before, unless sound is missing there: some packets share a time."""
        rate = frame.sample_rate
        time = None if frame.pts is None else round(frame.pts * Fraction(frame.time_base) * rate)
        if self._end is not None and (time is None or time - self._end < _JITTER * rate):
            time = self._end
        if time is not None:
            frame.time_base, frame.pts = Fraction(1, rate), time
            self._end = time + frame.samples

    def _encode(self, frame: Any) -> list[Packet[Any]]:
        made: list[Packet[Any]] = []
        for part in self._packing.resample(frame):
            made += self.stream.encode(part)
        return made

    def flush(self) -> list[Packet[Any]]:
        """Return the packets that are left."""
        made: list[Packet[Any]] = []
        for frame in self._decoder.decode(None):
            self._follow(frame)
            made += self._encode(frame)
        return [*made, *self._encode(None), *self.stream.encode(None)]
