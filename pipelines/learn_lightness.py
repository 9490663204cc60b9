"""Learn the table of the `lightness` baseline: the mean color that footage has at each luma.

    python pipelines/learn_lightness.py PACK

PACK is a folder of packed footage as `videocolor train` makes it (`data.pack`): nothing held back is in it. One frame
an item is taken, a clip's middle one. The table goes to stdout, to be put into videocolor/evaluation/baselines.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click
import numpy as np

from videocolor.color import rgb_to_lab, rgb_to_luma
from videocolor.datasets.pack import PackReader
from videocolor.errors import VideocolorError
from videocolor.types import Array


def mean_ab_by_luma(pictures: Iterable[Array], classes: int = 32) -> Array:
    """Mean color of pictures in equally wide classes of luma; every picture weighs alike in each class it has.

    Args:
        pictures: (h, w, 3) uint8 R'G'B'.
        classes: how many, a divisor of 256.

    Returns:
        (classes, 2) float64 CIE a*b*; classes that no picture has are filled from their neighbors.

    Raises:
        ValueError: there is no picture.
    """
    total, count = np.zeros((2, classes)), np.zeros(classes)
    for rgb in pictures:
        planes = np.moveaxis(rgb.astype(np.float32) / 255, -1, 0)
        level = np.minimum((rgb_to_luma(planes, "bt601") * classes).astype(int), classes - 1).ravel()
        ab = rgb_to_lab(planes)[1:].reshape(2, -1)
        pixels = np.bincount(level, minlength=classes)
        for sums, channel in zip(total, ab, strict=True):
            sums += np.bincount(level, weights=channel, minlength=classes) / np.maximum(pixels, 1)
        count += pixels > 0
    seen = np.flatnonzero(count)
    if not len(seen):
        raise ValueError("no picture to learn from")
    return np.stack([np.interp(np.arange(classes), seen, sums[seen] / count[seen]) for sums in total], axis=1)


@click.command(help=__doc__)
@click.argument("pack", type=click.Path(path_type=Path))
@click.option("--classes", default=32, show_default=True, help="Classes of luma.")
def main(pack: Path, classes: int) -> None:
    try:
        reader = PackReader(pack)
    except VideocolorError as error:
        raise SystemExit(f"error: {error}") from error
    if reader.notes.get("held"):
        raise SystemExit(f"error: {pack}: packed held-back footage; a baseline must not learn from it")
    pictures = (reader.frame(item, len(item.times) // 2) for item in reader.items)
    for a, b in mean_ab_by_luma(pictures, classes):
        click.echo(f"    ({a:.2f}, {b:.2f}),")


if __name__ == "__main__":
    main()
