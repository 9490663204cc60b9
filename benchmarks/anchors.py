"""Every how many frames the network should look: quality against speed, as a table and a picture.

    python benchmarks/anchors.py CLIPS FILM... [--clips 8] [-o benchmarks/results/anchors.json] \\
        [--picture anchors.png]
    python benchmarks/anchors.py --draw benchmarks/results/anchors.json --picture anchors.png

Quality: `videocolor evaluate` of the whole film path on held-back clips of CLIPS (configs/evaluate/held_back.yaml,
evenly chosen, 3 s each, 240 lines), without a hint (`auto`, model.keyframe_interval) and with the true first frame
(`e1`, model.keyframe_interval_painted). Speed: CPU milliseconds a frame of `colorize_video` (decoding and x264
veryfast with it, one network thread) on each FILM, one in color, at 480 lines; its own first frame is the hint of
`e1`. Settings take turns within a round; median of the rounds, mean over films. Beside it, which share of the
frames the network saw: it also looks where motion cannot reach.
"""

from __future__ import annotations

import json
import resource
import statistics
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import av
import click
import cv2
import numpy as np
from film import ours, scaled

from videocolor.evaluation.evaluate import evaluate
from videocolor.evaluation.settings import EvaluateConfig
from videocolor.evaluation.table import summarize
from videocolor.models.hint.colorizer import HintColorizer
from videocolor.models.registry import list_models
from videocolor.presets import load_model

Array = np.ndarray[Any, Any]
KINDS = {
    "auto": ("model.keyframe_interval", (1, 2, 4, 8, 16, 32)),
    "e1": ("model.keyframe_interval_painted", (1, 2, 4, 8, 16)),
}
DEFAULTS = {"auto": 16, "e1": 8}
SCORES = {"psnr_rgb": "PSNR, dB", "ciede2000_mean": "dE00", "flicker": "flicker"}
LEAST = {"psnr_rgb": 1.0, "ciede2000_mean": 0.5, "flicker": 0.2}
"""Spans of the vertical axes at least: what is nearly equal is to look so."""
TITLES = {"auto": "no hint: model.keyframe_interval", "e1": "painted first frame: model.keyframe_interval_painted"}


def quality(clips: Path, most: int, kind: str, folder: Path, workers: int) -> dict[str, dict[str, Any]]:
    """Means over clips by setting."""
    folder.mkdir(parents=True, exist_ok=True)
    key, steps = KINDS[kind]
    methods = []
    for every in steps:
        preset = folder / f"every{every}.yaml"
        preset.write_text(f"# network on every {every}th frame\nmodel:\n  {key.partition('.')[2]}: {every}\n")
        methods.append(f"{every}=videocolor:{preset}")
    overrides = [f"clips.most={most}", "clips.listed=evaluate/held_back"]
    overrides += ["scores.metrics=[psnr_rgb,ciede2000,edge_ciede2000,flicker]"]
    config = load_model(EvaluateConfig, "evaluate", f"evaluate/{kind}", overrides, {"methods": methods})
    evaluation = evaluate(clips, folder / kind, config, workers=workers)
    means = {label: found for label, _, found in summarize(evaluation) if label != "truth"}
    return {
        label: {name: round(found[name].value, 4) for name in SCORES}
        | {"edge_ciede2000": round(found["edge_ciede2000"].value, 4)}
        | {"clips": found["psnr_rgb"].clips}
        for label, found in means.items()
    }


