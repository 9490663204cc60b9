"""What frames get of a hint that is not behind them: one of their shot that comes later, or one without a time."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from media import make_film
from scenes import colored_noise

import videocolor.pipeline.chroma
import videocolor.pipeline.path
from videocolor.color import rgb_to_lab, rgb_to_ycbcr, ycbcr_to_rgb
from videocolor.colorize import colorize_video
from videocolor.config import ColorizeConfig
from videocolor.studio.hints import points_picture
from videocolor.studio.projectdata import Point
from videocolor.types import Array
from videocolor.video import open_video

SAMPLES = Path(__file__).parents[2] / "samples"
WIDTH, HEIGHT, COUNT = 160, 96, 18


def pan() -> list[Array]:
    """(3, h, w) float32 R'G'B' of a camera that moves to the right, over colors that luma does not tell."""
    world = cv2.GaussianBlur(colored_noise(5, HEIGHT, 2 * WIDTH), (0, 0), 0.8).astype(np.float32) / 255
    views = (cv2.getRectSubPix(world, (WIDTH, HEIGHT), (80 + 1.5 * i, HEIGHT / 2 - 0.5)) for i in range(COUNT))
    return [np.moveaxis(view, -1, 0) for view in views]


def gray_film(path: Path, frames: list[Array]) -> Path:
    neutral = np.full((HEIGHT, WIDTH), 128, np.uint8)
    lumas = [np.rint(16 + 219 * rgb_to_ycbcr(rgb, "bt601")[0]).clip(16, 235).astype(np.uint8) for rgb in frames]
    make_film(path, [[y, neutral, neutral] for y in lumas], pix_fmt="yuv444p", rate=Fraction(12), size=(WIDTH, HEIGHT))
    return path


def errors(film: Path, frames: list[Array], columns: slice = slice(None)) -> list[float]:
    """Mean distance in a*b* of each frame, in these columns."""
    found = []
    with open_video(film) as video:
        for frame, true in zip(video, frames, strict=True):
            assert frame.chroma is not None
            cb, cr = (plane.astype(np.float32) / 896 - np.float32(512 / 896) for plane in frame.chroma)
            made = ycbcr_to_rgb(rgb_to_ycbcr(true, "bt601")[0], cb, cr, "bt601")
            distance = np.linalg.norm(rgb_to_lab(made)[1:] - rgb_to_lab(true)[1:], axis=0)
            found.append(float(distance[:, columns].mean()))
    return found


