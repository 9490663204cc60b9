"""`videocolor hints`: which frames to colour by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from videocolor.cli.colorize import load_config
from videocolor.cli.group import session
from videocolor.cli.options import config_options, json_option, verbosity_options
from videocolor.cli.watch import emit, watching

__all__ = ["hints"]


@click.group(short_help="Suggest the frames that are worth colouring by hand.")
def hints() -> None:
    """Work with hints: colour frames that the network is told about."""


@hints.command()
@click.argument("film", metavar="FILM", type=click.Path(path_type=Path))
@click.option("-o", "--output", "folder", metavar="DIR", required=True, type=click.Path(path_type=Path))
@click.option("--shots", metavar="FILE", help="A shot list, in place of detection.")
@click.option("--rate", help="Frames a second of an image sequence.")
@click.option("--start", metavar="TIME", help="Suggest from here: seconds or HH:MM:SS.mmm.")
@click.option("--end", metavar="TIME", help="Suggest up to here.")
@click.option("--overwrite", is_flag=True, default=None, help="Replace pictures in DIR, painted or not.")
@config_options
@json_option("One JSON event a line on stdout; `hint` for each picture.")
@verbosity_options
def suggest(film: Path, folder: Path, config_source: str | None, overrides: tuple[str, ...], **flags: Any) -> None:
    """Write the frames of FILM that are worth colouring into DIR.

    Colour them, keep their names, and give the folder to `videocolor colorize --hints DIR`.
    """
    config = load_config(config_source, overrides, flags)
    state = session()
    from videocolor.hints.plan import suggest_hints

    with watching(state) as observer:
        paths = suggest_hints(film, folder, config, observer=observer)
    for path in paths:
        if state.json:
            emit("hint", {"path": path})
        else:
            click.echo(path)
