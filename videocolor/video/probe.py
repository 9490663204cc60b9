"""What a film is: its container, its first frame, and what should be said before work starts."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final

from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from videocolor.errors import InputError, NoVideoError, UnsupportedVideoError
from videocolor.types import PixelLayout, StreamInfo, VideoInfo
from videocolor.video.carrier import top_field_first
from videocolor.video.clock import frame_count, frame_rate, keeps_end_times, stated_end, timing_of
from videocolor.video.formats import describe, split_planes
from videocolor.video.interlace import WOVEN_ORDERS, is_combed
from videocolor.video.matroska import read_crop
from videocolor.video.opening import (
    configure,
    file_stamp,
    fraction,
    main_video,
    open_input,
    read_packets,
    tolerant_frames,
)
from videocolor.video.pictures import Picture, fit_format, read_image, survey, unlike
from videocolor.video.pipes import window_of
from videocolor.video.sequences import ImageSequence, check_name, find_sequence
from videocolor.video.tags import RawTags, read_color

__all__ = ["FIELD_ORDERS", "WOVEN", "is_encrypted", "probe"]

FIELD_ORDERS = ("unknown", "progressive", "tt", "bb", "tb", "bt")
"""FFmpeg's numbers of AVFieldOrder."""
WOVEN = "the film looks interlaced (woven fields)"
"""How the warning begins that a film which will not be deinterlaced deserves."""
_DEFAULT_RATE = Fraction(24)
_MOTION = 3
"""Pictures in one file from which on they are a film."""
_PHOTOGRAPHS = ("heic", "heix", "mif1", "avif")
"""Brands of HEIC and AVIF."""
_INDEX_LAST = frozenset({"mxf"})
"""Demuxers that give frames wrong times where they cannot seek to an index."""
_MOST_TRIED = 20
"""Pictures without a header that can be read of which the reason is given."""
_COMB_PLACES = (Fraction(1, 5), Fraction(2, 5), Fraction(3, 5), Fraction(4, 5))
"""Where in a film keyframes are looked at for combing."""


@dataclass(frozen=True)
class _Still:
    """What the first frame says."""

    frame: VideoFrame
    layout: PixelLayout
    tags: RawTags


def probe(path: Path, *, rate: Fraction | None = None) -> VideoInfo:
    """Read what a film's container and first frame say.

    Args:
        path: A film, a still image, a number pattern (`frame_%05d.png`), or a folder of images.
        rate: Frames a second of an image sequence; films carry their own.

    Returns:
        The film's description; `warnings` says what a person should know.

    Raises:
        InputError: It cannot be read, or its name is not UTF-8.
        NoVideoError: It holds no video stream, or not one frame that can be decoded.
        UnsupportedVideoError: It is HDR, encrypted, or of a format whose luma cannot be kept.
    """
    path = Path(path)
    check_name(path)
    sequence = find_sequence(path)
    if sequence is not None:
        return _probe_images(path, sequence, rate)
    return _probe_file(path, rate, file_stamp(path))


@lru_cache(maxsize=16)
def _probe_file(path: Path, rate: Fraction | None, _stamp: tuple[int, ...]) -> VideoInfo:
    """Probe a film; a run that opens the same file again, to read a part of it or to join its shards, need not."""
    with open_input(path) as container:
        # Checked first: a decoder may take a frame of ciphertext for a damaged one, and give the wrong reason.
        if is_encrypted(path):
            raise UnsupportedVideoError(f"{path}: is encrypted; decrypt it with the tools of its owner")
        stream = main_video(container, path)
        _refuse_tiles(path, container, stream)
        if _is_still(container) and not _goes_on(container, path):
            if window_of(path) is not None:
                raise InputError(f"{path}: holds pictures, not a film; save them as files")
            return _probe_images(path, ImageSequence((path,), (0,), 1, ()), rate)
        if window_of(path) is not None and container.format.name in _INDEX_LAST:
            raise InputError(f"{path}: its index, which orders the frames, comes last; save it as a file first")
        configure(stream, threads=2)
        first = _first_frame(container, stream, path)
        return _probe_film(path, container, stream, first, rate)


def _refuse_tiles(path: Path, container: InputContainer, stream: VideoStream) -> None:
    """Refuse a photograph that is stored in tiles: FFmpeg decodes each, and puts none together here."""
    if container.metadata.get("major_brand", "").strip() not in _PHOTOGRAPHS:
        return
    size = stream.codec_context.width, stream.codec_context.height
    tiles = sum((s.codec_context.width, s.codec_context.height) == size for s in container.streams.video)
    if tiles > 1:
        raise UnsupportedVideoError(f"{path}: is a photograph of {tiles} tiles (HEIC); save it as PNG or JPEG first")


def _is_still(container: InputContainer) -> bool:
    name = container.format.name
    return name == "image2" or (name.endswith("_pipe") and "yuv4mpeg" not in name)


