"""People judge: a page of real and colored stills, and the share of each method's that were taken for real.

    python pipelines/user_study.py make CLIPS SURVEY -o OUT --protocol auto --methods videocolor,network@r_lite0
    python pipelines/user_study.py count SURVEY anna.csv ben.csv

The first command runs `videocolor evaluate` into OUT, or takes up what is done there, and writes SURVEY/survey.html, to
hand out, and SURVEY/key.json, to keep. Every clip is shown once, as it was or as a method colored it: half of the
clips as they were, the others shared among the methods, drawn and shuffled by `page.seed`. The page holds no answer;
only key.json does.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import click
import numpy as np

from videocolor.errors import InputError, OutputError, UsageError, VideocolorError
from videocolor.evaluation.clips import list_clips
from videocolor.evaluation.evaluate import Evaluation, evaluate
from videocolor.evaluation.protocols import plan_units
from videocolor.evaluation.rows import TRUTH, Row, digest
from videocolor.evaluation.settings import EvaluateConfig
from videocolor.files import write_atomically
from videocolor.pages import data_url, read_still, render, scaled
from videocolor.presets import load_model

_HEAD: Final = ("survey", "picture", "answer")
_ANSWERS: Final = ("real", "colored")
_HEIGHT: Final = 480
"""Lines of the pictures, at most: both kinds go the same way through the same JPEG encoder."""
_Z: Final = 1.959963984540054
"""97.5 % quantile of the normal distribution."""


@dataclass(frozen=True)
class Share:
    """A share of answers, with its Wilson score interval (95 %)."""

    count: int
    of: int
    share: float | None
    """None where nobody answered."""
    low: float | None
    high: float | None


@dataclass(frozen=True)
class FoolingRate:
    """What the answers say."""

    people: int
    """Files of answers."""
    fooled: dict[str, Share]
    """Of each method: its pictures that were taken for real, the fooling rate."""
    trusted: Share
    """Real pictures that were taken for real; without it a person who always says "real" would look fooled."""
    by_person: dict[str, Share]
    """Fooling rate of each file, all methods together."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "interval": "Wilson score, 95 %"}

    def lines(self) -> list[str]:
        """For a person."""
        lines = [
            *(
                f'fooling rate of {method}: {_words(share)} of the answers to its pictures were "real"'
                for method, share in self.fooled.items()
            ),
            f"real pictures taken for real: {_words(self.trusted)}",
            f"answers of {self.people} {'person' if self.people == 1 else 'people'}; the intervals take answers as "
            "independent of each other, which those of one person are not quite",
        ]
        if self.people > 1:
            lines += [f"  {name}: {_words(share)}" for name, share in self.by_person.items()]
        return lines


def wilson(count: int, of: int) -> tuple[float, float]:
    """95 % interval of a share (E. B. Wilson, Journal of the American Statistical Association 22, 1927).

    Args:
        count: successes, 0..of.
        of: trials, at least 1.

    Returns:
        Both ends, in 0..1.
    """
    if not 0 <= count <= of or of < 1:
        raise ValueError(f"{count=}, {of=}: expected 0 <= count <= of, and of >= 1")
    share, square = count / of, _Z * _Z
    middle = (share + square / (2 * of)) / (1 + square / of)
    half = _Z / (1 + square / of) * math.sqrt(share * (1 - share) / of + square / (4 * of * of))
    # None and all have an end at the share itself, which rounding may miss.
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))


def _share(count: int, of: int) -> Share:
    return Share(count, of, count / of, *wilson(count, of)) if of else Share(0, 0, None, None, None)


def _words(share: Share) -> str:
    if share.share is None or share.low is None or share.high is None:
        return "nobody answered"
    return f"{share.share:.1%} ({share.count} of {share.of}; Wilson 95 % {share.low:.1%} to {share.high:.1%})"


