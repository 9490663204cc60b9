"""A film file that grows under a temporary name."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.codec.context import Flags
from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import PictureType, VideoFrame

from videocolor.errors import InputError, OutputError
from videocolor.files import part_name
from videocolor.types import Array, Frame, VideoInfo
from videocolor.video.aperture import write_aperture
from videocolor.video.carrier import DISPLAY_MATRIX, Carrier, side_data
from videocolor.video.encoders import same_each_time, set_tags
from videocolor.video.formats import plane_view
from videocolor.video.interlace import WOVEN_ORDERS
from videocolor.video.labels import label_tags, write_xmp
from videocolor.video.matroska import RESERVED, needs_display_size, write_display_size
from videocolor.video.opening import muxer_errors, url
from videocolor.video.output import OutputPlan
from videocolor.video.packets import StreamDigest, Written, attached_files, sums_of
from videocolor.video.probe import FIELD_ORDERS
from videocolor.video.reader import VideoReader
from videocolor.video.remux import StreamCopier
from videocolor.video.streams import TAGS, TIMECODE, copy_container_metadata, is_dropped, timecode

__all__ = ["COLOR_LABEL", "FilmSink", "PictureEncoder", "time_shift"]

COLOR_LABEL = "colorized by videocolor, not original color"
_FORCED = {"libx264": {"forced-idr": "1"}, "libx265": {"forced-idr": "1"}}
"""A forced keyframe is one that no later frame refers across."""
_REORDERING = 3600
"""Seconds by which a frame may be decoded before it is shown; more is an encoder's mistake."""


class PictureEncoder:
    """The picture stream of an output, and what encodes it: the same for a film and for a shard of it.

    Args:
        out: a container of `plan.container`, before its header.
        info: the source.
        plan: what the output will be.
        first: the first frame of the film or of the shard, for its display matrix.
    """

    def __init__(self, out: OutputContainer, info: VideoInfo, plan: OutputPlan, first: Frame) -> None:
        self._info, self._plan = info, plan
        options = {**_FORCED.get(plan.codec, {}), **plan.codec_options}
        if plan.codec == "libx265":
            # Else the header names processor and threads, and shards of two machines do not go together.
            options["x265-params"] = ":".join(filter(None, ("info=0", options.get("x265-params"))))
        order = "" if info.field_order not in WOVEN_ORDERS else "tff" if info.field_order[0] == "t" else "bff"
        if plan.codec == "libx264":
            wanted = (f"{order}=1" if order else "", same_each_time(), options.get("x264-params"))
            options |= {"x264-params": params} if (params := ":".join(filter(None, wanted))) else {}
        stream: Any = out.add_stream(plan.codec, rate=info.rate or Fraction(25), options=options)
        context = stream.codec_context
        context.width, context.height = info.width, info.height
        context.pix_fmt = plan.pix_fmt
        context.time_base = info.time_base
        context.sample_aspect_ratio = info.sar
        if hasattr(context, "field_order"):
            context.field_order = FIELD_ORDERS.index(info.field_order)
        context.thread_type = "AUTO"
        context.flags |= Flags.frame_duration
        if order and plan.codec != "dnxhd":  # DNxHR has no interlaced coding
            context.flags |= Flags.interlaced_dct
        if plan.container in ("mp4", "mov") and context.codec.canonical_name == "hevc":
            context.codec_tag = "hvc1"  # the only one that QuickTime plays
        if plan.container in ("matroska", "mp4", "mov", "webm"):  # `fifo` does not ask for it
            context.flags |= Flags.global_header
        set_tags(context, plan.color)
        self.stream = stream
        flagged = isinstance(first.native, VideoFrame) and first.native.interlaced_frame
        self._carrier = Carrier(plan.pix_fmt, "prog" if not order else "" if flagged else order)
        self._set_matrix(first)

    def _set_matrix(self, frame: Frame) -> None:
        """Keep rotation and flips: the display matrix as it is where the frame carries it; images are upright."""
        if self._info.format == "image2":
            return
        for kind, data in side_data(frame.native) if isinstance(frame.native, VideoFrame) else ():
            if kind == DISPLAY_MATRIX and hasattr(self.stream, "set_display_matrix"):
                self.stream.set_display_matrix([int(v) for v in np.frombuffer(data, np.int32)])
                return
        if self._info.rotation and hasattr(self.stream, "set_display_rotation"):
            self.stream.set_display_rotation(self._info.rotation)

    def encode(
        self, frame: Frame, luma: Array, cb: Array, cr: Array, shift: int = 0, *, key: bool = False
    ) -> list[Any]:
        """Packets that one more frame gives.

        `shift` ticks of the source are taken off its time; `key`: decoding can begin with this frame.
        """
        self._plan.check_samples(luma=luma, cb=cb, cr=cr)
        if self._plan.only_chroma:
            luma = np.full_like(cb, 1 << (self._plan.layout.depth - 1))
        movie = self._info.format != "image2" and not self._plan.only_chroma  # pictures carry nothing
        carried = movie and isinstance(frame.native, VideoFrame) and self._carrier.frame(frame.native)
        native = carried or VideoFrame(self._info.width, self._info.height, self._plan.pix_fmt)
        for index, plane in enumerate((luma, cb, cr)):
            np.copyto(plane_view(native, index), plane, casting="equiv")
        native.pts = frame.pts - shift
        native.time_base = self._info.time_base
        native.pict_type = PictureType.I if key else PictureType.NONE
        if frame.duration:
            native.duration = frame.duration
        set_tags(native, self._plan.color)
        packets: list[Any] = self.stream.encode(native)
        return packets

    def flush(self) -> list[Any]:
        """Return the packets that are left."""
        packets: list[Any] = self.stream.encode(None)
        return packets

    @property
    def extradata(self) -> bytes:
        """What the encoder puts into the container's header; known when it has been opened."""
        return bytes(self.stream.codec_context.extradata or b"")


