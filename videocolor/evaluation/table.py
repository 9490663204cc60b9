"""Means with their uncertainty, as Markdown and JSON, without dates and timings: same input, same bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from videocolor.evaluation.evaluate import Evaluation
from videocolor.evaluation.metrics import metric_kinds
from videocolor.evaluation.metrics.base import Column
from videocolor.evaluation.rows import TRUTH, Row
from videocolor.files import plain
from videocolor.version import __version__

__all__ = [
    "Mean",
    "bootstrap",
    "columns",
    "costs",
    "facts",
    "format_mean",
    "line_name",
    "markdown_rows",
    "mean_table",
    "means_markdown",
    "number",
    "per_clip",
    "protocol_line",
    "score",
    "summarize",
    "table_json",
    "table_markdown",
]


_PROTOCOLS: Final = {
    "auto": "no hint",
    "e1": "hint: the true first frame, left out of the means",
    "e1-far": "hint: the shot's last frame within {reach:g} s, after the part that is scored, without a time",
    "ek": "hints: the true first frame and every {every}th from there, left out of the means",
    "cuts": "films joined from {film_shots} clips of {shot_seconds:g} s; hint: the true first frame of each shot, left "
    "out of the means; a film's score is the mean of its shots'",
    "robust": "hint: the first frame of the clip {places} before in the list ({timed}); and the method without a hint",
    "similar": "hint: a frame or picture of a similar subject ({timed}); and the method without a hint",
    "points": "hint: n squares of {point_size} px (at 240 lines) of the true first frame, drawn by seed; that frame is "
    "left out of the means",
}


@dataclass(frozen=True)
class Mean:
    """A score's mean over clips."""

    value: float
    low: float
    """Lower end of the 95 % interval."""
    high: float
    clips: int
    """Number of clips that have the score."""


def columns(evaluation: Evaluation) -> list[Column]:
    """List the columns of tables, in their order; empty ones are not shown."""
    kinds = metric_kinds(evaluation.config.scores.metrics)
    return [
        *kinds.pop("psnr_rgb").columns,
        Column("psnr_vs_auto", "PSNR less that without hint, dB", 2, "higher"),
        *(column for kind in kinds.values() for column in kind.columns),
        Column("luma_code_diff", "luma, largest difference", 0, "lower", worst=True),
    ]


def protocol_line(evaluation: Evaluation) -> str:
    """Say what the methods were given."""
    settings = evaluation.config.protocol
    values = settings.model_dump()
    values["places"] = "a third of the list" if settings.places is None else f"{settings.places} places"
    values["timed"] = "given for the first frame's time" if settings.timed else "given without a time"
    return f"{settings.name}: " + _PROTOCOLS[settings.name].format(**values)


def bootstrap(values: Sequence[float], resamples: int, seed: int) -> tuple[float, float]:
    """Return the 95 % interval of a mean by the percentile bootstrap (Efron 1979) over clips.

    Args:
        values: one a clip.
        resamples: how often to draw.
        seed: of the draw; the same clips are drawn for every score and method with equally many values.

    Returns:
        The 2.5 % and 97.5 % quantiles; of one clip its value.
    """
    array = np.asarray(values, np.float64)
    drawn = np.random.default_rng(seed).integers(0, len(array), (resamples, len(array)))
    low, high = np.quantile(array[drawn].mean(axis=1), (0.025, 0.975))
    return float(low), float(high)


def summarize(evaluation: Evaluation) -> list[tuple[str, str, dict[str, Mean]]]:
    """Return (method, case, score -> mean) for each line of the table, the truth once."""
    page = evaluation.config.page
    lines = []
    for label, case, rows in grouped(evaluation):
        means = {}
        for column in columns(evaluation):
            values = [value for row in rows if (value := score(row, column.key, evaluation)) is not None]
            if values and column.worst:
                means[column.key] = Mean(max(values), max(values), max(values), len(values))
            elif values:
                low, high = bootstrap(values, page.resamples, page.seed)
                means[column.key] = Mean(float(np.mean(values)), low, high, len(values))
        lines.append((label, case, means))
    return lines


def grouped(evaluation: Evaluation) -> list[tuple[str, str, list[Row]]]:
    """Return (method, case, its rows by clip) for each line of the table."""
    lines: dict[tuple[str, str], list[Row]] = {}
    for row in sorted(evaluation.rows, key=lambda row: evaluation.labels.index(row.method)):
        lines.setdefault((row.method, row.case), []).append(row)
    return [(label, case, rows) for (label, case), rows in lines.items()]