@pytest.mark.parametrize("timed", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_color_comes_from_a_hint_that_lies_ahead(timed: bool, tmp_path: Path) -> None:
    frames = pan()
    film, hint, place = gray_film(tmp_path / "film.mkv", frames), tmp_path / "hint.png", COUNT // 2
    cv2.imwrite(str(hint), np.rint(np.moveaxis(frames[place], 0, -1)[..., ::-1] * 255))
    item = f"{place / 12:.6f}={hint}" if timed else str(hint)
    settings = [f"hints.items=['{item}']", "output.codec=ffv1", "output.pix_fmt=yuv444p10le"]
    result = colorize_video(film, tmp_path / "out.mkv", ColorizeConfig.load(None, settings))
    assert not result.warnings
    made = errors(tmp_path / "out.mkv", frames)
    colorless = float(np.mean([np.linalg.norm(rgb_to_lab(rgb)[1:], axis=0).mean() for rgb in frames]))
    assert max(made) < 0.2 * colorless, "matching places of 8x8 pixels alone leaves twice that"
    assert made[place] < 1.5


def test_what_is_painted_of_a_frame_is_propagated(tmp_path: Path) -> None:
    """Its left half, the rest is black in the file: that half comes back, and goes where the camera takes it."""
    frames, place = pan(), 6
    film, hint = gray_film(tmp_path / "film.mkv", frames), tmp_path / "hint.png"
    rgba = np.zeros((HEIGHT, WIDTH, 4), np.float32)
    rgba[:, : WIDTH // 2, :3] = np.moveaxis(frames[place], 0, -1)[:, : WIDTH // 2, ::-1]
    rgba[:, : WIDTH // 2, 3] = 1
    cv2.imwrite(str(hint), np.rint(rgba * 255).astype(np.uint8))
    settings = [f"hints.items=['{place / 12:.6f}={hint}']", "output.codec=ffv1", "output.pix_fmt=yuv444p10le"]
    result = colorize_video(film, tmp_path / "out.mkv", ColorizeConfig.load(None, [*settings, "output.sidecar=true"]))
    assert not result.warnings and result.sidecar is not None
    assert json.loads(result.sidecar.read_text())["hints"][0]["reproduced"]
    colorless = float(np.linalg.norm(rgb_to_lab(frames[place])[1:], axis=0).mean())
    for index in (0, place, COUNT - 1):
        end = WIDTH // 2 - round(1.5 * (index - place)) - 6
        painted = slice(8, min(end, WIDTH - 8))
        limit = 1.5 if index == place else 0.25 * colorless
        assert errors(tmp_path / "out.mkv", frames, painted)[index] < limit, index


def test_a_click_is_obeyed(tmp_path: Path) -> None:
    """One blue spot on a frame of an archival film: there, and still there some frames later."""
    film, spot = SAMPLES / "bw_chaplin.mp4", tmp_path / "click.png"
    with open_video(film) as video:
        gray = (next(iter(video)).luma.astype(np.float32) - 16) / 219
    rgb, mask = points_picture(gray.clip(0, 1), [Point(x=0.5, y=0.3, color="#4060c0", radius=0.03)])
    cv2.imwrite(str(spot), np.rint(np.dstack((rgb[..., ::-1], mask)).clip(0, 1) * 255).astype(np.uint8))
    settings = [f"hints.items=['0={spot}']", "input.end=0.25", "output.codec=ffv1", "output.pix_fmt=yuv444p10le"]
    colorize_video(film, tmp_path / "out.mkv", ColorizeConfig.load(None, settings))
    rows, columns = (
        slice(round(at * side) - 4, round(at * side) + 4) for at, side in zip((0.3, 0.5), gray.shape, strict=True)
    )
    wanted = rgb_to_lab(np.moveaxis(rgb, -1, 0))[1:, rows, columns].mean(axis=(1, 2))
    with open_video(tmp_path / "out.mkv") as video:
        made = list(video)
    for frame in (made[0], made[len(made) // 2]):
        assert frame.chroma is not None
        cb, cr = (plane[rows, columns].astype(np.float32) / 896 - np.float32(512 / 896) for plane in frame.chroma)
        got = rgb_to_lab(ycbcr_to_rgb(gray[rows, columns], cb, cr, "bt601"))[1:].mean(axis=(1, 2))
        assert np.linalg.norm(got - wanted) < 12 < 35 < np.linalg.norm(wanted)


@pytest.mark.slow
def test_a_hint_that_does_not_fit_its_frame_is_followed_from_where_it_fits(tmp_path: Path) -> None:
    """The picture is the frame eight pixels on: not this very frame, so a loose hint, but of this very scene."""
    frames = pan()
    film, hint = gray_film(tmp_path / "film.mkv", frames), tmp_path / "hint.png"
    cv2.imwrite(str(hint), np.rint(np.moveaxis(frames[6], 0, -1)[..., ::-1] * 255))
    settings = [f"hints.items=['0={hint}']", "hints.align=false", "output.codec=ffv1", "output.pix_fmt=yuv444p10le"]
    result = colorize_video(film, tmp_path / "out.mkv", ColorizeConfig.load(None, settings))
    assert any("used as a loose hint" in warning for warning in result.warnings)
    colorless = float(np.mean([np.linalg.norm(rgb_to_lab(rgb)[1:], axis=0).mean() for rgb in frames]))
    assert max(errors(tmp_path / "out.mkv", frames)[:20]) < 0.2 * colorless


@pytest.mark.slow
def test_threads_of_the_stages_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Motion and chroma of several frames are found at once where there are cores for it."""
    frames = pan()[:20]
    film, hint = gray_film(tmp_path / "film.mkv", frames), tmp_path / "hint.png"
    cv2.imwrite(str(hint), np.rint(np.moveaxis(frames[4], 0, -1)[..., ::-1] * 255))
    made = []
    settings = [f"hints.items=['{4 / 12:.6f}={hint}']", "output.codec=ffv1"]
    for threads in (1, 4):
        for stage in (videocolor.pipeline.path, videocolor.pipeline.chroma):
            monkeypatch.setattr(stage, "frame_threads", lambda *_, n=threads: n)
        colorize_video(film, tmp_path / f"{threads}.mkv", ColorizeConfig.load(None, settings))
        with open_video(tmp_path / f"{threads}.mkv") as video:
            made.append(np.stack([np.stack(frame.chroma) for frame in video if frame.chroma is not None]))
    np.testing.assert_array_equal(*made)
