"""A hint without a time is found in the film: at its own frame, whatever became of it, and at no other."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from videocolor import ColorizeConfig, colorize_video
from videocolor.color import codes_to_luma
from videocolor.hints.plan import frame_to_rgb
from videocolor.images import encode_image
from videocolor.pipeline.aligned import FrameFinder, frame_likeness
from videocolor.shots.prepare import gray_of
from videocolor.types import Array, Hint
from videocolor.video import open_video

FRAMES, PLACE = 40, 17


@pytest.fixture(scope="module")
def lumas(samples: Path) -> list[Array]:
    """The first frames of a bird that turns its head."""
    with open_video(samples / "hawk_25fps.mp4") as video:
        return [codes_to_luma(frame.luma, 8, frame.color.range).clip(0, 1) for frame in islice(video, FRAMES)]


def saved(luma: Array) -> Array:
    """As a program gives it back: smaller, brighter, as JPEG; (h, w, 3) float32."""
    small = cv2.resize(luma, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA) ** np.float32(0.8)
    _, data = cv2.imencode(".jpg", np.rint(small * 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 70])
    read = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE).astype(np.float32) / 255
    return np.repeat(read[..., None], 3, axis=2)


def found(hints: list[Hint], lumas: list[Array], left_out: range = range(0)) -> dict[int, int]:
    finder = FrameFinder(hints)
    for index, luma in enumerate(lumas):
        if index not in left_out:
            finder.look(index, gray_of(cv2.resize(luma, (320, 180), interpolation=cv2.INTER_AREA)))
    return finder.find(lumas.__getitem__)


def test_a_frame_is_found_and_another_moment_is_not(lumas: list[Array]) -> None:
    hints = [Hint("first", saved(lumas[3])), Hint("turned", saved(lumas[PLACE]))]
    assert found(hints, lumas) == {0: 3, 1: PLACE}
    assert found(hints[1:], lumas, range(0, 31)) == {}, "the bird has moved since"
    assert found([Hint("other", saved(lumas[PLACE][::-1]))], lumas) == {}


def test_of_two_pictures_of_a_frame_the_better_one_is_that_frame(lumas: list[Array]) -> None:
    worse = cv2.GaussianBlur(saved(lumas[3]), (0, 0), 1.0)
    assert found([Hint("worse", worse)], lumas) == {0: 3}
    assert found([Hint("worse", worse), Hint("better", saved(lumas[3]))], lumas) == {1: 3}


def test_a_second_picture_of_a_still_is_put_on_no_other_frame_of_it(lumas: list[Array]) -> None:
    rng = np.random.default_rng(4)
    still = [np.clip(lumas[3] + rng.normal(0, 0.01, lumas[3].shape), 0, 1).astype(np.float32) for _ in range(6)]
    worse = cv2.GaussianBlur(saved(still[2]), (0, 0), 0.6)
    hints = [Hint("worse", worse), Hint("better", saved(still[2]))]
    assert [found([hint], still) for hint in hints] == [{0: 2}, {0: 2}]
    assert list(found(hints, still).values()) == [2]


def test_only_complete_pictures_without_a_time_are_looked_for(lumas: list[Array]) -> None:
    rgb = saved(lumas[PLACE])
    part = np.ones(rgb.shape[:2], np.float32)
    timed = Hint("timed", rgb, time=Fraction(1))
    assert found([timed, Hint("scribble", rgb, mask=part)], lumas[:20]) == {}


def test_a_picture_without_detail_is_no_frame() -> None:
    flat = np.full((90, 160), 0.5, np.float32)
    assert frame_likeness(flat, flat) == 0


def test_a_hint_without_a_time_is_reproduced_at_its_frame(samples: Path, tmp_path: Path) -> None:
    """Of a color film that is colored anew: the frame that the hint was taken from gets its colors back exactly."""
    film, hint = samples / "hawk_25fps.mp4", tmp_path / "painted.png"
    with open_video(film) as video:
        frame = next(islice(video, PLACE, None))
    hint.write_bytes(encode_image(np.rint(frame_to_rgb(frame) * 255).astype(np.uint8)))
    values = [f'hints.items=["{hint}"]', "chroma.keep_source=false", "input.end=1", "output.codec=ffv1"]
    config = ColorizeConfig.load(None, [*values, "output.sidecar=true"])
    result = colorize_video(film, tmp_path / "out.mkv", config)
    assert result.sidecar is not None
    record = json.loads(result.sidecar.read_text())
    assert (record["hints"][0]["frame"], record["hints"][0]["reproduced"]) == (PLACE, True)
    assert f"hint {hint}: is the film's frame at 0.680 s" in record["notes"]
    with open_video(tmp_path / "out.mkv") as video:
        made = next(islice(video, PLACE, None))
    assert frame.chroma is not None and made.chroma is not None
    for mine, theirs in zip(made.chroma, frame.chroma, strict=True):
        assert np.abs(mine.astype(int) - theirs).mean() < 0.6, "but for what 8-bit R'G'B' rounds"
