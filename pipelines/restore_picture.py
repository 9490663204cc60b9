"""Mend the picture of a film and leave it black and white.

    python pipelines/restore_picture.py film.mkv mended.mkv --deflicker --dust
    python pipelines/restore_picture.py tape.avi mended.mkv --telecine --deinterlace --set dust_contrast=20

1. says what will be done, and for --telecine the cadence of the first 240 frames;
2. restores (`videocolor.restoration.restore`), step by step and off unless asked:
   --telecine puts the fields of pulled-down film back together, --deinterlace mends woven fields, --deflicker evens
   out exposure, --dust repairs dust and vertical scratches; --set changes their strengths (docs/guides/restoration.md);
3. writes the film losslessly (FFV1) with neutral chroma, the source's times, sound and other streams.

Frames are as many as before, at the same times: frames that a pulldown repeats stay. To restore and color in one go,
see the section `restoration` of `videocolor colorize`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
from tqdm import tqdm

from videocolor.concurrency.stages import single_threaded_kernels
from videocolor.errors import UsageError, VideocolorError
from videocolor.presets import load_model
from videocolor.restoration import RestorationConfig, find_cadence, restore, steps
from videocolor.types import Array, Frame
from videocolor.video import OutputOptions, VideoWriter, open_video, probe


def restore_film(source: Path, target: Path, config: RestorationConfig, overwrite: bool) -> tuple[int, int]:
    """(frames, frames whose luma changed) of a film that was restored into a file."""
    count = changed = 0
    with open_video(source) as video:
        info = video.info
        if "telecine" in steps(config) or "deinterlace" in steps(config):
            info = replace(info, field_order="progressive")
        options = OutputOptions(codec="ffv1", overwrite=overwrite, color_label=False)
        with VideoWriter.like(info, target, options) as out:
            width, height = out.plan.chroma_size
            depth = out.plan.layout.depth
            neutral = np.full((height, width), 1 << (depth - 1), np.uint8 if depth == 8 else np.uint16)
            before: dict[int, Array] = {}

            def remembered() -> Iterator[Frame]:
                for frame in video:
                    before[frame.index] = frame.luma
                    yield frame

            with closing(restore(remembered(), config)) as mended:
                for frame in tqdm(mended, total=info.frames, unit="frame", disable=None):
                    changed += frame.luma is not before.pop(frame.index)
                    out.write(frame, neutral, neutral)
                    count += 1
        for line in video.losses:
            click.echo(f"warning: {line}", err=True)
    return count, changed


@click.command(help=__doc__)
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--telecine", is_flag=True, help="Put the fields of pulled-down film back together.")
@click.option("--deinterlace", is_flag=True, help="Mend woven fields.")
@click.option("--deflicker", is_flag=True, help="Even out exposure.")
@click.option("--dust", is_flag=True, help="Repair dust and vertical scratches.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one setting: dust_contrast=20.")
@click.option("--overwrite", is_flag=True, help="Replace an existing output.")
def main(
    source: Path,
    target: Path,
    telecine: bool,
    deinterlace: bool,
    deflicker: bool,
    dust: bool,
    settings: tuple[str, ...],
    overwrite: bool,
) -> None:
    flags = {
        "telecine": "restore" if telecine else None,
        "deinterlace": "on" if deinterlace else None,
        "deflicker": deflicker or None,
        "dust": dust or None,
    }
    try:
        config = load_model(RestorationConfig, "restore", None, settings, flags)
        if not steps(config):
            raise UsageError("nothing to do: give --telecine, --deinterlace, --deflicker or --dust")
        for line in probe(source).warnings:
            click.echo(f"warning: {line}", err=True)
        click.echo(f"steps: {', '.join(steps(config))}")
        if telecine:
            with open_video(source) as video:
                click.echo(f"cadence: {find_cadence(video) or 'none seen'}")
        with single_threaded_kernels():
            frames, changed = restore_film(source, target, config, overwrite)
    except VideocolorError as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(error.exit_code) from error
    click.echo(f"{frames} frames, {changed} of them mended: {target}")


if __name__ == "__main__":
    main()
