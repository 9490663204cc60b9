"""`videocolor batch`: archives."""

from __future__ import annotations

import json
import re
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from videocolor.cli.group import Session, session
from videocolor.cli.nights import COMMANDS, dry_run
from videocolor.cli.options import config_options, json_option, verbosity_options
from videocolor.cli.watch import emit, watching

if TYPE_CHECKING:
    from videocolor.batch.run import BatchResult
    from videocolor.batch.settings import BatchConfig
    from videocolor.shards.types import FilmJob

__all__ = ["batch"]

F = TypeVar("F", bound=Callable[..., Any])

_REELS = click.argument("reels", metavar="REELS", type=click.Path(path_type=Path))
_OUT = click.argument("out", metavar="OUT", type=click.Path(path_type=Path))
_NAMES = click.argument("films", metavar="[FILM]...", nargs=-1)
_OUTPUT = click.option(
    "-o", "--output", "out", metavar="OUT", required=True, type=click.Path(path_type=Path), help="Where results go."
)
_SOME_FAILED = 3
"""Exit code of a run that went through, though not every film did."""
_EVENTS = json_option("One JSON event per line on stdout; `film_failed` and `batch` at the end.")


def _engine_options(command: F) -> F:
    """`--engine`, `--workers`, `--address`."""
    for decorate in (
        click.option("--address", metavar="A", help="A running Ray cluster, as `engine.address`."),
        click.option("--workers", metavar="N", type=click.IntRange(1), help="Number of workers."),
        click.option("--engine", metavar="NAME", help="local (processes), ray, or module:Class."),
    ):
        command = decorate(command)
    return command


@click.group(short_help="Color archives: many films, many workers, resumable.")
def batch() -> None:
    """Color a folder of reels or the films of a job file, on one machine or many; resumable.

    REELS is a folder (searched in depth), a job file (.yaml, .csv) or one film. OUT gets the results and, in
    OUT/.videocolor, plans, receipts and logs.
    """


for _command in COMMANDS:
    batch.add_command(_command)


@batch.command(short_help="Write plans that can be edited.")
@_REELS
@_OUTPUT
@config_options
@_engine_options
@_EVENTS
@verbosity_options
def plan(reels: Path, out: Path, config_source: str | None, overrides: tuple[str, ...], **flags: Any) -> None:
    """Scan the films of REELS and write a plan of each, which `batch run` then follows.

    Prints the paths of the plans, and of a folder's list of films (OUT/.videocolor/reels.yaml): a job file for `batch
    run`, in which films can be left out and hints be set. Existing files are kept.
    """
    from videocolor.batch.jobs import plan_reels

    config, films = _configure(config_source, overrides, flags)
    jobs = _jobs(reels, out, config, films)
    result = _run(jobs, out, config, only="plan")
    listed = plan_reels(jobs, out) if reels.is_dir() else None
    if not session().json:
        if listed is not None:
            click.echo(listed)
        for film in result.films:
            if film.state == "planned" and film.folder is not None:
                click.echo(film.folder / "plan.yaml")
    _leave(result)


@batch.command(short_help="Color films; resume after a stop.")
@_REELS
@_OUTPUT
@config_options
@_engine_options
@click.option("--only-shots", metavar="A-B,C", help="Color these shots of finished films again, keep the rest.")
@click.option("--reusing", metavar="A-B,C", help="With --only-shots: also shots that reuse colors of these.")
@click.option("--dry-run", "dry", is_flag=True, help="Say what would be done: hours, gigabytes, losses. Do nothing.")
@click.option("--restart", is_flag=True, help="Forget earlier work on films that are not finished.")
@click.option("--report", is_flag=True, help="Write OUTPUT.html beside each film: its shots before and after.")
@_EVENTS
@verbosity_options
def run(
    reels: Path,
    out: Path,
    config_source: str | None,
    overrides: tuple[str, ...],
    dry: bool,
    restart: bool,
    only_shots: str | None,
    reusing: str | None,
    **flags: Any,
) -> None:
    """Color the films of REELS into OUT.

    Stopped or killed, the same command resumes, and the films are the same. A film that cannot be colored is named
    with its reason; the others are finished, and the exit code is 3. 1 is a batch that could not be run.
    """
    overrides = (*overrides, "output.report=true") if flags.pop("report") else overrides
    config, films = _configure(config_source, overrides, flags)
    if only_shots is None and reusing is not None:
        raise click.UsageError("--reusing: has no effect without --only-shots")
    jobs = _jobs(reels, out, config, films, heard=not dry)
    if dry:
        able = dry_run(jobs, out, config) and not _name_refused()
        click.get_current_context().exit(0 if able else _SOME_FAILED)
    if only_shots is not None:
        from videocolor.shards.recolor import parse_shots

        shots, reused = parse_shots(only_shots), () if reusing is None else parse_shots(reusing)
        _leave(_run(jobs, out, config, only_shots=shots, reusing=reused))
    else:
        _leave(_run(jobs, out, config, restart=restart))


