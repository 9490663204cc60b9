"""`videocolor shots`: where the cuts are."""

from __future__ import annotations

from pathlib import Path

import click

from videocolor.cli.colorize import load_config
from videocolor.cli.group import session
from videocolor.cli.options import config_options, json_option, verbosity_options
from videocolor.cli.watch import emit, watching

__all__ = ["shots"]


@click.command(short_help="List the shots of a film.")
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="Write the list that `--shots` reads."
)
@click.option("--rate", help="Frames a second of an image sequence.")
@click.option("--overwrite", is_flag=True, help="Replace an existing FILE of -o.")
@config_options
@json_option("One JSON object a shot on stdout.")
@verbosity_options
def shots(
    source: Path,
    output: Path | None,
    rate: str | None,
    overwrite: bool,
    config_source: str | None,
    overrides: tuple[str, ...],
) -> None:
    """List the shots of the film INPUT.

    Edit the file that -o writes and give it to `videocolor colorize --shots FILE`.
    """
    config = load_config(config_source, overrides, {"rate": rate})
    state = session()
    from videocolor.colorize import find_shots
    from videocolor.shots.shotlist import check_shot_file, write_shots

    if output is not None:
        check_shot_file(output, overwrite=overwrite, source=source)

    with watching(state, events=False) as observer:
        found = [view.shot for view in find_shots(source, config, observer=observer).shots]
    if output is not None:
        write_shots(output, found, film=source.name, overwrite=overwrite)
    for shot in found:
        start, end = shot.start_pts * shot.time_base, shot.end_pts * shot.time_base
        if state.json:
            times = {"start_s": float(start), "end_s": float(end)}
            emit("shot", {"index": shot.index + 1, "start": shot.start, "end": shot.end, **times})
        elif output is None:
            click.echo(f"{shot.index + 1:5d}  {float(start):10.3f}  {float(end):10.3f}  {shot.start}..{shot.end - 1}")
    if output is not None and not state.json:
        click.echo(f"wrote {output}: {len(found)} shots", err=True)
