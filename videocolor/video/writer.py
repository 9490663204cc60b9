"""Writing the colored film: the source's luma and times, our chroma, everything else of the source; or images."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from av.codec import CodecContext
from av.video.frame import VideoFrame

from videocolor.errors import OutputError
from videocolor.types import Array, Frame, VideoInfo
from videocolor.video.dpx import with_times
from videocolor.video.evenness import Evenness
from videocolor.video.film import COLOR_LABEL, FilmSink
from videocolor.video.formats import WEIGHTS, plane_view
from videocolor.video.opening import muxer_errors
from videocolor.video.output import OutputOptions, OutputPlan
from videocolor.video.packets import StreamDigest, Written
from videocolor.video.plan import image_names, plan_output
from videocolor.video.reader import VideoReader
from videocolor.video.sequences import find_sequence
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


def planes_to_rgb(
    luma: Array, cb: Array, cr: Array, depth: int, full: bool, weights: tuple[float, float, float]
) -> Array:
    """Turn 4:4:4 planes into R'G'B'.

    Args:
        luma: (h, w) codes of `depth` bits.
        cb: Like `luma`.
        cr: Like `luma`.
        depth: Bits a sample.
        full: Full range; else limited.
        weights: Kr, Kg, Kb.

    Returns:
        (h, w, 3) float32 in 0..1, clipped.
    """
    scale = 2.0 ** (depth - 8)
    black, white, swing = (0.0, 2**depth - 1, 2**depth - 1) if full else (16 * scale, 219 * scale, 224 * scale)
    kr, kg, kb = weights
    y = (luma.astype(np.float32) - np.float32(black)) / np.float32(white)
    blue = (cb.astype(np.float32) - np.float32(128 * scale)) * np.float32(2 * (1 - kb) / swing)
    red = (cr.astype(np.float32) - np.float32(128 * scale)) * np.float32(2 * (1 - kr) / swing)
    green = (np.float32(kb / kg) * blue) + (np.float32(kr / kg) * red)
    rgb: Array = np.stack((y + red, y - green, y + blue), axis=-1)
    return np.clip(rgb, 0, 1, out=rgb)


class ImageSink:
    """Writes one image a frame into a folder of its own, and moves them at the end."""

    def __init__(self, info: VideoInfo, plan: OutputPlan) -> None:
        self._info = info
        self._plan = plan
        self._folder, self._pattern, self._name = image_names(plan.target)
        # Beside the images where their folder exists: it may be a disk of its own, which a rename cannot leave.
        beside = self._folder if self._folder.is_dir() else self._folder.parent
        self._part = beside / f".{self._folder.name}.{os.getpid()}.part"
        source = find_sequence(info.path)
        self._number = source.first_number if source is not None else 1
        self._follow = source is not None
        self._done: list[Path] = []
        self._offset: int | None = None

    def put(self, frame: Frame, luma: Array, cb: Array, cr: Array, *, key: bool = False) -> None:
        """Encode one image; numbered sources keep their numbers, gaps included."""
        del key  # every image is one
        self._plan.check_samples(luma=luma, cb=cb, cr=cr)
        number = self._number + (frame.pts if self._follow else frame.index)
        name = self._name if self._pattern is None else self._pattern % number
        with muxer_errors(self._plan.target):
            self._part.mkdir(parents=False, exist_ok=True)
            file = self._part / name
            data = self._encode(luma, cb, cr)
            file.write_bytes(with_times(data, self._info, frame.pts) if self._plan.codec == "dpx" else data)
            self._done.append(file)

    def _encode(self, luma: Array, cb: Array, cr: Array) -> bytes:
        plan = self._plan
        weights, full = WEIGHTS[plan.color.matrix], plan.color.range == "full"
        rgb = planes_to_rgb(luma, cb, cr, plan.layout.depth, full, weights)
        frame = VideoFrame(self._info.width, self._info.height, plan.pix_fmt)
        codes = np.rint(rgb * np.float32(2 ** frame.format.components[0].bits - 1))
        order = ">" if plan.pix_fmt.endswith("be") else "<"
        if frame.format.is_planar:
            for index, channel in enumerate((1, 2, 0)):  # G, B, R
                plane_view(frame, index, 1, order)[...] = codes[..., channel]
        else:
            view = plane_view(frame, 0, 3, order)
            view[...] = codes.reshape(view.shape)
        context: Any = CodecContext.create(plan.codec, "w")
        context.width, context.height, context.pix_fmt = self._info.width, self._info.height, plan.pix_fmt
        context.time_base = Fraction(1, 24)
        context.thread_count = 1
        context.sample_aspect_ratio = self._info.sar
        context.options = dict(plan.codec_options)
        frame.color_primaries, frame.color_trc, frame.color_range = plan.color.primaries, plan.color.transfer, 2
        frame.pts = 0
        return b"".join(bytes(packet) for packet in (*context.encode(frame), *context.encode(None)))

    def finish(self) -> Written:
        """Move the images to their names."""
        with muxer_errors(self._plan.target):
            self._folder.mkdir(exist_ok=True)
            for file in self._done:
                with open(file, "rb+") as handle:
                    os.fsync(handle.fileno())
                os.replace(file, self._folder / file.name)
            self._part.rmdir()
        return Written()

    def discard(self) -> None:
        """Remove the folder of unfinished images."""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self._part)
