"""Reading a film frame by frame: exact luma, exact times, and a list of what could not be read."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from videocolor.errors import InputError, NoVideoError, UnsupportedVideoError, UsageError
from videocolor.types import Frame, PixelLayout, VideoInfo
from videocolor.video.clock import Clock, Timing, keeps_end_times, stated_end, timing_of
from videocolor.video.formats import describe, split_planes
from videocolor.video.interlace import earlier_field
from videocolor.video.opening import (
    LEAP,
    clock_restarts,
    configure,
    ignore,
    main_video,
    open_input,
    read_packets,
    tolerant_frames,
)
from videocolor.video.pictures import fit_format, read_image, unlike
from videocolor.video.pipes import window_of
from videocolor.video.probe import probe
from videocolor.video.sequences import ImageSequence, find_sequence
from videocolor.video.wholeness import LossLog, cut_short

__all__ = ["VideoReader", "open_video"]

log = logging.getLogger(__name__)

_LEAP = Fraction(1)
"""A step back of this many seconds or more is a new count of time, not a jitter."""


def open_video(
    path: str | Path,
    *,
    rate: Fraction | None = None,
    start: Fraction | None = None,
    end: Fraction | None = None,
    fast: bool = False,
    threads: int = 0,
) -> VideoReader:
    """Open a film for reading.

    Args:
        path: A film, a still image, a number pattern, or a folder of images.
        rate: Frames a second of an image sequence.
        start: First film time in seconds that is read; None: from the beginning.
        end: Exclusive end in seconds of film time; None: to the end.
        fast: For analysis passes: samples may differ slightly (no deblocking) and RGB films have no chroma.
        threads: Decoder threads; 0 lets FFmpeg choose.

    Returns:
        A reader: a context manager, and an iterable of frames in the order of their times.

    Raises:
        InputError: And its kinds, as `probe` raises them.
        UsageError: `end` is not after `start`; while iterating, the film ends before `start`.
    """
    if start is not None and end is not None and end <= start:
        raise UsageError(f"end {float(end):g} s is not after start {float(start):g} s")
    return VideoReader(probe(Path(path), rate=rate), start=start, end=end, fast=fast, threads=threads)


class VideoReader:
    """Iterates over the frames of a film; made by `open_video`.

    Iterating again starts again. Frames are views of the decoder's memory and stay valid while they are held.
    With `start`, `Frame.index` counts from the first frame that is read.
    """

    def __init__(
        self, info: VideoInfo, *, start: Fraction | None, end: Fraction | None, fast: bool, threads: int
    ) -> None:
        self.info = info
        self.start = start
        self.end = end
        self._fast = fast
        self._threads = threads
        self._log = LossLog(info.time_base)
        self.offsets: list[Fraction] = []
        """Seconds added to the film's own times from each place on where its clock restarts."""
        self._container: InputContainer | None = None
        self._timing = Timing("stated")
        self._packets = 0
        """Packets of the picture that were read, empty ones included."""
        self._until: int | None = None
        """Time at which the last of them ends."""

    @property
    def losses(self) -> list[str]:
        """What could not be read so far, in words; complete when the iteration has ended."""
        return self._log.lines()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; frames that were handed out stay valid."""
        if self._container is not None:
            self._container.close()
            self._container = None

    def __iter__(self) -> Iterator[Frame]:
        self.close()
        self._log = LossLog(self.info.time_base)
        self.offsets = []
        sequence = find_sequence(self.info.path)
        if sequence is None and self.info.format == "image2":
            sequence = ImageSequence((self.info.path,), (0,), 1, ())
        return self._images(sequence) if sequence is not None else self._film()

    def _images(self, sequence: ImageSequence) -> Iterator[Frame]:
        index = 0
        for tick, file, page in sequence.images():
            time = tick * self.info.time_base
            if (self.start is not None and time < self.start) or (self.end is not None and time >= self.end):
                continue
            try:
                picture = read_image(file, page)
            except InputError as error:
                self._log.note(f"{error}; its time stays empty")
                continue
            native = self._fitted(picture.frame, file)
            if native is not None:
                yield self._frame(native, index, tick, 1)
                index += 1
        if not index and self.start is None and self.end is None:
            raise NoVideoError(f"{self.info.path}: not one frame could be decoded")
        self._check_start((sequence.ticks[-1] + 1) * self.info.time_base)

    def _check_start(self, end: Fraction) -> None:
        """Refuse a start at or after the film's end."""
        if self.start is not None and self.start >= end:
            raise UsageError(f"{self.info.path}: the film ends at {float(end):.3f} s; start is {float(self.start):g}")

    def _film(self) -> Iterator[Frame]:
        """Decode from the keyframe before `start`; where seeking lands too late, from the beginning."""
        base, first = self.info.time_base, 0
        if self.start is not None and self.start > self.info.start_pts * base and not clock_restarts(self.info.path):
            first = int(self.start / base)
            frames = self._decoded(first)
            head = next(frames, None)
            led = None if head is None else self._timing.of(head)
            if head is not None and led is not None and led <= first:
                yield from self._stamped(head, frames)
                return
        frames = self._decoded(None)
        head = next(frames, None)
        if head is None:
            raise NoVideoError(f"{self.info.path}: not one frame could be decoded")
        yield from self._stamped(head, frames)

    def _stamped(self, head: VideoFrame, rest: Iterator[VideoFrame]) -> Iterator[Frame]:
        base, rate = self.info.time_base, self.info.rate
        clock = Clock(max(1, round(1 / (rate * base))) if rate else 1, self._log, self._timing)
        leap = max(1, int(_LEAP / base))
        index = 0
        native: VideoFrame | None = head
        while native is not None:
            offset = clock.offset
            pts = clock.stamp(native, index, leap)
            if clock.offset != offset:
                self.offsets.append(clock.offset * base)
            if self.end is not None and pts * base >= self.end:
                self._log.ended(index, self.end)
                return
            inside = self.start is None or pts * base >= self.start
            if native.pts is not None:
                self._log.decoded(native.pts, index, clock.offset, report=inside)
            if inside and self._fits(native, index, pts):
                yield self._frame(native, index, pts, native.duration or None)
                index += 1
            native = next(rest, None)
        self._log.ended(index, self.end)
        if not index and clock.last is not None:
            self._check_start((clock.last + clock.step) * base)
        self._check_end(clock, index)

    def _decoded(self, seek: int | None) -> Iterator[VideoFrame]:
        """Decode the stream, past errors, optionally from the keyframe before a time in ticks."""
        self.close()
        self._log = LossLog(self.info.time_base)
        container = self._container = open_input(self.info.path)
        self._timing = timing_of(container)
        self._packets, self._until = 0, None
        stream = main_video(container, self.info.path)
        configure(stream, threads=self._threads, fast=self._fast)
        if window_of(self.info.path) is not None:
            stream.codec_context.thread_type = "SLICE"  # the film's end cannot be read twice, see `_tail`
        for other in container.streams:
            if other.index != stream.index:
                ignore(other)
        if seek is not None:
            try:
                container.seek(seek, stream=stream)
            except FFmpegError as error:
                log.debug("cannot seek, decoding from the beginning: %s", error)
                yield from self._decoded(None)
                return
        yield from self._packets_to_frames(container, stream)

    def _packets_to_frames(self, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
        def unreadable(error: FFmpegError) -> None:
            self._log.note(f"the file is damaged or cut short ({error.strerror or error}); reading goes on after it")

        last: int | None = None
        before: int | None = None
        count, back = 0, max(1, int(LEAP / self.info.time_base))
        for packet in read_packets(container, [stream], unreadable):
            stamp = packet.dts if packet.dts is not None else packet.pts
            if packet.size and stamp is not None:
                count += before is not None and before - stamp >= back
                before = stamp
            self._note(packet, stamp, count)
            try:
                frames = stream.codec_context.decode(packet)
            except FFmpegError as error:
                log.debug("packet at %s: %s", packet.pts, error)
                if self._timing.kind == "decoded":
                    self._log.count("a packet that could not be decoded", self._packets - 1)
                continue
            for frame in frames:
                last = frame.pts if frame.pts is not None else last
                yield frame
        once = count or window_of(self.info.path) is not None  # a time that occurs twice cannot be searched
        if last is not None and self._log.waiting and not once:
            yield from self._tail(last)

    def _note(self, packet: Packet[Any], stamp: int | None, count: int) -> None:
        """Remember what a packet promises."""
        promised = self._timing.of_packet(packet)
        if packet.size and promised is not None and not packet.is_discard:
            self._log.expect(promised, count)
        if stamp is not None:
            self._packets += 1
            end = (packet.pts if packet.pts is not None else stamp) + (packet.duration or 0)
            self._until = end if self._until is None else max(self._until, end)

    def _tail(self, last: int) -> Iterator[VideoFrame]:
        """Decode what follows a time once more without frame threads.

        At the end of a film PyAV gives up with the first undecodable frame and forgets the good ones after it that
        other threads hold.
        """
        with open_input(self.info.path) as container:
            stream = main_video(container, self.info.path)
            stream.codec_context.thread_type = "SLICE"
            try:
                container.seek(last, stream=stream)
            except FFmpegError:
                return
            for frame in tolerant_frames(container, stream):
                if frame.pts is not None and frame.pts > last:
                    yield frame

    def _fitted(self, native: VideoFrame, file: Path) -> VideoFrame | None:
        """Return an image in the sequence's format; None where it is damaged and not like the others."""
        info = self.info
        same = (native.width, native.height) == (info.width, info.height)
        fitted = fit_format(native, info.layout) if same else None
        if fitted is None and native.is_corrupt:
            self._log.note(f"{file}: damaged; its time stays empty")
        elif fitted is None:
            raise unlike(file, native, (info.width, info.height), info.layout)
        return fitted

    def _fits(self, native: VideoFrame, index: int, pts: int) -> bool:
        """Tell whether a frame has the film's size and format; a damaged frame that has not is lost."""
        layout = describe(native.format.name)
        same = (native.width, native.height) == (self.info.width, self.info.height) and _planes(layout) == _planes(
            self.info.layout
        )
        if not same and native.is_corrupt:
            self._log.count("a damaged frame of another size: left out", index)
        elif not same:
            before = math.floor(pts * self.info.time_base * 1000) / 1000
            raise UnsupportedVideoError(
                f"{self.info.path}: the picture changes from {self.info.width}x{self.info.height} "
                f"{self.info.layout.name} to {native.width}x{native.height} {layout.name} at frame {index}; "
                f"color it up to there (--end {before:.3f}), and the rest as a film of its own"
            )
        return same

    def _frame(self, native: VideoFrame, index: int, pts: int, duration: int | None) -> Frame:
        layout = describe(native.format.name)
        planes = split_planes(native, layout, self.info.color.matrix, chroma=not (self._fast and layout.kind == "rgb"))
        damaged = bool(native.is_corrupt)
        if damaged:
            self._log.damaged(index, pts)
        return Frame(
            index=index,
            pts=pts,
            time_base=self.info.time_base,
            luma=planes.luma,
            layout=layout,
            color=self.info.color,
            chroma=planes.chroma,
            native=native,
            duration=duration,
            damaged=damaged,
            earlier_field=earlier_field(planes.luma, layout.depth, self.info.field_order),
        )

    def _check_end(self, clock: Clock, index: int) -> None:
        """Compare what came with what the container promised."""
        if self.end is not None or clock.last is None or self._container is None:
            return
        missing_bytes = cut_short(self.info.path, self.info.format)
        if missing_bytes is not None:
            self._log.note(missing_bytes)
        if self._timing.kind == "decoded":
            return  # AVI counts null frames that repeat the one before, wherever they are: its length tells no more
        stream: Any = main_video(self._container, self.info.path)
        promised = int(stream.frames)
        if stream.duration and self.info.rate:  # less where an edit list hides frames
            promised = min(promised, round(stream.duration * self.info.time_base * self.info.rate))
        # Frames may be hidden by an edit list, or be null frames that repeat the one before: their packets are there.
        found = max(index + self._log.lost_frames, self._packets)
        if self.start is None and promised > found:
            missing = promised - found
            self._log.note(f"{missing} of {promised} frames are missing from the file")
        alone = len([s for s in self.info.streams if s.kind in ("video", "audio", "subtitle")]) == 1
        if stream.duration is None and not alone and not any(k.startswith("DURATION") for k in stream.metadata):
            return
        length = stated_end(self._container, stream)
        first = 0 if keeps_end_times(self._container) else self.info.start_pts
        ended = clock.last + clock.step
        if not self.offsets and self._until is not None:
            ended = max(ended, self._until)
        last = (ended - first) * self.info.time_base
        if length is not None and length - last > max(Fraction(1, 2), 3 * clock.step * self.info.time_base):
            self._log.note(f"the film ends after {float(last):.3f} s; its container promises {float(length):.3f} s")


def _planes(layout: PixelLayout) -> tuple[int, str, tuple[int, int]]:
    return layout.depth, layout.kind, layout.chroma_shift