def write_survey(evaluation: Evaluation, folder: Path, *, overwrite: bool = False) -> dict[str, Path]:
    """Write survey.html and key.json from an evaluation's stills, for all of its methods.

    Args:
        evaluation: of twice as many clips as methods, or more; what cannot be shared evenly is left out, drawn by seed.
        folder: made if missing.
        overwrite: replace a survey that is there; answers to it then fit no more.

    Returns:
        Path by file name.

    Raises:
        UsageError: there are too few clips.
        OutputError: the folder cannot be written, or holds a survey.
    """
    paths = {name: folder / name for name in ("survey.html", "key.json")}
    present = [path for path in paths.values() if path.exists()]
    if present and not overwrite:
        raise OutputError(f"{present[0]}: exists; answers to it would fit no more. Name another folder")
    methods, seed = [label for label in evaluation.labels if label != TRUTH], evaluation.config.page.seed
    _check_number(len(evaluation.units), methods)
    shown = _drawn(evaluation, methods, np.random.default_rng(seed))
    survey = digest([seed, methods, [(row.unit, place, row.method) for row, place in shown]])[:12]
    key: dict[str, dict[str, Any]] = {}
    pictures: list[tuple[str, str]] = []
    for row, place in shown:
        frame = row.still_frames[place]
        name = digest([survey, row.unit, frame])[:12]
        key[name] = {"kind": "real", "clip": row.unit, "frame": frame}
        if row.method != TRUTH:
            key[name] |= {"kind": "colored", "method": row.method}
        picture = scaled(read_still(evaluation.output / row.stills[place]), _HEIGHT)
        pictures.append((name, data_url(picture)))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made: {error.strerror or error}") from error
    record = {"survey": survey, "methods": methods, "seed": seed, "pictures": key}
    page = render("user_study", Path(__file__).parent, survey=survey, pictures=pictures)
    write_atomically(paths["survey.html"], page)
    write_atomically(paths["key.json"], json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    return paths


def _check_number(clips: int, methods: Sequence[str]) -> None:
    if clips < 2 * len(methods):
        raise UsageError(f"a survey needs {2 * len(methods)} clips or more (two for each method), there are {clips}")


def _drawn(evaluation: Evaluation, methods: Sequence[str], random: np.random.Generator) -> list[tuple[Row, int]]:
    """(row of the truth or of a method's first case, which still), shuffled; as many clips true as colored."""
    share = 2 * len(methods)
    kinds = [TRUTH if turn % 2 == 0 else methods[turn // 2] for turn in range(share)]
    shown = []
    for place, index in enumerate(random.permutation(len(evaluation.units))[: len(evaluation.units) // share * share]):
        rows = [row for row in evaluation.rows if row.unit == evaluation.units[index]]
        row = next(row for row in rows if row.method == kinds[place % share])
        shown += [(row, still) for still in range(len(row.stills))]
    return [shown[index] for index in random.permutation(len(shown))]


def fooling_rate(key: Path, answers: Sequence[Path]) -> FoolingRate:
    """The share of colored pictures that people took for real.

    Args:
        key: key.json of the survey.
        answers: CSV files as the page exports them, one a person; unanswered pictures may be missing.

    Raises:
        InputError: a file is missing or damaged, belongs to another survey, or answers a picture twice.
        UsageError: no file of answers.
    """
    if not answers:
        raise UsageError("no file of answers given")
    record = _read_key(key)
    by_person: dict[str, Share] = {}
    counts = {method: [0, 0] for method in (TRUTH, *record["methods"])}
    for path in answers:
        mine = [0, 0]
        for picture, answer in _read_answers(path, record).items():
            method = record["pictures"][picture].get("method", TRUTH)
            for tally in (counts[method], mine) if method != TRUTH else (counts[TRUTH],):
                tally[0] += answer == "real"
                tally[1] += 1
        if str(path) in by_person:
            raise UsageError(f"{path}: given twice")
        by_person[str(path)] = _share(*mine)
    fooled = {method: _share(*counts[method]) for method in record["methods"]}
    return FoolingRate(len(answers), fooled, _share(*counts[TRUTH]), by_person)


def _read_key(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        methods = {entry.get("method", TRUTH) for entry in record["pictures"].values()}
        if not isinstance(record["survey"], str) or methods - {TRUTH, *record["methods"]}:
            raise ValueError("wrong values")
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read: {error.strerror or error}; it is written with survey.html"
        ) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{path}: not the key of a survey") from error
    return dict(record)


def _read_answers(path: Path, record: Mapping[str, Any]) -> dict[str, str]:
    """Answer by picture."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            rows = list(csv.reader(handle))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not rows or tuple(rows[0]) != _HEAD:
        raise InputError(f"{path}: no file of answers; the first line must be {','.join(_HEAD)}")
    found: dict[str, str] = {}
    for number, row in enumerate(rows[1:], 2):
        if not row:
            continue
        if len(row) != len(_HEAD) or row[2] not in _ANSWERS:
            raise InputError(f"{path}:{number}: expected survey,picture,answer with an answer of {', '.join(_ANSWERS)}")
        if row[0] != record["survey"]:
            raise InputError(f"{path}:{number}: belongs to survey {row[0]}, the key to {record['survey']}")
        if row[1] not in record["pictures"]:
            raise InputError(f"{path}:{number}: the survey has no picture {row[1]}")
        if row[1] in found:
            raise InputError(f"{path}:{number}: picture {row[1]} is answered twice")
        found[row[1]] = row[2]
    return found


@click.group(help=__doc__)
def main() -> None:
    """See the module."""


@main.command(help="Write a survey of the stills of an evaluation's methods.")
@click.argument("clips", type=click.Path(path_type=Path))
@click.argument("survey", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder of the evaluation.")
@click.option("--protocol", default="auto", show_default=True)
@click.option("--methods", default="videocolor", show_default=True)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="As for `videocolor evaluate`.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1))
def make(
    clips: Path, survey: Path, output: Path, protocol: str, methods: str, settings: tuple[str, ...], workers: int
) -> None:
    config = load_model(EvaluateConfig, "evaluate", f"evaluate/{protocol}", settings, {"methods": methods.split(",")})
    _check_number(len(plan_units(list_clips(clips, config.clips), clips, config)), config.methods)
    for path in write_survey(evaluate(clips, output, config, workers=workers), survey).values():
        click.echo(f"wrote {path}")


@main.command(help="Print the fooling rate of a survey from the files of answers that its page saved.")
@click.argument("survey", type=click.Path(path_type=Path))
@click.argument("answers", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def count(survey: Path, answers: tuple[Path, ...], as_json: bool) -> None:
    rate = fooling_rate(survey / "key.json", answers)
    click.echo(json.dumps(rate.as_dict()) if as_json else "\n".join(rate.lines()))


if __name__ == "__main__":
    try:
        main(standalone_mode=True)
    except VideocolorError as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(error.exit_code) from error
