"""A picture of the scene is found in a frame, wherever it has gone; a picture of something else is not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import skimage.data

from videocolor.motion import matching as sighting
from videocolor.motion.flow import FlowEstimator, grid
from videocolor.motion.matching import MatchImage, match_image, scene_similarity
from videocolor.motion.similarity import shot_similarity
from videocolor.types import Array

HEIGHT, WIDTH = 90, 160


def world() -> Array:
    return cv2.resize(
        skimage.data.astronaut().mean(axis=2).astype(np.float32), (400, 400), interpolation=cv2.INTER_AREA
    )


def view(x: float, y: float = 0.0, zoom: float = 1.0) -> Array:
    matrix = np.array([[zoom, 0, 100 + x], [0, zoom, 120 + y]], np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.rint(cv2.warpAffine(world(), matrix, (WIDTH, HEIGHT), flags=flags)).clip(0, 255).astype(np.uint8)


def elsewhere() -> Array:
    return cv2.resize(skimage.data.coffee().mean(axis=2), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA).astype(
        np.uint8
    )


@pytest.mark.parametrize(("x", "y", "zoom"), [(0, 0, 1), (12, 3, 1), (70, 0, 1), (-45, 20, 1.15)])
def test_what_both_show_is_found(x: float, y: float, zoom: float) -> None:
    flow = FlowEstimator("detailed")
    frame, picture = (MatchImage(flow.prepare(luma)) for luma in (view(0), view(x, y, zoom)))
    at, trust = match_image(frame, picture, flow)
    truth = (grid(HEIGHT, WIDTH) - np.array([x, y], np.float32)) / np.float32(zoom)
    inside = ((truth > 6) & (truth < np.array([WIDTH - 7, HEIGHT - 7]))).all(axis=2)
    assert inside.mean() > 0.3 and trust[inside].mean() > 0.75
    assert np.linalg.norm(at - truth, axis=2)[inside & (trust > 0.9)].mean() < 1
    beyond = ((truth < -6) | (truth > np.array([WIDTH + 5, HEIGHT + 5]))).any(axis=2)
    assert not beyond.any() or trust[beyond].mean() < 0.1


@pytest.mark.parametrize(
    "other", [elsewhere(), np.full((HEIGHT, WIDTH), 90, np.uint8), np.zeros((HEIGHT, WIDTH), np.uint8)]
)
def test_something_else_is_not(other: Array) -> None:
    flow = FlowEstimator("detailed")
    _, trust = match_image(MatchImage(flow.prepare(view(0))), MatchImage(flow.prepare(other)), flow)
    assert trust.mean() < 0.2


def alike(picture: Array, frames: list[Array]) -> float:
    """Of one picture and one shot."""
    return float(scene_similarity([picture], [frames], [None])[0, 0])


def test_a_camera_that_moved_still_shows_the_scene() -> None:
    """Correlation knows fixed cameras only: for it these are two places."""
    assert shot_similarity(view(0), view(70)) < 0.5 <= alike(view(0), [elsewhere(), view(70)])
    assert alike(view(0), [view(0)]) > 0.9


def test_plain_pictures_fit_everything_and_tell_nothing() -> None:
    """Drawings on pale paper, a caption on black: smooth places agree anyhow, and must not speak for the scene."""
    drawings = []
    for corners in ([[20, 20], [60, 25], [40, 70]], [[90, 40], [140, 30], [150, 80], [100, 70]]):
        drawing = np.full((HEIGHT, WIDTH), 215, np.uint8)
        cv2.fillPoly(drawing, [np.array(corners, np.int32)], 120)
        drawings.append(cv2.polylines(drawing, [np.array(corners, np.int32)], True, 20, 2))
    caption, moon = np.full((2, HEIGHT, WIDTH), 16, np.uint8)
    cv2.putText(caption, "MAINLAND", (20, 50), cv2.FONT_HERSHEY_SIMPLEX, 0.7, 235, 2)
    cv2.circle(moon, (110, 40), 18, 200, -1)
    for one, other in (drawings, (caption, moon)):
        assert alike(one, [other]) < 0.5 and alike(other, [one]) < 0.5


def test_pictures_of_other_scenes_are_not_alike() -> None:
    flat = np.full((HEIGHT, WIDTH), 128, np.uint8)
    assert alike(view(0), [elsewhere()]) < 0.5
    assert alike(view(0), [flat]) < 0.5 and alike(flat, [view(0), elsewhere()]) < 0.5


@pytest.mark.slow
def test_a_film_of_many_shots_is_not_searched_for_every_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand painted frames and a thousand shots are a million pairs, of milliseconds each."""
    searched = []

    def count(frame: MatchImage, picture: MatchImage, flow: FlowEstimator) -> tuple[Array, Array]:
        searched.append((frame.picture, picture.picture))
        return match_image(frame, picture, flow)

    monkeypatch.setattr(sighting, "match_image", count)
    near = [view(step) for step in range(49, 79, 3)]  # ten of the scene that correlation does not know again
    middling = scene_similarity(near, [[view(0)]], [None] * 10)[:, 0]
    assert len(searched) == 8 and (middling > 0.5).sum() >= 6
    searched.clear()
    scene_similarity([view(0), view(70)], [[view(70)], [view(0)]], [1, 0])
    assert not searched, "shots with a painted frame of their own need no other shot's"
    scene_similarity([view(0), view(70)], [[view(70)]], [None, 0])
    assert len(searched) == 1, "but a picture that belongs nowhere yet is searched for in all"
    searched.clear()
    scene_similarity(near, [[view(0)]], [*[None] * 9, 0])
    assert len(searched) == 9, "and its own is always looked at"


def test_no_pictures() -> None:
    assert scene_similarity([], [[view(0)], [view(1), view(2)]], []).shape == (0, 2)
