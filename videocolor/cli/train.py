"""`videocolor train`: train a network."""

from __future__ import annotations

import click

from videocolor.cli.options import config_options, verbosity_options

__all__ = ["train"]


@click.command(short_help="Train a network.")
@config_options
@click.option("--resume", is_flag=True, help="Go on from the checkpoint in the configuration's `out` folder.")
@verbosity_options
def train(config_source: str | None, overrides: tuple[str, ...], resume: bool) -> None:
    """Train a network as a configuration says; --config names a preset of `train/` or a YAML file.

    The path of the last checkpoint goes to stdout.
    """
    if config_source is None:
        raise click.UsageError("--config NAME|PATH says what to train; `videocolor config list` lists presets")
    from videocolor.presets import load_model
    from videocolor.training.config import TrainConfig

    config = load_model(TrainConfig, "train", config_source, overrides)
    from videocolor.training.loop import train as run

    click.echo(run(config, resume=resume))
