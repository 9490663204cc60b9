"""The page of performance holds every result that is there."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.page import page


def test_results_become_tables(tmp_path: Path) -> None:
    row = {"fps": 12.5, "of_transcode": 0.4, "cpu_ms_per_frame": 33.1}
    results = {
        "film": {"height": 480, "frames": 9, "rounds": 3, "film": "a.mp4", "rows": {"transcode": row, "painted": row}},
        "start": {kind: {"seconds": 1.5, "cpu_seconds": 2.5, "mib": 250} for kind in ("help", "second")},
        "memory": {"rows": {"4096x3112": {"mib": 2048}}},
        "workers_simulated": {"frames": 5, "cost_ms": 40.0, "rows": [{"workers": 2, "seconds": 3.5, "times": 1.96}]},
        "gpu": {"device": "cuda", "films": {"480p, painted": {"fps": 99.5}, "seconds": 8}},
    }
    for kind, found in results.items():
        (tmp_path / f"{kind}.json").write_text(json.dumps({"kind": kind, **found}))
    (tmp_path / "other.json").write_text('{"rows": []}')
    made = page(tmp_path)
    for cell in (
        "painted: a hint in every shot | 12.5 | 0.4 | 33.1",
        "second | 1.5 | 2.5 | 250",
        "2048",
        "2 | 3.5 | 1.96",
    ):
        assert f"| {cell} |" in made or f"{cell} |" in made, cell
    assert "480p, painted | fps 99.5 |" in made


def test_results_of_this_tree_are_readable(root: Path) -> None:
    assert "plain transcode" in page(root / "benchmarks" / "results")
