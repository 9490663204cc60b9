"""Shards become one film: their packets in a row, all other streams beside them, nothing encoded anew."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import zip_longest
from pathlib import Path
from typing import Any

from av.packet import Packet

from videocolor.errors import InputError, OutputError
from videocolor.types import Frame, VideoInfo
from videocolor.video.film import COLOR_LABEL, FilmSink
from videocolor.video.opening import ignore, main_video, open_input, read_packets
from videocolor.video.plan import OutputPlan
from videocolor.video.shardfile import ShardFile

__all__ = ["join_shards", "picture_times"]

Span = tuple[Fraction | None, Fraction | None]
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
) -> tuple[str, ...]:
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

    Returns:
        What could not be copied.

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
            _check_kin(shard, info, plan, sink.extradata)
            sink.put_encoded(_noted(shard.packets(), written))
        shift = first.pts if any(bound is not None for bound in span) else 0
        times = [(pts - shift) * info.time_base for pts in sorted(written)]

        def check(part: Path) -> None:
            if len(times) != frames:
                raise OutputError(f"{plan.target}: the shards hold {len(times)} frames, {frames} are expected")
            _compare(plan.target, times, picture_times(part) or (), "the joined film")
            source = picture_times(info.path, span) if exact_source and info.field_order in _FRAMES else None
            if source is not None:
                _compare(plan.target, times, [t - shift * info.time_base for t in source], f"{info.path}")

        return sink.finish(encoded=True, check=check)
    except BaseException:
        sink.discard()
        raise


def _check_kin(shard: ShardFile, info: VideoInfo, plan: OutputPlan, extradata: bytes) -> None:
    mine = (shard.codec, shard.pix_fmt, shard.width, shard.height, shard.time_base)
    wanted = (plan.codec, plan.pix_fmt, info.width, info.height, info.time_base)
    if mine != wanted:
        raise InputError(f"{shard.path}: holds {mine}, the film is {wanted}; remove it and run again")
    if shard.extradata != extradata:
        raise InputError(
            f"{shard.path}: was encoded with other settings of {plan.codec} than this film; remove it and run again"
        )


def _noted(packets: Iterator[Packet[Any]], times: array[int]) -> Iterator[Packet[Any]]:
    for packet in packets:
        if packet.pts is None:
            raise InputError("a packet of a shard has no time")
        times.append(packet.pts)
        yield packet


def picture_times(path: Path, span: Span = (None, None)) -> list[Fraction] | None:
    """The times in seconds at which a film's pictures are shown, ascending, without decoding any.

    None where the container does not state each (AVI, some streams).
    """
    start, end = span
    with open_input(path) as container:
        stream = main_video(container, path)
        for other in container.streams:
            if other.index != stream.index:
                ignore(other)
        found = array("q")
        for packet in read_packets(container, [stream], lambda error: None):
            if packet.size and packet.pts is None:
                return None
            if packet.size and packet.pts is not None and not packet.is_discard:
                found.append(packet.pts)
        base = Fraction(stream.time_base or 1)
    times = (pts * base for pts in sorted(found))
    return [t for t in times if (start is None or t >= start) and (end is None or t < end)]


def _compare(target: Path, times: Sequence[Fraction], found: Sequence[Fraction], what: str) -> None:
    """Equal in number, and equal to the millisecond that the coarsest container keeps."""
    for index, (mine, other) in enumerate(zip_longest(times, found)):
        if mine is None or other is None:
            raise OutputError(f"{target}: {what} has {'more' if mine is None else 'fewer'} than {index} frames")
        if abs(mine - other) > Fraction(1, 1000):
            raise OutputError(
                f"{target}: frame {index} stands at {float(mine):.4f} s, in {what} at {float(other):.4f} s"
            )
