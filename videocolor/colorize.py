"""THE DATA PATH: a film in, the same film in colour out. Read this file first.

    frames      decoded one by one, luma as stored                          videocolor.video
    prepare     luma at the network's working size                          videocolor.prepare
    mark_shots  which shot each frame belongs to                            videocolor.shots
    color_shots a*b* of every frame: network on anchors, fused along motion videocolor.models, .smoothing
    bring_up    a*b* to the chroma plane's size, then to stored Cb, Cr      videocolor.upsample, .color
    write       the source's luma, our chroma, every other stream copied    videocolor.video

Each line is a generator in a thread of its own behind a bounded queue, so decode, network, smoothing and
encode overlap, and memory holds a window of frames, never a film.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Final

from videocolor._stages import opencv_single_threaded, prefetch
from videocolor.carry import HintCarrier
from videocolor.color import ChromaTable
from videocolor.config import ColorizeConfig, parse_hint
from videocolor.errors import OutputError, UsageError
from videocolor.flow import FlowEstimator, Quality
from videocolor.hints import HintPlan, collect_hints, deal_hints, hint_ab, hint_fits_frame, hint_input
from videocolor.models.base import Colorizer, HintInput
from videocolor.models.registry import load_colorizer
from videocolor.prediction import Predictor
from videocolor.prepare import Cuts, Prepared, mark_shots, prepare, unused_cuts, working_size
from videocolor.recurrence import ShotBank
from videocolor.report import Observer, ignore, sidecar_path, write_sidecar
from videocolor.runlog import Fixity, RunLog, ShotRecord, describe_run
from videocolor.smoothing import ChromaSmoother, Observation
from videocolor.sourcecolor import kept_chroma, source_color
from videocolor.survey import Survey, cuts_for, survey_film
from videocolor.types import Array, Frame, VideoInfo
from videocolor.upsample import bilinear_chroma, plane_luma, upsample_chroma
from videocolor.video import OutputOptions, OutputPlan, VideoReader, VideoWriter, open_video, plan_output, probe

__all__ = [
    "ColorizeResult",
    "check_sidecar",
    "colorize_video",
    "find_shots",
    "network_threads",
    "output_options",
    "plan_hints",
    "read_files",
]

_QUEUE_BYTES: Final = 128 * 2**20
"""Memory of the frames between two stages; a queue holds a window where it can, since the network works by windows."""
_WINDOW_BYTES: Final = 512 * 2**20
"""A window of decoded frames may take this much memory; the batch shrinks for films that need more."""
_SAME_FRAME: Final = 0.9
"""Luma correlation from which a hint counts as its own frame, painted: then it is reproduced whole."""
_CARRIED_CAP: Final = 5.0
"""Most precision that a painted frame hands on by itself where the network joins it with what it sees."""
_HINT_PRECISION: Final = 1e4
"""Weight of a painted frame against the network's 1: motion carries it, nothing averages it away."""


@dataclass(frozen=True)
class ColorizeResult:
    """What a run made."""

    target: Path
    frames: int
    seconds: float
    """Wall time."""
    shots: tuple[ShotRecord, ...]
    warnings: tuple[str, ...]
    sidecar: Path | None


@dataclass(frozen=True, eq=False)
class Colored:
    """A frame and its colour on the grid of prediction."""

    item: Prepared
    ab: Array
    """(2, h, w) float32 CIE a*b*."""
    hint: Array | None = None
    """(2, H, W) a*b* of the hint that is this frame, on the chroma plane's grid."""


@dataclass(frozen=True, eq=False)
class _Path:
    """What the stages share: settings that do not change during a film."""

    config: ColorizeConfig
    colorizer: Colorizer
    predictor: Predictor
    plan: OutputPlan
    hints: HintPlan
    log: RunLog
    size: tuple[int, int]
    """(height, width) that the network sees."""
    grid: tuple[int, int]
    """(height, width) that colour is predicted and fused on."""
    bank: ShotBank = field(default_factory=ShotBank)


