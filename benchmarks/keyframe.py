"""Score the keyframe network alone on held-back footage, at several sizes and vividnesses; or make sheets of it.

    python benchmarks/keyframe.py score HELD_PACK --weights FILE [--kind clip|image] [--only LIST] [--most N]
                                  [--short 256,384] [--vividness 0,0.5,1] [--proposals 5]
    python benchmarks/keyframe.py sheet FILM_OR_PICTURE... --weights FILE -o SHEET.jpg [--times 1,3] [--height 240]

`score`: RGB-PSNR, CIEDE2000, colorfulness, beyond_tint of pictures with the truth's L* and our a*b*, means over items
(of a clip: over some frames a second apart); then the mean C*ab, and the one that the network expects. `sheet`: gray,
then one column for each vividness.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import cv2
import numpy as np
import yaml

from videocolor.color import lab_of, rgb_to_luma
from videocolor.datasets.pack import PackReader
from videocolor.datasets.pairs.reading import read_film
from videocolor.evaluation.metrics.color import beyond_tint
from videocolor.evaluation.metrics.lab import ciede2000
from videocolor.evaluation.metrics.pixels import colorfulness, mean_squared_error, psnr
from videocolor.models.keyframe.colorizer import KeyframeColorizer
from videocolor.models.keyframe.regions import by_regions, choose_chroma, expected_chroma
from videocolor.models.registry import load_colorizer
from videocolor.training.hint.validate import recolor
from videocolor.types import Array

FRAMES = 4
"""Of a clip."""


def load(weights: str, runtime: str = "torch") -> KeyframeColorizer:
    """The network, one thread."""
    colorizer = load_colorizer(weights, threads=1, runtime=runtime)
    if not isinstance(colorizer, KeyframeColorizer):
        raise click.UsageError(f"{weights}: not a keyframe network")
    return colorizer


def seen(rgb: Array, short: int) -> Array:
    """Luma of (h, w, 3) uint8 at a short side of about `short`, sides multiples of 32."""
    height, width = rgb.shape[:2]
    scale = short / min(height, width)
    size = (max(32, round(width * scale / 32) * 32), max(32, round(height * scale / 32) * 32))
    luma = rgb_to_luma(np.moveaxis(rgb, -1, 0).astype(np.float32) / np.float32(255), "bt601")
    return cv2.resize(luma, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)


def colors(colorizer: KeyframeColorizer, rgb: Array, short: int, vividness: tuple[float, ...]) -> list[Array]:
    """One picture for each vividness, (h, w, 3) uint8."""
    evidence = colorizer.evidence(seen(rgb, short))
    shared = by_regions(evidence)
    return [recolor(rgb, choose_chroma(shared, value)[0]) for value in vividness]


def frames(pack: PackReader, kind: str, only: Path | None, most: int) -> Iterator[list[Array]]:
    """Frames of each item."""
    items = pack.clips if kind == "clip" else pack.images
    if only is not None:
        listed = {clip["file"] for clip in yaml.safe_load(only.read_text())["clips"]}
        items = [item for item in items if Path(item.file).name in listed]
    for item in items[:: max(1, len(items) // most)][:most]:
        numbers = np.unique(np.linspace(0, len(item.times) - 1, min(FRAMES, len(item.times))).astype(int))
        yield [pack.frame(item, int(number)) for number in numbers]


def scores(truth: Array, test: Array) -> tuple[float, float, float, float]:
    """RGB-PSNR, CIEDE2000, colorfulness, beyond_tint."""
    lab = lab_of(test)
    difference = float(ciede2000(lab_of(truth), lab).mean(dtype=np.float64))
    return min(psnr(mean_squared_error(truth, test)), 60.0), difference, colorfulness(test)[0], beyond_tint(lab)


def numbers(_context: object, _parameter: object, text: str) -> tuple[float, ...]:
    """Numbers with commas between them."""
    return tuple(float(part) for part in text.split(","))


@click.group(help=__doc__)
def main() -> None:
    cv2.setNumThreads(1)


@main.command()
@click.argument("pack", type=click.Path(exists=True, path_type=Path))
@click.option("--weights", required=True)
@click.option("--kind", type=click.Choice(["clip", "image"]), default="clip")
@click.option("--only", type=click.Path(exists=True, path_type=Path), help="Only the clips of this list.")
@click.option("--most", default=1000)
@click.option("--short", default="256", callback=numbers)
@click.option("--vividness", default="0,0.5,1", callback=numbers)
@click.option("--proposals", default=0, help="Also the best (by CIEDE2000) of so many proposals at vividness 0.5.")
def score(
    pack: Path,
    weights: str,
    kind: str,
    only: Path | None,
    most: int,
    short: tuple[float, ...],
    vividness: tuple[float, ...],
    proposals: int,
) -> None:
    """Print a table."""
    colorizer, rows, chroma = load(weights), {}, []
    for pictures in frames(PackReader(pack), kind, only, most):
        made: dict[str, list[tuple[float, ...]]] = {}
        for rgb in pictures:
            gray = recolor(rgb, np.zeros((2, 8, 8), np.float32))
            made.setdefault("truth", []).append(scores(rgb, rgb))
            evidence = colorizer.evidence(seen(rgb, int(short[0])))
            expected = expected_chroma(evidence.head, evidence.features.reshape(len(evidence.features), -1))
            chroma.append((float(np.hypot(*lab_of(rgb)[1:]).mean()), expected))
            made.setdefault("gray", []).append(scores(rgb, gray))
            for side in short:
                for value, picture in zip(vividness, colors(colorizer, rgb, int(side), vividness), strict=True):
                    made.setdefault(f"{side:g} px, vividness {value:g}", []).append(scores(rgb, picture))
            if proposals:
                tried = [scores(rgb, recolor(rgb, ab)) for ab in colorizer.propose(seen(rgb, int(short[0])), proposals)]
                made.setdefault(f"best of {proposals}", []).append(min(tried, key=lambda row: row[1]))
        for name, values in made.items():
            rows.setdefault(name, []).append(np.mean(values, axis=0))
    for name, values in rows.items():
        mean = np.mean(values, axis=0)
        print(f"{name:26} {mean[0]:6.2f} dB  dE00 {mean[1]:5.2f}  colorfulness {mean[2]:5.1f}  tint+ {mean[3]:4.1f}")
    true, expected = np.mean(chroma, axis=0)
    print(f"{len(rows['truth'])} items; C*ab {true:.1f}, expected {expected:.1f}")


@main.command()
@click.argument("films", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--weights", required=True)
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path))
@click.option("--times", default="1", callback=numbers, help="Seconds into each film.")
@click.option("--height", default=240)
@click.option("--short", default=256)
@click.option("--vividness", default="0,0.5,1", callback=numbers)
def sheet(
    films: tuple[Path, ...],
    weights: str,
    output: Path,
    times: tuple[float, ...],
    height: int,
    short: int,
    vividness: tuple[float, ...],
) -> None:
    """Write a picture: a frame a row, one column for each vividness."""
    colorizer, rows = load(weights), []
    for film in films:
        for rgb in _pictures(film, times):
            size = (round(rgb.shape[1] * height / rgb.shape[0]), height)
            small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
            rows.append(np.concatenate([small, *colors(colorizer, small, short, vividness)], axis=1))
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, 4), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in rows]
    cv2.imwrite(str(output), np.concatenate(padded)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])


def _pictures(path: Path, times: tuple[float, ...]) -> list[Array]:
    bgr = cv2.imread(str(path))
    if bgr is not None:
        return [np.ascontiguousarray(bgr[..., ::-1])]
    found, wanted = [], list(times)
    for seconds, rgb in read_film(path, 480):
        if wanted and seconds >= wanted[0]:
            found.append(rgb)
            wanted.pop(0)
    return found


if __name__ == "__main__":
    main()
