"""Compare methods under several protocols, and put the means into one table.

    python pipelines/evaluate_methods.py FOOTAGE -o OUT
    python pipelines/evaluate_methods.py FOOTAGE -o OUT --protocols e1,auto --methods gray,network@mine.safetensors

FOOTAGE holds train/ (`data.root`); of it the clips of configs/evaluate/held_back.yaml are taken, which no packaged
network has seen. Each protocol's preset (configs/evaluate/) is run into OUT/PROTOCOL: table.md, table.json, index.html,
costs.json. OUT/overview.md has a line a method and a column a protocol. What is done already is taken up: after a
network was replaced, the same command computes its rows alone.

For one protocol see `videocolor evaluate`.
"""

from __future__ import annotations

from pathlib import Path

import click
from tqdm import tqdm

from videocolor.errors import VideocolorError
from videocolor.evaluation.evaluate import evaluate
from videocolor.evaluation.output import write_evaluation
from videocolor.evaluation.overview import overview_markdown
from videocolor.evaluation.settings import PROTOCOLS, EvaluateConfig
from videocolor.files import write_atomically
from videocolor.presets import load_model


@click.command(help=__doc__)
@click.argument("footage", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path))
@click.option("--protocols", default=",".join(PROTOCOLS), show_default=True, help="Which, and in which order.")
@click.option("--methods", help="As for `videocolor evaluate`; default: all baselines, the network, the film path.")
@click.option("--list", "listed", default="evaluate/held_back", show_default=True, help="Names the clips.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one setting of every protocol.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1))
def main(
    footage: Path,
    output: Path,
    protocols: str,
    methods: str | None,
    listed: str,
    settings: tuple[str, ...],
    workers: int,
) -> None:
    flags = {"clips.listed": listed, "methods": methods.split(",") if methods else None}
    finished = []
    try:
        for name in (part.strip() for part in protocols.split(",")):
            config = load_model(EvaluateConfig, "evaluate", f"evaluate/{name}", settings, flags)
            with tqdm(desc=name, unit="row", disable=None) as bar:
                finished.append(
                    evaluate(
                        footage / "train", output / name, config, workers=workers, observer=lambda event: bar.update(1)
                    )
                )
            write_evaluation(finished[-1])
        text = overview_markdown(finished)
        write_atomically(output / "overview.md", text + "\n")
    except VideocolorError as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(error.exit_code) from error
    click.echo(text)


if __name__ == "__main__":
    main()
