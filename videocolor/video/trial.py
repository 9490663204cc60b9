"""What a container cannot hold, found by trying: the film's first frames and packets, written as the film will be."""

from __future__ import annotations

import errno
import io
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame

from videocolor.errors import InputError, OutputError, UsageError
from videocolor.types import Frame, VideoInfo
from videocolor.video.carrier import carried_kinds
from videocolor.video.film import COLOR_LABEL, FilmSink
from videocolor.video.interlace import WOVEN_ORDERS
from videocolor.video.matroska import read_crop
from videocolor.video.opening import main_video, open_input, tolerant_frames
from videocolor.video.output import OutputPlan
from videocolor.video.reader import VideoReader
from videocolor.video.reasons import reason_of
from videocolor.video.recoding import SUBTITLES
from videocolor.video.streams import CHAPTERS, TAGS, TIMECODE, other_streams, stream_name, timecode
from videocolor.video.unwritten import name_unwritten, trial_planes, with_light

__all__ = ["container_takes", "prove"]

log = logging.getLogger(__name__)

_FRAMES = 3
_SIDES = ("left", "top", "right", "bottom")
_NOT_THE_FORMAT = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS)
"""Errors of the disk on which is tried."""
_REFUSALS = (FFmpegError, OutputError, ValueError, NotImplementedError)


def container_takes(container: str, codec: str) -> bool:
    """Tell whether a muxer accepts an encoder's codec; one that lists no codecs says so only when it is tried."""
    with av.open(io.BytesIO(), "w", format=container) as trial:
        try:
            trial.add_mux_stream(codec)
        except ValueError:
            return False
    return True


def prove(info: VideoInfo, plan: OutputPlan) -> OutputPlan:
    """Write the first frames and packets of a film in the very way of the film, and find what cannot be held.

    Sound that cannot be copied is stored as PCM where the container takes that, text subtitles as the container's kind.

    Args:
        info: the source.
        plan: of a film, not of images.

    Returns:
        The plan with all that will be left out, in words, and what will be stored otherwise.

    Raises:
        UsageError: the picture alone cannot be written so.
    """
    frames = list(_first_frames(info))
    if not frames:
        return plan
    native = frames[0].native
    if isinstance(native, VideoFrame):
        plan = replace(plan, codec_options=with_light(plan.codec, plan.codec_options, native))
    with tempfile.TemporaryDirectory(prefix="videocolor-") as folder:
        target = Path(folder) / f"trial{plan.target.suffix}"
        with _unused_options() as unused:
            sink = _tried(info, plan, frames, target)
        if plan.muxer_options and unused:
            options = ", ".join(plan.muxer_options)
            raise UsageError(f"output.muxer: {plan.container} does not take {options} ({unused[0]})")
        if isinstance(sink, str):
            plan = _reduced(info, plan, frames)
            sink = _tried(info, plan, frames, target)
        lost, altered = ((), ()) if isinstance(sink, str) else _unkept(info, plan, frames, sink, target)
    notes = (
        f"{name}: {plan.container} keeps its packets in a form of its own; they are not compared" for name in altered
    )
    return replace(plan, dropped=(*plan.dropped, *lost), notes=(*plan.notes, *notes), uncompared=altered)


@contextmanager
def _unused_options() -> Iterator[list[str]]:
    """Collect what PyAV says of options that neither encoder nor muxer took."""
    said: list[str] = []
    listener = logging.Handler(logging.WARNING)
    listener.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    spoken = logging.getLogger("av.container.output")
    spoken.addHandler(listener)
    try:
        yield said
    finally:
        spoken.removeHandler(listener)


def _first_frames(info: VideoInfo) -> Iterator[Frame]:
    try:
        with VideoReader(info, start=None, end=None, fast=False, threads=1) as video:
            yield from islice(video, _FRAMES)
    except InputError as error:
        log.debug("no frames to try the output with: %s", error)


def _reduced(info: VideoInfo, plan: OutputPlan, frames: list[Frame]) -> OutputPlan:
    """Leave out what the container refuses, one by one."""
    names: list[str] = []
    words: dict[str, str] = {}
    stored_as: dict[str, tuple[int, str]] = {}
    if info.format != "image2":
        with open_input(info.path) as source:
            others = other_streams(source, info.path)
            names = [stream_name(s) for s in others]
            stored_as = {n: (s.index, said) for n, s in zip(names, others, strict=True) if (said := _kind(s, plan))}
            words = {n: _advice(s.type) for n, s in zip(names, others, strict=True)}
    parts = [*names, TIMECODE, CHAPTERS, TAGS]
    bare = replace(plan, dropped=tuple(parts))
    reason = _refusal(info, bare, frames)
    if reason is not None:
        why = _said(info, bare) or f" ({reason})"
        raise UsageError(f"{plan.target}: {plan.codec} cannot be written so in {plan.container}{why}")
    left = dict.fromkeys(parts, "")
    for part in parts:
        rest = {name: said for name, said in left.items() if name != part}
        tried = replace(plan, dropped=tuple(f"{n}{said}" for n, said in rest.items()))
        reason = _refusal(info, tried, frames)
        if reason is not None and part in stored_as:
            index, kind = stored_as[part]
            stored = replace(tried, recoded=plan.recoded | {index})
            if _refusal(info, stored, frames) is None:
                note = f"{part}: {plan.container} cannot hold it as it is; {kind}"
                plan, left = replace(plan, recoded=stored.recoded, notes=(*plan.notes, note)), rest
                continue
        if reason is None:
            left = rest
        else:
            left[part] = f": {plan.container} cannot hold it{words.get(part) or _said(info, tried)}"
    return replace(plan, dropped=tuple(f"{name}{said}" for name, said in left.items()))


