"""Side data of frames that an encoder does not write, found at the frame where each kind begins.

Mastering display and content light levels (SMPTE ST 2086, CTA-861.3) are written where encoders have options for them:
FFmpeg's take them from the stream, where PyAV cannot state them.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from itertools import islice
from typing import Final

import av
import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame

from videocolor.errors import InputError
from videocolor.types import Array, Frame, VideoInfo
from videocolor.video.carrier import CARRIED, KindFinder, carried_kinds, side_data
from videocolor.video.film import PictureEncoder
from videocolor.video.output import OutputPlan
from videocolor.video.reader import VideoReader
from videocolor.video.streams import is_dropped

__all__ = ["UnwrittenFinder", "name_unwritten", "trial_planes", "unwritten_later", "with_light"]


def trial_planes(plan: OutputPlan, frame: Frame) -> tuple[Array, Array, Array]:
    """Return the planes of a frame as they are written, with neutral chroma."""
    width, height = plan.chroma_size
    depth = plan.layout.depth
    neutral = np.full((height, width), 1 << (depth - 1), np.uint8 if depth <= 8 else np.uint16)
    return frame.luma if plan.luma_map is None else np.take(plan.luma_map, frame.luma), neutral, neutral


def name_unwritten(kinds: Iterable[str], codec: str) -> Iterator[str]:
    """Name kinds of side data, sorted, that an encoder does not write."""
    for kind in sorted(kinds):
        others = f" (it is not given it; {', '.join(LIGHT_ENCODERS)} are)" if kind in LIGHT else ""
        if others and codec in LIGHT_ENCODERS:
            others = " (it is given that of the film's first frame)"
        yield f"{CARRIED[kind]}: {codec} does not write it{others}"


class UnwrittenFinder:
    """Finds kinds of side data that begin after the film's first frames and that the encoder does not write.

    Args:
        info: the source.
        plan: of the output; what it names is known.
    """

    def __init__(self, info: VideoInfo, plan: OutputPlan) -> None:
        self._info, self._plan = info, plan
        self._kinds = KindFinder(kind for kind, name in CARRIED.items() if is_dropped(name, plan.dropped))

    def find(self, frame: Frame) -> tuple[str, ...]:
        """Return, in words, what begins with this frame and is not written; each kind once."""
        kinds = self._kinds.begin(frame) if self._info.format != "image2" else set()  # pictures carry nothing
        if not kinds:
            return ()
        try:
            kept = set() if self._plan.container == "image2" else carried_kinds(self._written(frame))
        except FFmpegError as error:  # a second encoder beside the film's may be refused, as by hardware
            return tuple(
                f"{CARRIED[kind]}: may be left out; {self._plan.codec} could not be tried ({error})"
                for kind in sorted(kinds)
            )
        return tuple(f"left out: {name}" for name in name_unwritten(kinds - kept, self._plan.codec))

    def _written(self, frame: Frame) -> list[VideoFrame]:
        """Encode one frame as the film's are, and decode it."""
        file = io.BytesIO()
        with av.open(file, "w", format=self._plan.container) as out:
            encoder = PictureEncoder(out, self._plan.stored(self._info), self._plan, frame)
            packets = encoder.encode(frame, *trial_planes(self._plan, frame), shift=frame.pts)
            for packet in (*packets, *encoder.flush()):
                packet.dts = packet.pts  # x265 leaves it unset
                out.mux(packet)
        file.seek(0)
        with av.open(file, "r") as made:
            return list(made.decode(video=0))


def unwritten_later(info: VideoInfo, plan: OutputPlan, begins: Mapping[str, int]) -> tuple[str, ...]:
    """Return, in words, what begins later in a film and is not written.

    Args:
        info: the source.
        plan: of the output.
        begins: kind of side data -> time of the first frame that has it, in ticks.
    """
    finder, said = UnwrittenFinder(info, plan), dict[str, None]()
    for pts in sorted(set(begins.values())):
        with VideoReader(info, start=pts * info.time_base, end=None, fast=False, threads=1) as video:
            try:
                frames = list(islice(video, 1))
            except InputError:  # where a seek leads elsewhere, the run finds it
                continue
        said |= dict.fromkeys(text for frame in frames for text in finder.find(frame))
    return tuple(said)


LIGHT: Final = ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL")
"""Kinds of side data."""
_OPTIONS: Final = {
    "libx264": ("x264-params", "mastering-display", "cll"),
    "libx265": ("x265-params", "master-display", "max-cll"),
    "libsvtav1": ("svtav1-params", "mastering-display", "content-light"),
}
"""Encoder -> its option of options, and the names of the two in there."""
LIGHT_ENCODERS: Final = tuple(_OPTIONS)
_DISPLAY: Final = struct.Struct("@20i2i")
"""FFmpeg's AVMasteringDisplayMetadata: R, G, B, white (x, y), least and most luminance as rationals; flags."""


def with_light(codec: str, options: Mapping[str, str], frame: VideoFrame) -> dict[str, str]:
    """Add what a frame says of light to an encoder's options, unless they say it themselves.

    Args:
        codec: FFmpeg's name of the encoder.
        options: its options.
        frame: the film's first.
    """
    if codec not in _OPTIONS:
        return dict(options)
    option, display, levels = _OPTIONS[codec]
    said: dict[str, str] = {}
    for kind, data in side_data(frame):
        if kind == LIGHT[0] and len(data) >= _DISPLAY.size:
            said[display] = _display(data, real=codec == "libsvtav1")
        elif kind == LIGHT[1] and len(data) >= 8:
            said[levels] = "{},{}".format(*struct.unpack_from("@2I", data))
    given = options.get(option, "")
    added = [f"{name}={value}" for name, value in said.items() if value and f"{name}=" not in given]
    return {**options, option: ":".join(filter(None, (*added, given)))} if added else dict(options)


def _display(data: bytes, *, real: bool) -> str:
    """Write a mastering display as x264 and x265 take it; `real`: in units of 1, as SVT-AV1 does."""
    *numbers, has_primaries, has_luminance = _DISPLAY.unpack_from(data)
    if not (has_primaries and has_luminance and all(numbers[1::2])):
        return ""
    values = [Fraction(a, b) for a, b in zip(numbers[0::2], numbers[1::2], strict=True)]
    least, most = values[8:]

    def pair(first: Fraction, second: Fraction, unit: int) -> str:
        return (
            f"({float(first):.6g},{float(second):.6g})" if real else f"({round(first * unit)},{round(second * unit)})"
        )

    places = {"G": values[2:4], "B": values[4:6], "R": values[0:2], "WP": values[6:8]}
    return "".join(f"{name}{pair(x, y, 50000)}" for name, (x, y) in places.items()) + f"L{pair(most, least, 10000)}"