@batch.command(short_help="Show the state of all films.")
@_OUT
@click.option("--watch", is_flag=True, help="Repeat until no process works on it.")
@click.option("--interval", default=2.0, show_default=True, type=click.FloatRange(0.1), help="Seconds between tables.")
@click.option("--all", "every", is_flag=True, help="List every film, also where the terminal is too small.")
@json_option("One JSON object per table on stdout.")
@verbosity_options
def status(out: Path, watch: bool, interval: float, every: bool) -> None:
    """Print a table of the films of OUT: state, shards, frames per second, time left, error.

    On a terminal it has the terminal's size; running and failed films come first.
    """
    from videocolor.batch.status import batch_status

    state, live = session(), watch and sys.stdout.isatty()
    while True:
        found = batch_status(out)
        if state.json:
            click.echo(json.dumps(found.as_dict(), ensure_ascii=False, allow_nan=False))
        else:
            if live:
                click.clear()
            size = shutil.get_terminal_size() if sys.stdout.isatty() and not every else None
            lines = found.lines(size and size.lines - 1, size and size.columns)
            click.echo("\n".join(lines) + ("\n" if watch and not live else ""))
        if not watch or found.driver is None:
            return
        time.sleep(interval)


@batch.command(short_help="Try failed films again.")
@_OUT
@_NAMES
@config_options
@_engine_options
@_EVENTS
@verbosity_options
def retry(
    out: Path,
    films: tuple[str, ...],
    config_source: str | None,
    overrides: tuple[str, ...],
    **flags: Any,
) -> None:
    """Try failed films of OUT again: all of them, or those named (given up, too). Finished shards are kept."""
    from videocolor.batch.run import failed_jobs

    config = _reconfigure(out, config_source, overrides, flags)
    _leave(_run(failed_jobs(out, films), out, config, others=True, retry=True))


@batch.command(short_help="Merge films whose shards are done.")
@_OUT
@_NAMES
@_EVENTS
@verbosity_options
def merge(out: Path, films: tuple[str, ...]) -> None:
    """Merge films of OUT whose shards are all done; color nothing."""
    from videocolor.batch.run import unfinished_jobs

    _leave(_run(unfinished_jobs(out, films), out, _reconfigure(out, None, (), {}), only="merge", others=True))


@batch.command(short_help="Check that finished films are unchanged.")
@_OUT
@_NAMES
@click.option("--quick", is_flag=True, help="Check only bytes; decode nothing.")
@click.option("--repair", is_flag=True, help="First mend what can be mended without coloring.")
@json_option("One JSON object per film on stdout.")
@verbosity_options
def verify(out: Path, films: tuple[str, ...], quick: bool, repair: bool) -> None:
    """Check finished films of OUT, or of a copy of it: every file against manifest-sha256.txt, and against the sources.

    Names what is changed, missing or added. Prints one line per film; the exit code is 1 if something is wrong.
    """
    from videocolor.batch.manifest import MANIFEST
    from videocolor.batch.verify import verify_batch

    state = session()
    if repair:
        from videocolor.batch.amend import repair_films

        for name, what in repair_films(out, films).items():
            click.echo(f"{name}: {what}", err=True)
    with watching(state, events=False) as observer:
        found = verify_batch(out, films, decode=not quick, observer=observer)
    for film in found:
        if state.json:
            emit("film", film.as_dict())
            continue
        if film.name == MANIFEST:
            click.echo("".join(f"{_line(problem)}\n" for problem in film.problems), nl=False)
        else:
            click.echo(_line(f"{film.name}: " + ("; ".join(film.problems) or f"well ({', '.join(film.checked)})")))
        for note in film.notes:
            click.echo(f"note: {film.name}: {note}", err=True)
    if not state.json:
        listed = [film for film in found if film.name != MANIFEST]
        wrong, others = sum(not film.ok for film in listed), sum(len(f.problems) for f in found if f.name == MANIFEST)
        words = f"{wrong} wrong, {others} problems of other files" if wrong or others else "all well"
        click.echo(f"{out}: {len(listed)} finished films, {words}", err=True)
    click.get_current_context().exit(0 if all(film.ok for film in found) else 1)


@batch.command("give-up", short_help="Leave reels out for good.")
@_OUT
@click.argument("films", metavar="FILM...", nargs=-1, required=True)
@click.option("--reason", metavar="TEXT", required=True, help="Why; shown by `batch status`.")
@verbosity_options
def give_up(out: Path, films: tuple[str, ...], reason: str) -> None:
    """Leave reels out of all later runs; they no longer count as failed. `batch retry OUT FILM` takes them back."""
    from videocolor.batch.run import unfinished_jobs
    from videocolor.batch.state import give_up as record

    for job in unfinished_jobs(out, films):
        record(out, job.name, reason)


