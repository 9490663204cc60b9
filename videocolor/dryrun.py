"""What a run would do: shots, hints, assumptions, losses, time and size, before any of it is done."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from videocolor.colorize import colorize_video
from videocolor.config import ColorizeConfig, InputConfig
from videocolor.errors import UsageError
from videocolor.events import Observer, RunLog, ignore
from videocolor.files import plain
from videocolor.hints.plan import HintPlan
from videocolor.hints.uses import hints_used
from videocolor.models.base import ModelCard
from videocolor.pipeline.film import film_info, load_network, output_options, plan_shots, read_files
from videocolor.pipeline.reuse import recurring_shots
from videocolor.record import check_sidecar
from videocolor.shots.scan import ScanResult, scan_film
from videocolor.types import HintUse
from videocolor.video import OutputPlan, plan_output, unwritten_later
from videocolor.video.pipes import is_pipe

__all__ = ["ColorizePlan", "plan_colorize"]

_SAMPLE: Final = 64
"""Frames that are really colored, into a temporary file, to estimate time and size."""


@dataclass(frozen=True, eq=False)
class ColorizePlan:
    """The answer of a dry run."""

    source: Path
    target: Path
    card: ModelCard
    scan: ScanResult
    output: OutputPlan
    hints: HintPlan
    reuses: Mapping[int, int]
    """Number of a shot -> number of the earlier shot that it reuses."""
    warnings: tuple[str, ...]
    seconds: float
    """Estimated wall time, from a sample that was really colored."""
    size: int
    """Estimated size of the output's picture in bytes, from the same sample."""

    def uses(self, number: int) -> list[HintUse]:
        """List what a shot uses as hints, with the reasons."""
        return hints_used(self.hints, number, self.card, self.reuses.get(number))

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        info, color = self.scan.info, self.scan.info.color
        data = {
            "source": self.source,
            "target": self.target,
            "model": self.card.name,
            "frames": self.scan.frames,
            "width": info.width,
            "height": info.height,
            "color": {
                "matrix": color.matrix,
                "range": color.range,
                "primaries": color.primaries,
                "transfer": color.transfer,
                "assumed": color.assumed,
            },
            "output": {
                "container": self.output.container,
                "codec": self.output.codec,
                "pix_fmt": self.output.pix_fmt,
                "notes": self.output.notes,
                "left_out": self.output.dropped,
            },
            "streams": [
                {"index": s.index, "kind": s.kind, "codec": s.codec, "language": s.language} for s in info.streams
            ],
            "shots": [
                {
                    "index": view.shot.index + 1,
                    "start": view.shot.start,
                    "end": view.shot.end,
                    "start_seconds": float(view.shot.start_pts * view.shot.time_base),
                    "hints": [p.hint.name for p in self.hints.for_shot(view.shot.index)],
                    "uses": self.uses(view.shot.index),
                }
                for view in self.scan.shots
            ],
            "warnings": self.warnings,
            "estimate": {"seconds": round(self.seconds, 1), "bytes": self.size},
        }
        return dict(plain(data))

    def lines(self) -> list[str]:
        """Return the same as lines of text."""
        info, color = self.scan.info, self.scan.info.color
        rate = "unknown" if info.rate is None else f"{float(info.rate):.3f}"
        assumed = f" (assumed: {', '.join(color.assumed)})" if color.assumed else ""
        out = [
            f"source    {self.source}: {info.width}x{info.height} {info.layout.name}, {rate} frames/s, "
            f"{self.scan.frames} frames, {len(self.scan.shots)} shots",
            f"color     {color.matrix}, {color.range} range{assumed}",
            f"model     {self.card.name}: {self.card.title}",
            f"output    {self.target}: {self.output.codec} {self.output.pix_fmt} in {self.output.container}",
        ]
        out += [f"          {note}" for note in self.output.notes]
        out += [f"left out  {name}" for name in self.output.dropped]
        for view in self.scan.shots:
            shot = view.shot
            uses = self.uses(shot.index)
            names = ", ".join(use.hint for use in uses if use.use != "unused") or "no hint"
            begin = float(shot.start_pts * shot.time_base)
            out.append(f"shot {shot.index + 1:4d} from {begin:10.3f} s, {shot.end - shot.start:6d} frames: {names}")
            out += [f"          {use.hint}: {use.use}: {use.reason}" for use in uses]
        out += [f"warning   {message}" for message in self.warnings]
        out.append(f"estimate  about {_span(self.seconds)} and {self.size / 1e6:.1f} MB (picture), from a sample")
        return out


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d} h" if hours else f"{minutes}:{rest:02d} min"


