"""Color a film, prove that it is still the same film, and make a picture of it.

    python pipelines/colorize_film.py film.mov film_color.mkv --config master --hint 3.5=painted.png

1. says what will happen (shots, hints, what is assumed, what the container cannot hold);
2. colors (`videocolor.colorize_video`);
3. decodes both films and compares luma and times; with a lossless codec any difference is a failure;
4. writes `OUTPUT.before_after.jpg`.

For the plain command see `videocolor colorize`.
"""

from __future__ import annotations

from pathlib import Path

import click

import videocolor


@click.command(help=__doc__)
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--config", help="Preset or YAML file.")
@click.option("--hint", "hints", multiple=True, metavar="[TIME=]IMAGE", help="A color frame; may be repeated.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one setting.")
def main(source: Path, target: Path, config: str | None, hints: tuple[str, ...], settings: tuple[str, ...]) -> None:
    try:
        chosen = videocolor.ColorizeConfig.load(config, settings, {"hints.items": list(hints) or None})
        for line in videocolor.plan_colorize(source, target, chosen).lines():
            click.echo(line)
        result = videocolor.colorize_video(source, target, chosen)
        check = videocolor.verify_film(source, target, rate=chosen.input.rate)
        sheet = videocolor.before_after([(source, target)], target.with_name(target.name + ".before_after.jpg"))
    except videocolor.VideocolorError as error:
        raise SystemExit(f"error: {error}") from error
    click.echo(f"{result.frames} frames in {result.seconds:.1f} s; picture in {sheet}")
    click.echo(
        f"frames {check.frames} -> {check.result_frames}, largest luma difference {check.luma_max_diff}, "
        f"largest time difference {float(check.time_max_diff) * 1000:.3f} ms"
    )
    if chosen.output.codec == "ffv1" and (check.luma_max_diff != 0 or check.frames != check.result_frames):
        raise SystemExit("error: the lossless output is not the same film")


if __name__ == "__main__":
    main()
