"""`videocolor config`: what can be set, and what a preset sets."""

from __future__ import annotations

import json
from typing import Any

import click

from videocolor.cli.group import session
from videocolor.cli.options import json_option

__all__ = ["config"]


@click.group(short_help="List and show configurations.")
def config() -> None:
    """List and show configurations: YAML files of `--config`, and the defaults below them."""


@config.command("list")
@json_option("One JSON array on stdout.")
def list_() -> None:
    """List the presets that are packaged."""
    from videocolor.presets import list_presets

    presets = list_presets()
    if session().json:
        click.echo(json.dumps([{"name": preset.name, "summary": preset.summary} for preset in presets]))
        return
    width = max((len(preset.name) for preset in presets), default=0)
    for preset in presets:
        click.echo(f"{preset.name:{width}}  {preset.summary}".rstrip())


@config.command()
@click.argument("name", metavar="[NAME|PATH]", required=False)
@click.option("--set", "overrides", multiple=True, metavar="SECTION.KEY=VALUE", help="Change one value; repeatable.")
@click.option("--schema", is_flag=True, help="The JSON schema, for editors, in place of the values.")
@json_option("JSON in place of YAML.")
def show(name: str | None, overrides: tuple[str, ...], schema: bool) -> None:
    """Print the configuration that results from NAME and --set, every key with its meaning."""
    from videocolor.presets import dump_yaml, load_model

    command, model = _model_for(name, overrides)
    if schema:
        click.echo(json.dumps(model.model_json_schema(), indent=2))
        return
    merged = load_model(model, command, name, overrides)
    if session().json:
        click.echo(json.dumps(merged.model_dump(mode="json"), indent=2, ensure_ascii=False))
    else:
        click.echo(dump_yaml(merged, comments=True), nl=False)


def _model_for(name: str | None, overrides: tuple[str, ...]) -> tuple[str, Any]:
    """Command and model that a preset's folder belongs to; files and bare names are `colorize`."""
    if (name or "").startswith("train/") or (name or "").startswith("configs/train/"):
        from videocolor.training.systems import config_class

        return "train", config_class(name, overrides)
    if (name or "").startswith("evaluate/") or (name or "").startswith("configs/evaluate/"):
        from videocolor.evaluation.settings import EvaluateConfig

        return "evaluate", EvaluateConfig
    if (name or "").startswith(("pairs/", "configs/pairs/")):
        from videocolor.datasets.pairs.settings import PairsConfig

        return "pairs", PairsConfig
    if (name or "").startswith(("batch/", "configs/batch/")):
        from videocolor.batch.settings import BatchConfig

        return "batch", BatchConfig
    from videocolor.config import ColorizeConfig

    return "colorize", ColorizeConfig
