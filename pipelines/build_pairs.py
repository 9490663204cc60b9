"""Build a data set of frame pairs, check it, and show it.

    python pipelines/build_pairs.py FOOTAGE/train FOOTAGE/images -o PAIRS --config any_rate [--sheets DIR]

1. builds the data set (`videocolor.datasets.pairs.build_pairs`), going on where an earlier run stopped;
2. verifies hashes, counts, bounds and splits (`verify_pairs`);
3. writes the review page and the list of the doubtful pairs into PAIRS;
4. prints the numbers (`pair_stats`);
5. with --sheets, draws two contact sheets of footage whose licence matches --licence: pairs_accepted.jpg, and
   pairs_doubtful.jpg with the doubtful and the rejected ones; films first, then a third of pictures.

Exit code 1 if a source was refused or could not be read (the rest is built all the same), or if the check finds
something. For the plain commands see `videocolor pairs`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click

import videocolor
from videocolor.cli.group import Session
from videocolor.cli.watch import watching
from videocolor.datasets.pairs.build import build_pairs
from videocolor.datasets.pairs.manifest import PairRecord, read_manifest
from videocolor.datasets.pairs.review import contact_sheet, review_list, review_page, spread_out, to_review
from videocolor.datasets.pairs.settings import PairsConfig
from videocolor.datasets.pairs.verify import pair_stats, verify_pairs
from videocolor.files import write_atomically
from videocolor.presets import load_model

SHOWN = 500
"""Pairs on the review page."""


def review(folder: Path, records: list[PairRecord]) -> int:
    """Write the page and the list; how many pairs wait for a person."""
    doubtful = to_review(records)
    write_atomically(folder / "review.txt", review_list(doubtful))
    write_atomically(folder / "review.html", review_page(folder, doubtful[:SHOWN]))
    return len(doubtful)


def draw(folder: Path, records: list[PairRecord], target: Path, licence: str, count: int) -> list[Path]:
    """The two sheets."""
    target.mkdir(parents=True, exist_ok=True)
    shown = [record for record in records if re.search(licence, record.licence)]
    paths = []
    for name in ("accepted", "doubtful"):
        chosen = [record for record in shown if (record.decision == "accepted") == (name == "accepted")]
        films, pictures = ([r for r in chosen if r.self_pair == alone] for alone in (False, True))
        few = spread_out(pictures, count // 3)
        drawn = spread_out(films, count - len(few)) + few
        if drawn:
            paths.append(contact_sheet(folder, drawn, target / f"pairs_{name}.jpg"))
    return paths


@click.command(help=__doc__)
@click.argument("videos", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", "folder", required=True, type=click.Path(path_type=Path))
@click.option("--config", help="Preset or YAML file.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one setting.")
@click.option("--sheets", type=click.Path(path_type=Path), help="Draw contact sheets into this folder.")
@click.option("--licence", default="", help="Only footage whose licence this regular expression finds is drawn.")
@click.option("--count", default=24, show_default=True, help="Pairs on a sheet.")
def main(
    videos: tuple[Path, ...],
    folder: Path,
    config: str | None,
    settings: tuple[str, ...],
    sheets: Path | None,
    licence: str,
    count: int,
) -> None:
    try:
        chosen = load_model(PairsConfig, "pairs", config, settings)
        with watching(Session()) as observer:
            result = build_pairs(videos, folder, chosen, observer=observer)
        if not result.sources:
            raise SystemExit("error: no source gave a pair; see the warnings")
        problems = verify_pairs(folder)
        records = read_manifest(folder)
        waiting = review(folder, records)
        click.echo("\n".join(pair_stats(folder).lines()))
        click.echo(f"{waiting} pairs wait in {folder / 'review.html'}")
        for path in draw(folder, records, sheets, licence, count) if sheets is not None else []:
            click.echo(path)
    except videocolor.VideocolorError as error:
        raise SystemExit(f"error: {error}") from error
    for problem in problems:
        click.echo(f"problem: {problem}", err=True)
    sys.exit(0 if result.ok and not problems else 1)


if __name__ == "__main__":
    main()
