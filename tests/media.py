"""Makers of small synthetic films for the tests: every sample, time and tag is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

__all__ = ["make_film", "make_image", "neutral_chroma", "noise_planes", "planes_of", "srt_packets"]

Array = NDArray[Any]


def planes_of(frame: av.VideoFrame) -> list[Array]:
    """Return writable views of a planar frame's planes: (height, width) uint8, or uint16 in the format's byte order."""
    wide = frame.format.components[0].bits > 8
    dtype = np.dtype((">u2" if frame.format.name.endswith("be") else "<u2") if wide else "u1")
    views = []
    for plane in frame.planes:
        rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
        views.append(rows[:, : plane.width * dtype.itemsize].view(dtype))
    return views


def noise_planes(width: int, height: int, pix_fmt: str, index: int = 0) -> list[Array]:
    """Make planes of noise that use every code of the format, the same ones for the same arguments."""
    fmt = av.VideoFormat(pix_fmt, width, height)
    random = np.random.default_rng([index, width, height])
    bits = fmt.components[0].bits
    sizes = [(height, width)]
    if len(fmt.components) >= 3:
        sizes += [(fmt.chroma_height(height), fmt.chroma_width(width))] * 2 if not fmt.is_rgb else [(height, width)] * 2
    return [
        random.integers(0, 2**bits, size, dtype=np.uint16).astype(np.uint8 if bits <= 8 else np.uint16)
        for size in sizes
    ]


def neutral_chroma(size: tuple[int, int], depth: int) -> Array:
    """Make a chroma plane (size is width, height) without color."""
    return np.full((size[1], size[0]), 1 << (depth - 1), np.uint8 if depth <= 8 else np.uint16)


def srt_packets(lines: Sequence[tuple[int, int, str]]) -> list[av.Packet]:
    """Make subtitle packets from (start ms, duration ms, text)."""
    packets = []
    for start, duration, text in lines:
        packet = av.Packet(text.encode())
        packet.pts = packet.dts = start
        packet.duration = duration
        packet.time_base = Fraction(1, 1000)
        packets.append(packet)
    return packets


def make_film(
    path: Path,
    frames: int | Sequence[Sequence[Array]] = 6,
    codec: str = "ffv1",
    pix_fmt: str = "yuv420p",
    rate: Fraction = Fraction(24),
    *,
    size: tuple[int, int] = (64, 48),
    pts: Iterable[int] | None = None,
    time_base: Fraction | None = None,
    tags: Mapping[str, int] | None = None,
    audio: Sequence[Mapping[str, str]] = (),
    audio_codec: str = "pcm_s16le",
    subtitles: Sequence[tuple[int, int, str]] = (),
    chapters: Sequence[tuple[int, int, str]] = (),
    attachments: Mapping[str, bytes] | None = None,
    metadata: Mapping[str, str] | None = None,
    sar: Fraction | None = None,
    rotation: int = 0,
    field_order: int = 0,
    options: Mapping[str, str] | None = None,
) -> list[list[Array]]:
    """Write a film.

    Args:
        path: Where; the suffix chooses the container.
        frames: A number of noise frames, or the planes of each frame.
        codec: FFmpeg's encoder.
        pix_fmt: A planar format.
        rate: Frames a second.
        size: Width and height.
        pts: Times in `time_base`; None: 0, 1, 2...
        time_base: Unit of `pts`; None: 1 / rate.
        tags: Any of color_range, colorspace, color_primaries, color_trc as numbers.
        audio: One stream of tone for each, with these metadata.
        audio_codec: Its encoder.
        subtitles: One SubRip stream of (start ms, duration ms, text).
        chapters: (start ms, end ms, title).
        attachments: Name to bytes.
        metadata: Of the container.
        sar: Sample aspect ratio.
        rotation: Display rotation in degrees, counter-clockwise.
        field_order: FFmpeg's number of AVFieldOrder.
        options: Of the encoder.

    Returns:
        The planes of each frame, as written.
    """
    time_base = time_base or 1 / rate
    count = frames if isinstance(frames, int) else len(frames)
    planes = (
        [noise_planes(*size, pix_fmt, i) for i in range(count)]
        if isinstance(frames, int)
        else [list(f) for f in frames]
    )
    times = list(range(count)) if pts is None else list(pts)
    scale = {"video_track_timescale": str(time_base.denominator)} if path.suffix in (".mp4", ".mov") else {}
    with av.open(str(path), "w", container_options=scale) as out:
        out.metadata.update(metadata or {})
        video: Any = out.add_stream(codec, rate=rate, options=dict(options or {}))
        context = video.codec_context
        context.width, context.height = size
        context.pix_fmt, context.time_base = pix_fmt, time_base
        if field_order and hasattr(context, "field_order"):  # PyAV 18.1
            context.field_order = field_order
        for name, value in (tags or {}).items():
            setattr(context, name, value)
        if sar is not None:
            context.sample_aspect_ratio = sar
        if rotation:
            video.set_display_rotation(rotation)
        tracks = [_audio_stream(out, audio_codec, words) for words in audio]
        text = _subtitle_stream(out) if subtitles else None
        for name, data in (attachments or {}).items():
            out.add_attachment(name, "application/x-truetype-font", data)
        if chapters:
            out.set_chapters(
                [
                    {"id": i, "start": a, "end": b, "time_base": Fraction(1, 1000), "metadata": {"title": title}}
                    for i, (a, b, title) in enumerate(chapters)
                ]
            )
        for packet in srt_packets(subtitles):
            packet.stream = text
            out.mux(packet)
        seconds = float((times[-1] - times[0] + 1) * time_base) if times else 0.0
        for track in tracks:
            _write_tone(out, track, seconds)
        for content, time in zip(planes, times, strict=True):
            out.mux(video.encode(_frame(content, size, pix_fmt, time, time_base, tags or {})))
        out.mux(video.encode(None))
    return planes


def _frame(
    content: Sequence[Array],
    size: tuple[int, int],
    pix_fmt: str,
    pts: int,
    time_base: Fraction,
    tags: Mapping[str, int],
) -> av.VideoFrame:
    frame = av.VideoFrame(*size, pix_fmt)
    for view, plane in zip(planes_of(frame), content, strict=True):
        view[...] = plane
    frame.pts, frame.time_base = pts, time_base
    for name, value in tags.items():
        setattr(frame, name, value)
    return frame


def _audio_stream(out: Any, codec: str, words: Mapping[str, str]) -> Any:
    stream = out.add_stream(codec, rate=48000)
    stream.metadata.update(words)
    return stream


def _subtitle_stream(out: Any) -> Any:
    stream = out.add_mux_stream("subrip")
    stream.time_base = Fraction(1, 1000)
    stream.metadata["language"] = "deu"
    return stream


def _write_tone(out: Any, stream: Any, seconds: float) -> None:
    step, total = 1024, int(seconds * 48000)
    layout, sample_format = stream.codec_context.layout.name, stream.codec_context.format.name
    for start in range(0, total, step):
        wave = np.sin(np.arange(start, start + step) * 2 * np.pi * 440 / 48000) * 8000
        two = np.stack([wave, wave])
        if sample_format == "s16":
            data = two.T.astype(np.int16).reshape(1, -1)
        elif sample_format == "s16p":
            data = two.astype(np.int16)
        else:
            data = (
                (two / 32768).astype(np.float32)
                if sample_format.endswith("p")
                else (two.T / 32768).astype(np.float32).reshape(1, -1)
            )
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(data), format=sample_format, layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def make_image(path: Path, planes: Sequence[Array], pix_fmt: str, codec: str = "png") -> None:
    """Write one image of a packed or planar format; `planes` are (height, samples) arrays in native byte order."""
    height = planes[0].shape[0]
    width = planes[0].shape[1] // (3 if pix_fmt.startswith(("rgb24", "rgb48", "bgr")) else 1)
    frame = av.VideoFrame(width, height, pix_fmt)
    for view, plane in zip(_rows(frame, pix_fmt, planes), planes, strict=True):
        view[...] = plane
    context: Any = av.CodecContext.create(codec, "w")
    context.width, context.height, context.pix_fmt, context.time_base = width, height, pix_fmt, Fraction(1, 24)
    frame.pts = 0
    path.write_bytes(b"".join(bytes(p) for p in (*context.encode(frame), *context.encode(None))))


def _rows(frame: av.VideoFrame, pix_fmt: str, planes: Sequence[Array]) -> list[Array]:
    dtype = np.dtype("u1" if planes[0].dtype.itemsize == 1 else ">u2" if pix_fmt.endswith("be") else "<u2")
    rows = [np.frombuffer(p, np.uint8).reshape(p.height, p.line_size) for p in frame.planes]
    return [row[:, : plane.shape[1] * dtype.itemsize].view(dtype) for row, plane in zip(rows, planes, strict=True)]
