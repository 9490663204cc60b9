"""Color a film, or find its shots: the functions that programs call. The data path is `videocolor.pipeline.path`."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from videocolor.concurrency.stages import opencv_single_threaded
from videocolor.config import ColorizeConfig
from videocolor.events import Observer, RunLog, ShotRecord, ignore
from videocolor.pipeline.film import FilmReader, open_film, output_options
from videocolor.pipeline.path import Run, color_film
from videocolor.pipeline.prepare import unused_cuts
from videocolor.pipeline.reuse import SeenReferenceShots
from videocolor.record import Fixity, describe_run
from videocolor.reports.run import leave_record
from videocolor.shots.scan import ScanResult, cuts_for, scan_film
from videocolor.video import VideoWriter

__all__ = ["ColorizeResult", "colorize_video", "find_shots"]


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
    resumed: int = 0
    """Frames that an earlier run had coloured already."""
    report: Path | None = None


def colorize_video(
    source: Path, target: Path, config: ColorizeConfig | None = None, *, observer: Observer = ignore
) -> ColorizeResult:
    """Colour a film: same picture, same timing, same sound.

    Luma is the source's, sample for sample (where the output's format can hold it); frame count and
    times are the source's; every other stream is copied. Nothing stands under the target's name before
    it is whole. A run that was stopped goes on where it stood when it is called again with the same settings
    (`output.resume`); what is finished lies in `.TARGET.videocolor` beside the target until then.

    Args:
        source: a film, a numbered image sequence, a folder of images, or a still.
        target: what to write; the suffix chooses the container.
        config: see `ColorizeConfig`; None: defaults.
        observer: is told what happens (`Event`), from the calling thread and the stages'.

    Raises:
        UsageError, InputError, OutputError, ModelError, DeviceError: see `videocolor.errors`.
    """
    config = config or ColorizeConfig()
    began, log = time.monotonic(), RunLog(observer)
    film = open_film(source, target, config, log)
    if config.output.resume and film.plan.container != "image2":
        from videocolor.shards.single import color_in_shards

        return color_in_shards(film, began)
    if film.scan is None and not film.cuts_alike:
        film = open_film(source, target, config, log, scan="always", colorizer=film.colorizer)
    fixity = Fixity(source)
    log.start(source, target, film.colorizer.card.name, film.total, film.info)
    reader = FilmReader(source, config, film.info)
    cuts = cuts_for(config, film.scan)
    with (
        opencv_single_threaded(),
        reader,
        VideoWriter.like(reader.video, target, output_options(config), info=film.info) as out,
    ):
        with closing(color_film(reader, film, Run(cuts, SeenReferenceShots(film.scan_size)))) as finished:
            for done in finished:
                out.write(done.frame, done.cb, done.cr)
                log.frame_done(film.total)
        log.warn(*reader.losses, *unused_cuts(cuts))
        sha256 = fixity.result()
        log.warn(*out.close().warnings)
    sidecar = report = None
    if config.output.sidecar or config.output.report:
        record = describe_run(film, sha256, time.monotonic() - began)
        sidecar, report = leave_record(source, target, config, record, observer=observer)
    seconds = time.monotonic() - began
    log.done(target, seconds)
    return ColorizeResult(target, log.frames, seconds, tuple(log.shots), tuple(log.warnings), sidecar, report=report)


def find_shots(source: Path, config: ColorizeConfig | None = None, *, observer: Observer = ignore) -> ScanResult:
    """The film's shots, with a few pictures of each; see `videocolor.shots.shotlist.write_shots`."""
    log = RunLog(observer)
    return scan_film(source, config or ColorizeConfig(), progress=log.scan_progress)
