"""The files of an evaluation: tables, costs, and one self-contained page with pictures to compare."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from videocolor.evaluation.evaluate import Evaluation
from videocolor.evaluation.rows import TRUTH, Row
from videocolor.evaluation.table import (
    columns,
    costs,
    facts,
    line_name,
    mean_table,
    number,
    score,
    table_json,
    table_markdown,
)
from videocolor.evaluation.tasks import luma_codes, matrix_for
from videocolor.files import plain, write_atomically
from videocolor.pages import data_url, read_still, render, scaled

__all__ = ["page_html", "worst_first", "write_evaluation"]

_GRAY: Final = "gray film"


def write_evaluation(evaluation: Evaluation) -> dict[str, Path]:
    """Write table.md, table.json, index.html (same input, same bytes) and costs.json (timings) into the output folder.

    Returns:
        Path by file name.

    Raises:
        OutputError: the folder cannot be written.
    """
    texts = {
        "table.md": table_markdown(evaluation),
        "table.json": table_json(evaluation),
        "index.html": page_html(evaluation),
        "costs.json": json.dumps(plain(costs(evaluation)), indent=1) + "\n",
    }
    paths = {}
    for name, text in texts.items():
        paths[name] = evaluation.output / name
        write_atomically(paths[name], text)
    return paths


def worst_first(evaluation: Evaluation) -> list[str]:
    """Sort units by the mean dE00 of the last method (all its cases), largest first; by PSNR without dE00."""
    last = evaluation.labels[-1]

    def badness(unit: str) -> float:
        rows = [row for row in evaluation.rows if row.unit == unit and row.method == last]
        for key, sign in (("ciede2000_mean", 1.0), ("psnr_rgb", -1.0)):
            values = [value for row in rows if (value := score(row, key, evaluation)) is not None]
            if values:
                return sign * float(np.mean(values))
        return 0.0

    return sorted(evaluation.units, key=lambda unit: (-badness(unit), unit))


def page_html(evaluation: Evaluation) -> str:
    """Return the page: means, then clip by clip, the worst first; `page.*` of the settings bounds its pictures.

    Raises:
        InputError: a kept picture is missing from the output folder.
    """
    head, means = mean_table(evaluation)
    shown = evaluation.config.page.shown
    return render(
        "evaluation",
        protocol=evaluation.config.protocol.name,
        facts=facts(evaluation),
        head=head,
        means=means,
        last=evaluation.labels[-1],
        shown=shown,
        gray=_GRAY,
        clips=[_clip(evaluation, unit, pictures=index < shown) for index, unit in enumerate(worst_first(evaluation))],
    )


def _clip(evaluation: Evaluation, unit: str, *, pictures: bool) -> dict[str, Any]:
    """Scores of a clip, and its pictures frame by frame."""
    rows = [row for row in evaluation.rows if row.unit == unit]
    shown = [column for column in columns(evaluation) if column.on_page]
    last = next(row for row in reversed(rows) if row.method == evaluation.labels[-1])
    return {
        "name": unit,
        "head": ["method", *(column.title for column in shown)],
        "scores": [
            [line_name(row.method, row.case), *(number(score(row, c.key, evaluation), c.digits) for c in shown)]
            for row in rows
        ],
        "strips": [
            (rows[0].still_frames[place], list(_strip(evaluation, rows, place)))
            for place in range(len(rows[0].stills) if pictures else 0)
        ],
        "hints": list(_hints(evaluation, rows)) if pictures else [],
        "right": line_name(last.method, last.case),
    }


def _hints(evaluation: Evaluation, rows: list[Row]) -> Iterator[tuple[str, str]]:
    """(name, picture as a URL) of each hint that methods were given, each picture once."""
    seen: set[str] = set()
    for row in rows:
        for name, path in row.hints.items():
            if path not in seen:
                seen.add(path)
                picture = scaled(read_still(evaluation.output / path), evaluation.config.page.height)
                yield f"{row.case}: {name}" if row.case else name, data_url(picture)


def _strip(evaluation: Evaluation, rows: list[Row], place: int) -> Iterator[tuple[str, str]]:
    """(name, picture as a URL) of one frame: truth, gray, each method."""
    height = evaluation.config.page.height
    truth = next(row for row in rows if row.method == TRUTH)
    picture = read_still(evaluation.output / truth.stills[place])
    luma = luma_codes(picture, matrix_for(picture.shape[0]))
    yield TRUTH, data_url(scaled(picture, height))
    yield _GRAY, data_url(scaled(np.repeat(luma[..., None], 3, axis=2), height))
    for row in rows:
        if row.method not in (TRUTH, "gray"):
            rgb = read_still(evaluation.output / row.stills[place])
            yield line_name(row.method, row.case), data_url(scaled(rgb, height))
