"""Single shots of a finished film with handles, for a conform: packets of the picture, copied as they are."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.packet import Packet

from videocolor.errors import OutputError
from videocolor.files import part_name
from videocolor.video.opening import fraction, main_video, muxer_errors, open_input, read_packets, url

__all__ = ["cut_excerpts"]


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
