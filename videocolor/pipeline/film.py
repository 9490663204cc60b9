"""A film that is to be colored: what is decided before its first frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Final

from videocolor.concurrency.cores import cores
from videocolor.config import ColorizeConfig, ShotChroma
from videocolor.config.parsing import parse_hint
from videocolor.errors import UsageError
from videocolor.events import RunLog
from videocolor.hints.plan import (
    HintPlan,
    cap_hints_per_shot,
    collect_assigned,
    collect_hints,
    match_hints,
    place_assigned_hints,
    place_timed_hints,
)
from videocolor.models.base import Colorizer
from videocolor.models.registry import automatic_partner, is_packaged, load_colorizer
from videocolor.pipeline.aligned import FilmFrame, FrameFinder, align_hints
from videocolor.pipeline.merge import OtherChroma
from videocolor.pipeline.othermap import map_chroma
from videocolor.pipeline.predict import Predictor
from videocolor.pipeline.reader import Part
from videocolor.provenance.manifest import check_credential
from videocolor.record import check_sidecar
from videocolor.restoration import active, find_cadence, steps
from videocolor.shots.prepare import working_size
from videocolor.shots.scan import ScanResult, scan_film
from videocolor.shots.shotlist import FilmShots, known_shots
from videocolor.types import Array, Given, VideoInfo
from videocolor.video import (
    WOVEN,
    OutputOptions,
    OutputPlan,
    open_video,
    plan_output,
    probe,
    unwritten_later,
)
from videocolor.video.pipes import window_of

__all__ = [
    "Film",
    "ShotPlan",
    "film_info",
    "load_network",
    "network_threads",
    "open_film",
    "output_options",
    "plan_shots",
    "prove_output",
    "read_files",
    "scanned",
]

_LISTED: Final = (
    "through a pipe, hints and saturations go to shots that are known before: list them (--shots FILE), set "
    "shots.detector=none for a film of one shot, or save the film as a file"
)


@dataclass(frozen=True, eq=False)
class ShotPlan:
    """What single shots get."""

    hints: HintPlan = field(default_factory=HintPlan)
    saturations: Mapping[int, float] = field(default_factory=dict)
    """See `Film`."""


@dataclass(frozen=True, eq=False)
class Film:
    """A film that is to be colored: what the stages share."""

    source: Path
    target: Path
    config: ColorizeConfig
    info: VideoInfo
    plan: OutputPlan
    colorizer: Colorizer
    predictor: Predictor
    hints: HintPlan
    saturations: Mapping[int, float]
    """Number of a shot -> factor on its chroma, where it is not the film's."""
    scan: ScanResult | None
    other: OtherChroma | None = None
    """The film that the chroma is taken from."""

    def takes_chroma(self, number: int) -> bool:
        """Whether the chroma of a shot is that of the other film."""
        return self.other is not None and self.other.found.offsets[number] is not None

    @property
    def scan_size(self) -> tuple[int, int]:
        """(height, width) of the pictures in which cuts and recurring shots are found, in a scan and on the way."""
        return working_size(self.info.width, self.info.height)

    @property
    def reuse_size(self) -> tuple[int, int]:
        """(height, width) at which shots that are reused are colored: that of shots without hints."""
        return self._working_size("automatic")

    def size(self, number: int) -> tuple[int, int]:
        """(height, width) of a shot's luma for motion and smoothing."""
        return self._working_size("reference" if self.hints.has_reference(number) else "none")

    def seen_size(self, number: int) -> tuple[int, int]:
        """(height, width) that the network sees of a shot: may be larger with style references or without a hint."""
        card, given = self.colorizer.card, self.hints.given(number)
        if given == "style" and card.area_style is not None:
            return self._working_size("style")
        if given == "none" and card.area_automatic is not None:
            return self._working_size("automatic")
        return self.size(number)

    def grid(self, size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) of the network's predictions for luma of this size."""
        return size[0] // self.colorizer.card.output_stride, size[1] // self.colorizer.card.output_stride

    def memory(self, number: int) -> int:
        """How many frames of a shot are remembered: of shots with a reference frame alone."""
        return self.config.model.memory if self.hints.has_reference(number) else 0

    def _working_size(self, hints: Given) -> tuple[int, int]:
        return working_size(self.info.width, self.info.height, self.colorizer.card, hints=hints)

    def saturation(self, number: int) -> float:
        """Factor on the chroma of a shot."""
        return self.saturations.get(number, self.config.chroma.saturation)

    @property
    def total(self) -> int | None:
        """Frames that will be colored; None: unknown."""
        if self.scan is not None:
            return self.scan.frames
        frames, rate, span = self.info.frames, self.info.rate, self.config.input
        if frames is None or rate is None or (span.start is None and span.end is None):
            return frames
        last = Fraction(frames) if span.end is None else min(Fraction(frames), span.end * rate)
        return max(0, int(last - (span.start or 0) * rate))


