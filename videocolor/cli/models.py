"""`videocolor models`: which networks there are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from videocolor.cli.group import session
from videocolor.cli.options import json_option

__all__ = ["models"]


@click.group(invoke_without_command=True, short_help="List, show and export networks.")
@json_option("One JSON array on stdout.")
@click.pass_context
def models(ctx: click.Context) -> None:
    """List the networks: parameters, multiply-accumulates of one 256x256 frame, hints taken, licence.

    After the packaged ones come the systems of papers: where their weights are, their error on held-back footage, and
    the hours that the packaged weights took on one thread. `videocolor train --config published/NAME` trains each.
    """
    if ctx.invoked_subcommand is not None:
        return
    from videocolor.models.registry import list_models
    from videocolor.plugins import installed
    from videocolor.published.cards import trained_systems

    cards, systems = list_models(), trained_systems()
    if session().json:
        click.echo(json.dumps([*(card.as_dict() for card in cards), *systems]))
        return
    rows = [("NAME", "PARAMETERS", "MACS", "HINTS", "LICENCE", "TITLE")]
    for card in cards:
        macs = "-" if card.macs is None else f"{card.macs / 1e9:.2f} G"
        rows.append((card.name, f"{card.parameters / 1e6:.2f} M", macs, card.hints, card.licence or "-", card.title))
    rows += [(name, "-", "-", "-", "-", f"plug-in {point.value}") for name, point in installed("colorizers").items()]
    _table(rows)
    click.echo()
    table = [("NAME", "PARAMETERS", "HINTS", "WEIGHTS", "ERROR", "HOURS", "TITLE")]
    for system in systems:
        size, hours = f"{system['parameters'] / 1e6:.3g} M", system["hours"]
        cells = (system[key] or "-" for key in ("hints", "weights", "error"))
        table.append((system["name"], size, *cells, "-" if hours is None else f"{hours:.2f}", system["title"]))
    _table(table)


def _table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


@models.command()
@click.argument("name", metavar="NAME|FILE")
@json_option("JSON on stdout.")
def show(name: str) -> None:
    """Print the card of one network."""
    from videocolor.models.registry import load_colorizer

    card = load_colorizer(name).card.as_dict()
    if session().json:
        click.echo(json.dumps(card))
        return
    for key, value in card.items():
        click.echo(f"{key + ':':12} {'-' if value in (None, '') else value}")


@models.command()
@click.argument("name", metavar="NAME|FILE")
@click.option("-o", "--output", metavar="FILE", required=True, type=click.Path(path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
def export(name: str, output: Path, overwrite: bool) -> None:
    """Write a network for other programs: FILE.onnx, or FILE.xml for OpenVINO IR, with its card beside it.

    docs/guides/export.md says how to use the files.
    """
    from videocolor.models.registry import export_model

    for path in export_model(name, output, overwrite=overwrite):
        click.echo(f"wrote {path}", err=True)
