"""`videocolor colorize`: flags become a configuration, events become a bar or JSON lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

from videocolor.cli.group import session
from videocolor.cli.options import config_options, json_option, verbosity_options
from videocolor.cli.watch import emit, watching

__all__ = ["colorize", "load_config"]

_FLAGS = {
    "hint": "hints.items",
    "hints": "hints.folder",
    "shots": "shots.file",
    "model": "model.name",
    "device": "model.device",
    "batch": "model.batch",
    "codec": "output.codec",
    "crf": "output.crf",
    "preset": "output.preset",
    "pix_fmt": "output.pix_fmt",
    "only_chroma": "output.only_chroma",
    "saturation": "chroma.saturation",
    "chroma_from": "chroma.source",
    "vividness": "model.vividness",
    "rate": "input.rate",
    "start": "input.start",
    "end": "input.end",
    "report": "output.report",
    "overwrite": "output.overwrite",
}
"""Parameter -> key of the configuration that it sets."""


@click.command(short_help="Color a film.")
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path), required=False)
@click.argument("target", metavar="OUTPUT", type=click.Path(path_type=Path), required=False)
@click.option("--project", metavar="DIR", type=click.Path(path_type=Path), help="Render a project of the studio.")
@click.option(
    "--hint",
    multiple=True,
    metavar="[TIME=]IMAGE",
    help="A color frame, with the film time it belongs to; IMAGE may be FILM@TIME. Repeatable.",
)
@click.option("--hints", metavar="DIR", help="A folder of hints as `keyframes` lays it out.")
@click.option(
    "--keyframes-by",
    metavar="CMD",
    help="Let a program color keyframes in the folder --hints (else OUTPUT.keyframes) first: 'CMD {in} {out}'.",
)
@click.option(
    "--chroma-from", metavar="OTHER", help="A film of the same shots in color: take its chroma where it fits."
)
@click.option("--shots", metavar="FILE", help="A shot list, in place of detection.")
@click.option("--model", metavar="NAME|FILE", help="A network of `videocolor models`, or a weights file.")
@config_options
@click.option("--device", metavar="auto|cpu|cuda[:N]", help="Where the network runs.")
@click.option("--batch", type=int, metavar="N", help="Frames through the network at once.")
@click.option(
    "--workers", metavar="auto|N", default="auto", show_default=True, help="Processes that color parts of the film."
)
@click.option("--codec", help="Encoder, by FFmpeg's name: libx264, ffv1, prores_ks...")
@click.option("--crf", type=float, metavar="X", help="Constant quality of the encoder.")
@click.option("--preset", help="The encoder's preset: veryfast, medium, slow...")
@click.option("--pix-fmt", help="Pixel format of the output: yuv420p, yuv422p10le...")
@click.option(
    "--only-chroma", is_flag=True, default=None, help="Write Cb and Cr alone, at their own size, for a compositor."
)
@click.option("--saturation", type=float, metavar="X", help="Factor on chroma, 0..4.")
@click.option("--vividness", type=float, metavar="X", help="Without a hint: from 0, cautious, to 1, bold.")
@click.option("--rate", help="Frames a second of an image sequence.")
@click.option("--start", metavar="TIME", help="Color from here: seconds or HH:MM:SS.mmm.")
@click.option("--end", metavar="TIME", help="Color up to here.")
@click.option(
    "--only-shots",
    metavar="A-B,C",
    help="Color these shots of the finished OUTPUT again, by their numbers in its record; keep the rest bit for bit.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option(
    "--report", is_flag=True, default=None, help="Write OUTPUT.html: every shot before and after, on one page."
)
@click.option("--overwrite", is_flag=True, default=None, help="Replace an existing OUTPUT.")
@json_option("One JSON event a line on stdout, nothing else there.")
@verbosity_options
def colorize(
    source: Path | None,
    target: Path | None,
    project: Path | None,
    config_source: str | None,
    overrides: tuple[str, ...],
    only_shots: str | None,
    keyframes_by: str | None,
    dry_run: bool,
    workers: str,
    **flags: Any,
) -> None:
    """Color the film INPUT into OUTPUT: same picture, same timing, same sound.

    INPUT is a film, a numbered image sequence (frame_%05d.png), a folder of images, a still, a named pipe, or - for
    standard input. The container follows from OUTPUT's name: .mkv, .mp4 or .mov. Settings: defaults < --config
    < --set < flags.

    A run that was stopped goes on where it stood when the same command is given again.

    `colorize --project DIR [OUTPUT]` takes film, shots, hints and settings from a project of the studio, and gives the
    samples that the studio renders; OUTPUT is the project's own film unless another one is named.
    """
    if project is not None:
        source, target, overrides = _of_project(project, source, target, config_source, overrides, flags)
    elif source is None or target is None:
        raise click.UsageError(f"Missing argument '{'INPUT' if source is None else 'OUTPUT'}'.")
    state = session()
    if keyframes_by is not None:
        if project is not None or dry_run or only_shots is not None:
            raise click.UsageError("--keyframes-by does not go together with --project, --dry-run or --only-shots")
        flags["hints"] = _color_keyframes(keyframes_by, source, target, (config_source, overrides, flags))
    count = _number(workers)
    config = load_config(config_source, overrides, flags)
    if dry_run:
        from videocolor.dryrun import plan_colorize

        with watching(state, events=False) as observer:
            plan = plan_colorize(source, target, config, observer=observer)
        if state.json:
            emit("plan", plan.as_dict())
        else:
            click.echo("\n".join(plan.lines()))
        return
    if only_shots is not None:
        from videocolor.colorize import recolor_film

        with watching(state) as observer:
            recolor_film(source, target, config, only_shots, observer=observer)
        return
    from videocolor.colorize import colorize_video

    with watching(state) as observer:
        colorize_video(source, target, config, workers=count, observer=observer)


def _number(workers: str) -> int | Literal["auto"]:
    if workers == "auto":
        return "auto"
    if not workers.isdecimal() or int(workers) < 1:
        raise click.BadParameter(f"{workers!r}: expected auto or a number from 1 on", param_hint="--workers")
    return int(workers)


def _color_keyframes(
    command: str, source: Path, target: Path, settings: tuple[str | None, tuple[str, ...], dict[str, Any]]
) -> str:
    """Let a program color the keyframes of a film; the folder that holds them."""
    from videocolor.keyframes.outside import color_keyframes
    from videocolor.keyframes.program import Program
    from videocolor.pipeline.film import prove_output
    from videocolor.video.pipes import is_pipe

    if is_pipe(source):
        raise click.UsageError("--keyframes-by reads the film twice, and a pipe is read only once; save it as a file")
    program, config = Program(command), load_config(*settings)
    prove_output(source, target, config)  # before hours of the program's work
    folder = config.hints.folder or target.with_name(target.name + ".keyframes")
    with watching(session()) as observer:
        color_keyframes(source, folder, program, config, observer=observer)
    return str(folder)


def _of_project(
    folder: Path,
    output: Path | None,
    second: Path | None,
    config_source: str | None,
    overrides: tuple[str, ...],
    flags: dict[str, Any],
) -> tuple[Path, Path, tuple[str, ...]]:
    """Film, output and settings of a project; what the command line sets goes before what the project does."""
    if second is not None:
        raise click.UsageError("--project names the film already; give OUTPUT alone, or nothing")
    for name, value in {"config": config_source, **{name: flags[name] for name in ("hint", "hints", "shots")}}.items():
        if value:
            raise click.UsageError(f"--{name} does not go together with --project, which has its own")
    from videocolor.presets import yaml_line
    from videocolor.studio.projectfolder import check_not_rendering, read_project

    found = read_project(folder)
    if output is None:
        check_not_rendering(found)
    settings = tuple(f"{key}={yaml_line(value)}" for key, value in found.settings().items())
    return found.film, output or found.target, (*settings, *overrides)


def load_config(source: str | None, overrides: tuple[str, ...], flags: dict[str, Any]) -> Any:
    """Return the merged configuration; flags that were not given leave it alone."""
    for name in ("hints", "shots"):
        if flags.get(name) is not None and not flags[name].strip():
            raise click.UsageError(f"--{name}: names nothing; leave the option out or give a path")
    from videocolor.config import ColorizeConfig

    values = {_FLAGS[name]: value for name, value in flags.items() if value is not None and value != ()}
    return ColorizeConfig.load(source, overrides, values)
