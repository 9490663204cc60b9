"""The files of an evaluation."""

from __future__ import annotations

import json
from pathlib import Path

from videocolor.evaluation.evaluate import Evaluation
from videocolor.evaluation.page import page_html
from videocolor.evaluation.table import costs, table_json, table_markdown
from videocolor.files import plain, write_atomically

__all__ = ["write_evaluation"]


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
