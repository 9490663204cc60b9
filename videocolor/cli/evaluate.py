"""`videocolor evaluate`: methods on clips whose colors are known, under a protocol."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from videocolor.cli.group import session
from videocolor.cli.options import config_options, json_option, verbosity_options
from videocolor.cli.watch import emit
from videocolor.events import Event, Observer

__all__ = ["evaluate"]

_PATH = click.Path(path_type=Path)


@click.command(short_help="Compare methods on clips whose colors are known.")
@click.option("--protocol", metavar="NAME", help="auto, e1, e1-far, ek, cuts, robust, similar or points.")
@click.option("--methods", metavar="A,B,C", help="Methods to compare; LABEL=DIR scores another system's results.")
@click.option("--metrics", metavar="A,B,C", help="Measure these alone; docs/reference/scores.md names them.")
@click.option("--clips", metavar="DIR", type=_PATH, help="A folder of videos in their true colors.")
@click.option("--list", "listed", metavar="NAME|FILE", help="Only the clips of a list: evaluate/held_back, or a YAML.")
@click.option("-o", "--output", metavar="DIR", type=_PATH, help="Folder of rows and tables.")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, metavar="N", help="Processes.")
@click.option("--fresh", is_flag=True, help="Ignore rows that are done in DIR.")
@click.option("--export", metavar="DIR", type=_PATH, help="Write gray films and hints, as methods get them, and stop.")
@config_options
@json_option("One JSON object on stdout in place of the Markdown table.")
@verbosity_options
def evaluate(
    protocol: str | None,
    methods: str | None,
    metrics: str | None,
    clips: Path | None,
    listed: str | None,
    output: Path | None,
    config_source: str | None,
    overrides: tuple[str, ...],
    **rest: Any,
) -> None:
    """Score methods on clips under a protocol.

    Writes DIR/table.md, table.json, index.html and costs.json; a stopped run is resumed. Without
    --config the preset evaluate/PROTOCOL is taken. docs/evaluation.md describes protocols and methods.
    """
    if clips is None or (output is None and rest["export"] is None):
        raise click.UsageError("--clips DIR and -o DIR are needed")
    if protocol is None and config_source is None:
        raise click.UsageError("--protocol NAME or --config NAME|PATH says what the methods are given")
    config = _load(protocol, methods, metrics, listed, config_source, overrides)
    if rest["export"] is not None:
        from videocolor.evaluation.protocols import export_inputs

        for path in export_inputs(clips, rest["export"], config):
            if session().json:
                emit("exported", {"path": path})
            else:
                click.echo(path)
        return
    assert output is not None
    _evaluate(clips, output, config, **rest)


def _load(
    protocol: str | None,
    methods: str | None,
    metrics: str | None,
    listed: str | None,
    source: str | None,
    overrides: tuple[str, ...],
) -> Any:
    """Merge the configuration."""
    from videocolor.evaluation.settings import PROTOCOLS, EvaluateConfig
    from videocolor.presets import find_preset, load_model, read_yaml

    source = source or (f"evaluate/{protocol}" if protocol in PROTOCOLS else None)
    if source is not None and isinstance(read_yaml(find_preset(source, "evaluate")).get("clips"), list):
        raise click.UsageError(f"--config {source} is a list of clips, not settings; give it with --list {source}")
    flags: dict[str, Any] = {"protocol.name": protocol, "clips.listed": listed}
    for key, names in (("methods", methods), ("scores.metrics", metrics)):
        if names is not None:
            flags[key] = [name for name in (part.strip() for part in names.split(",")) if name]
    return load_model(EvaluateConfig, "evaluate", source, overrides, flags)


def _evaluate(clips: Path, output: Path, config: Any, **rest: Any) -> None:
    from videocolor.evaluation.evaluate import evaluate as run
    from videocolor.evaluation.output import write_evaluation
    from videocolor.evaluation.table import means_markdown

    state = session()
    with _bar(state.json or state.verbosity < 0) as observer:
        evaluation = run(clips, output, config, workers=rest["workers"], fresh=rest["fresh"], observer=observer)
    written = write_evaluation(evaluation)
    if state.json:
        click.echo(written["table.json"].read_text(encoding="utf-8"), nl=False)
        return
    click.echo("\n".join(means_markdown(evaluation)))
    for path in written.values():
        click.echo(f"wrote {path}", err=True)


@contextmanager
def _bar(hidden: bool) -> Iterator[Observer]:
    """Show a bar of rows on stderr, if that is a terminal."""
    from tqdm import tqdm

    with tqdm(unit="row", disable=True if hidden else None, leave=False, dynamic_ncols=True) as bar:

        def report(event: Event) -> None:
            bar.total = event.data["total"]
            bar.set_postfix_str(event.data["row"], refresh=False)
            bar.update(event.data["frames"] - bar.n)

        yield report
