"""What a few clicked points do to one frame: the network with 1, 3, 5 and 10 points of true color against none.

    python benchmarks/points.py FOLDER [FOLDER...] [--list configs/evaluate/held_back.yaml] [--frames 8] [--most 12]
        [--radii 0.035] [--reach thing] [--later 24] [--automatic keyframe] [-o RESULT.json]

Points lie where a seed puts them; each has the frame's true color there (mean of 5x5 pixels). Mean dE00, with and
without points, of

    all     the entire frame
    at      nearer to a point than 0.02 of the height; near: than 0.1; far: the rest
    thing   the things that points are on: the region connected to the point whose true a*b*, blurred by a pixel, is
            within 5 of that at the point
    ring    outside of all things, within 0.08 of the height of one that has at most a quarter of the frame
    halo    the same pixels, but only by how much points have made each of them worse
    later   the entire frame `--later` frames after the hinted one, where the clip has it

`--list` keeps the clips that a file names. `--automatic` names a network for what no point governs, as films have it;
without it the hint network's own color stands there. `--reach none` takes points as one hint, without regions.
"""

from __future__ import annotations

import json
from dataclasses import replace
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
SAME = 5.0
"""Difference of true a*b* up to which connected pixels are of one thing."""
SMALL = 0.25
"""Largest share of a frame of a thing that has a ring: what is larger is a background."""
RING = 0.08


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


def things(ab: Array, points: list[Point]) -> list[Array]:
    """(h, w) bool of the thing that each point is on."""
    ab = np.stack([cv2.GaussianBlur(plane, (0, 0), 1.0) for plane in ab])
    height, width = ab.shape[1:]
    found = []
    for point in points:
        row, column = int(point.y * height), int(point.x * width)
        patch = (slice(max(0, row - 2), row + 3), slice(max(0, column - 2), column + 3))
        color = ab[:, *patch].mean(axis=(1, 2))
        same = (np.hypot(*(ab - color[:, None, None])) < SAME).astype(np.uint8)
        same[patch] = 1
        numbered = cv2.connectedComponents(same, connectivity=4)[1]
        found.append(numbered == numbered[row, column])
    return found


def places(ab: Array, points: list[Point]) -> dict[str, Array]:
    """Column -> (h, w) bool, the pixels that it is the mean of."""
    height, width = ab.shape[1:]
    y, x = np.mgrid[:height, :width] + 0.5
    near = np.min([np.hypot(x - p.x * width, y - p.y * height) for p in points], axis=0) / height
    mine = things(ab, points)
    thing, small = np.any(mine, axis=0), [one for one in mine if one.mean() <= SMALL]
    radius = int(RING * height)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    around = cv2.dilate(np.any([np.zeros_like(thing), *small], axis=0).astype(np.uint8), disc) > 0
    ring = around & ~thing
    return {"all": near >= 0, "at": near < 0.02, "near": near < 0.1, "far": near >= 0.1, "thing": thing, "ring": ring}


def columns(difference: Array, without: Array, where: dict[str, Array]) -> dict[str, float]:
    """Means of dE00; none where a column has no pixels."""
    found = {name: float(difference[mask].mean()) if mask.any() else np.nan for name, mask in where.items()}
    worse = np.maximum(difference - without, 0)[where["ring"]]
    return {**found, "halo": float(worse.mean()) if worse.size else np.nan}


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--list", "listed", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--frames", default="8")
@click.option("--most", default=12)
@click.option("--radii", default="0.035")
@click.option("--reach", default="thing", type=click.Choice(["none", "here", "thing", "alike"]))
@click.option("--later", default=0)
@click.option("--automatic")
@click.option("-o", "--output", type=click.Path(path_type=Path))
def main(
    folders: tuple[Path, ...],
    listed: Path | None,
    frames: str,
    most: int,
    radii: str,
    reach: str,
    later: int,
    automatic: str | None,
    output: Path | None,
) -> None:
    """Points, measured."""
    cv2.setNumThreads(1)
    colorizer = load_colorizer("default", device="cpu", threads=1, automatic=automatic)
    hinted = tuple(int(v) for v in frames.split(","))
    wanted = tuple(sorted({*hinted, *(index + later for index in hinted)}))
    found = {(name, index): (rgb, luma) for folder in folders for name, index, rgb, luma in frames_of(folder, wanted)}
    names = listed.read_text() if listed is not None else None
    clips = [key for key in found if not key[0].startswith("bw_") and (names is None or f"{key[0]}.mp4" in names)]
    clips = [key for key in clips if key[1] in hinted]
    clips = clips[:: max(1, len(clips) // most)][:most]
    rows: dict[str, list[dict[str, dict[str, float]]]] = {}
    for name, index in clips:
        rgb, full = found[name, index]
        after = found.get((name, index + later)) if later else None
        luma, true, truth = shrunk(full, rgb)
        size = working_size(full.shape[1], full.shape[0], colorizer.card, hints="style")
        alone = working_size(full.shape[1], full.shape[0], colorizer.card, hints="automatic" if automatic else "style")
        without = ciede2000(truth, lab_of(predicted(colorizer, luma, [], alone), luma))
        for count in (1, 3, 5, 10):
            for radius in (float(v) for v in radii.split(",")):
                points = clicked(true, count, radius)
                picture, mask = points_picture(luma, points)
                marks = tuple(replace(point.mark(), reach=reach) for point in points) if reach != "none" else ()
                hint = hint_input(
                    Hint("", picture, None, mask, marks), size, in_shot=True, reach=None if reach == "none" else "thing"
                )
                where = places(truth[1:], points)
                helped = ciede2000(truth, lab_of(predicted(colorizer, luma, [hint], size), luma))
                row = {"with": columns(helped, without, where), "without": columns(without, without, where)}
                if after is not None:
                    there, _, then = shrunk(after[1], after[0])
                    for key, hints, seen in (("with", [hint], size), ("without", [], alone)):
                        ab = predicted(colorizer, there, hints, seen)
                        row[key]["later"] = float(ciede2000(then, lab_of(ab, there)).mean())
                rows.setdefault(f"{count} points, radius {radius:g}", []).append(row)
    result: dict[str, Any] = {"frames": len(clips), "reach": reach, "automatic": automatic}
    for key, values in rows.items():
        result[key] = {part: means([row[part] for row in values]) for part in ("with", "without")}
        result[key]["frames_better"] = sum(row["with"]["all"] < row["without"]["all"] for row in values)
    click.echo(json.dumps(result, indent=2))
    if output is not None:
        output.write_text(json.dumps(result, indent=2) + "\n")


def means(rows: list[dict[str, float]]) -> dict[str, float]:
    """Mean of each column over the frames that have it."""
    found = {name: [row[name] for row in rows if not np.isnan(row.get(name, np.nan))] for name in rows[0]}
    return {name: round(float(np.mean(values)), 2) for name, values in found.items() if values}


def shrunk(full: Array, rgb: Array) -> tuple[Array, Array, Array]:
    """Luma, R'G'B' and true L*a*b* of a frame at the size of the benchmark."""
    shrink = min(1.0, (PIXELS / full.size) ** 0.5)
    size = (round(full.shape[1] * shrink), round(full.shape[0] * shrink))
    luma, true = (cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in (full, rgb))
    return luma, true, lab_of(rgb_to_lab(np.moveaxis(true, -1, 0))[1:], luma)


if __name__ == "__main__":
    main()
