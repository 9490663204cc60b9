"""What a few clicked points do to one frame: the network with 1, 3, 5 and 10 points of true color against none.

    python benchmarks/points.py FOLDER [FOLDER...] [--list configs/evaluate/held_back.yaml] [--frames 8] [--most 12]
        [--radii 0.02,0.05,0.12] [-o RESULT.json]

Points lie where a seed puts them; each has the frame's true color there (mean of 5x5 pixels). Told: mean dE00 of the
whole frame, at the points (nearer than 0.02 of the height), near them (0.1) and far from them, with and without.
`--list` keeps the clips that a file names. One frame at a time: motion plays no part.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
from alignment import frames_of

from videocolor.color import rgb_to_lab
from videocolor.evaluation.metrics.lab import ciede2000
from videocolor.hints.align import with_luma
from videocolor.hints.plan import hint_input
from videocolor.models.base import Colorizer, HintInput
from videocolor.models.registry import load_colorizer
from videocolor.pipeline.upsample import upsample_chroma
from videocolor.shots.prepare import working_size
from videocolor.studio.hints import points_picture
from videocolor.studio.projectdata import Point
from videocolor.types import Array, Hint

PIXELS = 200 * 130


def predicted(colorizer: Colorizer, luma: Array, hints: list[HintInput], size: tuple[int, int]) -> Array:
    """(2, h, w) a*b* of a frame."""
    small = cv2.resize(luma, size[::-1], interpolation=cv2.INTER_AREA)
    ab = colorizer.step(colorizer.begin(hints), small[None]).ab[0]
    grid = cv2.resize(small, (ab.shape[2], ab.shape[1]), interpolation=cv2.INTER_AREA)
    return upsample_chroma(ab, grid, luma)


def lab_of(ab: Array, luma: Array) -> Array:
    return rgb_to_lab(np.moveaxis(with_luma(ab, luma), -1, 0))


def clicked(rgb: Array, count: int, radius: float) -> list[Point]:
    h, w = rgb.shape[:2]
    out = []
    for x, y in np.random.default_rng(count).uniform(0.06, 0.94, (count, 2)):
        row, column = int(y * h), int(x * w)
        mean = rgb[max(0, row - 2) : row + 3, max(0, column - 2) : column + 3].mean(axis=(0, 1))
        red, green, blue = (int(v) for v in np.rint(np.clip(mean, 0, 1) * 255))
        out.append(Point(x=float(x), y=float(y), color=f"#{red:02x}{green:02x}{blue:02x}", radius=radius))
    return out


def parts(difference: Array, near: Array) -> list[float]:
    """Means: all, at the points, near, far."""
    return [float(difference[where].mean()) for where in (near >= 0, near < 0.02, near < 0.1, near >= 0.1)]


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--list", "listed", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--frames", default="8")
@click.option("--most", default=12)
@click.option("--radii", default="0.02,0.05,0.12")
@click.option("-o", "--output", type=click.Path(path_type=Path))
def main(
    folders: tuple[Path, ...], listed: Path | None, frames: str, most: int, radii: str, output: Path | None
) -> None:
    """Points, measured."""
    cv2.setNumThreads(1)
    colorizer = load_colorizer("default", device="cpu", threads=1)
    items = [item for folder in folders for item in frames_of(folder, tuple(int(v) for v in frames.split(",")))]
    names = listed.read_text() if listed is not None else None
    items = [item for item in items if not item[0].startswith("bw_") and (names is None or f"{item[0]}.mp4" in names)]
    rows: dict[str, list[list[float]]] = {}
    for _, _, rgb, full in items[:: max(1, len(items) // most)][:most]:
        shrink = min(1.0, (PIXELS / full.size) ** 0.5)
        size = (round(full.shape[1] * shrink), round(full.shape[0] * shrink))
        luma, true = (cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in (full, rgb))
        h, w = luma.shape
        truth = lab_of(rgb_to_lab(np.moveaxis(true, -1, 0))[1:], luma)
        working = working_size(full.shape[1], full.shape[0], colorizer.card)
        alone = ciede2000(truth, lab_of(predicted(colorizer, luma, [], working), luma))
        y, x = np.mgrid[:h, :w] + 0.5
        for count in (1, 3, 5, 10):
            for radius in (float(v) for v in radii.split(",")):
                points = clicked(true, count, radius)
                near = np.min([np.hypot(x - p.x * w, y - p.y * h) for p in points], axis=0) / h
                picture, mask = points_picture(luma, points)
                hint = hint_input(Hint("", picture, None, mask), working, in_shot=True)
                helped = ciede2000(truth, lab_of(predicted(colorizer, luma, [hint], working), luma))
                rows.setdefault(f"{count} points, radius {radius:g}", []).append(
                    [*parts(helped, near), *parts(alone, near)]
                )
    heads = ("all", "at", "near", "far")
    result: dict[str, Any] = {"frames": min(most, len(items))}
    for key, values in rows.items():
        table = np.array(values)
        mean = np.round(table.mean(axis=0), 2).tolist()
        result[key] = {
            "with": dict(zip(heads, mean[:4], strict=True)),
            "without": dict(zip(heads, mean[4:], strict=True)),
            "frames_better": int((table[:, 0] < table[:, 4]).sum()),
        }
    click.echo(json.dumps(result, indent=2))
    if output is not None:
        output.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
