"""`videocolor train`: train a network."""

from __future__ import annotations

from pathlib import Path

import click

from videocolor.cli.options import config_options, verbosity_options

__all__ = ["train"]


@click.command(short_help="Train a network.")
@config_options
@click.option("--resume", metavar="CHECKPOINT", type=click.Path(path_type=Path), help="Go on from a checkpoint.")
@verbosity_options
def train(config_source: str | None, overrides: tuple[str, ...], resume: Path | None) -> None:
    """Train a network as a configuration says; --config names a preset of `train/` or a YAML file."""
    if config_source is None:
        raise click.UsageError("--config NAME|PATH says what to train; `videocolor config list` lists presets")
    from videocolor.training.run import train as run

    run(config_source, overrides, resume)
