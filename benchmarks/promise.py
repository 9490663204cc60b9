"""Whether the color that appears at a point is the one that its swatch promises.

    python benchmarks/promise.py FILM... [--points 12] [--frames 3] [--lines 480] [--together] [--json]

On frames spread over the first seconds of each film, one swatch at a time (`--together`: all of a frame at once) is set
at a seeded place, and the frame is colored as the studio colors it after a click. Compared are the promise, which is
the swatch's shade at the film's luma there, and the mean of 5x5 pixels around the point. Printed: mean, median and 90th
percentile of dE00, also for the neutral swatch, and the same for what 0.1.0 promised: the swatch itself.
"""

from __future__ import annotations

import json
import tempfile
from itertools import islice
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np

from videocolor.color import rgb_to_lab, rgb_to_luma
from videocolor.config import ColorizeConfig
from videocolor.evaluation.metrics.lab import ciede2000
from videocolor.pipeline.film import film_info
from videocolor.studio.frames import FilmIndex, FrameSource
from videocolor.studio.hints import shades
from videocolor.studio.live import LiveColors, Network
from videocolor.studio.project import ProjectStore
from videocolor.studio.projectdata import Point
from videocolor.types import Array
from videocolor.video import open_video

SWATCHES = (
    *("#c99478", "#a06a4a", "#6b4632", "#b0433f", "#5b3d28", "#c2a36b", "#8b5e3c", "#96503c"),
    *("#7a6a58", "#9aa05a", "#55743a", "#2f5233", "#7fa3c7", "#33507a", "#3a4a5e", "#8a8a8a"),
)
"""As videocolor/studio/static/points.js has them; the last one is neutral."""
LENGTH = 60
"""Frames of each film that are used."""


def lab(colors: Any) -> Array:
    return rgb_to_lab(np.asarray(colors, np.float32).reshape(3, 1, 1) / 255)


def hex_rgb(color: str) -> list[int]:
    return [int(color[n : n + 2], 16) for n in (1, 3, 5)]


def measured(
    film: Path, network: Network, frames: int, points: int, lines: int, *, together: bool
) -> list[dict[str, Any]]:
    """One row per point: color, dE00 to the promise, dE00 to the swatch."""
    config = ColorizeConfig()
    index = FilmIndex(film_info(film, config))
    with open_video(film) as video:
        for frame in islice(video, LENGTH):
            index.grow(frame.pts)
    index.finish()
    rows = []
    random = np.random.default_rng(len(film.name))
    with tempfile.TemporaryDirectory() as folder, ProjectStore.create(Path(folder) / "project", film) as store:
        source = FrameSource(film, index, config)
        live = LiveColors(store, index, source, network, lambda: None)
        for number in np.linspace(0, index.frames - 1, frames + 2).astype(int)[1:-1].tolist():
            chosen = []
            for _ in range(points):
                color = SWATCHES[int(random.integers(len(SWATCHES)))]
                x, y = random.uniform(0.08, 0.92, 2).tolist()
                chosen.append(Point(x=x, y=y, color=color, radius=0.035))
            for group in [chosen] if together else [[point] for point in chosen]:
                done = live.color(number, group, lines)
                jpeg = np.frombuffer(live.picture(done["id"], "after", 1.0), np.uint8)
                picture = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)[..., ::-1]
                rows += [{"film": film.name, "color": point.color, **_compared(picture, point)} for point in group]
        source.close()
    return rows


def _compared(picture: Array, point: Point) -> dict[str, float]:
    """DE00 of what appears at a point to the promise and to the swatch itself."""
    row, column = int(point.y * picture.shape[0]), int(point.x * picture.shape[1])
    shown = picture[row - 2 : row + 3, column - 2 : column + 3].reshape(-1, 3).mean(axis=0)
    luma = float(rgb_to_luma(shown[:, None] / 255, "bt709")[0])
    colors = {"promise": hex_rgb(shades(point.color)[round(64 * luma)]), "swatch": hex_rgb(point.color)}
    return {name: float(ciede2000(lab(shown), lab(color))[0, 0]) for name, color in colors.items()}


def summary(values: list[float]) -> dict[str, float]:
    stats = (np.mean(values), np.median(values), np.percentile(values, 90))
    return {name: round(float(value), 2) for name, value in zip(("mean", "median", "p90"), stats, strict=True)}


@click.command()
@click.argument("films", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--points", default=12, help="For each frame.")
@click.option("--frames", default=3, help="Of each film.")
@click.option("--lines", default=480)
@click.option("--together", is_flag=True)
@click.option("--json", "as_json", is_flag=True)
def main(films: tuple[Path, ...], points: int, frames: int, lines: int, together: bool, as_json: bool) -> None:
    """Compare the colors that points promise with those that appear."""
    network = Network()
    rows = [row for film in films for row in measured(film, network, frames, points, lines, together=together)]
    neutral = SWATCHES[-1]
    result = {
        "points": len(rows),
        "promise": summary([row["promise"] for row in rows]),
        "promise_neutral": summary([row["promise"] for row in rows if row["color"] == neutral] or [0.0]),
        "swatch_itself": summary([row["swatch"] for row in rows]),
        "films": {film.name: summary([r["promise"] for r in rows if r["film"] == film.name]) for film in films},
    }
    click.echo(json.dumps(result) if as_json else json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