def speed(films: Sequence[Path], frames: int, rounds: int, kind: str, folder: Path) -> dict[str, dict[str, float]]:
    """CPU-ms a frame of the whole command, and the share of frames that the network saw, by setting."""
    key, steps = KINDS[kind]
    spent: dict[int, list[float]] = {every: [] for every in steps}
    shares: dict[int, list[float]] = {every: [] for every in steps}
    seen = [0]
    step = HintColorizer.step

    def counted(self: HintColorizer, memory: Any, luma: Array, *more: Any) -> Any:
        seen[0] += len(luma)
        return step(self, memory, luma, *more)

    for film in films:
        source, target = folder / f"{film.stem}.mkv", folder / "made.mkv"
        if not source.is_file():
            scaled(film, source, 480, frames)
        cost: dict[int, list[float]] = {every: [] for every in steps}
        for turn in range(rounds):
            for every in steps if turn % 2 == 0 else reversed(steps):
                seen[0] = 0
                given = (f"hints.items=[0={source}@0]",) if kind == "e1" else ()
                began = cpu_seconds()
                with patch.object(HintColorizer, "step", counted):
                    ours(source, target, "veryfast", f"{key}={every}", "model.threads=1", *given)
                cost[every].append(1000 * (cpu_seconds() - began) / frames)
                if turn == 0:
                    shares[every].append(seen[0] / frames)
            click.echo(f"{film.name} {kind}: { {k: round(v[-1], 1) for k, v in cost.items()} }", err=True)
        for every in steps:
            spent[every].append(statistics.median(cost[every]))
    return {
        str(every): {
            "cpu_ms": round(float(np.mean(spent[every])), 2),
            "network_share": round(float(np.mean(shares[every])), 4),
        }
        for every in steps
    }


