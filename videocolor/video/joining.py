"""Shards become one film: their packets one after the other, all other streams beside them, nothing encoded again."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from av.bitstream import BitStreamFilterContext
from av.packet import Packet

from videocolor.errors import InputError, OutputError
from videocolor.types import Frame, VideoInfo
from videocolor.video.clock import timing_of
from videocolor.video.film import COLOR_LABEL, FilmSink, time_shift
from videocolor.video.opening import ignore, main_video, muxer_errors, open_input, read_packets
from videocolor.video.output import OutputPlan, Span
from videocolor.video.packets import Written
from videocolor.video.shardfile import PacketFile, ShardFile, shard_header

__all__ = ["join_shards", "picture_times", "take_out"]

_MICRO, _MILLI = 1_000_000, 1_001
"""A second, and a millisecond with its rounding, in microseconds."""
_FRAMES = ("progressive", "unknown")
"""Field orders of films whose packets are frames; the two fields of a frame may be packets of their own."""


def join_shards(
    info: VideoInfo,
    plan: OutputPlan,
    shards: Sequence[Path],
    first: Frame,
    *,
    frames: int,
    span: Span = (None, None),
    offsets: Sequence[Fraction] = (),
    exact_source: bool = True,
    like: Path | None = None,
) -> Written:
    """Write a film from its shards, check it, and give it its name.

    Args:
        info: the source.
        plan: as the shards were encoded by; not for images.
        shards: shard files in film order.
        first: the film's first frame.
        frames: how many there must be.
        span: start and end that the film was trimmed to, seconds.
        offsets: as `VideoReader.offsets`.
        exact_source: also compare the times with those of the source's packets; not for films whose times had to
            be repaired.
        like: a film whose encoder's settings must be the same, since some shards were taken out of it.

    Raises:
        InputError: a shard is damaged, or was not encoded by this plan.
        OutputError: the disk is full, or the film does not have the source's frames and times.
    """
    sink = FilmSink(info, plan, span, COLOR_LABEL)
    written = array("q")
    try:
        sink.begin(first, offsets)
        for path in shards:
            shard = ShardFile.open(path)
            _check_kin(shard, plan.stored(info), plan, sink.extradata)
            sink.put_encoded(_noted(shard.packets(), written))
        shift = time_shift(span, first, plan.container)
        times = _microseconds(sorted(written), info.time_base, shift)

        def check(part: Path) -> None:
            if len(times) != frames:
                raise OutputError(f"{plan.target}: the shards hold {len(times)} frames, {frames} are expected")
            if like is not None:
                _check_encoder(part, like, plan.codec)
            _compare(plan.target, times, picture_times(part) or array("q"), "the joined film")
            if exact_source and info.format != "image2" and info.field_order in _FRAMES:
                _compare_source(info, plan.target, times, span, shift)

        return sink.finish(encoded=True, check=check)
    except BaseException:
        sink.discard()
        raise


def _check_encoder(part: Path, like: Path, codec: str) -> None:
    if _header_of(part) != _header_of(like):
        raise OutputError(
            f"{like}: was encoded with other settings of {codec}; give the settings that it was made with"
        )


def _compare_source(info: VideoInfo, target: Path, times: array[int], span: Span, shift: int) -> None:
    """Compare a film's times in microseconds with those of the source's packets, where these can be had."""
    source = picture_times(info.path, span)
    if source is not None:
        began = round(shift * info.time_base * _MICRO)
        _compare(target, times, array("q", (t - began for t in source)), f"{info.path}")


def _check_kin(shard: ShardFile, info: VideoInfo, plan: OutputPlan, extradata: bytes) -> None:
    mine = (shard.codec, shard.pix_fmt, shard.width, shard.height, shard.time_base)
    wanted = (plan.codec, plan.pix_fmt, info.width, info.height, info.time_base)
    if mine != wanted:
        raise InputError(f"{shard.path}: holds {mine}, the film is {wanted}; remove it and run again")
    if shard.extradata is not None and shard.extradata != extradata:
        raise InputError(
            f"{shard.path}: was encoded with other settings of {plan.codec} than this film; remove it and run again"
        )


def _noted(packets: Iterator[Packet[Any]], times: array[int]) -> Iterator[Packet[Any]]:
    for packet in packets:
        if packet.pts is None:
            raise InputError("a packet of a shard has no time")
        times.append(packet.pts)
        yield packet


def picture_times(path: Path, span: Span = (None, None)) -> array[int] | None:
    """Read the times in microseconds at which a film's pictures are shown, ascending, without decoding any.

    None where the container does not state each (AVI, some streams). Eight bytes a frame.
    """
    with open_input(path) as container:
        if timing_of(container).kind != "stated":
            return None
        stream = main_video(container, path)
        for other in container.streams:
            if other.index != stream.index:
                ignore(other)
        base = Fraction(stream.time_base or 1)
        # Trimming compares exactly, in ticks.
        start, end = (None if bound is None else math.ceil(bound / base) for bound in span)
        found = array("q")
        for packet in read_packets(container, [stream]):
            if packet.size and packet.pts is None:
                return None
            if packet.size and packet.pts is not None and not packet.is_discard:
                inside = (start is None or packet.pts >= start) and (end is None or packet.pts < end)
                found.extend((packet.pts,) if inside else ())
    return _microseconds(sorted(found), base)


def _microseconds(ticks: Iterable[int], base: Fraction, shift: int = 0) -> array[int]:
    numerator, denominator = base.numerator * _MICRO, base.denominator
    return array("q", ((2 * (tick - shift) * numerator + denominator) // (2 * denominator) for tick in ticks))


def _compare(target: Path, times: array[int], found: array[int], what: str) -> None:
    """Equal in number, and equal to the millisecond that the coarsest container keeps."""
    for index, (mine, other) in enumerate(zip(times, found, strict=False)):
        if abs(mine - other) > _MILLI:
            raise OutputError(
                f"{target}: frame {index} is at {mine / _MICRO:.4f} s, in {what} at {other / _MICRO:.4f} s"
            )
    if len(times) != len(found):
        raise OutputError(f"{target}: has {len(times)} frames, {what} {len(found)}")


def _header_of(path: Path) -> tuple[str, bytes]:
    """Codec and extradata of a film's picture."""
    with open_input(path) as container:
        context = main_video(container, path).codec_context
        return context.name, bytes(context.extradata or b"")


