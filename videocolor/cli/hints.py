"""`videocolor hints`: which frames to colour by hand."""

from __future__ import annotations

from pathlib import Path

import click

from videocolor.cli.colorize import load_config
from videocolor.cli.group import session
from videocolor.cli.options import config_options, json_option, verbosity_options
from videocolor.cli.watch import emit

__all__ = ["hints"]


@click.group(short_help="Suggest the frames that are worth colouring by hand.")
def hints() -> None:
    """Work with hints: colour frames that the network is told about."""


@hints.command()
@click.argument("film", metavar="FILM", type=click.Path(path_type=Path))
@click.option("-o", "--output", "folder", metavar="DIR", required=True, type=click.Path(path_type=Path))
@click.option("--shots", metavar="FILE", help="A shot list, in place of detection.")
@config_options
@json_option("One JSON object a suggested frame on stdout.")
@verbosity_options
def suggest(film: Path, folder: Path, shots: str | None, config_source: str | None, overrides: tuple[str, ...]) -> None:
    """Write the frames of FILM that are worth colouring into DIR.

    Colour them, keep their names, and give the folder to `videocolor colorize --hints DIR`.
    """
    config = load_config(config_source, overrides, {"shots": shots})
    state = session()
    from videocolor.hints import suggest_hints

    paths = suggest_hints(film, folder, config)
    for path in paths:
        if state.json:
            emit("hint", {"path": path})
        else:
            click.echo(path)