def cpu_seconds() -> float:
    """Of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def draw(path: Path, found: dict[str, Any]) -> None:
    """A row of panels a kind: each score against CPU-ms a frame, the default in red."""
    width, height = 380, 330
    rows = []
    for kind in KINDS:
        table = found[kind]
        panels = [_panel((height, width), table, score, title, kind) for score, title in SCORES.items()]
        head = np.full((34, width * len(panels), 3), 255, np.uint8)
        cv2.putText(head, TITLES[kind], (24, 25), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (30, 30, 30), 1, cv2.LINE_AA)
        rows += [head, np.hstack(panels)]
    if not cv2.imwrite(str(path), np.vstack(rows), [cv2.IMWRITE_PNG_COMPRESSION, 9]):
        raise click.ClickException(f"{path}: cannot be written")


def _panel(size: tuple[int, int], table: dict[str, dict[str, float]], score: str, title: str, kind: str) -> Array:
    picture = np.full((*size, 3), 255, np.uint8)
    ink, font = (60, 60, 60), cv2.FONT_HERSHEY_SIMPLEX
    left, top, right, bottom = 70, 40, size[1] - 24, size[0] - 50
    xs = [row["cpu_ms"] for row in table.values()]
    ys = [row[score] for row in table.values()]
    middle, reach = (min(ys) + max(ys)) / 2, max(max(ys) - min(ys), LEAST[score]) / 2
    x_ticks, y_ticks = ticks(0, max(xs)), ticks(middle - reach, middle + reach)

    def place(x: float, y: float) -> tuple[int, int]:
        across = (x - x_ticks[0]) / (x_ticks[-1] - x_ticks[0])
        up = (y - y_ticks[0]) / (y_ticks[-1] - y_ticks[0])
        return round(left + across * (right - left)), round(bottom - up * (bottom - top))

    for x in x_ticks:
        at = place(x, y_ticks[0])
        cv2.line(picture, at, (at[0], top), (228, 228, 228), 1)
        cv2.putText(picture, f"{x:g}", (at[0] - 9, bottom + 18), font, 0.42, ink, 1, cv2.LINE_AA)
    for y in y_ticks:
        at = place(x_ticks[0], y)
        cv2.line(picture, at, (right, at[1]), (228, 228, 228), 1)
        cv2.putText(picture, f"{y:g}", (8, at[1] + 4), font, 0.42, ink, 1, cv2.LINE_AA)
    cv2.putText(picture, title, (left, top - 14), font, 0.5, ink, 1, cv2.LINE_AA)
    cv2.putText(picture, "CPU-ms a frame", (right - 120, size[0] - 12), font, 0.42, ink, 1, cv2.LINE_AA)
    points = {int(every): place(row["cpu_ms"], row[score]) for every, row in table.items()}
    for a, b in pairwise(points.values()):
        cv2.line(picture, a, b, (190, 120, 20), 2, cv2.LINE_AA)
    for number, (every, at) in enumerate(points.items()):
        chosen = every == DEFAULTS[kind]
        cv2.circle(picture, at, 6 if chosen else 4, (40, 40, 200) if chosen else (190, 120, 20), -1, cv2.LINE_AA)
        cv2.putText(
            picture, str(every), (at[0] + 6, at[1] + (20 if number % 2 else -8)), font, 0.45, ink, 1, cv2.LINE_AA
        )
    return picture


def ticks(low: float, high: float) -> list[float]:
    """Three to seven round numbers around a span."""
    span = max(high - low, 1e-6)
    step = 10.0 ** np.floor(np.log10(span / 3))
    step *= next(m for m in (1, 2, 5, 10) if span / (m * step) <= 5)
    first, last = np.floor(low / step), np.ceil(high / step)
    return [round(float(step * i), 6) for i in range(int(first), int(max(last, first + 1)) + 1)]


def measure(
    found: dict[str, Any],
    parts: Sequence[str],
    kinds: Sequence[str],
    clips: Path,
    films: Sequence[Path],
    work: Path,
    **options: int,
) -> dict[str, Any]:
    """Add the figures of the parts to those that are there."""
    weights = list_models()[0].sha256
    if found.get("weights", weights) != weights:
        raise click.ClickException("the figures that are there are of other weights; remove the file")
    found["weights"] = weights
    for kind in kinds:
        rows = found.setdefault(kind, {})
        if "quality" in parts:
            new = quality(clips, options["most"], kind, work, options["workers"])
            found |= {kind: {every: rows.get(every, {}) | row for every, row in new.items()}}
        rows = found[kind]
        if "speed" in parts:
            costs = speed(films, options["frames"], options["rounds"], kind, work)
            found |= {kind: {every: rows.get(every, {}) | row for every, row in costs.items()}}
            about = {"films": [film.name for film in films], "frames": options["frames"], "rounds": options["rounds"]}
            found.setdefault("speed", {})[kind] = about | {"cpus": cv2.getNumberOfCPUs(), "pyav": av.__version__}
    return found


@click.command(help=__doc__)
@click.argument("clips", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("films", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--clips", "most", default=8, show_default=True)
@click.option("--frames", default=150, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--workers", default=1, show_default=True, help="Processes that score.")
@click.option("--part", type=click.Choice(["quality", "speed"]), help="Measure this only, and keep the rest of FILE.")
@click.option("--kind", type=click.Choice(list(KINDS)), help="The same for one kind.")
@click.option("--work", type=click.Path(file_okay=False, path_type=Path), help="Keep scores here; a later run goes on.")
@click.option("--draw", "record", type=click.Path(exists=True, path_type=Path), help="Only draw these figures.")
@click.option("--picture", type=click.Path(dir_okay=False, path_type=Path))
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path))
def main(
    clips: Path | None,
    films: tuple[Path, ...],
    most: int,
    frames: int,
    rounds: int,
    workers: int,
    part: str | None,
    kind: str | None,
    work: Path | None,
    record: Path | None,
    picture: Path | None,
    output: Path | None,
) -> None:
    cv2.setNumThreads(1)
    if record is not None:
        found = json.loads(record.read_text())
    elif clips is None or (not films and part != "quality"):
        raise click.UsageError("CLIPS and at least one FILM, or --draw FILE")
    else:
        found = json.loads(output.read_text()) if (part or kind) and output and output.is_file() else {}
        options = {"most": most, "frames": frames, "rounds": rounds, "workers": workers}
        parts, kinds = [part] if part else ["quality", "speed"], [kind] if kind else list(KINDS)
        with tempfile.TemporaryDirectory() as folder:
            measure(found, parts, kinds, clips, films, work or Path(folder), **options)
    click.echo(json.dumps(found, indent=1))
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(found, indent=1) + "\n")
    if picture is not None:
        draw(picture, found)


if __name__ == "__main__":
    main()
