"""Learn the table of the `lightness` baseline: the mean colour that footage has at each luma.

    python pipelines/learn_lightness.py PACK

PACK is a folder of packed footage as `videocolor train` makes it (`data.pack`): nothing held back is in it. One frame
an item is taken, a clip's middle one. The table goes to stdout, to be put into videocolor/evaluation/prior.py.
"""

from __future__ import annotations

from pathlib import Path

import click

from videocolor.datasets.pack import PackReader
from videocolor.errors import VideocolorError
from videocolor.evaluation.prior import mean_ab_by_luma


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