def time_shift(span: tuple[Fraction | None, Fraction | None], first: Frame, container: str) -> int:
    """Return the ticks that are taken off all times: a trimmed film begins at zero, as does one that began before.

    No container that is written keeps a picture before zero, and MXF none that begins later.
    """
    trimmed = any(bound is not None for bound in span)
    return first.pts if trimmed or first.pts < 0 or container == "mxf" else 0


class FilmSink:
    """Encodes the picture and has every other stream copied in step with it.

    The file is opened with the first frame, whose side data (display matrix) and time belong into the header.
    """

    def __init__(
        self,
        info: VideoInfo,
        plan: OutputPlan,
        span: tuple[Fraction | None, Fraction | None],
        label: str | None,
        reader: VideoReader | None = None,
        *,
        trial: bool = False,
    ) -> None:
        self._info = plan.stored(info)
        self._trial = trial
        self.altered: tuple[str, ...] = ()
        """Names of copied streams that are others when they are read back; known at the end."""
        self._plan = plan
        self._span = span
        self._label = label
        self._part = part_name(plan.target)
        self._out: OutputContainer | None = None
        self._encoder: PictureEncoder | None = None
        self._copier: StreamCopier | None = None
        self._shift = 0
        self._reader = reader
        self._offsets: list[Fraction] = []
        self._last_dts: int | None = None

    def put(self, frame: Frame, luma: Array, cb: Array, cr: Array, *, key: bool = False) -> None:
        """Encode one frame and write what is due by then."""
        with muxer_errors(self._plan.target):
            if self._encoder is None:
                self._open(frame)
            assert self._encoder is not None
            self._follow_clock(frame)
            self._mux(self._encoder.encode(frame, luma, cb, cr, self._shift, key=key))

    def begin(self, first: Frame, offsets: Sequence[Fraction] = ()) -> None:
        """Open the file for packets that were encoded before.

        Args:
            first: the film's first frame, for its time and its display matrix.
            offsets: as `VideoReader.offsets` of the complete film.
        """
        with muxer_errors(self._plan.target):
            self._open(first)
            assert self._encoder is not None and self._out is not None
            if self._copier is not None:
                self._copier.restarted(offsets)
            self._out.start_encoding()

    @property
    def extradata(self) -> bytes:
        """What the container's header holds of the encoder."""
        return b"" if self._encoder is None else self._encoder.extradata

    def put_encoded(self, packets: Iterable[Packet[Any]]) -> None:
        """Write packets of the picture, in the order of their decoding, with the source's times."""
        assert self._encoder is not None
        with muxer_errors(self._plan.target):
            for packet in packets:
                ticks = round(self._shift * self._info.time_base / Fraction(packet.time_base))
                packet.pts = None if packet.pts is None else packet.pts - ticks
                packet.dts = None if packet.dts is None else packet.dts - ticks
                packet.stream = self._encoder.stream
                self._mux([packet])

    def _open(self, frame: Frame) -> None:
        trimmed = any(bound is not None for bound in self._span)
        self._shift = time_shift(self._span, frame, self._plan.container)
        movie = self._info.format != "image2"
        plan = self._plan
        self._copier = StreamCopier(self._info.path, plan.dropped, plan.recoded, trial=self._trial) if movie else None
        out = self._out = self._opened()
        extra: dict[str, str] = {}
        if self._copier is not None:
            later = self._span[0] is not None or is_dropped(TIMECODE, plan.dropped)
            if not is_dropped(TAGS, plan.dropped):
                extra = copy_container_metadata(self._copier.source, out, self._label, plan.container, later=later)
        else:
            out.metadata.update({"comment": self._label} | label_tags(plan.container) if self._label else {})
            if self._span[0] is None:
                out.metadata.update(self._info.metadata)  # timecode
        options = self._muxer_options(extra) | dict(plan.muxer_options)
        if out.format.name == "fifo":
            joined = ":".join(f"{key}={value}" for key, value in options.items())
            options = {"fifo_format": plan.container, "format_opts": joined}
        out.container_options.update(options)
        if self._copier is None:
            self._encoder = PictureEncoder(out, self._info, self._plan, frame)
            self._reserve()
        else:
            self._copier.add_streams(out, plan.container, lambda: self._add_picture(out, frame))
            self._reserve()
            shift = self._shift * self._info.time_base
            start = shift if trimmed else None
            self._copier.begin(out, shift, start, self._span[1])

    def _opened(self) -> OutputContainer:
        """Open the file, through FFmpeg's `fifo` where PyAV would refuse a stream that the muxer may well take.

        Matroska holds any sound of Windows (A_MS/ACM), and lists it only to those who ask for it in a way of their own.
        """
        # Given as `options`, those that nothing takes are named in the log, which the trial reads.
        asked = dict(self._plan.muxer_options) if self._trial else {}
        out = av.open(url(self._part), "w", format=self._plan.container, options=asked)
        wide = self._plan.container == "matroska" and self._copier is not None
        if not wide or self._copier is None or not self._copier.unlisted(out.supported_codecs):
            return out
        out.close()
        return av.open(url(self._part), "w", format="fifo")

    def _follow_clock(self, frame: Frame) -> None:
        """Tell the copier where the reader bridged a clock that restarts; smaller repairs concern one frame."""
        if self._copier is None:
            return
        if self._reader is not None:
            self._copier.restarted(self._reader.offsets)
        elif isinstance(frame.native, VideoFrame) and frame.native.pts is not None:
            offset = (frame.pts - frame.native.pts) * self._info.time_base
            if offset - (self._offsets[-1] if self._offsets else 0) > 1:
                self._offsets.append(offset)
                self._copier.restarted(self._offsets)

    def _muxer_options(self, extra: dict[str, str]) -> dict[str, str]:
        if self._plan.container not in ("mp4", "mov"):
            # Sound that starts before zero (the priming of AAC) must not push the film to a later time.
            return {"avoid_negative_ts": "disabled"}
        scale = self._info.time_base.denominator
        return {"movflags": f"+faststart{extra.get('movflags', '')}", "video_track_timescale": str(scale)}

    def _add_picture(self, out: OutputContainer, frame: Frame) -> Any:
        self._encoder = PictureEncoder(out, self._info, self._plan, frame)
        return self._encoder.stream

    def _reserve(self) -> None:
        """Keep room in the header for what PyAV cannot state."""
        if self._encoder is not None and needs_display_size(self._plan.container, self._plan.codec, self._info):
            stream = self._encoder.stream
            stream.metadata["title"] = stream.metadata.get("title", "") + RESERVED

    def _mux(self, packets: list[Any]) -> None:
        assert self._out is not None
        for packet in packets:
            self._repair(packet)
            if self._copier is not None and packet.dts is not None:
                self._copier.advance(packet.dts * Fraction(packet.time_base))
            self._out.mux(packet)

    def _repair(self, packet: Any) -> None:
        """Replace a decoding time that cannot be: x265 leaves it unset for films shorter than its reordering."""
        if packet.pts is not None and packet.dts is not None:
            limit = max(1, int(_REORDERING / self._info.time_base))
            late = self._last_dts is not None and packet.dts <= self._last_dts  # where two shards meet
            if late or not 0 <= packet.pts - packet.dts <= limit:
                packet.dts = packet.pts if self._last_dts is None else min(packet.pts, self._last_dts + 1)
            self._last_dts = packet.dts

    def finish(self, *, encoded: bool = False, check: Callable[[Path], None] | None = None) -> Written:
        """Flush the encoder (unless the packets came `encoded`), copy what is left, and rename the file.

        Args:
            encoded: nothing was given to the encoder.
            check: checks the complete file before it gets its name; what it raises keeps the name free.
        """
        with muxer_errors(self._plan.target):
            if self._encoder is not None and not encoded:
                self._mux(self._encoder.flush())
            warnings: tuple[str, ...] = ()
            code = self._info.metadata.get("timecode")
            copied: dict[int, StreamDigest] = {}
            attached: list[StreamDigest] = []
            if self._copier is not None:
                self._copier.advance(None)
                warnings, copied = self._copier.warnings(), self._copier.copied()
                attached = self._copier.attached
                self._refuse(self._copier.lost(), "cannot be written")
                code = timecode(self._copier.source)
            if code is not None and self._span[0] is not None:
                warnings += (f"the timecode {code} is left out: a trimmed film starts at another time",)
            if self._out is not None:
                self._out.close()
            self._release()
            self._compare(copied, attached)
            if needs_display_size(self._plan.container, self._plan.codec, self._info):
                self._write_shape()
            if self._label is not None and self._plan.container in ("mp4", "mov"):
                write_xmp(self._part, self._label)
            if not self._trial:
                with open(self._part, "rb+") as file:
                    os.fsync(file.fileno())
            if check is not None:
                check(self._part)
            os.replace(self._part, self._plan.target)
        written = (*copied.values(), *attached)
        return Written(warnings, tuple(each for each in written if each.stream not in self.altered))

    def _compare(self, copied: dict[int, StreamDigest], attached: Sequence[StreamDigest]) -> None:
        """Read back what was copied, and compare it with what the source held."""
        try:
            found = sums_of(self._part, copied) if copied else None
            files = {digest.sha256 for digest in attached_files(self._part)} if attached else set()
        except InputError as error:
            raise OutputError(f"{self._plan.target}: was written and cannot be read back: {error}") from error
        read = {index: found.digest(index, each.stream) for index, each in copied.items()} if found else {}
        others = [index for index in copied if read[index].sha256 != copied[index].sha256]
        missing = [digest.stream for digest in attached if digest.sha256 not in files]
        self.altered = (*(copied[index].stream for index in others), *missing)
        # What was recoded is cut into the container's own packets: MXF keeps whole frames of sound alone.
        cut = [index for index in others if not copied[index].stored]
        fewer = [copied[index].stream for index in cut if read[index].packets != copied[index].packets]
        known = self.altered if self._trial else self._plan.uncompared
        self._refuse(", ".join(name for name in self.altered if name in fewer or name not in known), "was altered")

    def _refuse(self, what: str, why: str) -> None:
        if what:
            raise OutputError(
                f"{self._plan.target}: {what} {why} in {self._plan.container}; use a .mkv, or repair the source"
            )

    def _write_shape(self) -> None:
        info = self._info
        if self._plan.container in ("mp4", "mov"):
            write_aperture(self._part, info.width, info.height, info.crop)
        else:
            write_display_size(self._part, info.width, info.height, info.sar, info.crop)

    def _release(self) -> None:
        if self._copier is not None:
            self._copier.close()
        self._copier = self._out = self._encoder = None

    def discard(self) -> None:
        """Close and remove the temporary file."""
        out = self._out
        self._release()
        if out is not None:
            with contextlib.suppress(FFmpegError, OSError):
                out.close()
        with contextlib.suppress(FileNotFoundError):
            self._part.unlink()