def score(row: Row, key: str, evaluation: Evaluation) -> float | None:
    """Return a row's score; None where it was not measured, is infinite, or has no meaning."""
    if key == "psnr_vs_auto":
        return _over_auto(row, evaluation)
    if row.method == TRUTH and key.startswith("psnr"):
        return None  # infinite
    value = row.scores.get(key)
    return float(value) if isinstance(value, int | float) and np.isfinite(value) else None


def _over_auto(row: Row, evaluation: Evaluation) -> float | None:
    """PSNR less that of the same method without a hint; of methods that need one, less that of gray film."""
    if row.case in ("", "auto") or evaluation.config.protocol.name not in ("robust", "similar"):
        return None
    for method, case in ((row.method, "auto"), ("gray", "")):
        own = next((r for r in evaluation.rows if (r.unit, r.method, r.case) == (row.unit, method, case)), None)
        if own is not None and own is not row:
            pair = score(row, "psnr_rgb", evaluation), score(own, "psnr_rgb", evaluation)
            return None if pair[0] is None or pair[1] is None else pair[0] - pair[1]
    return None


def line_name(label: str, case: str) -> str:
    """Name a line: `network, 5 points`."""
    return label if not case or label == TRUTH else f"{label}, {case}"


def shown_columns(evaluation: Evaluation, lines: Iterable[tuple[str, str, dict[str, Mean]]]) -> list[Column]:
    """Return the columns that have a value."""
    present = {key for _, _, means in lines for key in means}
    return [column for column in columns(evaluation) if column.key in present]


def per_clip(evaluation: Evaluation, key: str) -> list[tuple[str, list[float | None]]]:
    """Return (unit, score of each line of the table but the truth's) in the units' order."""
    lines = [(label, case) for label, case, _ in grouped(evaluation) if label != TRUTH]
    by_place = {(row.unit, row.method, row.case): row for row in evaluation.rows}
    return [
        (unit, [score(by_place[unit, label, case], key, evaluation) for label, case in lines])
        for unit in evaluation.units
    ]


def facts(evaluation: Evaluation) -> list[str]:
    """Return what a reader must know of the run, a line each."""
    clips, page, protocol = evaluation.config.clips, evaluation.config.page, evaluation.config.protocol
    films = protocol.name == "cuts"
    kind, seconds = ("films", protocol.shot_seconds) if films else ("clips", clips.seconds)
    lines = [
        f"protocol {protocol_line(evaluation)}",
        f"{len(evaluation.units)} {kind}; of each clip at most {seconds:g} s of its longest shot (detector: "
        f"{clips.detector}), short side {clips.short_side}",
        f"means over frames, then over clips; in brackets the 95 % interval by bootstrap over clips ({page.resamples} "
        f"samples, seed {page.seed})",
        "luma kept: methods see 8-bit luma, full range, BT.601 (BT.709 from 720 lines); results are 8-bit R'G'B'",
    ]
    for label, identity in evaluation.identities.items():
        sha = identity.get("weights") or (identity.get("card") or {}).get("sha256")
        if sha:
            names = [sha] if isinstance(sha, str) else sha
            lines.append(f"{label}: weights sha256 {', '.join(one[:12] for one in names)}")
    lines += [f"left out: {reason}" for reason in evaluation.left_out]
    lines += _incomplete(evaluation)
    notes: dict[tuple[str, str], list[str]] = {}
    for row in evaluation.rows:
        for note in row.notes:
            notes.setdefault((line_name(row.method, row.case), note), []).append(row.unit)
    for (name, note), units in notes.items():
        where = f"{len(units)} clips" if len(units) > 3 else ", ".join(units)
        lines.append(f"{name} on {where}: {note}")
    return [*lines, f"videocolor {__version__}"]


def _incomplete(evaluation: Evaluation) -> list[str]:
    """Scores that some clips lack; their means are over the others."""
    short: dict[tuple[str, int], None] = {}
    for label, _, rows in grouped(evaluation):
        for column in columns(evaluation):
            count = sum(score(row, column.key, evaluation) is not None for row in rows)
            if label != TRUTH and 0 < count < len(rows):
                short.setdefault((column.title, count))
    return [f"{title}: {count} of {len(evaluation.units)} clips have it" for title, count in short]


