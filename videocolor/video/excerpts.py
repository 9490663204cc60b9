"""Single shots of a finished film with handles, for a conform, copied as they are; and gray films of given luma."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from av.packet import Packet

from videocolor.errors import OutputError
from videocolor.files import part_name
from videocolor.types import Array, ColorSpec
from videocolor.video.opening import fraction, main_video, muxer_errors, open_input, read_packets, url
from videocolor.video.tags import output_numbers

__all__ = ["GRAY_FORMATS", "cut_excerpts", "write_gray"]


def cut_excerpts(film: Path, excerpts: Sequence[tuple[Path, int, int, str | None]]) -> None:
    """Write frames of a film into files of their own, each beginning at zero, without sound.

    Args:
        film: every frame of it is a keyframe (FFV1 with `g=1`, ProRes, DNxHR).
        excerpts: (target, first frame, exclusive end, timecode of the first frame), by first frame; they may overlap.

    Raises:
        OutputError: a frame of the film needs others, a target exists or cannot be written.
    """
    for target, *_ in excerpts:
        if target.exists():
            raise OutputError(f"{target}: exists already; give another folder")
    waiting, running = list(excerpts), list[_Excerpt]()
    with ExitStack() as undo, open_input(film) as source:
        stream = main_video(source, film)
        packets = (packet for packet in read_packets(source, [stream]) if packet.size)
        for index, packet in enumerate(packets):
            if not packet.is_keyframe:
                raise OutputError(
                    f"{film}: frame {index} needs others, so shots cannot be cut out of it exactly; color it with "
                    "--config prores, dnxhr or master"
                )
            while waiting and waiting[0][1] <= index:
                running.append(_Excerpt(stream, packet, *waiting.pop(0)))
                undo.callback(running[-1].discard)
            for excerpt in running:
                excerpt.add(packet)
            for excerpt in [each for each in running if each.end == index + 1]:
                excerpt.finish()
                running.remove(excerpt)
        for excerpt in running:
            excerpt.finish()


class _Excerpt:
    def __init__(
        self, template: Any, first: Packet[Any], target: Path, _start: int, end: int, timecode: str | None
    ) -> None:
        self.target, self.end, self._part, self._done = target, end, part_name(target), False
        self._first, base = first.pts or 0, fraction(first.time_base) or Fraction(1, 1000)
        with muxer_errors(target):
            options = {"video_track_timescale": str(base.denominator)} if target.suffix in (".mov", ".mp4") else {}
            self._out = av.open(url(self._part), "w", format=None, options=options)
            self._stream = self._out.add_stream_from_template(template, opaque=True)
            self._stream.codec_context.framerate = template.average_rate  # else no timecode in .mov, and no .mxf
            if timecode is not None:
                self._stream.metadata["timecode"] = timecode
                self._out.metadata["timecode"] = timecode

    def add(self, packet: Packet[Any]) -> None:
        """Copy a packet; others need it, too."""
        copy = Packet(bytes(packet))
        copy.pts = copy.dts = (packet.pts or 0) - self._first
        copy.duration, copy.time_base, copy.is_keyframe = packet.duration, packet.time_base, True
        copy.stream = self._stream
        with muxer_errors(self.target):
            self._out.mux(copy)

    def finish(self) -> None:
        """Complete the file and give it its name."""
        with muxer_errors(self.target):
            self._out.close()
            os.replace(self._part, self.target)
        self._done = True

    def discard(self) -> None:
        """Remove what is not complete."""
        if not self._done:
            self._out.close()
            self._part.unlink(missing_ok=True)


GRAY_FORMATS: Final = {8: "gray", 10: "gray10le", 12: "gray12le", 16: "gray16le"}
"""Bits a sample -> FFmpeg's name."""


def write_gray(path: Path, lumas: Iterable[Array], rate: Fraction, depth: int, color: ColorSpec) -> int:
    """Write luma samples as FFV1 in Matroska; how many frames there are.

    Args:
        path: the file to write.
        lumas: (h, w) uint8, or uint16 of `depth` bits, all of one size.
        rate: frames a second.
        depth: 8, 10, 12 or 16.
        color: how samples map to color.
    """
    count, tags = 0, output_numbers(color)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=rate)
        for luma in lumas:
            if count == 0:
                stream.height, stream.width = luma.shape
                stream.pix_fmt = GRAY_FORMATS[depth]
                stream.codec_context.color_range, stream.codec_context.colorspace = tags.range, tags.matrix
                stream.codec_context.color_primaries = tags.primaries
                stream.codec_context.color_trc = tags.transfer
                stream.codec_context.time_base = 1 / rate
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(luma), format=GRAY_FORMATS[depth])
            frame.pts, frame.time_base = count, 1 / rate
            frame.color_range, frame.colorspace = tags.range, tags.matrix
            out.mux(stream.encode(frame))
            count += 1
        if count:
            out.mux(stream.encode(None))
    return count
