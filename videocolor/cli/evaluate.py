"""`videocolor evaluate`: methods on clips whose colours are known, under a protocol; and what people say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from videocolor.cli.group import session
from videocolor.cli.options import config_options, json_option, verbosity_options
from videocolor.cli.watch import watching

__all__ = ["evaluate"]


@click.command(short_help="Compare methods on clips whose colours are known.")
@click.option("--protocol", metavar="NAME", help="auto, e1, e1-far, ek, cuts, robust, similar or points.")
@click.option("--methods", metavar="A,B,C", help="What is compared; LABEL=DIR scores somebody else's results.")
@click.option(
    "--clips", metavar="DIR", type=click.Path(path_type=Path), help="A folder of videos in their true colours."
)
@click.option("--list", "listed", metavar="NAME|FILE", help="Only the clips of a list: evaluate/held_back, or a YAML.")
@click.option("-o", "--output", metavar="DIR", type=click.Path(path_type=Path), help="Where rows and tables go.")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, metavar="N", help="Processes.")
@click.option("--fresh", is_flag=True, help="Do everything again, whatever is done in DIR.")
@config_options
@json_option("table.json on stdout in place of the Markdown table.")
@verbosity_options
def evaluate(
    protocol: str | None,
    methods: str | None,
    clips: Path | None,
    listed: str | None,
    output: Path | None,
    workers: int,
    fresh: bool,
    config_source: str | None,
    overrides: tuple[str, ...],
) -> None:
    """Score methods on clips under a protocol.

    Writes DIR/table.md, table.json, index.html and costs.json; a run that was stopped goes on where it stood. Without
    --config the preset evaluate/PROTOCOL is taken.
    """
    if clips is None or output is None:
        raise click.UsageError("--clips DIR and -o DIR are needed")
    if protocol is None and config_source is None:
        raise click.UsageError("--protocol NAME or --config NAME|PATH says what the methods are given")
    from videocolor.evaluation.settings import PROTOCOLS, EvaluateConfig
    from videocolor.presets import find_preset, load_model, read_yaml

    source = config_source or (f"evaluate/{protocol}" if protocol in PROTOCOLS else None)
    flags: dict[str, Any] = {"protocol.name": protocol, "clips.listed": listed}
    if methods is not None:
        flags["methods"] = [name for name in (part.strip() for part in methods.split(",")) if name]
    if source is not None and isinstance(read_yaml(find_preset(source, "evaluate")).get("clips"), list):
        raise click.UsageError(f"--config {source} is a list of clips, not settings; give it with --list {source}")
    config = load_model(EvaluateConfig, "evaluate", source, overrides, flags)
    from videocolor.evaluation.evaluate import evaluate as run
    from videocolor.evaluation.output import write_evaluation

    state = session()
    with watching(state, events=False) as observer:
        evaluation = run(clips, output, config, workers=workers, fresh=fresh, observer=observer)
    written = write_evaluation(evaluation)
    if state.json:
        click.echo(written["table.json"].read_text(encoding="utf-8"), nl=False)
        return
    from videocolor.evaluation.table import means_markdown

    click.echo("\n".join(means_markdown(evaluation)))
    for path in written.values():
        click.echo(f"wrote {path}", err=True)
