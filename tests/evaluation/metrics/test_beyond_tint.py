"""Color beyond a tint: none in sepia, all of what lightness does not predict."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.color import rgb2lab

from videocolor.evaluation.metrics.color import beyond_tint
from videocolor.evaluation.scoring import FilmScorer, ScoreOptions


def test_a_tint_counts_nothing() -> None:
    lightness = np.linspace(5, 95, 64, dtype=np.float32).reshape(8, 8)
    sepia = np.stack([lightness, 3 + lightness / 10, 5 + lightness**2 / 1000])
    assert beyond_tint(sepia) == pytest.approx(0, abs=1e-3)
    gray = np.stack([np.full((8, 8), 50), np.zeros((8, 8)), np.zeros((8, 8))]).astype(np.float32)
    assert beyond_tint(gray) == 0
    gray[1, :, ::2], gray[1, :, 1::2] = 6, -6
    assert beyond_tint(gray) == pytest.approx(6)


def test_it_is_what_a_polynomial_of_lightness_leaves() -> None:
    rng = np.random.default_rng(2)
    truth, test = (rng.integers(0, 256, (20, 30, 3), dtype=np.uint8) for _ in range(2))
    scorer = FilmScorer(ScoreOptions(metrics=("beyond_tint",)))
    scorer.add(truth, test)
    scores = scorer.result()
    for key, rgb in (("beyond_tint", test), ("beyond_tint_truth", truth)):
        lightness, *ab = np.moveaxis(rgb2lab(rgb), -1, 0).reshape(3, -1)
        rest = [channel - np.polyval(np.polyfit(lightness, channel, 3), lightness) for channel in ab]
        assert scores[key] == pytest.approx(np.sqrt(np.mean(np.square(rest).sum(axis=0))), abs=1e-3)
