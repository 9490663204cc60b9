"""`videocolor report`: the page of a film that was colored earlier."""

from __future__ import annotations

from pathlib import Path

import click

from videocolor.cli.group import session
from videocolor.cli.options import json_option, verbosity_options
from videocolor.cli.watch import emit, watching

__all__ = ["report"]


@click.command(short_help="Write the page of a film that was colored: shots before and after.")
@click.argument("source", metavar="FILM", type=click.Path(path_type=Path))
@click.argument("result", metavar="RESULT", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", "page", metavar="PAGE", type=click.Path(path_type=Path), help="RESULT.html if not given."
)
@click.option("--overwrite", is_flag=True, help="Replace an existing PAGE.")
@json_option("One JSON event a line on stdout; `report` at the end.")
@verbosity_options
def report(source: Path, result: Path, page: Path | None, overwrite: bool) -> None:
    """Write the report of RESULT, which was made from FILM, out of the record beside it (RESULT.json).

    `colorize --report` and `batch run --report` write the same page at the end of a run.
    """
    from videocolor.errors import OutputError
    from videocolor.record import report_path
    from videocolor.reports.run import write_report

    page = page or report_path(result)
    if page.exists() and not overwrite:
        raise OutputError(f"{page}: exists; --overwrite replaces it")
    state = session()
    with watching(state) as observer:
        made = write_report(source, result, path=page, observer=observer)
    if state.json:
        emit("report", {"path": made})
    else:
        click.echo(made)