@batch.command(short_help="Take finished films as they are now.")
@_OUT
@click.argument("films", metavar="FILM...", nargs=-1, required=True)
@click.option("--reason", metavar="TEXT", required=True, help="Why; stays in the film's receipt.")
@verbosity_options
def accept(out: Path, films: tuple[str, ...], reason: str) -> None:
    """Take films that were changed on purpose as they are: their files, and settings other than those asked for.

    `batch verify` then compares with them as they are now, and `batch run` leaves them alone, unless it overwrites.
    """
    from videocolor.batch.amend import accept_films

    accept_films(out, films, reason)


def _line(text: str) -> str:
    """Return text with control characters and bytes that are not UTF-8, of strange names, as escapes: in one line."""
    return re.sub(r"[\x00-\x1f\x7f\udc80-\udcff]", lambda found: f"\\x{ord(found[0]) & 0xFF:02x}", text)


def _configure(
    source: str | None, overrides: Sequence[str], flags: dict[str, Any]
) -> tuple[BatchConfig, tuple[str, ...]]:
    """Return the batch's configuration, and the settings for its films."""
    from videocolor.batch.settings import BatchConfig, split_overrides
    from videocolor.presets import load_model

    mine, films = split_overrides(overrides)
    return load_model(BatchConfig, "batch", source, mine, _engine_flags(flags)), films


def _engine_flags(flags: dict[str, Any]) -> dict[str, Any]:
    return {
        "engine.kind": flags.get("engine"),
        "engine.workers": flags.get("workers"),
        "engine.address": flags.get("address"),
    }


def _reconfigure(out: Path, source: str | None, overrides: Sequence[str], flags: dict[str, Any]) -> BatchConfig:
    """Return the configuration of the last run, changed by what is given now."""
    from videocolor.batch.run import last_config
    from videocolor.batch.settings import split_overrides
    from videocolor.errors import UsageError

    mine, films = split_overrides(overrides)
    if films:
        raise UsageError(f"--set {films[0]}: films are tried again with their own settings; `batch run` changes them")
    return last_config(out, source, mine, _engine_flags(flags))


def _jobs(
    reels: Path, out: Path, config: BatchConfig, films: tuple[str, ...], *, heard: bool = False
) -> tuple[FilmJob, ...]:
    """Find the films; `heard`: where that fails, the hooks of a run are called, as for any run that cannot be done."""
    from videocolor.batch.jobs import read_jobs
    from videocolor.batch.watch import call_hooks
    from videocolor.errors import VideocolorError

    try:
        found = read_jobs(reels, out, config, films)
    except VideocolorError as error:
        summary = {"out": str(out), "films": 0, "done": 0, "failed": [], "ok": False, "error": str(error)}
        for problem in call_hooks(config.run, summary) if heard else ():
            click.echo(f"warning: {problem}", err=True)
        raise
    session().refused = found.refused
    for note in found.notes:
        if session().json:
            emit("note", {"message": note})
        elif session().verbosity >= 0:
            click.echo(f"note: {note}", err=True)
    return found.jobs


def _run(jobs: Sequence[FilmJob], out: Path, config: BatchConfig, **more: Any) -> BatchResult:
    from videocolor.batch.run import run_batch

    with watching(session()) as observer:
        return run_batch(jobs, out, config, refused=session().refused, observer=observer, **more)


def _leave(result: BatchResult) -> None:
    """Print a summary, name each failed film, and exit with 3 if there is one: 1 is a batch that could not be run."""
    state: Session = session()
    _name_refused()
    if state.json:
        for film in result.failed:
            emit("film_failed", {"film": film.name, "source": film.source, "error": film.error})
        emit("batch", result.as_dict())
    else:
        if state.verbosity >= 0:
            now = sum(film.made_now for film in result.films)
            parts = [f"{len(result.done)} done ({now} now)", f"{len(result.failed)} failed"]
            parts += (
                [f"{waiting} planned"] if (waiting := len(result.films) - len(result.done) - len(result.failed)) else []
            )
            click.echo(f"{result.out}: {len(result.films)} films: {', '.join(parts)}", err=True)
        for film in result.failed:
            where = "" if str(film.source) in str(film.error) else f" ({film.source})"
            click.echo(f"error: {film.name}{where}: {film.error}", err=True)
    click.get_current_context().exit(0 if result.ok else _SOME_FAILED)


def _name_refused() -> bool:
    """Print why reels are left out; return whether there are some."""
    state: Session = session()
    for reason in state.refused:
        emit("film_failed", {"error": reason}) if state.json else click.echo(f"error: {reason}", err=True)
    return bool(state.refused)
