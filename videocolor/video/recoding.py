"""Sound that a container takes in no other way, stored as PCM: the very samples that its decoder gives.

MXF takes 16 and 24 bits only; what a decoder gives as floating point is rounded to 24 there.
"""

from __future__ import annotations

from typing import Any, Final

from av.audio.resampler import AudioResampler
from av.container import OutputContainer
from av.packet import Packet

__all__ = ["SoundRecoder"]

_PCM: Final = {"u8": "pcm_u8", "s16": "pcm_s16le", "s32": "pcm_s32le", "flt": "pcm_f32le", "dbl": "pcm_f64le"}


class SoundRecoder:
    """Decodes a sound stream and stores it as PCM of the decoder's sample format.

    Args:
        out: before its header.
        stream: of the source; its decoder is used.
    """

    def __init__(self, out: OutputContainer, stream: Any) -> None:
        self._decoder: Any = stream.codec_context
        layout, rate = self._decoder.layout.name, self._decoder.sample_rate
        packed = self._decoder.format.packed.name
        codec = _PCM[packed]
        if out.format.name == "mxf" and packed != "s16":  # it takes PCM of 16 and 24 bits
            packed, codec = "s32", "pcm_s24le"
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
            made += self._encode(frame)
        return made

    def _encode(self, frame: Any) -> list[Packet[Any]]:
        made: list[Packet[Any]] = []
        for part in self._packing.resample(frame):
            made += self.stream.encode(part)
        return made

    def flush(self) -> list[Packet[Any]]:
        """Return the packets that are left."""
        made = [packet for frame in self._decoder.decode(None) for packet in self._encode(frame)]
        return [*made, *self._encode(None), *self.stream.encode(None)]
