"""`videocolor batch` for runs that nobody watches: pause, resume, workers, report, dry run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from videocolor.cli.group import session
from videocolor.cli.options import verbosity_options
from videocolor.cli.watch import watching

if TYPE_CHECKING:
    from videocolor.batch.settings import BatchConfig
    from videocolor.shards.types import FilmJob

__all__ = ["COMMANDS", "dry_run"]

_OUT = click.argument("out", metavar="OUT", type=click.Path(path_type=Path))


@click.command(short_help="Pause a run, or the next one.")
@_OUT
@click.option("--reason", metavar="TEXT", default="", help="Why; shown by `batch status`.")
@verbosity_options
def pause(out: Path, reason: str) -> None:
    """Let workers finish their current shard, then end them; also after a restart, a run waits for `batch resume`."""
    from videocolor.batch.gate import pause

    pause(_working_folder(out), reason)


@click.command(short_help="End a pause.")
@_OUT
@verbosity_options
def resume(out: Path) -> None:
    """Go on after `batch pause`. Where no process works on OUT, `batch run` does."""
    from videocolor.batch.gate import resume

    resume(_working_folder(out))


@click.command(short_help="Change the number of workers of a run.")
@_OUT
@click.argument("number", metavar="N|auto")
@verbosity_options
def workers(out: Path, number: str) -> None:
    """Give the run that works on OUT another number of workers, once each has finished its current shard."""
    from videocolor.batch.gate import set_workers
    from videocolor.batch.lock import lock_holder
    from videocolor.errors import UsageError

    if number != "auto" and not (number.isdecimal() and 1 <= int(number) <= 4096):
        raise UsageError(f"{number}: expected a number of workers, 1..4096, or auto")
    if lock_holder(_working_folder(out)) is None:
        raise UsageError(f"{out}: no process works on it; `batch run --workers {number}` starts one")
    set_workers(_working_folder(out), number if number == "auto" else int(number))


@click.command(short_help="Write the page of a batch.")
@_OUT
@click.option("-o", "--output", "path", metavar="PAGE", type=click.Path(path_type=Path), help="Write it here.")
@verbosity_options
def report(out: Path, path: Path | None) -> None:
    """Write OUT/batch.html: films, warnings, confidence, doubtful shots. While a run works on OUT, name a PAGE."""
    from videocolor.batch.lock import DriverLock
    from videocolor.batch.overview import write_overview

    folder = _working_folder(out)
    if path is not None:
        click.echo(write_overview(out, path))
        return
    with DriverLock(folder):
        click.echo(write_overview(out))


COMMANDS = (pause, resume, workers, report)


def _working_folder(out: Path) -> Path:
    """Return the folder of a batch that was run.

    Raises:
        InputError: none was.
    """
    from videocolor.batch.state import read_batch, state_folder

    read_batch(out)
    return state_folder(out)


def dry_run(jobs: Sequence[FilmJob], out: Path, config: BatchConfig) -> bool:
    """Print what a run would do; return whether it can do everything."""
    from videocolor.batch.forecast import forecast_batch

    state = session()
    with watching(state, events=False) as observer:
        found = forecast_batch(jobs, out, config, observer=observer)
    if state.json:
        click.echo(json.dumps({"event": "forecast", **found.as_dict()}, ensure_ascii=False, allow_nan=False))
    else:
        click.echo("\n".join(found.lines()))
    return found.ok