def colorize_video(
    source: Path, target: Path, config: ColorizeConfig | None = None, *, observer: Observer = ignore
) -> ColorizeResult:
    """Colour a film: same picture, same timing, same sound.

    Luma is the source's, sample for sample (where the output's format can hold it); frame count and
    times are the source's; every other stream is copied. Nothing stands under the target's name before
    it is whole.

    Args:
        source: a film, a numbered image sequence, a folder of images, or a still.
        target: what to write; the suffix chooses the container.
        config: see `ColorizeConfig`; None: defaults.
        observer: is told what happens (`Event`), from the calling thread and the stages'.

    Raises:
        UsageError, InputError, OutputError, ModelError, DeviceError: see `videocolor.errors`.
    """
    config = config or ColorizeConfig()
    began = time.monotonic()
    log = RunLog(observer)
    info = probe(source, rate=config.input.rate)
    plan = plan_output(info, target, output_options(config), protected=read_files(config))
    check_sidecar(target, config)
    log.note(*plan.notes)
    log.warn(*info.warnings, *(f"left out: {name}" for name in plan.dropped))
    colorizer = load_colorizer(
        config.model.name, device=config.model.device, runtime=config.model.runtime, threads=network_threads(config)
    )
    hints, survey = plan_hints(source, config, colorizer, log)
    total = survey.frames if survey is not None else _expected(info.frames, info.rate, config)
    cuts = cuts_for(config, survey)
    size = working_size(info.width, info.height, colorizer.card, painted=hints.painted())
    grid = (size[0] // colorizer.card.output_stride, size[1] // colorizer.card.output_stride)
    predictor = Predictor(colorizer, grid, config.model.batch, log)
    path = _Path(config, colorizer, predictor, plan, hints, log, size, grid)
    fixity, span = Fixity(source), config.input
    log.start(source, target, colorizer.card, total, info)
    with (
        opencv_single_threaded(),
        open_video(source, rate=span.rate, start=span.start, end=span.end) as video,
        VideoWriter.like(video, target, output_options(config)) as out,
    ):
        with closing(color_film(video, cuts, path)) as finished:
            for frame, cb, cr in finished:
                out.write(frame, cb, cr)
                log.frame_done(total)
        log.warn(*video.losses, *unused_cuts(cuts))
        sha256 = fixity.result()
        log.warn(*out.close().warnings)
    sidecar = None
    if config.output.sidecar:
        sidecar = _write_record(target, describe_run(source, sha256, config, colorizer, info, plan, hints, log))
    seconds = time.monotonic() - began
    log.done(target, seconds)
    return ColorizeResult(target, log.frames, seconds, tuple(log.shots), tuple(log.warnings), sidecar)


def color_film(video: VideoReader, cuts: Cuts, path: _Path) -> Generator[tuple[Frame, Array, Array], None, None]:
    """Every frame of a film with its stored (Cb, Cr): the stages, each in a thread of its own."""
    queue = _queue_length(video.info, path.config)
    prepared = prefetch(prepare(video, path.size), queue, "decode")
    colored = prefetch(color_shots(mark_shots(prepared, cuts), path), queue, "color")
    finished = prefetch(bring_up(colored, path), queue, "chroma")
    # Closed from the last to the first, each with its thread, before the reader under them closes.
    with closing(prepared), closing(colored), closing(finished):
        yield from finished


def color_shots(marked: Iterable[tuple[int, Prepared]], path: _Path) -> Iterator[Colored]:
    """Colour shot after shot; colour memory never crosses a cut."""
    for number, pairs in groupby(marked, key=lambda pair: pair[0]):
        yield from color_shot(number, (item for _, item in pairs), path)


def color_shot(number: int, items: Iterator[Prepared], path: _Path) -> Iterator[Colored]:
    """Colour one shot: the network sees the anchors, motion carries their colour to the frames between."""
    stride, smoother, carrier = _fusion(path, path.hints.painted(number))
    waiting: deque[tuple[Prepared, Array | None]] = deque()
    first = next(items)
    inputs, record = _shot_hints(number, first, path)
    memory = path.colorizer.begin(inputs)
    items = _chain(first, items)
    while window := list(islice(items, stride * _batch(path, first.frame, stride))):
        painted = {i: ab for i, item in enumerate(window) if (ab := _painted(number, item, path)) is not None}
        chosen = range(len(window)) if smoother is None else smoother.plan([i.gray for i in window], stride)
        anchors = [i for i in chosen if i not in painted]
        carried: dict[int, Array] = {}
        if smoother is not None and carrier is not None:
            whole = {i: ab for i, (_, ab) in painted.items()}
            carried = carrier.follow([i.gray for i in window], smoother.planned_steps(), whole, anchors)
        seen = path.predictor.predict(memory, [window[i].luma for i in anchors], [carried.get(i) for i in anchors])
        observed: dict[int, Observation] = dict(zip(anchors, seen.observations(), strict=True))
        observed |= {i: (small, _HINT_PRECISION) for i, (small, _) in painted.items()}
        record.add(window, seen.confidence)
        path.bank.remember(number, window, observed)
        for i, item in enumerate(window):
            waiting.append((item, painted[i][1] if i in painted else None))
            if smoother is not None:
                smoother.push(item.gray, observed.get(i))
        ready = [observed[i][0] for i in range(len(window))] if smoother is None else smoother.pop()
        yield from (Colored(*_swap(waiting.popleft(), ab)) for ab in ready)
    if smoother is not None:
        yield from (Colored(*_swap(waiting.popleft(), ab)) for ab in smoother.finish())
    path.log.shot_done(record)


def bring_up(colored: Iterable[Colored], path: _Path) -> Iterator[tuple[Frame, Array, Array]]:
    """Bring colour to the chroma plane, guided by luma, and turn it into stored (Cb, Cr)."""
    plan, chroma = path.plan, path.config.chroma
    table = ChromaTable(plan.color, plan.layout.depth)
    for work in colored:
        frame = work.item.frame
        kind = source_color(frame)
        path.log.note_source(kind, chroma.keep_source)
        if chroma.keep_source and kind != "none":
            yield frame, *kept_chroma(frame, plan)
            continue
        luma = plane_luma(frame.luma, frame.layout.depth, frame.color.range, plan.chroma_size)
        if work.hint is not None:
            ab = work.hint
        elif chroma.upsample == "guided":
            ab = upsample_chroma(work.ab, _luma_at(work), luma)
        else:
            ab = bilinear_chroma(work.ab, luma.shape)
        yield frame, *table.codes(luma, ab, chroma.saturation)


def _shot_hints(number: int, first: Prepared, path: _Path) -> tuple[list[HintInput], ShotRecord]:
    """What the network is told at the start of a shot: its hints, else an earlier shot that it returns to."""
    record = ShotRecord(number, first.frame.index, first.frame.pts, first.frame.time_base)
    takes = path.colorizer.card.hints
    if takes == "none":
        return [], record
    planned = path.hints.for_shot(number)[: 1 if takes == "one" else None]
    record.hints = [p.hint.name for p in planned]
    inputs = [hint_input(p.hint, path.size) for p in planned]
    if not inputs:
        inputs, record.returns_to = path.bank.recall(first.gray)
        inputs = inputs[: 1 if takes == "one" else None]
    return inputs, record


def _painted(number: int, item: Prepared, path: _Path) -> tuple[Array, Array] | None:
    """a*b* of the hint that is this very frame, on the grid and on the chroma plane; else None."""
    planned = path.hints.at_frame(number, item.frame.index)
    if planned is None:
        return None
    fit = hint_fits_frame(planned.hint, item.gray)
    if fit < _SAME_FRAME:
        if planned.hint.mask is None:
            path.log.warn(
                f"hint {planned.hint.name}: its luma does not match the frame of its time (correlation {fit:.2f}); "
                "used as a loose hint, not reproduced"
            )
        return None
    path.log.reproduced.add(item.frame.index)
    width, height = path.plan.chroma_size
    return hint_ab(planned.hint, path.grid), hint_ab(planned.hint, (height, width))


def _fusion(path: _Path, painted: bool) -> tuple[int, ChromaSmoother | None, HintCarrier | None]:
    """Frames from anchor to anchor, and what holds a shot's colour together; finer where a frame was painted."""
    model, smoothing = path.config.model, path.config.smoothing
    if not smoothing.enabled:
        return 1, None, None
    quality: Quality = "detailed" if painted else "fast"
    flow = FlowEstimator(quality if smoothing.motion == "auto" else smoothing.motion)
    if not (painted and path.colorizer.card.carries):
        return model.anchor_every, ChromaSmoother(decay=smoothing.decay, flow=flow), None
    smoother = ChromaSmoother(decay=smoothing.decay, cap=_CARRIED_CAP, flow=flow)
    return min(model.anchor_every, model.anchor_every_painted), smoother, HintCarrier(path.grid, flow)


def _batch(path: _Path, frame: Frame, stride: int) -> int:
    """Anchors a window: what was asked for, or what a bounded window of this film's frames allows."""
    held = frame.luma.nbytes * 3
    return max(1, min(path.config.model.batch, _WINDOW_BYTES // (held * stride)))


def _queue_length(info: VideoInfo, config: ColorizeConfig) -> int:
    """Frames between two stages: a window of the network, or what a bounded queue holds of this film's frames."""
    frame = info.width * info.height * (1 if info.layout.depth == 8 else 2) * 3 // 2
    return max(2, min(config.model.batch * config.model.anchor_every, _QUEUE_BYTES // frame))


def _luma_at(work: Colored) -> Array:
    """The guide on the grid of the predicted colour."""
    luma = work.item.luma
    if luma.shape == work.ab.shape[1:]:
        return luma
    return plane_luma(luma, 8, "full", (work.ab.shape[2], work.ab.shape[1]))


def read_files(config: ColorizeConfig) -> list[Path]:
    """Files beside the film that a run reads, and so must not write over."""
    hints = [parse_hint(item)[1] for item in config.hints.items]
    return [path for path in (*hints, config.shots.file) if path is not None]


def check_sidecar(target: Path, config: ColorizeConfig) -> None:
    """Before the work: may the record be written?"""
    record = sidecar_path(target)
    if config.output.sidecar and record.exists() and (record.is_dir() or not config.output.overwrite):
        raise OutputError(
            f"{record}: exists; --overwrite replaces film and record, --set output.sidecar=false writes none"
        )


def _write_record(target: Path, record: dict[str, Any]) -> Path:
    try:
        return write_sidecar(target, record)
    except OutputError as error:
        raise OutputError(f"{target} is complete, but its record could not be written: {error}") from error


def network_threads(config: ColorizeConfig) -> int:
    """CPU threads of the network: half the cores unless said otherwise, the other stages need the rest."""
    return config.model.threads or max(1, (os.cpu_count() or 2) // 2)


def _swap(waiting: tuple[Prepared, Array | None], ab: Array) -> tuple[Prepared, Array, Array | None]:
    return waiting[0], ab, waiting[1]


def _chain(first: Prepared, rest: Iterator[Prepared]) -> Iterator[Prepared]:
    yield first
    yield from rest


def _expected(frames: int | None, rate: Fraction | None, config: ColorizeConfig) -> int | None:
    """Frames that a run will see, for the progress bar."""
    start, end = config.input.start, config.input.end
    if frames is None or rate is None or (start is None and end is None):
        return frames
    last = Fraction(frames) if end is None else min(Fraction(frames), end * rate)
    return max(0, int(last - (start or 0) * rate))


def output_options(config: ColorizeConfig) -> OutputOptions:
    """The writer's options of a configuration."""
    output = config.output
    return OutputOptions(
        codec=output.codec,
        crf=output.crf,
        preset=output.preset,
        pix_fmt=output.pix_fmt,
        options=dict(output.options),
        overwrite=output.overwrite,
    )


def plan_hints(
    source: Path, config: ColorizeConfig, colorizer: Colorizer, log: RunLog
) -> tuple[HintPlan, Survey | None]:
    """Read the hints and deal them to the film's shots; without hints nothing is decoded."""
    hints, warnings = collect_hints(config)
    log.warn(*warnings)
    if not hints:
        return HintPlan(), None
    if colorizer.card.hints == "none":
        raise UsageError(
            f"model {colorizer.card.name} takes no hints, {len(hints)} given; leave them out or choose another model"
        )
    times = [hint.time for hint in hints if hint.time is not None]
    survey = survey_film(source, config, times=times, progress=log.survey_progress)
    plan = deal_hints(hints, survey, config.hints.min_likeness)
    log.warn(*plan.warnings)
    return plan, survey


def find_shots(source: Path, config: ColorizeConfig | None = None, *, observer: Observer = ignore) -> Survey:
    """The film's shots, with a few pictures of each; see `videocolor.shots.write_shots`."""
    log = RunLog(observer)
    return survey_film(source, config or ColorizeConfig(), progress=log.survey_progress)