def _goes_on(container: InputContainer, path: Path) -> bool:
    """Tell whether a file of JPEGs one after the other is raw Motion-JPEG; stereo photographs hold two."""
    if container.format.name != "jpeg_pipe":
        return False
    with open_input(path) as file:
        packets = read_packets(file, [main_video(file, path)])
        return sum(1 for packet in islice(packets, _MOTION) if packet.size) == _MOTION


def _first_frame(container: InputContainer, stream: VideoStream, path: Path) -> _Still:
    frame = next(tolerant_frames(container, stream), None)
    if frame is None:
        raise NoVideoError(f"{path}: not one frame could be decoded")
    return _look(frame, stream)


def _look(frame: VideoFrame, stream: VideoStream | None) -> _Still:
    """Read the tags of a frame, and of the codec where the frame has none (decoders fill either)."""
    context: Any = stream.codec_context if stream is not None else frame

    def either(name: str, unset: tuple[int, ...]) -> int:
        value = int(getattr(frame, name))
        return value if value not in unset else int(getattr(context, name))

    tags = RawTags(
        either("color_range", (0,)),
        either("colorspace", (2,)),
        either("color_primaries", (0, 2)),
        either("color_trc", (0, 2)),
    )
    return _Still(frame, describe(frame.format.name), tags)


def _first_image(sequence: ImageSequence) -> tuple[Picture, list[str]]:
    """Decode an image in whose format all fit, and name those that cannot be read."""
    found = survey(sequence.files)
    errors: dict[Path, InputError] = {}
    for file in (*found.unread[:_MOST_TRIED], *((found.rich,) if found.rich else ()), *sequence.files):
        try:
            picture = read_image(file)
        except InputError as error:
            errors.setdefault(file, error)
            continue
        if file in found.unread:
            continue
        _check_sizes(picture, found.odd)
        wide = PixelLayout(f"gbrp{found.depth}le", found.depth, "rgb", (0, 0))
        deeper = fit_format(picture.frame, wide) if found.depth > 8 else None
        if describe(picture.frame.format.name).kind == "rgb" and deeper is not None:
            picture = replace(picture, frame=deeper)  # gray pictures of more bits are to come
        return picture, [f"{error}; its time stays empty" for error in errors.values()]
    raise next(iter(errors.values()))


def _check_sizes(picture: Picture, others: Sequence[Path]) -> None:
    """Refuse, before the work starts, pictures of another size; damaged ones may say anything."""
    size = picture.frame.width, picture.frame.height
    for file in others:
        with contextlib.suppress(NoVideoError):
            frame = read_image(file).frame
            if (frame.width, frame.height) != size and not frame.is_corrupt:
                raise unlike(file, frame, size, describe(picture.frame.format.name))


def _probe_images(path: Path, sequence: ImageSequence, rate: Fraction | None) -> VideoInfo:
    picture, unreadable = _first_image(sequence)
    frame, codec = picture.frame, picture.codec
    still = _look(frame, None)
    warnings = [*sequence.warnings, *unreadable, *picture.notes]
    if rate is None and len(sequence.files) > 1:
        said = (
            f"{picture.rate} frames a second, as {codec} says"
            if picture.rate
            else f"{_DEFAULT_RATE} frames a second assumed"
        )
        warnings.append(f"{path}: no frame rate given; {said} (give --rate)")
    rate = rate or picture.rate or _DEFAULT_RATE
    color, assumed = read_color(path, still.tags, still.layout, frame.height, rate)
    ticks = sequence.ticks[-1] + 1
    return VideoInfo(
        path=path,
        format="image2",
        width=frame.width,
        height=frame.height,
        layout=still.layout,
        color=color,
        time_base=1 / rate,
        rate=rate,
        start_pts=0,
        duration=ticks / rate,
        frames=len(sequence.files),
        codec=codec,
        streams=(StreamInfo(0, "video", codec),),
        metadata={} if picture.timecode is None else {"timecode": picture.timecode},
        warnings=(*warnings, *assumed),
    )


