"""The two tables of the patch colouriser's paper, the published values beside ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

__all__ = ["PUBLISHED_ACCURACY", "PUBLISHED_ERROR", "patch_tables"]

PUBLISHED_ERROR: Final = {9: 0.621739, 25: 0.4585945, 100: 0.19889, 400: 0.100954}
"""Quantisation error by neurons of the map."""
_HIDDEN: Final = ((10,), (50,), (100,), (50, 50), (100, 100), (200, 200), (300, 300))
_PUBLISHED: Final = {
    3: ".376/.371 .383/.379 .387/.378 .419/.409 .429/.405 .474/.402 .497/.399",
    5: ".349/.346 .370/.367 .373/.366 .423/.407 .444/.403 .513/.382 .549/.384",
    11: ".312/.309 .353/.347 .345/.328 .401/.383 .416/.383 .433/.376 .417/.365",
}
PUBLISHED_ACCURACY: Final = {
    (patch, hidden): text
    for patch, row in _PUBLISHED.items()
    for hidden, text in zip(_HIDDEN, row.split(), strict=True)
}
"""Train / test accuracy by patch and hidden layers."""


def patch_tables(
    errors: Mapping[int, float],
    cells: Sequence[tuple[int, tuple[int, ...]]],
    results: Sequence[Mapping[str, Any]],
    notes: Mapping[str, Any],
) -> str:
    """Both tables in Markdown, with what must be known to read them.

    Args:
        errors: quantisation error by neurons.
        cells: (patch, hidden layers) of the grid.
        results: one mapping a trained network: patch, hidden, train, test, unseen, settled, seconds.
        notes: rows, images, commonest (share of the commonest codeword), splits, neurons.
    """
    lines = [f"Learnt from {notes['rows']:,} pixels of {notes['images']} images.", ""]
    lines += [_row(["SOM neurons", *map(str, errors)]), _row(["---"] * (1 + len(errors)))]
    lines += [_row(["published", *(str(PUBLISHED_ERROR.get(neurons, "-")) for neurons in errors)])]
    lines += [_row(["ours", *(f"{error:.6f}" for error in errors.values())]), ""]
    columns = list(dict.fromkeys(hidden for _, hidden in cells))
    lines += [
        f"Train / test accuracy on the map of {notes['neurons']} neurons. Always the commonest codeword: "
        f"{notes['commonest']:.3f}. `unseen`: pixels of images that were not learnt from.",
        "",
        _row(["patch \\ hidden", *("+".join(map(str, hidden)) for hidden in columns)]),
        _row(["---"] * (1 + len(columns))),
    ]
    for patch in dict.fromkeys(patch for patch, _ in cells):
        mine = [[r for r in results if (r["patch"], tuple(r["hidden"])) == (patch, hidden)] for hidden in columns]
        published = (PUBLISHED_ACCURACY.get((patch, hidden), "-") for hidden in columns)
        lines.append(_row([f"{patch}x{patch} published", *published]))
        lines.append(_row([f"{patch}x{patch} ours", *(f"{_mean(r, 'train')}/{_mean(r, 'test')}" for r in mine)]))
        lines.append(_row([f"{patch}x{patch} unseen", *(_mean(r, "unseen") for r in mine)]))
        lines.append(_row([f"{patch}x{patch} splits done", *(f"{len(r)} of {notes['splits']}" for r in mine)]))
    settled = sum(bool(r["settled"]) for r in results)
    lines += ["", f"{settled} of {len(results)} networks stopped by themselves before the last pass allowed; "]
    lines[-1] += f"all together took {sum(r['seconds'] for r in results) / 60:.0f} minutes of one process."
    return "\n".join(lines) + "\n"


def _mean(results: Sequence[Mapping[str, Any]], key: str) -> str:
    values = [r[key] for r in results if r[key] is not None]
    return f"{np.mean(values):.3f}".removeprefix("0") if values else "-"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
