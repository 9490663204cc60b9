"""`videocolor doctor`: can this machine colour a film?"""

from __future__ import annotations

import json

import click

from videocolor.cli.group import session
from videocolor.cli.options import json_option

__all__ = ["doctor"]


@click.command(short_help="Say whether this machine can colour a film.")
@json_option("One JSON object on stdout.")
@click.pass_context
def doctor(ctx: click.Context) -> None:
    """Look at Python, packages, devices, encoders, weights and disk; exit code 0 if colouring can work."""
    from videocolor.doctor import examine

    found = examine()
    if session().json:
        click.echo(json.dumps(found.as_dict()))
    else:
        click.echo("\n".join(found.lines()))
    ctx.exit(0 if found.ok else 1)
