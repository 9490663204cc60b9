"""`videocolor verify`: what is true of a finished film."""

from __future__ import annotations

from pathlib import Path

import click

from videocolor.cli.group import session
from videocolor.cli.options import json_option, verbosity_options
from videocolor.cli.watch import emit

__all__ = ["verify"]


@click.command(short_help="Say what is true of a finished film.")
@click.argument("film", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--source", metavar="FILM", type=click.Path(path_type=Path), help="The film that was colored.")
@json_option("One JSON event a line on stdout.")
@verbosity_options
@click.pass_context
def verify(context: click.Context, film: Path, source: Path | None) -> None:
    """Check the manifest, the labels and the record of OUT; with --source, frames, times and luma, too.

    The exit code is 1 if anything that is claimed is false.
    """
    from videocolor.reports.verify import check_claims

    claims = check_claims(film, source)
    for claim in claims:
        if session().json:
            emit("claim", {"subject": claim.subject, "verdict": claim.verdict, "message": claim.text})
        else:
            click.echo(f"{claim.subject:9} {claim.verdict:6} {claim.text}")
    if any(claim.verdict == "false" for claim in claims):
        context.exit(1)
