"""Fit how far the hint network believes its hints, on whole frames; everything else stays as it was trained.

    python pipelines/fit_relevance.py measure PACK WEIGHTS -o ROWS.npz [--workers 2]
    python pipelines/fit_relevance.py fit     WEIGHTS ROWS.npz... -o MINE.safetensors [--graphs]

PACK is a folder of packed footage as `videocolor train` uses it (`data.pack`), WEIGHTS the network trained on it.
`measure` colours frames of it with right, similar and wrong hints; it takes minutes, and may be run again with another
--seed for more rows. `fit` takes seconds and any number of such files. It
prints what was gained over colouring without a hint, in dB of RGB-PSNR, before and after; "after" is of folds whose
sources the head was not fitted to. --graphs also writes the ONNX graphs (needs the package onnx).
"""

from __future__ import annotations

from pathlib import Path

import click

from videocolor.errors import VideocolorError
from videocolor.training.hint.relevance import Rows, measure_relevance
from videocolor.training.hint.relevance_fit import fit_relevance


@click.group(help=__doc__)
def main() -> None:
    pass


@main.command()
@click.argument("pack", type=click.Path(path_type=Path))
@click.argument("weights", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
@click.option("--frames", default=1, show_default=True, help="Targets a clip.")
@click.option("--images", default=150, show_default=True, help="Images that are targets.")
@click.option("--seed", default=5, show_default=True)
@click.option("--workers", default=1, show_default=True, help="Processes.")
def measure(pack: Path, weights: Path, output: Path, frames: int, images: int, seed: int, workers: int) -> None:
    """What believing hints gains."""
    try:
        rows = measure_relevance(pack, weights, frames=frames, images=images, seed=seed, workers=workers)
        rows.save(output)
    except VideocolorError as error:
        raise SystemExit(f"error: {error}") from error
    click.echo(f"{output}: {len(rows.gain)} rows")


@main.command()
@click.argument("weights", type=click.Path(path_type=Path))
@click.argument("rows", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
@click.option("--seed", default=5, show_default=True)
@click.option("--lean", default=3.5, show_default=True, help="Added to the head's logit: towards believing.")
@click.option("--graphs", is_flag=True, help="Write the ONNX graphs beside OUTPUT.")
def fit(weights: Path, rows: tuple[Path, ...], output: Path, seed: int, lean: float, graphs: bool) -> None:
    """A weights file with a fitted head."""
    try:
        report = fit_relevance(
            Rows.joined([Rows.load(path) for path in rows]),
            weights,
            output,
            seed=seed,
            lean=lean,
            graphs=graphs,
        )
    except VideocolorError as error:
        raise SystemExit(f"error: {error}") from error
    click.echo(report)


if __name__ == "__main__":
    main()
