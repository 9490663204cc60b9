"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from videocolor.cli.group import Session, set_up_logging

__all__ = ["config_options", "json_option", "root_options", "verbosity_options"]

F = TypeVar("F", bound=Callable[..., Any])


def _louder(ctx: click.Context, _param: click.Parameter, value: int) -> None:
    _shift(ctx, value)


def _quieter(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    _shift(ctx, -1 if value else 0)


def _shift(ctx: click.Context, by: int) -> None:
    state = ctx.ensure_object(Session)
    state.verbosity += by
    set_up_logging(state.verbosity)


def _json(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(Session).json = True


def _version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from videocolor.version import __version__

        click.echo(f"videocolor {__version__}")
        ctx.exit()


def verbosity_options(command: F) -> F:
    """`-v` and `-q`."""
    for decorate in (
        click.option("-q", "--quiet", is_flag=True, expose_value=False, callback=_quieter, help="Errors only."),
        click.option(
            "-v",
            "--verbose",
            count=True,
            expose_value=False,
            callback=_louder,
            help="More messages, and tracebacks of errors; twice for everything.",
        ),
    ):
        command = decorate(command)
    return command


def json_option(text: str) -> Callable[[F], F]:
    """`--json`; the session knows about it."""
    return click.option("--json", "json_", is_flag=True, expose_value=False, callback=_json, help=text)


def config_options(command: F) -> F:
    """`--config` and `--set`."""
    for decorate in (
        click.option(
            "--set",
            "overrides",
            multiple=True,
            metavar="SECTION.KEY=VALUE",
            help="Change one value of the configuration; repeatable.",
        ),
        click.option("--config", "config_source", metavar="NAME|PATH", help="Preset or YAML file."),
    ):
        command = decorate(command)
    return command


def root_options() -> list[click.Parameter]:
    """Options in front of the subcommand."""
    return [
        click.Option(
            ["--version"], is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version."
        ),
        click.Option(
            ["-v", "--verbose"], count=True, expose_value=False, callback=_louder, help="More messages, and tracebacks."
        ),
    ]
