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

from collections.abc import Sequence
from pathlib import Path

import click
from tqdm import tqdm

from videocolor.errors import VideocolorError
from videocolor.evaluation.evaluate import Evaluation, evaluate
from videocolor.evaluation.output import write_evaluation
from videocolor.evaluation.rows import TRUTH
from videocolor.evaluation.settings import PROTOCOLS, EvaluateConfig
from videocolor.evaluation.table import Mean, markdown_rows, number, summarize
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


def overview_markdown(evaluations: Sequence[Evaluation]) -> str:
    """A line a method, a column a protocol (and case): `PSNR RGB in dB / dE00`, means over clips.

    What a protocol has no use for is a dash. Intervals and all other scores stand in each protocol's own table.
    """
    columns: dict[str, dict[str, str]] = {}
    longest = max((evaluation.labels for evaluation in evaluations), key=len, default=())
    labels = dict.fromkeys(label for label in longest if label != TRUTH)
    for evaluation in evaluations:
        lines = summarize(evaluation)
        cases = list(dict.fromkeys(case for _, case, _ in lines if case not in ("", "auto"))) or [""]
        for case in cases:
            name = " ".join(part for part in (evaluation.config.protocol.name, case) if part)
            cells = columns.setdefault(f"{name} ({len(evaluation.units)})", {})
            for label, of, means in lines:
                if label != TRUTH and of in ("", case):
                    labels.setdefault(label)
                    cells[label] = f"{_value(means.get('psnr_rgb'))} / {_value(means.get('ciede2000_mean'))}"
    head = ["PSNR RGB, dB / dE00 (clips)", *columns]
    return "\n".join(
        markdown_rows(head, [[label, *(cells.get(label, "–") for cells in columns.values())] for label in labels])
    )


def _value(mean: Mean | None) -> str:
    return number(None if mean is None else mean.value, 2)


if __name__ == "__main__":
    main()