def _probe_film(
    path: Path, container: InputContainer, stream: VideoStream, still: _Still, rate: Fraction | None
) -> VideoInfo:
    timing = timing_of(container)
    stated = frame_rate(stream, still.frame, timing)
    color, said = read_color(path, still.tags, still.layout, still.frame.height, stated)
    warnings = list(said)
    if rate is not None and rate != stated:
        warnings.append(f"{path}: the film carries its own times; the given frame rate is not used")
    base = fraction(stream.time_base) or Fraction(1, 90000)
    time = timing.of(still.frame)
    first = time if time is not None else (stream.start_time or 0)
    if timing.kind == "counted":
        first = 0
    duration = stated_end(container, stream)
    if duration is not None and keeps_end_times(container) and 0 < first * base < duration:
        duration -= first * base
    order = FIELD_ORDERS[min(getattr(stream.codec_context, "field_order", 0), 5)]  # PyAV before 18.1 does not tell
    if still.frame.interlaced_frame:  # frames know better than headers, of which some say nothing
        fits = ("tt", "tb") if top_field_first(still.frame) else ("bb", "bt")
        order = order if order in fits else fits[1]
    frames = frame_count(stream, duration, stated)
    # Last, as it seeks, and what was read of the stream before does not change any more.
    warnings += _interlaced(container, stream, still, order, duration, base, piped=window_of(path) is not None)
    return VideoInfo(
        path=path,
        format=container.format.name,
        width=still.frame.width,
        height=still.frame.height,
        layout=still.layout,
        color=color,
        time_base=base,
        rate=stated,
        start_pts=first,
        duration=duration,
        frames=frames,
        codec=stream.codec_context.name,
        sar=fraction(stream.sample_aspect_ratio) or Fraction(1),
        rotation=int(still.frame.rotation),
        crop=read_crop(stream) if container.format.name.startswith(("matroska", "mov")) else (0, 0, 0, 0),
        field_order=order,
        streams=tuple(_stream_info(s) for s in container.streams),
        chapters=len(container.chapters()),
        metadata=dict(container.metadata),
        warnings=tuple(warnings),
        notes=(timing.said,) if timing.said else (),
    )


def _stream_info(stream: Any) -> StreamInfo:
    context = stream.codec_context
    codec = context.name if context is not None else (getattr(stream, "name", None) or "unknown")
    if stream.type == "attachment":
        codec = stream.metadata.get("filename") or codec
    return StreamInfo(stream.index, stream.type, codec, stream.metadata.get("language"), stream.metadata.get("title"))


def _interlaced(
    container: InputContainer,
    stream: VideoStream,
    still: _Still,
    order: str,
    duration: Fraction | None,
    base: Fraction,
    *,
    piped: bool,
) -> list[str]:
    flagged = order in WOVEN_ORDERS or still.frame.interlaced_frame
    combed = any(
        is_combed(split_planes(frame, describe(frame.format.name), "bt601").luma, still.layout.depth)
        for frame in (still.frame, *(() if piped else _keyframes(container, stream, duration, base)))
    )
    if combed:
        said = (
            "and flagged so, and its fields are colored apart"
            if flagged
            else ("though it is flagged progressive, and color will comb too")
        )
        return [
            f"{WOVEN} {said}: restoration.deinterlace=on makes progressive pictures of video, "
            "restoration.telecine=restore of film that was pulled down to video"
        ]
    if flagged:
        return [f"the film is flagged interlaced ({order}), but no combing was seen; the flags are kept"]
    return []


def _keyframes(
    container: InputContainer, stream: VideoStream, duration: Fraction | None, base: Fraction
) -> Iterator[VideoFrame]:
    """Decode one keyframe at each of a few places; combing shows in every single frame of a woven film."""
    if not duration or stream.codec_context is None:
        return
    for place in _COMB_PLACES:
        try:
            container.seek(int((stream.start_time or 0) + duration * place / base), stream=stream)
        except FFmpegError:
            return
        frame = next(tolerant_frames(container, stream), None)
        if frame is not None:
            yield frame


_HEAD: Final = 2**20
_MOOV: Final = 2**28
_MATROSKA: Final = re.compile(rb"\x6d\x80.{1,64}?\x62\x40.{1,64}?\x50\x35", re.DOTALL)
"""ContentEncodings containing a ContentEncoding containing a ContentEncryption (RFC 9559, section 5.1.4.1.31)."""
_CLUSTER: Final = b"\x1f\x43\xb6\x75"
"""End of the description of a Matroska file; packets, which may contain any bytes, follow."""
_MP4: Final = re.compile(rb"stsd.{12}encv", re.DOTALL)
"""A sample description whose first entry is an encrypted picture: box type, version, count, size, entry type."""


def is_encrypted(path: Path) -> bool:
    """Return whether a file declares its picture encrypted: MP4's `encv` (ISO/IEC 23001-7), or ContentEncryption.

    Raises:
        InputError: it cannot be read.
    """
    try:
        window = window_of(path)
        with path.open("rb") if window is None else window.head() as file:
            head = file.read(_HEAD)
            if head[:4] == b"\x1a\x45\xdf\xa3":
                return _MATROSKA.search(head.partition(_CLUSTER)[0]) is not None
            return _MP4.search(_moov(file)) is not None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def _moov(file: BinaryIO) -> bytes:
    """Read the box of an MP4 file that describes its streams; empty if there is none."""
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    while len(head := file.read(16)) >= 8:
        size, kind, used = int.from_bytes(head[:4], "big"), head[4:8], 8
        if not kind.isascii():
            return b""
        if size == 1:
            size, used = int.from_bytes(head[8:16], "big"), 16
        if kind == b"moov":
            file.seek(used - len(head), 1)
            return file.read(min(size - used if size else _MOOV, _MOOV))
        if not used <= size <= length:
            return b""
        file.seek(size - len(head), 1)
    return b""
