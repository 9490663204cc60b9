"""`videocolor studio`: the film in a browser."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import click

from videocolor.cli.group import session
from videocolor.cli.options import json_option, verbosity_options
from videocolor.cli.watch import emit
from videocolor.errors import UsageError

__all__ = ["studio"]


@click.command(short_help="See, hint, preview and render a film in a browser.")
@click.argument("film", metavar="[FILM]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--project",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder of the project; FILM.videocolor-project beside the film without it.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, metavar="N", help="A free one without it.")
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@json_option("The address as a JSON event.")
@verbosity_options
def studio(film: Path | None, project: Path | None, port: int, no_browser: bool) -> None:
    """Open the studio of FILM: shots, hints, previews, the render. Without FILM, choose it in the page.

    Prints the address of its page, which answers on this machine alone, and serves it until Ctrl-C. All that is done
    there is saved in the project's folder at once; a render goes on when the page and the studio are closed.
    """
    missing = [name for name in ("fastapi", "uvicorn") if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"the studio needs {' and '.join(missing)}: pip install 'videocolor[web]'")
    if film is None and project is not None:
        raise UsageError("--project needs FILM; without both, the page lists recent projects")
    from videocolor.studio.serve import serve

    state = session()

    def ready(address: str) -> None:
        if state.json:
            emit("listening", {"address": address})
        else:
            click.echo(address)

    serve(film, project, port=port, browser=not no_browser, ready=ready)
