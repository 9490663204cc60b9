"""Colored light on a hinted frame: seen where it is, taken off, and nothing else touched."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from media import make_film

from videocolor.color import rgb_to_lab, rgb_to_luma, rgb_to_ycbcr, to_display, to_linear
from videocolor.colorize import colorize_video
from videocolor.config import ColorizeConfig
from videocolor.hints.flare import without_flare
from videocolor.types import Array, Hint
from videocolor.video import open_video

WIDTH, HEIGHT = 160, 96
RED = (1.0, 0.05, 0.05)


def scene(shift: float = 0.0) -> Array:
    """(h, w, 3) float32 R'G'B'."""
    whole = cv2.resize(skimage.data.astronaut(), (256, 256), interpolation=cv2.INTER_AREA)
    view = cv2.getRectSubPix(whole, (WIDTH, HEIGHT), (128 + shift, 128))
    return np.asarray(view, np.float32) / np.float32(255)


def lit(rgb: Array, color: tuple[float, float, float], luminance: float = 0.04) -> Array:
    """The picture with light on it, more on the left."""
    light = np.array(color, np.float32) * np.float32(luminance / float(np.dot(color, (0.2126, 0.7152, 0.0722))))
    where = np.linspace(1.0, 0.6, rgb.shape[1], dtype=np.float32)[None, :, None]
    return np.clip(to_display(to_linear(rgb) + where * light), 0, 1)


def gray(rgb: Array) -> Array:
    return np.rint(rgb_to_luma(np.moveaxis(rgb, -1, 0), "bt709") * 255).clip(0, 255).astype(np.uint8)


def apart(a: Array, b: Array) -> float:
    """Mean difference in a*b*."""
    one, other = (rgb_to_lab(np.moveaxis(x, -1, 0))[1:] for x in (a, b))
    return float(np.linalg.norm(one - other, axis=0).mean())


AROUND = [gray(scene(0.5 * i)) for i in range(2, 10)]


@pytest.mark.parametrize("color", [RED, (1.0, 0.3, 0.05), (1.0, 0.05, 0.5), (0.05, 0.1, 1.0)])
def test_colored_light_is_taken_off(color: tuple[float, float, float]) -> None:
    seen = lit(scene(), color)
    cleaned = without_flare(Hint("leak", seen, Fraction(1)), gray(seen), AROUND)
    assert cleaned is not None and (cleaned.name, cleaned.time) == ("leak", 1)
    assert cleaned.rgb.dtype == np.float32 and cleaned.rgb.min() >= 0 and cleaned.rgb.max() <= 1
    assert apart(cleaned.rgb, scene()) < 0.65 * apart(seen, scene())


@pytest.mark.parametrize(
    "change",
    [
        lambda rgb: rgb,
        lambda rgb: np.clip(rgb * 1.4, 0, 1),  # another exposure
        lambda rgb: lit(rgb, (1.0, 0.9, 0.8)),  # pale light: hues hold
        lambda rgb: lit(rgb, RED, 0.001),
        lambda rgb: rgb * np.array(RED, np.float32),  # a red filter: darker, not lit
    ],
    ids=["nothing", "exposure", "pale", "faint", "filter"],
)
def test_what_is_no_colored_light_is_left(change: object) -> None:
    assert callable(change)
    seen = change(scene())
    assert without_flare(Hint("as it is", seen), gray(seen), AROUND) is None


def test_what_moves_is_no_light() -> None:
    """Something dark comes into a bright picture: the blacks of the hint are higher, but only there."""
    bright = 0.5 + 0.5 * scene()
    around = []
    for i in range(8):
        later = bright.copy()
        later[:, : 30 + 4 * i] = 0.02
        around.append(gray(later))
    assert without_flare(Hint("still empty", bright * np.array(RED, np.float32)), gray(bright), around) is None


def test_without_neighbors_or_with_a_few_points_nothing_can_tell() -> None:
    seen = lit(scene(), RED)
    assert without_flare(Hint("alone", seen), gray(seen), []) is None
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    assert without_flare(Hint("points", seen, None, mask), gray(seen), AROUND) is None


@pytest.mark.slow
def test_the_frame_keeps_its_hint_and_the_shot_does_not_get_the_light(tmp_path: Path) -> None:
    frames = [scene(0.25 * i) for i in range(20)]
    frames[0] = lit(frames[0], RED)
    planes = []
    for rgb in frames:
        y, _, _ = rgb_to_ycbcr(np.moveaxis(rgb, -1, 0), "bt709")
        neutral = np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)
        planes.append([np.rint(16 + 219 * y).astype(np.uint8), neutral, neutral])
    film = tmp_path / "film.mkv"
    make_film(film, planes, rate=Fraction(12), size=(WIDTH, HEIGHT))
    hint = tmp_path / "hint.png"
    cv2.imwrite(str(hint), np.rint(frames[0][..., ::-1] * 255))
    config = ColorizeConfig.load(None, [f"hints.items=['0={hint}']", "output.codec=ffv1", "output.pix_fmt=yuv444p10le"])
    result = colorize_video(film, tmp_path / "out.mkv", config)
    assert any("colored light" in warning for warning in result.warnings)
    with open_video(tmp_path / "out.mkv") as video:
        chroma = [np.stack(frame.chroma).astype(np.float32) / 4 - 128 for frame in video if frame.chroma is not None]
    truth = [224 * np.stack(rgb_to_ycbcr(np.moveaxis(rgb, -1, 0), "bt709")[1:]) for rgb in frames]
    errors = [float(np.abs(got - true).mean()) for got, true in zip(chroma, truth, strict=True)]
    given = float(np.abs(truth[0] - truth[1]).mean())
    assert errors[0] < 2, "the frame itself is as it was painted"
    assert max(errors[1:]) < 0.6 * given, (errors, given)
    trusting = config.model_copy(update={"hints": config.hints.model_copy(update={"remove_flare": False})})
    assert not any("colored light" in w for w in colorize_video(film, tmp_path / "lit.mkv", trusting).warnings)
