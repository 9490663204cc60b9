"""`videocolor pairs`: data sets of frame pairs."""

from __future__ import annotations

import json
from pathlib import Path

import click

from videocolor.cli.group import session
from videocolor.cli.options import config_options, json_option, verbosity_options
from videocolor.cli.watch import emit, watching

__all__ = ["pairs"]

_FOLDER = click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
_ROOT = click.option(
    "--root", type=click.Path(path_type=Path), metavar="DIR", help="Where sources are, if they were moved."
)


@click.group(short_help="Build, check, review and divide data sets of frame pairs.")
def pairs() -> None:
    """Frame pairs: an original and a hint of the same scene, seconds apart, out of any pile of color footage."""


@pairs.command(short_help="Build a data set out of footage.")
@click.argument("videos", metavar="VIDEO...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", "folder", metavar="DIR", required=True, type=click.Path(path_type=Path))
@config_options
@click.option("--shards", is_flag=True, help="Also write WebDataset tars of the accepted pairs.")
@json_option("One JSON event a line on stdout.")
@verbosity_options
@click.pass_context
def build(
    ctx: click.Context,
    videos: tuple[Path, ...],
    folder: Path,
    config_source: str | None,
    overrides: tuple[str, ...],
    shards: bool,
) -> None:
    """Build the data set DIR from VIDEO...: films, pictures, folders of them, tars of pictures.

    Stopped, the same command goes on where it was. Exit code 1 if a source was refused or could not be read; the rest
    is built all the same.
    """
    from videocolor.datasets.pairs.settings import PairsConfig
    from videocolor.presets import load_model

    config = load_model(PairsConfig, "pairs", config_source, overrides)
    from videocolor.datasets.pairs.build import build_pairs
    from videocolor.errors import Interrupted

    state = session()
    with watching(state) as observer:
        try:
            result = build_pairs(videos, folder, config, shards=shards, observer=observer)
        except (KeyboardInterrupt, Interrupted) as error:
            code = error.exit_code if isinstance(error, Interrupted) else 130
            raise Interrupted(
                "stopped; what is complete stays, the same command goes on with the rest", code
            ) from error
    if state.json:
        emit("done", result.as_dict())
    else:
        counts = ", ".join(f"{result.decisions[name]} {name}" for name in ("accepted", "doubtful", "rejected"))
        click.echo(f"{folder}: {result.sources} sources ({result.built} built now), pairs: {counts}", err=True)
        if not result.ok:
            click.echo(f"{len(result.refused)} refused, {len(result.failed)} skipped; see the warnings", err=True)
        elif result.decisions["doubtful"]:
            click.echo(f"look at the doubtful ones: videocolor pairs review {folder}", err=True)
    ctx.exit(0 if result.ok else 1)


@pairs.command(short_help="Count its pairs.")
@_FOLDER
@json_option("One JSON object on stdout.")
def stats(folder: Path) -> None:
    """Count the pairs of DIR: by decision, split, offset, licence."""
    from videocolor.datasets.pairs.verify import pair_stats

    found = pair_stats(folder)
    click.echo(json.dumps(found.as_dict(), ensure_ascii=False) if session().json else "\n".join(found.lines()))


@pairs.command(short_help="Look at doubtful pairs, and take decisions in.")
@_FOLDER
@click.option(
    "--apply", "decisions", metavar="FILE", type=click.Path(path_type=Path), help="Take decisions in from FILE."
)
@click.option("--limit", default=500, show_default=True, type=click.IntRange(1), help="Most pairs on the page.")
@click.option(
    "--show",
    type=click.Choice(["doubtful", "accepted", "rejected"]),
    default="doubtful",
    show_default=True,
    help="Which pairs are looked at.",
)
@click.option("--text", is_flag=True, help="Only the list, without the page.")
@_ROOT
@json_option("One JSON object on stdout.")
def review(folder: Path, decisions: Path | None, limit: int, show: str, text: bool, root: Path | None) -> None:
    """Write DIR/review.html and DIR/review.txt with the doubtful pairs, or take decisions back in.

    The page needs no network and no server: open it, press a or r for each pair, save, and give the saved file to
    --apply. The list does the same in an editor. Decisions survive a rebuild.
    """
    from videocolor.datasets.pairs.manifest import read_manifest
    from videocolor.datasets.pairs.review import apply_decisions, review_list, review_page, to_review
    from videocolor.files import write_atomically

    state = session()
    if decisions is not None:
        done = apply_decisions(folder, decisions)
        if state.json:
            click.echo(json.dumps(vars(done)))
            return
        click.echo(f"{done.accepted} accepted, {done.rejected} rejected, {done.undecided} left open", err=True)
        if done.unknown:
            click.echo(f"warning: {done.unknown} decisions are about pairs that {folder} does not hold", err=True)
        return
    found = to_review(read_manifest(folder), show)  # type: ignore[arg-type]
    shown = found[:limit]
    written = [folder / "review.txt"]
    write_atomically(written[0], review_list(shown))
    if not text:
        written.append(folder / "review.html")
        write_atomically(written[1], review_page(folder, shown, root=root))
    if state.json:
        click.echo(json.dumps({"pairs": len(found), "shown": len(shown), "files": [str(path) for path in written]}))
        return
    click.echo(
        f"{len(found)} {show} pairs" + (f", the first {limit} are shown" if len(found) > limit else ""), err=True
    )
    for path in written:
        click.echo(path)


