"""What a container cannot hold, found by trying: a few bytes in memory, before the work begins."""

from __future__ import annotations

import io
import logging
from itertools import islice
from typing import Any

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet

from videocolor.types import VideoInfo
from videocolor.video.opening import ignore, open_input, read_packets
from videocolor.video.remux import add_copy, is_cover, other_streams, stream_name, timecode

__all__ = ["container_takes", "left_out"]

log = logging.getLogger(__name__)

_TRIAL_PACKETS = 2000
"""Packets that are read to find one of each stream for a trial."""


def container_takes(container: str, codec: str) -> bool:
    """Tell whether a muxer accepts an encoder's codec."""
    with av.open(io.BytesIO(), "w", format=container) as trial:
        return codec in trial.supported_codecs


def left_out(info: VideoInfo, container: str) -> tuple[str, ...]:
    """Name what a container cannot hold, by trying to write a file with each stream and its first packet.

    Args:
        info: The source.
        container: FFmpeg's muxer.

    Returns:
        One sentence for each stream that would be lost.
    """
    if info.format == "image2":
        return ()
    with open_input(info.path) as source:
        others = other_streams(source, info.path)
        samples = _first_packets(source, others)
        refusals = [(s, _refusal(container, s, samples.get(s.index))) for s in others]
        lost = [(s, reason) for s, reason in refusals if reason is not None]
        names = [f"{stream_name(s)}: {container} cannot hold it{reason}" for s, reason in lost]
        if timecode(source) and container == "webm":
            names.append("timecode: webm cannot hold it")
    return tuple(names)


def _first_packets(source: InputContainer, streams: list[Any]) -> dict[int, Packet[Any]]:
    """Read the first packet of each sound stream; subtitles may begin late, and their headers tell enough."""
    sounds = [s for s in streams if s.type == "audio"]
    for stream in source.streams:
        if stream not in sounds:
            ignore(stream)
    found: dict[int, Packet[Any]] = {}
    if sounds:
        for packet in islice(read_packets(source, sounds), _TRIAL_PACKETS):
            if packet.size:
                found.setdefault(packet.stream_index, packet)
            if len(found) == len(sounds):
                break
    return found


def _refusal(container: str, stream: Any, sample: Packet[Any] | None) -> str | None:
    """Return why a container refuses a stream, or None where it takes it."""
    if is_cover(stream) and container in ("matroska", "mp4"):
        return None
    if container in ("mp4", "mov") and stream.type in ("attachment", "data"):
        return ""
    try:
        with av.open(io.BytesIO(), "w", format=container) as trial:
            copy = add_copy(trial, stream, None)
            trial.start_encoding()
            if sample is not None:  # some muxers refuse only when they finish
                sample.pts = sample.dts = 0
                sample.stream = copy
                trial.mux(sample)
    except (FFmpegError, ValueError, NotImplementedError) as error:
        log.debug("%s refuses stream %d: %s", container, stream.index, error)
        return " (text subtitles of another kind; convert them first)" if stream.type == "subtitle" else ""
    return None
