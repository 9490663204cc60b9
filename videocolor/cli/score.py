"""`videocolor score`: how far a film is from its true colors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from videocolor.cli.group import session
from videocolor.cli.options import json_option, verbosity_options
from videocolor.cli.watch import watching

__all__ = ["score"]


@click.command(short_help="Score one film against its true colors.")
@click.argument("result", metavar="RESULT", type=click.Path(path_type=Path))
@click.option(
    "--truth",
    metavar="GT",
    required=True,
    type=click.Path(path_type=Path),
    help="The same film in its true colors.",
)
@click.option(
    "--reference-frames",
    "references",
    metavar="0,50|FILE",
    help="Frames of GT, from 0, that the method was given in color: left out of the means. A FILE has one a line.",
)
@click.option("--metrics", metavar="A,B,C", help="Measure these alone; docs/reference/scores.md names them.")
@click.option("--lpips-weights", metavar="FILE", type=click.Path(path_type=Path), help="Weights of LPIPS-Alex.")
@click.option("--lpips-every", type=click.IntRange(1), metavar="N", help="LPIPS on every Nth frame; 10.")
@click.option("--flow-every", type=click.IntRange(1), metavar="N", help="Warp error, flicker on every Nth pair; 5.")
@click.option(
    "--align",
    type=click.Choice(["strict", "index", "pts"]),
    default="strict",
    show_default=True,
    help="Pair frames by number, with equal times; by number alone; by time.",
)
@click.option(
    "--allow",
    type=click.Choice(["length", "size", "damage"]),
    multiple=True,
    help="Accept and report a misfit of the films; repeatable.",
)
@click.option("--threads", type=click.IntRange(1), default=2, show_default=True, metavar="N", help="Frames at once.")
@json_option("One JSON object on stdout.")
@verbosity_options
def score(
    result: Path, truth: Path, references: str | None, metrics: str | None, align: Any, allow: Any, **settings: Any
) -> None:
    """Score the film RESULT against the same film in its true colors.

    Both may be a video, a folder of images, or a still. docs/reference/scores.md has the scores and formulas.
    """
    state = session()
    from videocolor.evaluation.scoring import ScoreOptions, parse_metrics, parse_reference_frames, score_film

    chosen = {name: value for name, value in settings.items() if value is not None}
    if metrics is not None:
        chosen["metrics"] = parse_metrics(metrics)
    frames = frozenset() if references is None else parse_reference_frames(references)
    with watching(state, events=False) as observer:
        scores = score_film(
            result,
            truth,
            ScoreOptions(**chosen),
            reference_frames=frames,
            align=align,
            allow=allow,
            observer=observer,
        )
    if state.json:
        click.echo(json.dumps({"result": str(result), "truth": str(truth), **scores.as_dict()}, allow_nan=False))
        return
    for line in scores.lines():
        click.echo(line)
