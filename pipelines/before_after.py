"""Make a picture of films before and after, colored with the packaged weights.

    python pipelines/before_after.py samples/bw_his_girl_friday_1940.mp4 samples/bw_chaplin.mp4 \
        -o before_after.jpg

Each film is colored without hints into a temporary file; rows are the source's frames and the colored ones.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

import videocolor


@click.command(help=__doc__)
@click.argument("films", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--columns", default=3, show_default=True, help="Frames of each film.")
@click.option("--height", default=200, show_default=True, help="Of each picture, pixels.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one setting.")
def main(films: tuple[Path, ...], output: Path, columns: int, height: int, settings: tuple[str, ...]) -> None:
    try:
        config = videocolor.ColorizeConfig.load(None, ["output.sidecar=false", *settings])
        with tempfile.TemporaryDirectory() as folder:
            pairs = [(film, Path(folder) / f"{film.stem}.mkv") for film in films]
            for source, target in pairs:
                videocolor.colorize_video(source, target, config)
            videocolor.before_after(pairs, output, columns=columns, height=height)
    except videocolor.VideocolorError as error:
        raise SystemExit(f"error: {error}") from error
    click.echo(output)


if __name__ == "__main__":
    main()
