"""Seconds until a preview shows its first colored frame, and until five seconds of film are colored.

    python benchmarks/preview.py FILM [--height 480] [--lines 240] [--rounds 3] [-o benchmarks/results/preview.json]

As the studio makes it; `ratio` is the work beside that of an automatic one, in CPU seconds. FILM is scaled to HEIGHT
once and repeated to 800 frames; the previews begin in the middle of a group of pictures.

    automatic   the network alone
    points      four points of true color on the first frame of the preview
    painted     that frame, in its own color, as an assigned hint
    cold        automatic, with the network and the table of colors still to be loaded; modules are imported
"""

from __future__ import annotations

import json
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

import click
import cv2
import numpy as np
from film import scaled

from videocolor.chromatable import chroma_atlas
from videocolor.config import ColorizeConfig
from videocolor.hints.plan import frame_to_rgb
from videocolor.models.base import Colorizer
from videocolor.pipeline.film import load_network
from videocolor.pipeline.reader import Part
from videocolor.preview import _table, preview_part, preview_rgb, warm_up
from videocolor.types import Array
from videocolor.video import open_video

START: Final = 620
WANTED: Final = 125
"""Five seconds at 25 frames a second."""


def preview(film: Path, config: ColorizeConfig, part: Part, lines: int, network: Colorizer | None) -> list[float]:
    """Seconds until the first frame and until the last one is a picture, by the clock and of all CPUs together."""
    began, cpu, seen = time.perf_counter(), time.process_time(), []
    for frame in preview_part(
        film, config, part, shot=0, lines=lines, colorizer=network, frames=WANTED, draft=lines <= 240
    ):
        preview_rgb(frame)
        seen.append((time.perf_counter() - began, time.process_time() - cpu))
    assert len(seen) == WANTED
    return [*seen[0], *seen[-1]]


def assigned(picture: Array, path: Path, marks: str = "") -> str:
    """Write a picture, (h, w, 3) or with alpha (h, w, 4) in 0..1; return the setting that makes it a hint."""
    order = [2, 1, 0, 3][: picture.shape[2]]
    cv2.imwrite(str(path), np.rint(picture[..., order] * 255).astype(np.uint8))
    return f"hints.assigned=[{{image: '{path}', frame: {START}, marks: [{marks}]}}]"


def dotted(picture: Array, folder: Path) -> str:
    """Keep four discs of a picture."""
    height, width = picture.shape[:2]
    mask = np.zeros((height, width, 1), np.float32)
    places = [(x, y) for x in (0.3, 0.7) for y in (0.3, 0.7)]
    for x, y in places:
        cv2.circle(mask, (round(x * width), round(y * height)), round(0.035 * height), 1.0, -1)
    marks = ", ".join(f"{{x: {x}, y: {y}, radius: 0.035}}" for x, y in places)
    return assigned(np.concatenate((picture, mask), axis=2), folder / "points.png", marks)


@click.command(help=__doc__)
@click.argument("film", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--height", default=480, show_default=True)
@click.option("--lines", default=240, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path))
def main(film: Path, height: int, lines: int, rounds: int, output: Path | None) -> None:
    times: dict[str, list[list[float]]] = {"cold": [], "automatic": [], "points": [], "painted": []}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source.mkv"
        scaled(film, source, height, 800)
        with open_video(source) as video:
            frame = next(frame for frame in video if frame.index == START)
            matrix = frame.color.matrix
            picture = frame_to_rgb(frame)
            part = Part(START, frame.pts, None)
        plain, points, painted = (
            ColorizeConfig.load(None, ["shots.detector=none", *more])
            for more in ((), (dotted(picture, Path(folder)),), (assigned(picture, Path(folder) / "hint.png"),))
        )
        for _ in range(rounds):
            _table.cache_clear()
            chroma_atlas.cache_clear()
            times["cold"].append(preview(source, plain, part, lines, None))
            network = load_network(plain)
            warm_up(matrix)
            times["automatic"].append(preview(source, plain, part, lines, network))
            times["points"].append(preview(source, points, part, lines, network))
            times["painted"].append(preview(source, painted, part, lines, network))
    keys = ("first_s", "first_cpu_s", "all_s", "all_cpu_s")
    rows = {
        name: {key: round(statistics.median(run[i] for run in runs), 2) for i, key in enumerate(keys)}
        for name, runs in times.items()
    }
    for row in rows.values():
        row["ratio"] = round(row["all_cpu_s"] / rows["automatic"]["all_cpu_s"], 2)
    machine = f"{platform.machine()}, {cv2.getNumberOfCPUs()} CPUs"
    about = {"film": film.name, "height": height, "lines": lines, "frames": WANTED, "rounds": rounds}
    result = {**about, "machine": machine, "rows": rows}
    click.echo(json.dumps(result, indent=2))
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
