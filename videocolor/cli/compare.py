"""`videocolor compare`: before and after in one film."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from videocolor.cli.group import session
from videocolor.cli.options import json_option, verbosity_options
from videocolor.cli.watch import emit, watching

__all__ = ["compare"]


@click.command(short_help="Put a film and its colored version into one film.")
@click.argument("source", metavar="FILM", type=click.Path(path_type=Path))
@click.argument("result", metavar="RESULT", type=click.Path(path_type=Path))
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path))
@click.option(
    "--kind",
    type=click.Choice(["side", "wipe"]),
    default="side",
    show_default=True,
    help="Beside each other, or parted by a line that wanders.",
)
@click.option("--width", type=int, metavar="N", help="Largest width of the picture in pixels; 1920.")
@click.option("--period", type=float, metavar="S", help="Seconds in which the line goes to and fro; 8.")
@click.option("--labels", is_flag=True, help="Write 'before' and 'after' into the picture.")
@click.option("--codec", help="Encoder, by FFmpeg's name; libx264.")
@click.option("--crf", type=float, metavar="X", help="Constant quality of the encoder.")
@click.option("--preset", help="The encoder's preset: veryfast, medium, slow...")
@click.option("--rate", help="Frames a second, where FILM is an image sequence.")
@click.option("--start", metavar="TIME", help="RESULT begins at this time of FILM; as its record says.")
@click.option("--end", metavar="TIME", help="RESULT ends before this time of FILM; as its record says.")
@click.option("--overwrite", is_flag=True, help="Replace an existing OUT.")
@json_option("One JSON event a line on stdout; `compared` at the end.")
@verbosity_options
def compare(source: Path, result: Path, target: Path, kind: Any, **settings: Any) -> None:
    """Write OUT, a film that shows FILM and RESULT, its colored version, at the same time; sound from RESULT.

    OUT.mp4 plays in browsers: H.264, 4:2:0, with square pixels.
    """
    from videocolor.config.parsing import parse_rate, parse_time
    from videocolor.reports.compare import CompareOptions, write_comparison

    given = {key: value for key, value in settings.items() if value is not None}
    for key, parse in (("rate", parse_rate), ("start", parse_time), ("end", parse_time)):
        if key in given:
            given[key] = parse(given[key])
    options = CompareOptions(**given)
    state = session()
    with watching(state) as observer:
        made = write_comparison(source, result, target, kind=kind, options=options, observer=observer)
    if state.json:
        emit("compared", {"target": made.target, "frames": made.frames, "width": made.width, "height": made.height})
    elif state.verbosity >= 0:
        text = f"wrote {made.target}: {made.frames} frames, {made.width}x{made.height}, in {made.seconds:.1f} s"
        click.echo(text, err=True)
