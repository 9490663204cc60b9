"""A shot that nobody hinted stays near the colors that it had."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from media import make_film

from videocolor.colorize import colorize_video
from videocolor.config import ColorizeConfig
from videocolor.events import RunLog, ignore
from videocolor.models.base import Colorizer, HintInput, ModelCard, Prediction
from videocolor.pipeline.film import Film, open_film
from videocolor.pipeline.reuse import SelfReferences, SelfReferenceState
from videocolor.pipeline.state import from_arrays, to_arrays
from videocolor.types import Array
from videocolor.video import open_video

WIDTH, HEIGHT = 96, 64


class Moody(Colorizer):
    """Gives every frame another color, unless it is told of some: then it takes the mean of the hints'."""

    def __init__(self, hints: str = "many", sure: float = 1.0) -> None:
        self.card = ModelCard("moody", "Moody", hints, 0, 0, area=WIDTH * HEIGHT)  # type: ignore[arg-type]
        self.begun: list[int] = []
        self._calls, self._sure = 0, sure

    def begin(self, hints: Sequence[HintInput]) -> Array | None:
        self.begun.append(len(hints))
        return np.mean([hint.ab.mean(axis=(1, 2)) for hint in hints], axis=0) if hints else None

    def step(self, memory: Array | None, luma: Array) -> Prediction:
        n, height, width = luma.shape
        ab = np.empty((n, 2, height // 2, width // 2), np.float32)
        for place in range(n):
            self._calls += 1
            ab[place] = (np.array([4.0 * self._calls, -10.0]) if memory is None else memory)[:, None, None]
        confidence = np.full(ab.shape[:1] + ab.shape[2:], 0.0 if memory is None else self._sure, np.float32)
        return Prediction(ab, confidence)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """120 frames of one shot at 24 a second."""
    rng = np.random.default_rng(3)
    wide = cv2.GaussianBlur(rng.uniform(40, 210, (HEIGHT, WIDTH + 130)).astype(np.float32), (0, 0), 2)
    frames = [[np.rint(wide[:, i : i + WIDTH]).astype(np.uint8)] for i in range(120)]
    make_film(tmp_path / "in.mkv", frames, "ffv1", "gray", size=(WIDTH, HEIGHT))
    return tmp_path / "in.mkv"


@pytest.fixture
def hues(film: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[float]]:
    """Mean Cr of every frame that a colorizer and settings give."""

    def run(colorizer: Colorizer, *settings: str) -> list[float]:
        def load(*_: Any, **__: Any) -> Colorizer:
            return colorizer

        monkeypatch.setattr("videocolor.pipeline.film.load_colorizer", load)
        out = film.with_name("out.mkv")
        fixed = ("output.codec=ffv1", "output.resume=false", "output.overwrite=true", "shots.detector=none")
        colorize_video(film, out, ColorizeConfig.load(None, [*fixed, *settings]))
        with open_video(out) as video:
            return [float(frame.chroma[1].mean()) for frame in video if frame.chroma is not None]

    return run


def test_color_stays_near_what_it_was(hues: Callable[..., list[float]]) -> None:
    moody = Moody()
    held = hues(moody, "model.self_references=true")
    drifting = hues(Moody())
    assert abs(held[-1] - held[40]) < 0.7 * abs(drifting[-1] - drifting[40])
    assert abs(drifting[-1] - drifting[40]) > 10
    assert moody.begun[:2] == [0, 0], "the shot, and its first hint, which is colored without any"
    assert [n for n in moody.begun if n] == [1, 2], "four windows: one after the first, one two windows later"


def test_another_picture_becomes_a_hint_at_once_and_few_are_kept(hues: Callable[..., list[float]]) -> None:
    moody = Moody(sure=0.1)
    hues(moody, "model.keyframe_interval=4", "model.self_references=true")
    told = [n for n in moody.begun if n]
    assert told[:4] == [1, 2, 3, 3] and max(told) == 3


@pytest.mark.slow
def test_networks_that_take_no_hints_or_one_are_left_alone(hues: Callable[..., list[float]]) -> None:
    for kind in ("none", "one"):
        moody = Moody(hints=kind)
        hues(moody, "model.self_references=true")
        assert moody.begun == [0]


def test_not_beside_a_persons_hints(film: Path, hues: Callable[..., list[float]]) -> None:
    with open_video(film) as video:
        luma = next(iter(video)).luma
    cv2.imwrite(str(film.with_name("hint.png")), np.stack([luma // 2, luma, luma], axis=-1))
    moody = Moody()
    hues(moody, "model.self_references=true", f'hints.items=["0={film.with_name("hint.png")}"]')
    assert set(moody.begun) == {1}


@pytest.fixture
def opened(film: Path, monkeypatch: pytest.MonkeyPatch) -> Film:
    monkeypatch.setattr("videocolor.pipeline.film.load_colorizer", lambda *_, **__: Moody())
    config = ColorizeConfig.load(None, ["output.resume=false"])
    return open_film(film, film.with_name("out.mkv"), config, RunLog(ignore))


def test_flat_pictures_are_no_hints(opened: Film) -> None:
    own, (height, width) = SelfReferences(opened), opened.reuse_size
    black, textured = (
        np.zeros((height, width), np.float32),
        np.random.default_rng(0).random((height, width), np.float32),
    )
    seen = Prediction(
        np.ones((1, 2, height // 2, width // 2), np.float32), np.zeros((1, height // 2, width // 2), np.float32)
    )
    assert not own.look([black], seen) and not own.look([], seen)
    unsaid = SelfReferences(opened)  # a network that does not say how sure it is colors the first hint alone
    assert unsaid.look([textured], Prediction(seen.ab)) and not unsaid.look([textured], Prediction(seen.ab))
    assert not SelfReferences(opened, wanted=False).look([textured], seen)
    assert own.look([textured], seen)
    assert own.state.hints[0].ab.shape == (2, height, width)
    sure = Prediction(seen.ab, np.ones((1, height // 2, width // 2), np.float32))
    assert not own.look([textured], sure) and own.look([textured], sure), "every other window"


def test_memory_goes_on(opened: Film) -> None:
    own, other = SelfReferences(opened), SelfReferences(opened)
    height, width = opened.reuse_size
    rng = np.random.default_rng(0)
    unsure = np.zeros((2, height // 2, width // 2), np.float32)
    for _ in range(5):
        ab = rng.normal(size=(2, 2, height // 2, width // 2)).astype(np.float32)
        assert own.look([rng.random((height, width), np.float32)] * 2, Prediction(ab, unsure))
    sure = Prediction(ab, unsure + 1)
    assert not own.look([rng.random((height, width), np.float32)] * 2, sure)
    other.state = from_arrays({"own": SelfReferenceState}, to_arrays({"own": own.state}))["own"]
    assert len(other.state.hints) == 3
    for one, two in zip(own.state.hints, other.state.hints, strict=True):
        np.testing.assert_array_equal(one.luma, two.luma)
        np.testing.assert_array_equal(one.ab, two.ab)
    assert other.look([rng.random((height, width), np.float32)] * 2, sure), "it is as long ago as it was"
