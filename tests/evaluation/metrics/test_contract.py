"""What every metric keeps, and the steps of docs/reference/scores.md that add one."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from videocolor.evaluation.metrics import METRICS
from videocolor.evaluation.scoring import FilmScorer, ScoreOptions

Array = np.ndarray


def film(count: int, shape: tuple[int, int] = (48, 64)) -> tuple[list[Array], list[Array]]:
    """A pan over smooth colors, and the same with a tint that changes from frame to frame."""
    rng = np.random.default_rng(5)
    wide = cv2.resize(rng.integers(0, 256, (9, 16, 3), dtype=np.uint8), (shape[1] + 2 * count, shape[0]))
    truth = [np.ascontiguousarray(wide[:, 2 * i : 2 * i + shape[1]]) for i in range(count)]
    return truth, [np.clip(t + rng.normal(0, 9, (1, 1, 3)), 0, 255).astype(np.uint8) for t in truth]


def score(name: str, pairs: Any, references: tuple[int, ...] = (), **options: Any) -> dict[str, Any]:
    scorer = FilmScorer(ScoreOptions(metrics=(name,), flow_every=1, **options))
    for index, (truth, test) in enumerate(zip(*pairs, strict=True)):
        scorer.add(truth, test, reference=index in references)
    return scorer.result().as_dict()


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_keeps_its_contract(name: str) -> None:
    metric, (truth, test) = METRICS[name], film(8)
    assert metric.name == name and metric.__doc__
    given = (0, 3)
    scores = score(name, (truth, test), given)
    json.dumps(scores, allow_nan=False)
    for key in metric.keys:
        value = scores[key]
        assert isinstance(value, float | int) or scores["not_measured"][key], "a number, or a reason"
        assert not any(key in other.keys for other in METRICS.values() if other is not metric), "a key is one metric's"
    assert {column.key for column in metric.columns} <= set(metric.keys)
    assert score(name, (truth, test), given, threads=3) == scores, "threads change nothing"
    if metric.frames == "scored":
        copied = [truth[i] if i in given else picture for i, picture in enumerate(test)]
        if name not in ("warp_error", "flicker"):  # a reference frame is a predecessor
            assert score(name, (truth, copied), given) == scores, "reference frames do not count"
    floats = score(name, ([t / 255 for t in truth], [t / 255 for t in test]), given)
    deep = score(name, ([t.astype(np.uint16) * 257 for t in truth], [t.astype(np.uint16) * 257 for t in test]), given)
    for key in (key for key in metric.keys if scores[key] is not None):
        assert floats[key] == pytest.approx(scores[key], rel=2e-3, abs=1e-3), "floats score as bytes"
        assert deep[key] == pytest.approx(scores[key], rel=2e-3, abs=1e-3), "16 bits score as 8"


@pytest.mark.parametrize("name", METRICS)
def test_a_perfect_result_is_the_best(name: str) -> None:
    truth, test = film(8)
    perfect, tinted = score(name, (truth, truth), (0,)), score(name, (truth, test), (0,))
    for column in METRICS[name].columns:
        best, other = perfect[column.key], tinted[column.key]
        if column.better and best is not None:
            assert best >= other if column.better == "higher" else best <= other, column.key


@pytest.mark.parametrize("name", METRICS)
def test_nothing_to_measure_is_a_reason(name: str) -> None:
    for pairs, references in ((film(1, (5, 6)), ()), (film(2), (0, 1))):
        scores = score(name, pairs, references)
        for key in METRICS[name].keys:
            assert scores[key] is not None or scores["not_measured"][key]


def test_the_steps_that_add_a_metric(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (root / "docs/reference/scores.md").read_text(encoding="utf-8").partition("## Add a metric")[2]
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {"__name__": "added"}
    exec(compile(textwrap.dedent(code), "docs/reference/scores.md", "exec"), names)
    monkeypatch.setitem(METRICS, "red_bias", names["RedBias"])
    test_a_metric_keeps_its_contract("red_bias")
    truth, test = film(4)
    expected = np.mean([b[..., 0].astype(float) - a[..., 0] for a, b in zip(truth, test, strict=True)])
    assert score("red_bias", (truth, test))["red_bias"] == pytest.approx(expected)