@pairs.command(short_help="Divide its sources again.")
@_FOLDER
@config_options
@json_option("One JSON object on stdout.")
def split(folder: Path, config_source: str | None, overrides: tuple[str, ...]) -> None:
    """Divide the sources of DIR again, as the section `split` of the configuration says, and check for leaks."""
    from videocolor.datasets.pairs.settings import PairsConfig
    from videocolor.errors import InputError
    from videocolor.presets import load_model

    config = load_model(PairsConfig, "pairs", config_source, overrides)
    from videocolor.datasets.pairs.build import assemble
    from videocolor.datasets.pairs.splits import find_leaks
    from videocolor.datasets.pairs.verify import pair_stats

    records, notes = assemble(folder, config.split)
    leaks = find_leaks(records)
    if leaks:
        raise InputError("\n".join(leaks))
    found = pair_stats(folder)
    if session().json:
        click.echo(json.dumps({"splits": found.splits, "notes": list(notes)}, ensure_ascii=False))
        return
    for note in notes:
        click.echo(f"note: {note}", err=True)
    for name, counts in found.splits.items():
        click.echo(
            f"{name:9} {counts['sources']:5d} sources {counts['pairs']:7d} pairs {counts['accepted']:7d} accepted"
        )


@pairs.command(short_help="Check hashes, counts, bounds and splits.")
@_FOLDER
@_ROOT
@json_option("One JSON object on stdout.")
@verbosity_options
@click.pass_context
def verify(ctx: click.Context, folder: Path, root: Path | None) -> None:
    """Check hashes, counts, bounds and splits of DIR; exit code 1 if something is wrong, and what."""
    from videocolor.datasets.pairs.verify import verify_pairs
    from videocolor.events import Event

    state = session()
    with watching(state, events=False) as observer:
        problems = verify_pairs(
            folder,
            root=root,
            tick=lambda done, total: observer(Event("progress", {"stage": "verify", "frames": done, "total": total})),
        )
    if state.json:
        click.echo(json.dumps({"ok": not problems, "problems": problems}, ensure_ascii=False))
    else:
        for problem in problems:
            click.echo(problem)
        click.echo(f"{folder}: " + (f"{len(problems)} problems" if problems else "all is well"), err=True)
    ctx.exit(1 if problems else 0)


@pairs.command(short_help="Pack a split, small and fast to read, for training elsewhere.")
@_FOLDER
@click.option("-o", "--output", "out", metavar="DIR", required=True, type=click.Path(path_type=Path))
@click.option("--split", default="train", show_default=True, type=click.Choice(["train", "val", "test", "held_back"]))
@click.option("--short-side", default=192, show_default=True, type=click.IntRange(32), help="Pixels, at most.")
@click.option("--quality", default=92, show_default=True, type=click.IntRange(50, 100), help="Of JPEG, chroma in full.")
@click.option("--part-mb", default=15.0, show_default=True, type=click.FloatRange(0.001), help="Largest file, in MB.")
@click.option("--tracks", is_flag=True, help="Also follow the motion in films, for samples with propagated chroma.")
@_ROOT
@json_option("One JSON event a line on stdout.")
@verbosity_options
def pack(
    folder: Path, out: Path, split: str, short_side: int, quality: int, part_mb: float, tracks: bool, root: Path | None
) -> None:
    """Pack the accepted pairs of a split of DIR in a few files, to train on with `--set data.pack=DIR`.

    `videocolor train --set data.pairs=DIR` does it by itself; a pack goes to machines that hold neither DIR nor PyAV.
    """
    from videocolor.events import ignore
    from videocolor.training.packs import make_pack

    state = session()
    observer = None if state.verbosity >= 0 else ignore
    if state.json:
        observer = lambda event: click.echo(event.as_json())  # noqa: E731
    notes = make_pack(
        folder,
        out,
        split,
        tracks=tracks,
        short_side=short_side,
        jpeg_quality=quality,
        part_bytes=int(part_mb * 1e6),
        root=root,
        observer=observer,
    )
    counts = {kind: sum(licences.values()) for kind, licences in notes["licences"].items()}
    if state.json:
        emit("done", {"target": out, **counts})
    else:
        click.echo(f"{out}: {counts['clip']} films, {counts['image']} pictures", err=True)
