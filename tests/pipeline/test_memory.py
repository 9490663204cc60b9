"""What a shot with a painted frame remembers, and that the network matches it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from media import make_film

from videocolor.colorize import colorize_video
from videocolor.config import ColorizeConfig
from videocolor.models.base import HintInput, Prediction
from videocolor.models.hint.colorizer import HintColorizer
from videocolor.models.registry import load_colorizer
from videocolor.motion.flow import grid
from videocolor.pipeline.frames import ShotFrame
from videocolor.pipeline.memory import MemoryState, ShotMemory
from videocolor.pipeline.propagated import PropagatedColor, ReferenceFrame
from videocolor.pipeline.smoothing import Moment
from videocolor.pipeline.state import from_arrays, to_arrays
from videocolor.shots.prepare import Prepared
from videocolor.types import Array
from videocolor.video import open_video

HEIGHT, WIDTH = 32, 64


def picture(seed: int, height: int = HEIGHT, width: int = WIDTH) -> Array:
    """Textured luma, (height, width) float32 in 0..1."""
    plane = np.random.default_rng(seed).uniform(0, 1, (height, width)).astype(np.float32)
    return np.asarray(cv2.normalize(cv2.GaussianBlur(plane, (0, 0), 2), None, 0.1, 0.9, cv2.NORM_MINMAX), np.float32)  # type: ignore[call-overload]


@pytest.fixture
def frame(monkeypatch: pytest.MonkeyPatch) -> Callable[..., ShotFrame]:
    """Make a frame that nothing but the given colors has reached."""

    def make(*colors: PropagatedColor) -> ShotFrame:
        item = Prepared(None, picture(0), np.zeros((HEIGHT, WIDTH), np.uint8))  # type: ignore[arg-type]
        return ShotFrame(0, item, item.gray, Moment(0.0, None), propagated=colors)

    return make


def prediction(a: float, known: Array | float = 1.0, frames: int = 1) -> Prediction:
    """The same color everywhere."""
    ab = np.full((frames, 2, HEIGHT // 2, WIDTH // 2), a, np.float32)
    return Prediction(ab, np.broadcast_to(np.float32(known), (frames, *ab.shape[2:])).copy())


def test_the_latest_keyframes_are_remembered(frame: Callable[..., ShotFrame]) -> None:
    memory = ShotMemory(2)
    for number in range(4):
        seen = prediction(float(number), frames=2)
        assert memory.look([frame(), frame()], [picture(9), picture(number)], seen)
    assert [float(kept.ab[0, 0, 0]) for kept in memory.state.frames] == [2.0, 3.0]
    np.testing.assert_array_equal(memory.state.frames[-1].luma, picture(3))
    assert memory.state.frames[-1].ab.shape == (2, HEIGHT, WIDTH)


def test_colors_that_come_from_no_hint_are_not_remembered(frame: Callable[..., ShotFrame]) -> None:
    known = np.zeros((HEIGHT // 2, WIDTH // 2), np.float32)
    known[:, WIDTH // 4 :] = 0.8
    memory = ShotMemory(1)
    memory.look([frame()], [picture(1)], prediction(5.0, known))
    mask = memory.state.frames[0].mask
    assert mask is not None
    assert not mask[:, : WIDTH // 2 - 4].any()
    np.testing.assert_allclose(mask[:, WIDTH // 2 + 4 :], 0.8, rtol=1e-6)


def test_nothing_is_remembered_of_flat_pictures_or_without_confidence(frame: Callable[..., ShotFrame]) -> None:
    memory, flat = ShotMemory(1), np.full((HEIGHT, WIDTH), 0.5, np.float32)
    assert not memory.look([frame()], [flat], prediction(1.0))
    assert not memory.look([], [], prediction(1.0, frames=0))
    assert not memory.look([frame()], [picture(1)], Prediction(prediction(1.0).ab))
    assert not ShotMemory(0).look([frame()], [picture(1)], prediction(1.0))
    assert memory.state.frames == []


def test_what_motion_brings_is_remembered_as_the_film_shows_it(frame: Callable[..., ShotFrame]) -> None:
    gray = (picture(0) * 255).astype(np.uint8)
    reference = ReferenceFrame(np.full((HEIGHT, WIDTH, 2), 40, np.float32), gray, gray)
    color = PropagatedColor(reference, grid(HEIGHT, WIDTH).copy(), np.ones((HEIGHT, WIDTH), np.float32), gray)
    memory = ShotMemory(1)
    memory.look([frame(color)], [picture(0)], prediction(0.0))
    assert memory.state.frames[0].ab.min() > 35


def test_memory_is_part_of_a_shots_state(frame: Callable[..., ShotFrame]) -> None:
    memory = ShotMemory(2)
    for number in range(2):
        memory.look([frame()], [picture(number)], prediction(float(number)))
    back = from_arrays({"memory": MemoryState}, to_arrays({"memory": memory.state}))["memory"]
    for one, two in zip(memory.state.frames, back.frames, strict=True):
        for name in ("luma", "ab", "mask"):
            np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def test_the_hint_network_takes_colors_from_what_it_remembers() -> None:
    network = load_colorizer("hint", device="cpu", threads=1)
    assert isinstance(network, HintColorizer)
    height, width = 96, 160
    given, later = picture(1, height, width), picture(2, height, width)
    hint = HintInput(given, np.zeros((2, height, width), np.float32))
    red = np.stack([np.full((height, width), 45, np.float32), np.full((height, width), 20, np.float32)])
    begun = network.begin([hint])
    remembered = network.remember(begun, [HintInput(later, red, np.ones_like(later))])
    unknown = network.remember(begun, [HintInput(later, red, np.zeros_like(later))])
    plain, with_it, without = (
        network.step(state, later[None]).ab[0, 0].mean() for state in (begun, remembered, unknown)
    )
    assert with_it > plain + 5
    assert without == plain
    assert remembered.calibration is begun.calibration


def test_what_the_hints_show_as_well_is_left_out() -> None:
    network = load_colorizer("hint", device="cpu", threads=1)
    luma = picture(1, 96, 160)
    begun = network.begin([HintInput(luma, np.zeros((2, *luma.shape), np.float32))])
    remembered = network.remember(begun, [HintInput(luma, np.full((2, *luma.shape), 40, np.float32))])
    np.testing.assert_array_equal(remembered.tokens.keys, begun.tokens.keys)


@pytest.mark.slow
def test_a_thing_that_grows_keeps_its_painted_color(tmp_path: Path) -> None:
    """Red on gray: the texture of the red thing grows to four times its size, beyond what one view can match."""
    texture, ground = picture(3, 48, 48), picture(4, 96, 128)
    lumas, truth = [], []
    for index in range(97):
        side = round(24 * 4 ** (index / 96))
        thing = cv2.resize(texture, (side, side), interpolation=cv2.INTER_AREA)
        plane, red = ground * 0.5, np.zeros((96, 128), np.float32)
        top, left = (96 - side) // 2, (128 - side) // 2
        plane[top : top + side, left : left + side] = 0.3 + 0.5 * thing
        red[top : top + side, left : left + side] = 1
        lumas.append(np.rint(plane * 255).astype(np.uint8))
        truth.append(red)
    film = tmp_path / "in.mkv"
    make_film(film, [[luma] for luma in lumas], "ffv1", "gray", size=(128, 96))
    shift = truth[0] * 60
    hint = np.stack([lumas[0] - shift * 0.3, lumas[0] - shift * 0.4, lumas[0] + shift], axis=-1)
    cv2.imwrite(str(tmp_path / "hint.png"), np.clip(np.rint(hint), 0, 255).astype(np.uint8))

    def redness(memory: int) -> float:
        out = tmp_path / f"{memory}.mkv"
        settings = [
            f"model.memory={memory}",
            f'hints.items=["0={tmp_path / "hint.png"}"]',
            *("output.codec=ffv1", "output.pix_fmt=yuv444p", "output.resume=false", "shots.detector=none"),
        ]
        colorize_video(film, out, ColorizeConfig.load(None, settings))
        with open_video(out) as video:
            last = list(video)[-1]
        assert last.chroma is not None
        return float(last.chroma[1][truth[-1] > 0].mean()) - 128

    assert redness(1) > redness(0) + 2
