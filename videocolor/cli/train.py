"""`videocolor train`: train a network."""

from __future__ import annotations

from typing import Any

import click

from videocolor.cli.group import session
from videocolor.cli.options import config_options, json_option, verbosity_options
from videocolor.cli.watch import emit

__all__ = ["train"]


@click.command(short_help="Train a network.")
@config_options
@click.option("--resume", is_flag=True, help="Go on from the checkpoint in the configuration's `out` folder, if any.")
@click.option("--device", metavar="auto|cpu|cuda[:N]", help="Where the network is trained.")
@click.option(
    "--stop-after-minutes",
    type=click.FloatRange(min=0, min_open=True),
    metavar="M",
    help="Leave after M minutes, with a checkpoint that --resume goes on from.",
)
@json_option("One JSON event a line on stdout, nothing else there.")
@verbosity_options
def train(
    config_source: str | None,
    overrides: tuple[str, ...],
    resume: bool,
    device: str | None,
    stop_after_minutes: float | None,
) -> None:
    """Train a network on pairs: --set data.pairs=DIR, as `videocolor pairs build` makes them.

    --config names a preset of `train/` or a YAML file; without it the packaged hint network goes on learning
    (`train/own`). The path of what was written last goes to stdout. The hint network on several GPUs, or processes:
    torchrun --nproc-per-node N -m videocolor train --config ...

    Settings: defaults < --config < --set < flags.
    """
    config_source = "train/own" if config_source is None else config_source
    from videocolor.events import ignore
    from videocolor.presets import load_model
    from videocolor.training.distributed import first_process
    from videocolor.training.systems import config_class, trainer

    config: Any = load_model(
        config_class(config_source, overrides), "train", config_source, overrides, {"device": device}
    )
    run = trainer(config_source, overrides)
    state, speaks = session(), first_process()
    observer = None if state.verbosity >= 0 else ignore
    if state.json:
        observer = (lambda event: click.echo(event.as_json())) if speaks else ignore
    if state.json and speaks:
        emit("start", {"target": config.out, "steps": config.steps})
    path = run(config, resume=resume, stop_after_minutes=stop_after_minutes, observer=observer)
    if state.json and speaks:
        emit("done", {"target": path})
    elif speaks:
        click.echo(path)
