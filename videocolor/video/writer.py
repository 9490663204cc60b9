"""Writing the colored film: the source's luma, our chroma, the source's times, and everything else of the source."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from videocolor.errors import OutputError
from videocolor.types import Array, Frame, VideoInfo
from videocolor.video.evenness import Evenness
from videocolor.video.film import COLOR_LABEL, FilmSink
from videocolor.video.images import ImageSink
from videocolor.video.output import OutputOptions, OutputPlan
from videocolor.video.packets import StreamDigest, Written
from videocolor.video.plan import plan_output
from videocolor.video.reader import VideoReader
from videocolor.video.shardfile import ShardSink
from videocolor.video.unwritten import UnwrittenFinder

__all__ = ["OutputReport", "VideoWriter"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OutputReport:
    """What was written."""

    target: Path
    frames: int
    first_pts: int
    """Time of the first frame as the source counts it, in the source's time base."""
    last_pts: int
    warnings: tuple[str, ...] = ()
    """What the source did not give or the encoder not write: read errors, captions, the timecode of a trimmed film."""
    copied: tuple[StreamDigest, ...] = ()
    """Streams whose packets are all in the film."""


class Sink(Protocol):
    """Where planes go: a film or a row of images. Nothing is under the final name before `finish`."""

    def put(self, frame: Frame, luma: Array, cb: Array, cr: Array, *, key: bool = False) -> None:
        """Write one frame; `luma` holds codes of the output; `key`: decoding can begin with it."""

    def finish(self) -> Written:
        """Complete the target and give it its name."""

    def discard(self) -> None:
        """Remove everything that was written."""


class VideoWriter:
    """Write a colored film beside its target and rename it when it is complete.

    Made by `like`. As a context manager it completes the film when the block ends well, and leaves nothing over when
    it does not.
    """

    def __init__(self, info: VideoInfo, plan: OutputPlan, sink: Sink, *, trimmed: bool = False) -> None:
        self.info = info
        self.plan = plan
        self._sink = sink
        self._first: int | None = None
        self._last = 0
        self._frames = 0
        self._report: OutputReport | None = None
        self._unwritten = UnwrittenFinder(info, plan)
        self._evenness = Evenness(info, plan, trimmed=trimmed)
        self.warnings: list[str] = []
        """What began so far that the encoder does not write (captions), beyond what the plan names."""

    @classmethod
    def like(
        cls,
        source: VideoReader | VideoInfo,
        target: Path,
        options: OutputOptions | None = None,
        *,
        info: VideoInfo | None = None,
    ) -> VideoWriter:
        """Make a writer for the film of a reader (or its description).

        With a reader that has a `start` or `end`, all streams are trimmed alike and shifted together so that the first
        frame is at zero; with a description every time stays as it is and all streams are copied completely. `info`:
        what is written, where it is not what the reader's film says of itself.

        Raises:
            UsageError: Codec, pixel format and container do not go together.
            OutputError: The target exists, cannot be written, or is the source.
        """
        options = options or OutputOptions()
        info = info or (source if isinstance(source, VideoInfo) else source.info)
        span = (None, None) if isinstance(source, VideoInfo) else (source.start, source.end)
        plan = plan_output(info, target, replace(options, span=span))
        label = COLOR_LABEL if options.color_label else None
        reader = source if isinstance(source, VideoReader) else None
        sink: Sink = ImageSink(info, plan) if plan.container == "image2" else FilmSink(info, plan, span, label, reader)
        return cls(info, plan, sink, trimmed=span[0] is not None)

    @classmethod
    def into_shard(
        cls, info: VideoInfo, plan: OutputPlan, path: Path, *, trimmed: bool = False
    ) -> tuple[VideoWriter, ShardSink]:
        """Make a writer for some frames of a film that are joined with others later (`join_shards`).

        `trimmed`: the output begins after the film's first frame.
        """
        sink = ShardSink(info, plan, path)
        return cls(info, plan, sink, trimmed=trimmed), sink

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self.abort()

    def write(self, frame: Frame, cb: Array, cr: Array, *, key: bool = False) -> None:
        """Write one frame: its luma as it is, and new chroma.

        Args:
            frame: A frame of the source, in the order of times.
            cb: (h, w) samples of `plan.chroma_size`, in `plan.layout.depth` bits and `plan.color.range`.
            cr: Like `cb`.
            key: A shot begins: decoding can begin here, too, and the film be cut.

        Raises:
            OutputError: The disk is full, the target cannot be written, or holds frames of one length only.
        """
        width, height = self.plan.chroma_size
        for name, plane in (("cb", cb), ("cr", cr)):
            if plane.shape != (height, width):
                raise ValueError(f"{name}.shape = {plane.shape}: expected {(height, width)}")
        if frame.luma.shape != (self.info.height, self.info.width):
            raise ValueError(f"luma.shape = {frame.luma.shape}: expected {(self.info.height, self.info.width)}")
        if self._first is None:
            self._first = frame.pts
        elif frame.pts <= self._last:
            raise ValueError(f"frame {frame.index}: pts {frame.pts} is not after {self._last}")
        self._evenness.check(frame)
        self.warnings += self._unwritten.find(frame)
        table = self.plan.luma_map
        self._sink.put(frame, frame.luma if table is None else np.take(table, frame.luma), cb, cr, key=key)
        self._last = frame.pts
        self._frames += 1

    def close(self) -> OutputReport:
        """Complete the film and give it its name.

        Raises:
            OutputError: Not one frame was written, the disk is full, or the target cannot be written.
        """
        if self._report is None:
            if self._first is None:
                self.abort()
                raise OutputError(f"{self.plan.target}: not one frame was written, so nothing is kept")
            try:
                written = self._sink.finish()
            except BaseException:
                self.abort()
                raise
            warnings = (*self.warnings, *written.warnings)
            self._report = OutputReport(
                self.plan.target, self._frames, self._first, self._last, warnings, written.copied
            )
        return self._report

    def abort(self) -> None:
        """Remove what was written; the final name stays untouched."""
        if self._report is None:
            self._sink.discard()
