"""`videocolor keyframes`: the frames that explain a film, to color by hand or in proposed colors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from videocolor.cli.colorize import load_config
from videocolor.cli.group import session
from videocolor.cli.options import config_options, json_option, verbosity_options
from videocolor.cli.watch import emit, watching

__all__ = ["keyframes"]


@click.command()
@click.argument("film", metavar="FILM", type=click.Path(path_type=Path))
@click.option("-o", "--output", "folder", metavar="DIR", required=True, type=click.Path(path_type=Path))
@click.option(
    "--proposals",
    metavar="N",
    type=click.IntRange(0, 9),
    default=0,
    help="Color each frame in N ways, the likeliest into DIR, the others into DIR/choices; 0: gray frames.",
)
@click.option("--ranking", metavar="NAME", default="medoid", help="medoid, or a function of yours: module:function.")
@click.option("--vividness", type=float, metavar="X", help="Of proposals: from 0, cautious, to 1, bold.")
@click.option("--shots", metavar="FILE", help="A shot list, in place of detection.")
@click.option("--rate", help="Frames a second of an image sequence.")
@click.option("--start", metavar="TIME", help="From here: seconds or HH:MM:SS.mmm.")
@click.option("--end", metavar="TIME", help="Up to here.")
@click.option("--overwrite", is_flag=True, default=None, help="Replace pictures in DIR, painted or not.")
@config_options
@json_option("One JSON event a line on stdout; `keyframe` for each picture in DIR.")
@verbosity_options
def keyframes(
    film: Path,
    folder: Path,
    proposals: int,
    ranking: str,
    config_source: str | None,
    overrides: tuple[str, ...],
    **flags: Any,
) -> None:
    """Write the frame of each shot that explains most of it into DIR.

    Color the gray frames, keep their names, and give the folder to `videocolor colorize --hints DIR`. With
    --proposals, compare DIR/choices/sheet01.jpg, copy the pictures that you like better from DIR/choices/2, 3, ...
    over those in DIR, and give DIR back likewise.
    """
    config = load_config(config_source, overrides, flags)
    state = session()
    from videocolor.keyframes import write_keyframes

    with watching(state) as observer:
        paths = write_keyframes(film, folder, config, proposals=proposals, ranking=ranking, observer=observer)
    for path in paths:
        if state.json:
            emit("keyframe", {"path": path})
        else:
            click.echo(path)