def _kind(stream: Any, plan: OutputPlan) -> str:
    """Say as what a stream can be stored that is not copied; empty: as nothing."""
    if stream.type == "audio":
        return f"its samples are stored as PCM{' of at most 24 bits' if plan.container == 'mxf' else ''}"
    context = stream.codec_context if stream.type == "subtitle" else None
    if context is None or not context.codec.text_sub or plan.container not in SUBTITLES:
        return ""
    return f"its text is stored as {SUBTITLES[plan.container]}"


def _advice(kind: str) -> str:
    return " (pictures of text, or of a kind that cannot be converted)" if kind == "subtitle" else ""


def _said(info: VideoInfo, plan: OutputPlan) -> str:
    """Return what encoder or muxer say first when the first frames are written by a plan, in brackets; else nothing."""
    said = reason_of((plan.codec, plan.container, "fifo"), refusal, info, plan)
    return "" if said is None else f" ({said})"


def refusal(info: VideoInfo, plan: OutputPlan) -> str | None:
    """Return why the film's first frames cannot be written by a plan, or None where they can."""
    return _refusal(info, plan, list(_first_frames(info)))


def _refusal(info: VideoInfo, plan: OutputPlan, frames: list[Frame]) -> str | None:
    """Return why some frames cannot be written by a plan, or None where they can."""
    with tempfile.TemporaryDirectory(prefix="videocolor-") as folder:
        found = _tried(info, plan, frames, Path(folder) / f"trial{plan.target.suffix}")
    return found if isinstance(found, str) else None


def _tried(info: VideoInfo, plan: OutputPlan, frames: list[Frame], target: Path) -> FilmSink | str:
    """Write some frames by a plan: what wrote them, or why they cannot be written."""
    try:
        return _write(info, plan, frames, target)
    except _REFUSALS as error:
        cause = (error.__cause__ if isinstance(error, OutputError) else None) or error
        if getattr(cause, "errno", None) in _NOT_THE_FORMAT:
            raise
        return str(getattr(cause, "strerror", None) or cause)


def _write(info: VideoInfo, plan: OutputPlan, frames: list[Frame], target: Path) -> FilmSink:
    sink = FilmSink(info, replace(plan, target=target), (None, None), COLOR_LABEL, trial=True)
    try:
        for number, frame in enumerate(frames):
            sink.put(frame, *trial_planes(plan, frame), key=number == 0)
        sink.finish()
    except _REFUSALS:
        sink.discard()
        raise
    return sink


def _unkept(
    info: VideoInfo, plan: OutputPlan, frames: list[Frame], sink: FilmSink, target: Path
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Name what was written and is not there when it is read again, and streams whose packets are others then."""
    if info.format == "image2":
        return (), ()
    natives = [frame.native for frame in frames if isinstance(frame.native, VideoFrame)]
    with open_input(info.path) as source, open_input(target) as made:
        lost = _lost_data(info, plan, source, made)
        crop = read_crop(main_video(made, target))
        shown = list(islice(tolerant_frames(made, main_video(made, target)), _FRAMES))
    if any(info.crop) and info.crop != crop:
        sides = ", ".join(f"{n} at the {side}" for n, side in zip(info.crop, _SIDES, strict=True) if n)
        lost.append(f"crop ({sides}): not written to {plan.container}, the picture is shown complete; .mkv keeps it")
    return (*lost, *_lost_of_frames(info, plan.codec, natives, shown)), sink.altered


def _lost_data(info: VideoInfo, plan: OutputPlan, source: InputContainer, made: InputContainer) -> list[str]:
    """Name what belongs to the container and is missing, unless that is known already."""
    lost = []
    if timecode(source) and not timecode(made) and not any(d.startswith(TIMECODE) for d in plan.dropped):
        lost.append(f"{TIMECODE}: {plan.container} cannot hold it{_said(info, plan)}")
    if source.chapters() and not made.chapters() and not any(d.startswith(CHAPTERS) for d in plan.dropped):
        lost.append(f"{CHAPTERS}: {plan.container} cannot hold them beside such sound")
    return lost


def _lost_of_frames(info: VideoInfo, codec: str, natives: list[VideoFrame], shown: list[VideoFrame]) -> Iterator[str]:
    """Name what the frames carried and do not carry when they are read again."""
    yield from name_unwritten(carried_kinds(natives) - carried_kinds(shown), codec)
    woven = info.field_order in WOVEN_ORDERS and any(frame.interlaced_frame for frame in natives)
    if woven and not any(frame.interlaced_frame for frame in shown):
        yield f"order of fields in each frame: {codec} does not write it"
