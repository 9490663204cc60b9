"""How well automatic color meets skin, by how light it is; and how often each tone is in a pack.

    python benchmarks/skin.py count PACK [--every N] [--json]
    python benchmarks/skin.py balance PACK -o FILE [--every N] [--most 6]
    python benchmarks/skin.py score HELD_PACK [--every N] [--weights keyframe] [--vividness 0.5] [--json]

Faces are found from the front by the local binary patterns of scikit-image's cascade; those whose middle has no hue of
skin are taken for false. Tones are by the mean L* of a face's middle, light and all, since pictures tell no more.
`balance`: how often a training run (`data.balance`) should draw each picture with faces, so that it sees those of every
tone about equally often. `score`: CIEDE2000 in the middles, gray beside ours, and C*ab of truth and ours.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import click
import cv2
import numpy as np
from keyframe import colors, load
from skimage.data import lbp_frontal_face_cascade_filename
from skimage.feature import Cascade
from tqdm import tqdm

from videocolor.color import lab_of
from videocolor.datasets.pack import PackReader
from videocolor.evaluation.metrics.lab import ciede2000
from videocolor.types import Array

TONES: Final = (40, 50, 60, 70)
"""L* between two tones."""
_NAMES: Final = ("up to 40", "40 to 50", "50 to 60", "60 to 70", "over 70")
_HUE: Final = (15.0, 85.0)
"""Degrees of CIE hue that skin has."""
_LEAST, _MOST = 6.0, 45.0
"""C*ab of skin."""
_MIDDLE: Final = 0.3
"""Half axes of the ellipse that is looked at, of the side of a face."""


def faces(rgb: Array, cascade: Cascade) -> Iterator[Array]:
    """Yield (h, w) bool, the middle of each face of (h, w, 3) uint8."""
    lab = lab_of(rgb)
    side = min(rgb.shape[:2])
    limits = {"min_size": (side // 6, side // 6), "max_size": (side, side)}
    for found in cascade.detect_multi_scale(rgb, scale_factor=1.2, step_ratio=1, **limits):
        middle = np.zeros(rgb.shape[:2], np.uint8)
        center = (found["c"] + found["width"] // 2, found["r"] + found["height"] // 2)
        axes = (max(1, int(_MIDDLE * found["width"])), max(1, int(_MIDDLE * found["height"])))
        cv2.ellipse(middle, center, axes, 0, 0, 360, 1, -1)
        a, b = (float(plane[middle > 0].mean()) for plane in lab[1:])
        if _HUE[0] < np.degrees(np.arctan2(b, a)) < _HUE[1] and _LEAST < np.hypot(a, b) < _MOST:
            yield middle > 0


def find_by() -> Cascade:
    """Make the detector."""
    return Cascade(lbp_frontal_face_cascade_filename())  # type: ignore[no-untyped-call]


def tone_of(lab: Array, middle: Array) -> int:
    """Number of a face's tone."""
    return int(np.searchsorted(TONES, float(lab[0][middle].mean())))


def tones_of(rgb: Array, cascade: Cascade) -> list[int]:
    """Numbers of the tones of a picture's faces."""
    return [tone_of(lab_of(rgb), middle) for middle in faces(rgb, cascade)]


def balanced(tones: Mapping[str, Sequence[int]], most: float) -> dict[str, float]:
    """How often to draw each picture that has faces, next to one that has none.

    Args:
        tones: of the faces of each picture.
        most: the largest weight.

    Returns:
        By picture, the mean over its faces of how much rarer their tone is than the most frequent one.
    """
    counts = Counter(tone for found in tones.values() for tone in found)
    rarity = {tone: max(counts.values()) / number for tone, number in counts.items()}
    return {
        picture: min(most, sum(rarity[tone] for tone in found) / len(found))
        for picture, found in tones.items()
        if found
    }


@click.group(help=__doc__)
def main() -> None:
    cv2.setNumThreads(1)