def open_film(
    source: Path,
    target: Path,
    config: ColorizeConfig,
    log: RunLog,
    *,
    decided: ShotPlan | None = None,
    colorizer: Colorizer | None = None,
) -> Film:
    """Probe the film, check that the output can be written, load the network, match the hints.

    Args:
        source: a film, a numbered image sequence, a folder of images, or a still.
        target: what will be written.
        config: the settings.
        log: receives warnings and what was assumed.
        decided: what the shots get, where that was decided before; then nothing is decided here.
        colorizer: loaded before; None: load the one that the settings name.

    Raises:
        UsageError, InputError, OutputError, ModelError, DeviceError: see `videocolor.errors`.
    """
    with ThreadPoolExecutor(1, "network") as pool:
        # A plug-in may need the main thread, and what takes long to load would hold up what is wrong with the output.
        aside = colorizer is None and all(map(is_packaged, filter(None, (config.model.name, config.model.automatic))))
        loading = pool.submit(load_network, config) if aside else None
        info, plan = prove_output(source, target, config)
        log.note(*plan.notes)
        log.warn(*info.warnings, *(f"left out: {name}" for name in plan.dropped))
    colorizer = loading.result() if loading else colorizer or load_network(config)
    found: ScanResult | None = None
    if decided is None:
        decided, found = plan_shots(source, config, colorizer, log)
        log.warn(*(unwritten_later(info, plan, found.begins) if found else ()))
    predictor = Predictor(colorizer, config.model.batch, log)
    _note_restoration(source, config, log)
    shots = (decided.hints, decided.saturations)
    other = None
    if config.chroma.source is not None:
        found = found or scan_film(source, config, exact=True, progress=log.scan_progress)
        other = _other_chroma(config.chroma.source, source, config, info, found, log)
    return Film(source, target, config, info, plan, colorizer, predictor, *shots, found, other)


def prove_output(source: Path, target: Path, config: ColorizeConfig) -> tuple[VideoInfo, OutputPlan]:
    """Probe the film, and check that the output can be written, with its record and its signature.

    Raises:
        UsageError, InputError, OutputError: see `open_film`.
    """
    info = film_info(source, config)
    plan = plan_output(info, target, output_options(config), protected=read_files(config))
    check_sidecar(target, config)
    check_credential(config.output, source, image_files=plan.container == "image2")
    return info, plan


def _other_chroma(
    path: Path, source: Path, config: ColorizeConfig, info: VideoInfo, scan: ScanResult, log: RunLog
) -> OtherChroma:
    """Find the film in another one, and say what fits."""

    def luma_at(index: int) -> Array:
        part = Part(index, scan.pts[index], None, from_beginning=bool(scan.losses))
        return FilmFrame(source, config, info, part).luma()

    if window_of(source) is not None:
        raise UsageError(f"{source}: --chroma-from reads the film twice, a pipe can be read once; save it as a file")
    found = map_chroma(path, scan, luma_at, lambda done: log.stage_done("other", done, None))
    log.note(*found.lines())
    log.warn(*found.missing())
    return OtherChroma(found, (info.height, info.width))


def scanned(film: Film, log: RunLog) -> Film:
    """Scan the film, unless it has a scan already; return it with `Film.scan`."""
    if film.scan is not None:
        return film
    scan = scan_film(film.source, film.config, exact=True, progress=log.scan_progress)
    log.warn(*unwritten_later(film.info, film.plan, scan.begins))
    return replace(film, scan=scan)


def _note_restoration(source: Path, config: ColorizeConfig, log: RunLog) -> None:
    """Note what restoration changes, and the cadence of a telecined film."""
    if not active(config.restoration):
        return
    log.note(f"the picture is restored before it is colored, so luma changes: {', '.join(steps(config.restoration))}")
    if config.restoration.telecine != "off":
        span = config.input
        with open_video(source, rate=span.rate, start=span.start, end=span.end) as video:
            log.note(f"cadence of the first frames: {find_cadence(video) or 'none seen'}")


def film_info(source: Path, config: ColorizeConfig) -> VideoInfo:
    """Probe a film as it will be when it is colored: progressive where fields are put together before."""
    info = probe(source, rate=config.input.rate)
    if config.restoration.deinterlace == "off" and config.restoration.telecine == "off":
        return info
    warnings = tuple(text for text in info.warnings if WOVEN not in text)
    return replace(info, field_order="progressive", warnings=warnings)


