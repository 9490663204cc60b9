"""The scene check: what its numbers mean, and that they mean the same at every size."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage.color import rgb2lab

from videocolor.datasets.pairs.scene import THRESHOLDS, decide, histogram_distance, look_at, scene_delta
from videocolor.datasets.pairs.settings import SceneConfig
from videocolor.types import Array


def scene(seed: int, size: tuple[int, int] = (360, 640)) -> Array:
    """Draw a colored pattern of soft blobs."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 8, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC))


def test_black_and_white_are_a_hundred_apart() -> None:
    black, white = (look_at(np.full((40, 60, 3), value, np.uint8)) for value in (0, 255))
    assert scene_delta(black, white) == pytest.approx(100, abs=0.1)
    assert scene_delta(black, black) == 0
    assert histogram_distance(black, white) == 1
    assert histogram_distance(white, white) == pytest.approx(0, abs=1e-3)


def test_the_distance_is_what_its_definition_says() -> None:
    """By scikit-image's Lab, on pictures whose area averages are themselves."""
    random = np.random.default_rng(1)
    a, b = (random.integers(0, 256, (8, 8, 3)).astype(np.uint8) for _ in range(2))
    expected = np.sqrt(((rgb2lab(a) - rgb2lab(b)) ** 2).sum(-1).mean())
    large = [np.repeat(np.repeat(x, 30, 0), 40, 1) for x in (a, b)]
    assert scene_delta(*map(look_at, large)) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("size", [(90, 160), (270, 480), (1080, 1920), (400, 300)])
def test_a_threshold_means_the_same_at_every_resolution(size: tuple[int, int]) -> None:
    a, b = scene(1, (720, 1280)), scene(2, (720, 1280))
    small = [cv2.resize(x, size[::-1], interpolation=cv2.INTER_AREA) for x in (a, b)]
    assert scene_delta(*map(look_at, small)) == pytest.approx(scene_delta(look_at(a), look_at(b)), rel=0.01)
    large = histogram_distance(look_at(a), look_at(b))
    assert histogram_distance(*map(look_at, small)) == pytest.approx(large, abs=0.03)


def test_a_pan_moves_the_distance_and_hardly_the_histogram() -> None:
    wide = scene(4, (360, 1280))
    a, b = wide[:, :800], wide[:, 200:1000]
    other = scene(5)
    assert scene_delta(look_at(a), look_at(b)) > 0.5 * scene_delta(look_at(a), look_at(other))
    assert histogram_distance(look_at(a), look_at(b)) < 0.8 * histogram_distance(look_at(a), look_at(other))


@pytest.mark.parametrize("check", ["distance", "histogram"])
def test_three_outcomes(check: str) -> None:
    a, b = look_at(scene(1)), look_at(scene(2))
    value = scene_delta(a, b) if check == "distance" else histogram_distance(a, b)

    def outcome(**limits: float) -> str:
        return decide(a, b, SceneConfig(check=check, **limits))[1]  # type: ignore[arg-type]

    assert outcome(accept=value + 0.01, reject=value + 0.02) == "accepted"
    assert outcome(accept=value - 0.02, reject=value + 0.01) == "doubtful"
    assert outcome(accept=value - 0.02, reject=value - 0.01) == "rejected"
    assert decide(a, b, SceneConfig(check=check))[0] == scene_delta(a, b), "the distance is kept whatever decides"
    assert decide(a, a, SceneConfig(check=check))[1] == "accepted"
    accept, reject = THRESHOLDS[check]
    assert 0 < accept < reject


def test_an_accept_above_the_calibrated_reject_leaves_no_doubt() -> None:
    a, b = look_at(scene(1)), look_at(scene(2))
    assert decide(a, b, SceneConfig(accept=150))[1] == "accepted"