def mean_table(evaluation: Evaluation) -> tuple[list[str], list[list[str]]]:
    """Return the head and the lines of the table of means."""
    lines = summarize(evaluation)
    shown = shown_columns(evaluation, lines)
    head = ["method", *(f"{column.title}{_ARROWS[column.better]}" for column in shown)]
    body = [
        [line_name(label, case), *(format_mean(means.get(column.key), column.digits) for column in shown)]
        for label, case, means in lines
    ]
    return head, body


def means_markdown(evaluation: Evaluation) -> list[str]:
    """Return the table of means as lines of Markdown."""
    head, body = mean_table(evaluation)
    return markdown_rows(head, body)


def table_markdown(evaluation: Evaluation) -> str:
    """Return the result as Markdown."""
    lines = summarize(evaluation)
    shown = shown_columns(evaluation, lines)
    out = [f"# {evaluation.config.protocol.name}", "", *(f"- {_cell(fact)}" for fact in facts(evaluation)), ""]
    out += [*means_markdown(evaluation), ""]
    names = [line_name(label, case) for label, case, _ in lines if label != TRUTH]
    for key in ("psnr_rgb", "ciede2000_mean"):
        column = next((column for column in shown if column.key == key), None)
        if column is None:
            continue
        body = [
            [unit, *(number(value, column.digits) for value in values)] for unit, values in per_clip(evaluation, key)
        ]
        out += [f"## {column.title}, by clip", "", *markdown_rows(["clip", *names], body), ""]
    out += [
        "## Parts of the clips",
        "",
        *markdown_rows(["clip", "source", "sha256", "from frame", "frames", "size"], _cut_rows(evaluation)),
        "",
    ]
    return "\n".join(out)


_ARROWS: Final = {"higher": " ↑", "lower": " ↓", "": ""}


def _cut_rows(evaluation: Evaluation) -> list[list[str]]:
    rows = []
    for unit in evaluation.units:
        about = next(row.about for row in evaluation.rows if row.unit == unit)
        for part in about.get("shots") or [about]:
            size = "x".join(map(str, part["size"]))
            place = [str(part["first_frame"]), str(part["frames"]), size]
            rows.append([unit, str(part["source"]), str(part["sha256"])[:12], *place])
    return rows


def markdown_rows(head: Sequence[str], body: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table; cells are escaped."""
    cells = (head, ["---"] * len(head), *body)
    return [f"| {' | '.join(_cell(text) for text in row)} |" for row in cells]


def _cell(text: str) -> str:
    """Escape what ends a Markdown cell or begins markup."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def format_mean(mean: Mean | None, digits: int) -> str:
    """Format as `32.98 [31.20, 34.71]`; a dash where nothing was measured."""
    if mean is None:
        return "–"
    if mean.low == mean.high:
        return number(mean.value, digits)
    return f"{number(mean.value, digits)} [{number(mean.low, digits)}, {number(mean.high, digits)}]"


def number(value: float | None, digits: int) -> str:
    """Format a value in decimals; a dash for None."""
    if value is None:
        return "–"
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def table_json(evaluation: Evaluation) -> str:
    """Return the result as JSON: settings, identities, means, and every row."""
    summary = [
        {"method": label, "case": case, "means": {key: plain(mean) for key, mean in means.items()}}
        for label, case, means in summarize(evaluation)
    ]
    rows = [
        {"clip": r.unit, "case": r.case, "method": r.method, "scores": r.scores, "notes": r.notes}
        for r in evaluation.rows
    ]
    value = {
        "videocolor": __version__,
        "protocol": protocol_line(evaluation),
        "settings": evaluation.config.model_dump(mode="json"),
        "methods": evaluation.identities,
        "left_out": evaluation.left_out,
        "clips": {unit: next(row.about for row in evaluation.rows if row.unit == unit) for unit in evaluation.units},
        "summary": summary,
        "rows": rows,
    }
    return json.dumps(plain(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def costs(evaluation: Evaluation) -> dict[str, dict[str, Any]]:
    """Return seconds a frame (the method alone, mean over clips) and peak memory, by line of the table.

    Not in the table, for it differs from run to run.
    """
    found = {}
    for label, case, rows in grouped(evaluation):
        peaks = [row.peak_bytes for row in rows if row.peak_bytes is not None]
        frames = [sum(p["frames"] for p in row.about.get("shots") or [row.about]) for row in rows]
        found[line_name(label, case)] = {
            "seconds_per_frame": float(np.mean([row.seconds / n for row, n in zip(rows, frames, strict=True)])),
            "peak_bytes": max(peaks, default=None),
        }
    return found