def plan_colorize(
    source: str | Path, target: str | Path, config: ColorizeConfig | None = None, *, observer: Observer = ignore
) -> ColorizePlan:
    """Scan the film and color a short sample of it into a temporary file; write nothing else.

    Raises:
        VideocolorError: what `colorize_video` would raise.
    """
    source, target, config = Path(source), Path(target), config or ColorizeConfig()
    if is_pipe(source):
        raise UsageError(f"{source}: a pipe can be read only once; --dry-run needs a file")
    log = RunLog(observer)
    info = film_info(source, config)
    output = plan_output(info, target, output_options(config), protected=read_files(config))
    check_sidecar(target, config)
    log.warn(*info.warnings)
    colorizer = load_network(config)
    decided, scan = plan_shots(source, config, colorizer, log)
    scan = scan or scan_film(source, config, progress=log.scan_progress)
    log.warn(
        *scan.losses, *unwritten_later(info, output, scan.begins), *_source_colors(scan, config.chroma.keep_source)
    )
    seconds, size = _sample(source, target, config, scan)
    reuses = {} if colorizer.card.hints == "none" else recurring_shots(scan, decided.hints)
    hints = (decided.hints, reuses)
    return ColorizePlan(source, target, colorizer.card, scan, output, *hints, tuple(log.warnings), seconds, size)


def _source_colors(scan: ScanResult, kept: bool) -> list[str]:
    """Say in which shots the film has color already, and what becomes of it."""
    fate = "kept, as asked" if kept else "replaced; chroma.keep_source=true keeps it"
    said = []
    for kind, what in (("color", "already in color"), ("tint", "tinted (one hue)")):
        numbers = sorted(shot + 1 for shot, found in scan.colors.items() if found == kind)
        if numbers:
            where = "every shot" if len(numbers) == len(scan.shots) else f"shots {_ranges(numbers)}"
            said.append(f"the source is {what} in {where}: its chroma is {fate}")
    return said


def _ranges(numbers: list[int]) -> str:
    """Write ascending numbers as `2, 5-7`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1] = [runs[-1][0], number]
        else:
            runs.append([number])
    return ", ".join("-".join(str(number) for number in run) for run in runs)


def _sample(source: Path, target: Path, config: ColorizeConfig, scan: ScanResult) -> tuple[float, int]:
    """(seconds, bytes) that the entire film takes, from its first frames; the sample's start-up is left out."""
    first, rate = scan.shots[0].shot, scan.info.rate or Fraction(25)
    start = first.start_pts * first.time_base
    frames = min(scan.frames, _SAMPLE)
    span = InputConfig(rate=config.input.rate, start=max(start, Fraction(0)), end=start + frames / rate)
    output = config.output.model_copy(update={"sidecar": False, "report": False, "overwrite": True, "resume": False})
    chroma = config.chroma.model_copy(update={"by_shot": ()})
    changes = {"input": span, "output": output, "hints": type(config.hints)(), "chroma": chroma}
    short = config.model_copy(update=changes)
    times: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="videocolor-") as folder:
        sample = Path(folder) / target.name
        if target.is_dir():
            sample.mkdir()
        result = colorize_video(
            source, sample, short, observer=lambda event: times.update({event.kind: time.monotonic()})
        )
        size = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
    scale = scan.frames / max(result.frames, 1)
    # From the "start" event to "done": loading the model is paid once, not per frame.
    return (times["done"] - times["start"]) * scale, round(size * scale)
