"""A sheet of frames to look at: what the network makes of held-back clips and of archival films.

    videocolor evaluate --protocol auto --methods gray,videocolor --clips CLIPS -o OUT/auto
    videocolor evaluate --protocol e1 --methods flow,videocolor --clips CLIPS -o OUT/e1
    python pipelines/look_sheet.py --clips OUT/auto OUT/e1 --film samples/bw_chaplin.mp4 -o look.jpg

A row for each still of a clip: truth, gray, automatic, with the true first frame as hint, DIS flow with the same hint.
A row for each of some frames of an archival film: as it is, automatic, with a hint made by hand (points of color on
one frame, `POINTS` below), that hint. Numbers in the first column are frames. --clips may be given more than once, and
--only limits it to some clips: stills of footage that may not be passed on belong into no repository.
"""

from __future__ import annotations

import re
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Final

import click
import cv2
import numpy as np

import videocolor
from videocolor.color import codes_to_luma
from videocolor.errors import InputError
from videocolor.reports.display import read_stills, still_rgb
from videocolor.studio.hints import points_picture
from videocolor.studio.projectdata import Point
from videocolor.types import Array
from videocolor.video import open_video, probe

WIDTH, HEIGHT, LINE = 224, 126, 14
COLUMNS: Final = ("truth", "gray", "automatic", "first frame as hint", "flow, same hint")
FILM_COLUMNS: Final = ("as it is", "automatic", "hint made by hand", "that hint")
POINTS: Final[dict[str, tuple[int, tuple[tuple[float, float, str], ...]]]] = {
    "bw_his_girl_friday_1940": (
        64,
        (
            (0.15, 0.10, "#c8b68c"),
            (0.85, 0.35, "#c8b68c"),
            (0.645, 0.21, "#d9a184"),
            (0.43, 0.50, "#d9a184"),
            (0.66, 0.40, "#7d4550"),
            (0.60, 0.56, "#7d4550"),
            (0.68, 0.09, "#5d3038"),
            (0.12, 0.50, "#3d2a1e"),
            (0.35, 0.45, "#8a6238"),
            (0.90, 0.545, "#d8c9a0"),
            (0.75, 0.80, "#38241a"),
            (0.52, 0.45, "#6b4a2e"),
            (0.35, 0.80, "#4a5f85"),
        ),
    ),
    "bw_chaplin": (
        60,
        (
            (0.30, 0.34, "#5f7a3c"),
            (0.34, 0.60, "#5f7a3c"),
            (0.17, 0.10, "#4b5a34"),
            (0.778, 0.55, "#bdb19c"),
            (0.778, 0.80, "#a89c8a"),
            (0.683, 0.28, "#b8a486"),
            (0.233, 0.38, "#27365a"),
            (0.249, 0.15, "#3a4a70"),
            (0.558, 0.38, "#2c2522"),
            (0.53, 0.66, "#6e5e4c"),
            (0.52, 0.23, "#d6a688"),
            (0.243, 0.215, "#d6a688"),
        ),
    ),
}
"""Hints made by hand: the frame, and places (x, y in 0..1) with the color that a person gave them."""


@click.command(help=__doc__)
@click.option("--clips", nargs=2, multiple=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--only", help="Names of clips, with commas; default: all.")
@click.option("--film", "films", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path))
def main(clips: tuple[tuple[Path, Path], ...], only: str | None, films: tuple[Path, ...], output: Path) -> None:
    if not clips and not films:
        raise click.UsageError("nothing to show: give --clips or --film")
    try:
        rows = [_row(COLUMNS)] if clips else []
        for auto, hinted in clips:
            rows += _clip_rows(auto, hinted, None if only is None else set(only.split(",")))
        if films:
            rows.append(_row(FILM_COLUMNS))
        for film in films:
            rows += _film_rows(film)
    except videocolor.VideocolorError as error:
        raise SystemExit(f"error: {error}") from error
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=24) for row in rows]
    cv2.imwrite(str(output), np.vstack(padded), [cv2.IMWRITE_JPEG_QUALITY, 85])
    click.echo(f"{output}: {sum(row.shape[0] > LINE for row in rows)} frames")