def load_network(config: ColorizeConfig) -> Colorizer:
    """Load the network that the settings name."""
    model = config.model
    return load_colorizer(
        model.name,
        device=model.device,
        runtime=model.runtime,
        threads=network_threads(config),
        automatic=automatic_partner(model.name, model.automatic),
        vividness=model.vividness,
    )


def read_files(config: ColorizeConfig) -> list[Path]:
    """Return the files besides the film that a run reads, and so must not overwrite."""
    items = (*config.hints.items, *(entry.image for entry in config.hints.assigned))
    hints = [parse_hint(item)[1] for item in items]
    return [path for path in (*hints, config.shots.file, config.chroma.source) if path is not None]


def network_threads(config: ColorizeConfig) -> int:
    """CPU threads of the network: half the cores unless said otherwise, the other stages need the rest."""
    return config.model.threads or max(1, cores() // 2)


def output_options(config: ColorizeConfig) -> OutputOptions:
    """Return the writer's options of a configuration."""
    output = config.output
    return OutputOptions(
        codec=output.codec,
        crf=output.crf,
        preset=output.preset,
        pix_fmt=output.pix_fmt,
        only_chroma=output.only_chroma,
        options=dict(output.options),
        muxer=({"fflags": "+bitexact"} if output.bitexact else {}) | dict(output.muxer),
        overwrite=output.overwrite,
    )


def plan_shots(
    source: Path, config: ColorizeConfig, colorizer: Colorizer, log: RunLog
) -> tuple[ShotPlan, ScanResult | None]:
    """Read the hints, match them to the film's shots, and find the shots with a separate saturation.

    Nothing is decoded where nothing has to be dealt and the shots are known or not asked for.

    Raises:
        UsageError: the model takes no hints, or a setting speaks of a frame that the film does not have.
        HintError, InputError, ConfigError: a hint, the film or the shot list cannot be read.
    """
    hints, warnings = collect_hints(config)
    log.warn(*warnings)
    assigned = collect_assigned(config.hints.assigned)
    if (hints or assigned) and colorizer.card.hints == "none":
        count = len(hints) + len(assigned)
        raise UsageError(
            f"model {colorizer.card.name} takes no hints, {count} given; leave them out or choose another model"
        )
    by_shot = config.chroma.by_shot
    if not (hints or assigned or by_shot):
        return ShotPlan(), None
    if config.input.start and (assigned or by_shot):
        raise UsageError(
            "hints.assigned and chroma.by_shot count frames from the film's first; they do not go together with --start"
        )
    shots = known_shots(config.shots)
    if window_of(source) is not None:
        if shots is None:
            raise UsageError(f"{source}: {_LISTED}")
        timed = place_timed_hints(hints, shots, film_info(source, config), config.input.start)
        plan = cap_hints_per_shot([*place_assigned_hints(assigned, shots), *timed])
        return ShotPlan(plan, _saturations(by_shot, shots)), None
    if not hints and shots is not None:
        plan = cap_hints_per_shot(place_assigned_hints(assigned, shots))
        log.warn(*plan.warnings)
        return ShotPlan(plan, _saturations(by_shot, shots)), None
    times = [hint.time for hint in hints if hint.time is not None]
    finder = FrameFinder(hints if config.hints.align else ())
    scan = scan_film(source, config, times=times, exact=True, look=finder.look, progress=log.scan_progress)
    shots, info = FilmShots(tuple(view.shot.start for view in scan.shots), scan.frames), film_info(source, config)

    def frame_at(index: int) -> FilmFrame:
        return FilmFrame(source, config, info, Part(index, scan.pts[index], None, from_beginning=bool(scan.losses)))

    # Of a damaged film, each frame would be decoded from its beginning.
    found = {} if scan.losses else finder.find(lambda index: frame_at(index).luma())
    for place, index in found.items():
        log.note(f"hint {hints[place].name}: is the film's frame at {float(scan.pts[index] * info.time_base):.3f} s")
    mine = place_assigned_hints(assigned, shots)
    plan = match_hints(hints, scan, config.hints.min_similarity, mine, found)
    log.warn(*plan.warnings)
    if config.hints.align:
        plan = align_hints(plan, frame_at, log)
    return ShotPlan(plan, _saturations(by_shot, shots)), scan


def _saturations(by_shot: Sequence[ShotChroma], shots: FilmShots) -> dict[int, float]:
    found: dict[int, ShotChroma] = {}
    for entry in by_shot:
        number = shots.number(entry.frame, "chroma.by_shot")
        if number in found:
            raise UsageError(
                f"chroma.by_shot: frames {found[number].frame} and {entry.frame} lie in one shot, number {number + 1}; "
                "give it one saturation"
            )
        found[number] = entry
    return {number: entry.saturation for number, entry in found.items()}
