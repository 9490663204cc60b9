"""Color an archive, prove what was made, and show it.

    python pipelines/restore_archive.py REELS -o OUT --config master [--workers 2] [--set output.crf=14] [--sheet 8]

1. finds the films of REELS: a folder, or a job file (`videocolor.batch.jobs.read_jobs`);
2. colors them, going on where an earlier run stopped (`run_batch`); results go to OUT;
3. checks every finished film against its source: bytes, frames, times, luma, package (`verify_batch`);
4. writes OUT/archive.csv, a line a film: state, reason, frames, sha256;
5. draws OUT/before_after.jpg of the first films (--sheet 0: none).

Exit code 1 if a film failed or a check found something; all others are finished all the same. Stopped or killed, the
same command goes on. For the plain commands see `videocolor batch`.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Sequence
from pathlib import Path

import click

import videocolor
from videocolor.batch.jobs import read_jobs
from videocolor.batch.receipts import read_receipt
from videocolor.batch.run import BatchResult, run_batch
from videocolor.batch.settings import BatchConfig, split_overrides
from videocolor.batch.verify import FilmVerdict, verify_batch
from videocolor.cli.group import Session
from videocolor.cli.watch import watching
from videocolor.files import write_atomically
from videocolor.presets import load_model


def list_films(result: BatchResult, verdicts: Sequence[FilmVerdict]) -> Path:
    """Write OUT/archive.csv."""
    said = {verdict.name: "; ".join(verdict.problems) for verdict in verdicts}
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["film", "source", "result", "state", "frames", "sha256", "problem"])
    for film in result.films:
        receipt = read_receipt(result.out, film.name) if film.state == "done" else None
        frames, sha256 = (receipt.frames, receipt.sha256) if receipt is not None else ("", "")
        problem = film.error or said.get(film.name, "")
        rows.writerow([film.name, film.source, film.target, film.state, frames, sha256, problem])
    write_atomically(result.out / "archive.csv", text.getvalue())
    return result.out / "archive.csv"


@click.command(help=__doc__)
@click.argument("reels", type=click.Path(path_type=Path))
@click.option("-o", "--output", "out", required=True, type=click.Path(path_type=Path))
@click.option("--config", help="Preset of configs/batch or YAML file.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one setting, of batch or films.")
@click.option("--engine", type=click.Choice(["local", "ray"]))
@click.option("--workers", type=int)
@click.option("--sheet", default=8, show_default=True, help="Films on OUT/before_after.jpg.")
def main(
    reels: Path,
    out: Path,
    config: str | None,
    settings: tuple[str, ...],
    engine: str | None,
    workers: int | None,
    sheet: int,
) -> None:
    try:
        mine, films = split_overrides(settings)
        flags = {"engine.kind": engine, "engine.workers": workers}
        chosen = load_model(BatchConfig, "batch", config, mine, flags)
        found = read_jobs(reels, out, chosen, films)
        for note in found.notes:
            click.echo(f"note: {note}", err=True)
        with watching(Session()) as observer:
            result = run_batch(found.jobs, out, chosen, observer=observer)
            verdicts = verify_batch(out, [film.name for film in result.done], observer=observer) if result.done else []
        click.echo(list_films(result, verdicts))
        shown = [(film.source, film.target) for film in result.done][:sheet]
        if shown:
            click.echo(videocolor.before_after(shown, out / "before_after.jpg"))
    except videocolor.VideocolorError as error:
        raise SystemExit(f"error: {error}") from error
    for film in result.failed:
        click.echo(f"error: {film.name} ({film.source}): {film.error}", err=True)
    for verdict in verdicts:
        for problem in verdict.problems:
            click.echo(f"error: {verdict.name}: {problem}", err=True)
    click.echo(f"{len(result.done)} of {len(result.films)} films are finished, {len(result.failed)} failed")
    sys.exit(0 if result.ok and all(verdict.ok for verdict in verdicts) else 1)


if __name__ == "__main__":
    main()
