"""Colors that change slowly."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from videocolor.evaluation.scoring import FilmScorer, ScoreOptions

FRAMES = 25
"""One pair of frames."""


def test_drift_is_the_change_of_color_along_motion() -> None:
    """A picture that pans by two pixels a frame; its result turns from gray to red, or stays as it is."""
    rng = np.random.default_rng(2)
    wide = cv2.resize(rng.integers(60, 180, (12, 30), dtype=np.uint8), (160, 64), interpolation=cv2.INTER_CUBIC)
    gray = [np.dstack([wide[:, 2 * i : 2 * i + 96]] * 3) for i in range(FRAMES)]
    held = [np.clip(picture.astype(int) + np.array((40, -20, -20)), 0, 255).astype(np.uint8) for picture in gray]
    turning = [
        cv2.addWeighted(h, i / (FRAMES - 1), g, 1 - i / (FRAMES - 1), 0)
        for i, (g, h) in enumerate(zip(gray, held, strict=True))
    ]
    drift, flicker = {}, {}
    for name, result in (("held", held), ("turning", turning)):
        scorer = FilmScorer(ScoreOptions(metrics=("drift", "flicker")))
        for truth, test in zip(gray, result, strict=True):
            scorer.add(truth, test)
        scores = scorer.result()
        drift[name], flicker[name] = scores["drift"], scores["flicker"]
        assert scores["drift_truth"] == pytest.approx(0, abs=0.01)
    assert drift["held"] < 1.5 and drift["turning"] > 15
    assert flicker["turning"] < 1.5


def test_a_cut_is_not_drift() -> None:
    rng = np.random.default_rng(3)
    first, second = (rng.integers(0, 255, (64, 96, 3), dtype=np.uint8) for _ in range(2))
    scorer = FilmScorer(ScoreOptions(metrics=("drift",)))
    for i in range(FRAMES):
        picture = first if i < 10 else second
        scorer.add(picture, picture)
    assert scorer.result()["drift"] is None