def _clip_rows(auto: Path, hinted: Path, only: set[str] | None) -> list[Array]:
    rows = []
    for folder in sorted((hinted / "stills").iterdir()):
        if only is not None and folder.name not in only:
            continue
        other = auto / "stills" / folder.name
        numbers = sorted(_numbers(folder, "truth") & _numbers(other, "videocolor"))  # `e1` leaves the hint's frame out
        if not numbers:
            raise InputError(f"{other} and {folder} have no frame in common; run both protocols on the same clips")
        for number in numbers:
            wanted = (
                (folder, "truth"),
                (other, "gray"),
                (other, "videocolor"),
                (folder, "videocolor"),
                (folder, "flow"),
            )
            cells = [_cell(_still(place, method, number)) for place, method in wanted]
            rows.append(_named(np.hstack(cells), f"{folder.name} {int(number)}"))
    return rows


def _numbers(folder: Path, method: str) -> set[str]:
    return set(re.findall(r"-(\d+)\.png", " ".join(path.name for path in folder.glob(f"{method}-*.png"))))


def _still(folder: Path, method: str, number: str) -> Array:
    found = sorted(folder.glob(f"{method}-*-{number}.png"))
    if not found:
        raise InputError(f"{folder}: no still of {method} at frame {number}; run both protocols on the same clips")
    return np.asarray(cv2.imread(str(found[0])))


def _film_rows(film: Path) -> list[Array]:
    """Frames of an archival film: automatic, and with its hint of `POINTS`."""
    if film.stem not in POINTS:
        raise InputError(f"{film}: no hint was made for it by hand; there are {', '.join(POINTS)}")
    number, points = POINTS[film.stem]
    with tempfile.TemporaryDirectory() as folder:
        hint = Path(folder) / "hint.png"
        with open_video(film) as video:
            frame = next(frame for frame in video if frame.index == number)
        luma = np.clip(codes_to_luma(frame.luma, frame.layout.depth, frame.color.range), 0, 1)
        placed = [Point(x=x, y=y, color=color, radius=0.025) for x, y, color in points]
        rgb, mask = points_picture(luma, placed, sar=probe(film).sar)
        picture = np.dstack((rgb[..., ::-1], mask))
        cv2.imwrite(str(hint), np.rint(picture * 255).astype(np.uint8))
        results = []
        for name, more in (("auto", ()), ("hint", (f"hints.assigned=[{{image: '{hint}', frame: {number}}}]",))):
            target = Path(folder) / f"{name}.mkv"
            config = videocolor.ColorizeConfig.load(None, ["output.sidecar=false", *more])
            videocolor.colorize_video(film, target, config)
            results.append(target)
        count = probe(film).frames or number + 1
        chosen = sorted({number, count // 10, count // 2, 9 * count // 10})
        shown = rgb[..., ::-1] * mask[..., None] + 0.35 * luma[..., None] * (1 - mask[..., None])
        columns = [_frames(path, chosen) for path in (film, *results)]
    rows = []
    nothing = np.full((HEIGHT, WIDTH, 3), 24, np.uint8)
    for place, chosen_frame in enumerate(chosen):
        own = _cell(np.rint(shown * 255).astype(np.uint8)) if chosen_frame == number else nothing
        cells = [_cell(column[place]) for column in columns]
        rows.append(_named(np.hstack((*cells, own)), f"{film.stem} {chosen_frame}"))
    return rows


def _frames(film: Path, numbers: list[int]) -> list[Array]:
    info = probe(film)
    assert info.rate is not None
    times = [Fraction(number) / info.rate for number in numbers]
    stills = [None if frame is None else still_rgb(frame, info, WIDTH, HEIGHT) for frame in read_stills(info, times)]
    return [np.zeros((HEIGHT, WIDTH, 3), np.uint8) if still is None else still[..., ::-1] for still in stills]


def _cell(picture: Array) -> Array:
    """A picture in the middle of its field."""
    scale = min(WIDTH / picture.shape[1], HEIGHT / picture.shape[0])
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:HEIGHT, :WIDTH]
    cell = np.full((HEIGHT, WIDTH, 3), 24, np.uint8)
    top, left = (HEIGHT - small.shape[0]) // 2, (WIDTH - small.shape[1]) // 2
    cell[top : top + small.shape[0], left : left + small.shape[1]] = small
    return cell


def _row(names: tuple[str, ...]) -> Array:
    row = np.full((LINE, WIDTH * len(names), 3), 60, np.uint8)
    for place, name in enumerate(names):
        cv2.putText(row, name, (WIDTH * place + 4, LINE - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.36, (255, 255, 255), 1)
    return row


def _named(row: Array, name: str) -> Array:
    row[:LINE, : min(WIDTH, 6 + 7 * len(name))] //= 3
    cv2.putText(row, name, (4, 11), cv2.FONT_HERSHEY_SIMPLEX, 0.34, (255, 255, 255), 1, cv2.LINE_AA)
    return row


if __name__ == "__main__":
    main()