def take_out(
    film: Path,
    info: VideoInfo,
    plan: OutputPlan,
    pts: Sequence[int],
    parts: Sequence[tuple[int, int, Path]],
) -> None:
    """Take parts of a finished film's picture out, as shards, without decoding it.

    Args:
        film: the finished film.
        info: its source.
        plan: how it was made.
        pts: time of each frame in ticks of the source; the film's frames in order of their times are these.
        parts: (first frame, exclusive end, file to write), ascending.

    Raises:
        InputError: the film has another number of frames, or cannot be parted there.
    """
    order: list[tuple[Fraction, bool]] = [(time, key) for time, key, _ in _pictures(film)]
    if len(order) != len(pts):
        raise InputError(f"{film}: has {len(order)} frames, its source {len(pts)}; color the complete film again")
    rank = {time: place for place, time in enumerate(sorted(time for time, _ in order))}
    places = [rank[time] for time, _ in order]
    packets = enumerate(_pictures(film))
    for start, end, path in parts:
        # Where decoding restarts at both ends, packet number i decodes frames of the same part as frame i.
        whole = sorted(places[start:end]) == list(range(start, end)) and places[start] == start and order[start][1]
        if not whole:
            raise InputError(f"{film}: cannot be split at frames {start} and {end}; color the complete film again")
        late = max(pts[number] - pts[places[number]] for number in range(start, end))
        with muxer_errors(path):
            file = PacketFile(path, shard_header(info, plan, None))
            try:
                for number, (_, key, data) in packets:
                    if number >= start:
                        file.add(data, pts[places[number]], pts[number] - late, 0, key=key)
                    if number == end - 1:
                        break
                file.finish()
            except BaseException:
                file.discard()
                raise


def _pictures(film: Path) -> Iterator[tuple[Fraction, bool, bytes]]:
    """(time in seconds, whether decoding can begin there, data) of each packet of the picture, in decoding order."""
    with open_input(film) as container:
        stream = main_video(container, film)
        for other in container.streams:
            if other.index != stream.index:
                ignore(other)
        name, base = stream.codec_context.name, Fraction(stream.time_base or 1)
        # H.264 and H.265 lie in films otherwise than encoders write them.
        plain = BitStreamFilterContext(f"{name}_mp4toannexb", stream) if name in ("h264", "hevc") else None
        for packet in read_packets(container, [stream]):
            if packet.size and packet.pts is not None and not packet.is_discard:
                time, key = packet.pts * base, packet.is_keyframe
                yield time, key, bytes(packet) if plain is None else b"".join(map(bytes, plain.filter(packet)))
