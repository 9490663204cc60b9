"""Sheets of pairs of frames to judge without knowing which is which, and the key to look up afterwards.

    videocolor evaluate --protocol auto --methods videocolor --clips CLIPS --list evaluate/held_back -o NEW
    python pipelines/blind_sheet.py --clips OLD NEW --films OLD.mkv NEW.mkv --films OLD2.mkv NEW2.mkv -o OUT

OLD was made by another version, by the same commands. Of each clip the second still of the method `videocolor` is
shown, of each film 12 frames; the order of pairs and of their two sides is random. OUT/sheet_1.png ... have numbers
alone; OUT/key.json says for each number what it is and whether the left picture is the new one. Write down what you see
first, then read the key. Stills of footage that may not be passed on belong into no repository.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import av
import click
import cv2
import numpy as np

from videocolor.types import Array

FRAMES: Final = 12
HEIGHT, WIDTH, LINE = 200, 300, 16
ROWS, COLUMNS = 6, 2


def stills(folder: Path) -> dict[str, Array]:
    """The second still of each clip, R'G'B'."""
    found = {}
    for clip in sorted((folder / "stills").iterdir()):
        picture = cv2.imread(str(sorted(clip.glob("videocolor-*.png"))[-1]))
        assert picture is not None
        found[clip.name] = np.asarray(picture[..., ::-1], np.uint8)
    return found


def film_frames(film: Path, name: str) -> dict[str, Array]:
    """Frames of a film, evenly spread, by their number there."""
    with av.open(film) as container:
        count = sum(1 for _ in container.decode(video=0))
    wanted = set(np.linspace(0, count - 1, FRAMES).astype(int).tolist())
    with av.open(film) as container:
        frames = enumerate(container.decode(video=0))
        return {f"{name} {n}": frame.to_ndarray(format="rgb24") for n, frame in frames if n in wanted}


def cell(picture: Array) -> Array:
    """Fit a picture into a cell."""
    factor = min(WIDTH / picture.shape[1], HEIGHT / picture.shape[0])
    small = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    out = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    out[: small.shape[0], : small.shape[1]] = small
    return out


def labeled(pair: Array, number: int) -> Array:
    """Two cells with their number above."""
    line = np.full((LINE, pair.shape[1], 3), 255, np.uint8)
    cv2.putText(line, str(number), (2, LINE - 3), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    return np.concatenate((line, pair))


@click.command(help=__doc__)
@click.option("--clips", type=(click.Path(path_type=Path, exists=True),) * 2, help="Evaluations: old, new.")
@click.option("--films", type=(click.Path(path_type=Path, exists=True),) * 2, multiple=True, help="Films: old, new.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
def main(clips: tuple[Path, Path] | None, films: tuple[tuple[Path, Path], ...], seed: int, output: Path) -> None:
    old, new = dict[str, Array](), dict[str, Array]()
    if clips:
        old, new = stills(clips[0]), stills(clips[1])
    for before, after in films:
        old |= film_frames(before, after.stem)
        new |= film_frames(after, after.stem)
    if old.keys() != new.keys():
        raise click.UsageError(f"only one of both has {', '.join(sorted(old.keys() ^ new.keys()))}")
    rng = np.random.default_rng(seed)
    names = [sorted(old)[i] for i in rng.permutation(len(old))]
    left = {name: bool(rng.integers(2)) for name in names}
    shown = [
        labeled(np.concatenate([cell(p) for p in ((new[n], old[n]) if left[n] else (old[n], new[n]))], axis=1), i)
        for i, n in enumerate(names, 1)
    ]
    output.mkdir(parents=True, exist_ok=True)
    for sheet, start in enumerate(range(0, len(shown), ROWS * COLUMNS), 1):
        part = shown[start : start + ROWS * COLUMNS]
        part += [np.full_like(part[0], 255)] * (-len(part) % COLUMNS)
        rows = [np.concatenate(part[i : i + COLUMNS], axis=1) for i in range(0, len(part), COLUMNS)]
        cv2.imwrite(str(output / f"sheet_{sheet}.png"), np.concatenate(rows)[..., ::-1])
    key = {str(i): {"frame": n, "new": "left" if left[n] else "right"} for i, n in enumerate(names, 1)}
    (output / "key.json").write_text(json.dumps(key, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
