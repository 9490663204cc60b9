"""Side data of frames that an encoder does not write, found at the frame where each kind begins."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

import av
import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame

from videocolor.errors import InputError
from videocolor.types import Array, Frame, VideoInfo
from videocolor.video.carrier import CARRIED, KindFinder, carried_kinds
from videocolor.video.film import PictureEncoder
from videocolor.video.light import LIGHT, LIGHT_ENCODERS
from videocolor.video.output import OutputPlan
from videocolor.video.reader import VideoReader
from videocolor.video.streams import is_dropped

__all__ = ["UnwrittenFinder", "name_unwritten", "trial_planes", "unwritten_later"]


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
