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
@click.option(
    "--per-shot",
    metavar="N",
    type=click.IntRange(1, 8),
    default=3,
    help="Most frames of a shot.",
)
@click.option(
    "--by",
    metavar="CMD",
    help="A program that colors them: 'CMD {in} {out}', or of JSON lines (docs/guides/hints.md).",
)
@click.option("--timeout", metavar="S", type=float, default=600.0, help="Of --by: seconds for one picture.")
@click.option("--retries", metavar="N", type=int, default=1, help="Of --by: further tries for a picture.")
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
    per_shot: int,
    by: str | None,
    timeout: float,
    retries: int,
    config_source: str | None,
    overrides: tuple[str, ...],
    **flags: Any,
) -> None:
    """Write the frames that explain FILM into DIR: one of a shot, more where it changes.

    DIR/choices/sheet01.jpg shows them. Color the gray frames, keep their names, and give the folder to
    `videocolor colorize --hints DIR`. With --proposals, copy the pictures that you like better from DIR/choices/2,
    3, ... over those in DIR, and give DIR back likewise. With --by, a program of yours colors them.
    """
    if by is not None and (proposals or ranking != "medoid"):
        raise click.UsageError("--by colors the frames; it does not go together with --proposals or --ranking")
    config = load_config(config_source, overrides, flags)
    state = session()
    with watching(state) as observer:
        if by is not None:
            from videocolor.keyframes.outside import color_keyframes
            from videocolor.keyframes.program import Program

            program = Program(by, timeout, retries)
            paths = color_keyframes(film, folder, program, config, per_shot=per_shot, observer=observer)
        else:
            from videocolor.keyframes.choose import write_keyframes

            paths = write_keyframes(
                film, folder, config, proposals=proposals, ranking=ranking, per_shot=per_shot, observer=observer
            )
    for path in paths:
        if state.json:
            emit("keyframe", {"path": path})
        else:
            click.echo(path)
