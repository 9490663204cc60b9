"""How evenly automatic color fills things that have one color each, and how far it is from one tint.

    videocolor colorize samples/bw_chaplin.mp4 OUT/bw_chaplin.mkv --config master
    videocolor colorize samples/bw_his_girl_friday_1940.mp4 OUT/bw_his_girl_friday_1940.mkv --config master
    python benchmarks/things.py OUT/*.mkv [--json] [--sheet SHEET.png]

`benchmarks/things.yaml` has the outlines. Of each thing: the mean C*ab of its pixels, and their spread, the standard
deviation of a*b* (both together). A picture that is one tint has little spread, too, so `beyond_tint` of the frames
stands beside it. --sheet draws the outlines into the frames.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
import yaml

from videocolor.color import lab_of
from videocolor.evaluation.metrics.color import beyond_tint
from videocolor.hints.plan import frame_to_rgb
from videocolor.types import Array
from videocolor.video import open_video

THINGS = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))


def pictures(film: Path, numbers: set[int]) -> dict[int, Array]:
    """(h, w, 3) uint8 of frames of a film."""
    found = {}
    with open_video(film) as video:
        for number, frame in enumerate(video):
            if number in numbers:
                rgb = frame_to_rgb(frame)
                found[number] = (rgb * 255 + 0.5).astype(np.uint8)
            if number >= max(numbers):
                break
    return found


def measured(film: Path) -> tuple[list[dict[str, Any]], list[Array]]:
    """A row for each thing; frames with their outlines."""
    rows, sheets = [], []
    for number, rgb in pictures(film, set(THINGS[film.stem])).items():
        lab, sheet = lab_of(rgb), rgb.copy()
        tint = round(beyond_tint(lab), 2)
        for name, outline in THINGS[film.stem][number].items():
            points = np.rint(np.array(outline) * rgb.shape[1::-1]).astype(np.int32)
            inside = np.zeros(rgb.shape[:2], np.uint8)
            cv2.fillPoly(inside, [points], 1)
            ab = lab[1:, inside > 0]
            cv2.polylines(sheet, [points], isClosed=True, color=(255, 0, 255))
            chroma, spread = np.hypot(*ab).mean(), np.sqrt(ab.var(axis=1).sum())
            rows.append({"film": film.stem, "frame": number, "beyond_tint": tint, "thing": name})
            rows[-1] |= {"chroma": round(float(chroma), 2), "spread": round(float(spread), 2)}
        sheets.append(sheet)
    return rows, sheets


@click.command(help=__doc__)
@click.argument("films", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True)
@click.option("--sheet", type=click.Path(path_type=Path))
def main(films: tuple[Path, ...], as_json: bool, sheet: Path | None) -> None:
    rows, sheets = [], []
    for film in films:
        if film.stem not in THINGS:
            raise click.UsageError(f"{film}: there are outlines for {', '.join(THINGS)}")
        found, drawn = measured(film)
        rows, sheets = [*rows, *found], [*sheets, *drawn]
    frames = {(row["film"], row["frame"]): row["beyond_tint"] for row in rows}
    means = {key: round(float(np.mean([row[key] for row in rows])), 2) for key in ("chroma", "spread")}
    means["beyond_tint"] = round(float(np.mean(list(frames.values()))), 2)
    if as_json:
        click.echo(json.dumps({"means": means, "things": rows}, indent=1))
    else:
        for row in rows:
            place = f"{row['film']:24} {row['frame']:4} {row['thing']:22}"
            click.echo(f"{place} chroma {row['chroma']:5.1f} spread {row['spread']:5.2f}")
        click.echo(" ".join(f"{key} {value}" for key, value in means.items()))
    if sheet:
        width = max(picture.shape[1] for picture in sheets)
        same = [cv2.resize(p, (width, round(p.shape[0] * width / p.shape[1]))) for p in sheets]
        cv2.imwrite(str(sheet), np.concatenate(same)[..., ::-1])


if __name__ == "__main__":
    main()
