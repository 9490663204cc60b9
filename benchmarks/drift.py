"""Does color hold still over a shot: how far followed places move from the color they had at its beginning.

    python benchmarks/drift.py CLIP... [--seconds 8] [--set KEY=VALUE]... [-o benchmarks/results/drift.json] \\
        [--picture docs/images/held.jpg]

Every CLIP, a film in color, is colored without a hint, with `model.self_references` on and off. From its first frame
places are followed by motion (luma alone, with the carrier that painted frames have); where they are trusted above 0.7,
the a*b* that stand there are compared with those of the first frame, every 8 frames of the second half of the span.
"Moved": mean distance (Lab units). "Otherwise than the truth": the same of the difference between the film's change
and the truth's own, for light does change. The picture shows the span's first, middle and last frame: as they are,
without self-hints, with them.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import av
import click
import cv2
import numpy as np

from videocolor.color import rgb_to_lab
from videocolor.colorize import colorize_video
from videocolor.config import ColorizeConfig
from videocolor.motion.flow import FlowEstimator, look_up
from videocolor.pipeline.propagation import DRIFT_CORRECTION_EVERY, CoordinateMap

Array = np.ndarray[Any, Any]
SIZE = (288, 160)
TRUSTED, LEAST = 0.7, 0.05
"""From which trust on places count, and the share of the picture that must."""
WAYS = {"self-hints": ("model.self_references=true",), "without": ()}


def lab_of(path: Path, frames: int) -> Iterator[Array]:
    """(3, 160, 288) float32 CIE Lab of the first frames."""
    with av.open(str(path)) as film:
        for frame in islice(film.decode(video=0), frames):
            rgb = cv2.resize(frame.to_ndarray(format="rgb24"), SIZE, interpolation=cv2.INTER_AREA)
            yield rgb_to_lab(np.moveaxis(rgb.astype(np.float32) / 255, -1, 0))


def row(paths: list[Path], frames: int) -> Array:
    """Frames 0, the middle one and the last of each film beside each other, a film below the other."""
    wanted = (0, frames // 2, frames - 1)
    lines = []
    for path in paths:
        with av.open(str(path)) as film:
            shown = [
                f.to_ndarray(format="bgr24") for i, f in enumerate(islice(film.decode(video=0), frames)) if i in wanted
            ]
        lines.append(np.hstack([cv2.resize(f, (288, 288 * f.shape[0] // f.shape[1])) for f in shown]))
    return np.vstack(lines)


def drift(truth: Path, films: list[Path], frames: int) -> list[dict[str, float]]:
    """Of the truth and of each film: `moved` and `otherwise`; means over the second half of the frames."""
    flow, places = FlowEstimator("detailed"), CoordinateMap.identity(SIZE[1], SIZE[0])
    pictures: list[Array] = []
    start: list[Array] = []
    rows = []
    for index, labs in enumerate(zip(*(lab_of(path, frames) for path in (truth, *films)), strict=False)):
        picture = flow.prepare(np.rint(labs[0][0] * 2.55).clip(0, 255).astype(np.uint8))
        chroma = [np.moveaxis(lab[1:], 0, -1) for lab in labs]
        if not pictures:
            start = [np.ascontiguousarray(ab) for ab in chroma]
        else:
            places.step(flow.motion(pictures[-1], picture))
            if index % DRIFT_CORRECTION_EVERY == 0:
                places.correct_drift(picture, pictures[0], flow)
        pictures = [*pictures[:1], picture]
        seen = places.trust > TRUSTED
        if index >= frames // 2 and index % 8 == 0 and seen.mean() > LEAST:
            change = [ab - look_up(was, places.at) for ab, was in zip(chroma, start, strict=True)]
            moved = [float(np.linalg.norm(c, axis=-1)[seen].mean()) for c in change]
            rows.append([moved, [float(np.linalg.norm(c - change[0], axis=-1)[seen].mean()) for c in change]])
    if not rows:
        raise click.ClickException(f"{truth}: nothing can be followed for {frames} frames")
    means = np.mean(rows, axis=0)
    return [{"moved": round(float(a), 2), "otherwise": round(float(b), 2)} for a, b in means.T]


@click.command(help=__doc__)
@click.argument("clips", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--seconds", default=8.0, show_default=True)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE")
@click.option("-o", "--output", type=click.Path(path_type=Path))
@click.option("--picture", type=click.Path(path_type=Path), help="A sheet of all clips; they need one shape.")
def main(
    clips: tuple[Path, ...], seconds: float, settings: tuple[str, ...], output: Path | None, picture: Path | None
) -> None:
    results: dict[str, Any] = {}
    sheets = []
    fixed = ("output.codec=ffv1", "output.resume=false", "output.overwrite=true", "shots.detector=none")
    for clip in clips:
        with av.open(str(clip)) as film:
            rate = float(film.streams.video[0].average_rate or 25)
        with tempfile.TemporaryDirectory() as folder:
            films = []
            for name, way in WAYS.items():
                films.append(Path(folder) / f"{name}.mkv")
                config = ColorizeConfig.load(None, [*fixed, f"input.end={seconds}", *way, *settings])
                colorize_video(clip, films[-1], config)
            found = drift(clip, films, round(seconds * rate))
            if picture is not None:
                sheets.append(row([clip, *reversed(films)], round(seconds * rate)))
        results[clip.stem] = dict(zip(("truth", *WAYS), found, strict=True))
        click.echo(f"{clip.stem}: {results[clip.stem]}")
    for key in ("moved", "otherwise"):
        mean = {name: float(np.mean([clip[name][key] for clip in results.values()])) for name in ("truth", *WAYS)}
        click.echo(f"mean, {key}: " + ", ".join(f"{name} {value:.2f}" for name, value in mean.items()))
    if picture is not None:
        cv2.imwrite(str(picture), np.vstack(sheets), [cv2.IMWRITE_JPEG_QUALITY, 88])
    if output is not None:
        output.write_text(json.dumps({"seconds": seconds, "settings": settings, "clips": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