@main.command()
@click.argument("pack", type=click.Path(path_type=Path, exists=True))
@click.option("--every", type=int, default=30, show_default=True, help="One picture of so many.")
@click.option("--json", "as_json", is_flag=True)
def count(pack: Path, every: int, as_json: bool) -> None:
    """Count the faces of a pack's pictures by tone."""
    reader, cascade = PackReader(pack), find_by()
    counts, pictures = [0] * len(_NAMES), reader.images[::every]
    for item in tqdm(pictures, unit="picture"):
        for tone in tones_of(reader.frame(item, 0), cascade):
            counts[tone] += 1
    if as_json:
        print(json.dumps({"pictures": len(pictures), "faces": dict(zip(_NAMES, counts, strict=True))}, indent=1))
        return
    for name, number in zip(_NAMES, counts, strict=True):
        print(f"L* {name:9} {number:5} faces in {len(pictures)} pictures")


@main.command()
@click.argument("pack", type=click.Path(path_type=Path, exists=True))
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--every", type=int, default=1, show_default=True, help="One picture of so many; the rest weigh 1.")
@click.option("--most", type=click.FloatRange(min=1.0), default=6.0, show_default=True, help="Largest weight.")
def balance(pack: Path, output: Path, every: int, most: float) -> None:
    """Write the weights of a pack's pictures by the tones of their faces."""
    reader, cascade = PackReader(pack), find_by()
    pictures = tqdm(reader.images[::every], unit="picture")
    tones = {item.source: tones_of(reader.frame(item, 0), cascade) for item in pictures}
    weights = balanced(tones, most)
    with output.open("w", newline="", encoding="utf-8") as handle:
        table = csv.writer(handle)
        table.writerow(("source", "weight", "tones"))
        table.writerows((name, f"{weight:.3f}", " ".join(map(str, tones[name]))) for name, weight in weights.items())
    for tone, label in enumerate(_NAMES):
        numbers = {name: tones[name].count(tone) for name in weights}
        drawn = sum(weights[name] * some for name, some in numbers.items())
        print(f"L* {label:9} {sum(numbers.values()):5} faces, drawn as {drawn:.0f}")


@main.command()
@click.argument("pack", type=click.Path(path_type=Path, exists=True))
@click.option("--every", type=int, default=1, show_default=True, help="One picture of so many.")
@click.option("--weights", default="keyframe", show_default=True)
@click.option("--vividness", type=float, default=0.5, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def score(pack: Path, every: int, weights: str, vividness: float, as_json: bool) -> None:
    """Score automatic color in the faces of held-back pictures, by tone."""
    reader, cascade, colorizer = PackReader(pack), find_by(), load(weights)
    rows: list[list[tuple[float, ...]]] = [[] for _ in _NAMES]
    for item in tqdm(reader.images[::every], unit="picture"):
        rgb = reader.frame(item, 0)
        found = list(faces(rgb, cascade))
        if not found:
            continue
        truth, ours = lab_of(rgb), lab_of(colors(colorizer, rgb, 192, (vividness,))[0])
        gray = np.stack([truth[0], np.zeros_like(truth[1]), np.zeros_like(truth[2])])
        differences = [ciede2000(truth, gray), ciede2000(truth, ours)]
        chroma = [np.hypot(lab[1], lab[2]) for lab in (truth, ours)]
        for middle in found:
            numbers = (float(plane[middle].mean()) for plane in (*differences, *chroma))
            rows[tone_of(truth, middle)].append(tuple(numbers))
    keys = ("gray_ciede2000", "ciede2000", "true_chroma", "chroma")
    table: dict[str, dict[str, float]] = {}
    for name, values in zip(_NAMES, rows, strict=True):
        if values:
            means = [round(float(value), 2) for value in np.mean(values, axis=0)]
            table[name] = {"faces": len(values), **dict(zip(keys, means, strict=True))}
    if as_json:
        print(json.dumps(table, indent=1))
        return
    for name, row in table.items():
        print(f"L* {name:9}", *(f"{key} {value}" for key, value in row.items()))


if __name__ == "__main__":
    main()
