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
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write the list that `--shots` reads: YAML, or .otio, .edl, .csv.",
)
@click.option(
    "--of",
    "finished",
    metavar="OUTPUT",
    type=click.Path(path_type=Path),
    help="List the shots of the finished OUTPUT as its record has them, with notes on doubtful shots and hints.",
)
@click.option(
    "--handles",
    type=click.IntRange(min=0),
    metavar="N",
    help="Write each shot of --of with N frames before and after it into the folder -o, for a conform.",
)
@click.option("--rate", help="Frames a second of an image sequence.")
@click.option("--overwrite", is_flag=True, help="Replace an existing FILE of -o.")
@config_options
@json_option("One JSON object a shot on stdout.")
@verbosity_options
def shots(
    source: Path,
    output: Path | None,
    finished: Path | None,
    handles: int | None,
    rate: str | None,
    overwrite: bool,
    config_source: str | None,
    overrides: tuple[str, ...],
) -> None:
    """List the shots of the film INPUT.

    Edit the file that -o writes and give it to `videocolor colorize --shots FILE`. `--set shots.file=LIST -o FILE`
    turns a list of another program into YAML, and back.
    """
    config = load_config(config_source, overrides, {"rate": rate})
    state = session()
    from videocolor.colorize import find_shots
    from videocolor.reports.shots import cut_shots, recorded_shots
    from videocolor.shots.shotlist import check_shot_file, write_shots
    from videocolor.video import probe
    from videocolor.video.streams import start_timecode

    if handles is not None:
        if finished is None or output is None:
            raise click.UsageError("--handles needs --of, the finished film, and -o, the folder of its shots")
        click.echo(f"wrote {output}: {cut_shots(source, finished, output, handles)} shots", err=True)
        return
    if output is not None:
        check_shot_file(output, overwrite=overwrite, source=source)

    notes: dict[int, str] = {}
    with watching(state, events=False) as observer:
        if finished is not None:
            info, (found, notes) = probe(source, rate=config.input.rate), recorded_shots(finished)
        else:
            scan = find_shots(source, config, observer=observer)
            info, found = scan.info, [view.shot for view in scan.shots]
    if output is not None:
        code = start_timecode(info)
        write_shots(output, found, film=source.name, notes=notes, overwrite=overwrite, rate=info.rate, timecode=code)
    for shot in found:
        start, end = shot.start_pts * shot.time_base, shot.end_pts * shot.time_base
        if state.json:
            times = {"start_s": float(start), "end_s": float(end)}
            emit("shot", {"index": shot.index + 1, "start": shot.start, "end": shot.end, **times})
        elif output is None:
            click.echo(f"{shot.index + 1:5d}  {float(start):10.3f}  {float(end):10.3f}  {shot.start}..{shot.end - 1}")
    if output is not None and not state.json:
        click.echo(f"wrote {output}: {len(found)} shots", err=True)
