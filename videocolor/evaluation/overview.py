"""Several protocols in one table."""

from __future__ import annotations

from collections.abc import Sequence

from videocolor.evaluation.evaluate import Evaluation
from videocolor.evaluation.rows import TRUTH
from videocolor.evaluation.table import Mean, markdown_rows, number, summarize

__all__ = ["overview_markdown"]


def overview_markdown(evaluations: Sequence[Evaluation]) -> str:
    """A line a method, a column a protocol (and case): `PSNR RGB in dB / dE00`, means over clips.

    What a protocol has no use for is a dash. Intervals and all other scores stand in each protocol's own table.
    """
    columns: dict[str, dict[str, str]] = {}
    longest = max((evaluation.labels for evaluation in evaluations), key=len, default=())
    labels = dict.fromkeys(label for label in longest if label != TRUTH)
    for evaluation in evaluations:
        lines = summarize(evaluation)
        cases = list(dict.fromkeys(case for _, case, _ in lines if case not in ("", "auto"))) or [""]
        for case in cases:
            name = " ".join(part for part in (evaluation.config.protocol.name, case) if part)
            cells = columns.setdefault(f"{name} ({len(evaluation.units)})", {})
            for label, of, means in lines:
                if label != TRUTH and of in ("", case):
                    labels.setdefault(label)
                    cells[label] = f"{_value(means.get('psnr_rgb'))} / {_value(means.get('ciede2000_mean'))}"
    head = ["PSNR RGB, dB / dE00 (clips)", *columns]
    return "\n".join(
        markdown_rows(head, [[label, *(cells.get(label, "–") for cells in columns.values())] for label in labels])
    )


def _value(mean: Mean | None) -> str:
    return number(None if mean is None else mean.value, 2)
