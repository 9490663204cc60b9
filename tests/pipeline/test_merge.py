"""Chroma of a film that was colored elsewhere: found in time and space, and what does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from media import make_film
from scenes import colored_noise, write_truth

from videocolor.color import rgb_to_lab
from videocolor.colorize import colorize_video
from videocolor.config import ColorizeConfig
from videocolor.errors import HintError
from videocolor.evaluation.tasks import luma_codes
from videocolor.hints.files import frame_to_rgb
from videocolor.models.base import Colorizer, HintInput, ModelCard, Prediction
from videocolor.types import Array
from videocolor.video import open_video

SIZE = (128, 96)


class Gray(Colorizer):
    """No color."""

    def __init__(self) -> None:
        self.card = ModelCard("gray", "Gray", "many", 0, 0, area=128 * 96)

    def begin(self, hints: Sequence[HintInput]) -> None:
        pass

    def step(self, memory: None, luma: Array, propagated: Array | None = None, /) -> Prediction:
        return Prediction(np.zeros((len(luma), 2, luma.shape[1] // 2, luma.shape[2] // 2), np.float32))


def shot(seed: int, count: int = 10) -> list[Array]:
    wide = colored_noise(seed, SIZE[1], SIZE[0] + 3 * count)
    return [wide[:, 3 * k : 3 * k + SIZE[0]] for k in range(count)]


def gray_film(path: Path, truth: Sequence[Array]) -> Path:
    lumas = [[luma_codes(rgb, "bt601")] for rgb in truth]
    make_film(path, lumas, "ffv1", "gray", Fraction(10), size=SIZE, tags={"color_range": 2})
    return path


def other_film(path: Path, shown: Sequence[Array], rate: Fraction) -> Path:
    """Larger, cropped by some pixels, with bars at the sides, a little brighter."""
    frames = []
    for rgb in shown:
        part = cv2.resize(np.ascontiguousarray(rgb[2:94, 3:126]), (164, 132), interpolation=cv2.INTER_AREA)
        frames.append(cv2.copyMakeBorder(np.clip(part * 0.95 + 6, 0, 255).astype(np.uint8), 0, 0, 18, 18, 0))
    write_truth(path, np.stack(frames), rate)
    return path


def chroma_errors(film: Path, truth: Sequence[Array]) -> list[float]:
    found = []
    with open_video(film) as video:
        for frame, rgb in zip(video, truth, strict=True):
            pair = (np.moveaxis(p.astype(np.float32), -1, 0) for p in (frame_to_rgb(frame), rgb / 255))
            a, b = (rgb_to_lab(p)[1:] for p in pair)
            found.append(float(np.hypot(*(a - b)).mean()))
    return found


@pytest.mark.slow
def test_chroma_is_taken_where_it_fits_and_the_rest_is_said(tmp_path: Path) -> None:
    """Another rate, a leader, a shot that is missing there: the others get the right color, luma stays."""
    one, two, three = shot(5), shot(11), shot(17)
    film, target = gray_film(tmp_path / "film.mkv", [*one, *two, *three]), tmp_path / "out.mkv"
    twice = [rgb for rgb in [*shot(23, 4), *one, *three] for _ in range(2)]  # 20 frames a second
    other = other_film(tmp_path / "other.mkv", twice, Fraction(20))
    config = ColorizeConfig.load(config_flags(other), ["output.codec=ffv1", "output.pix_fmt=yuv444p"])
    result = colorize_video(film, target, config, colorizer=Gray())
    assert any("does not show shots 2; the network colors them" in warning for warning in result.warnings)
    errors, gray = chroma_errors(target, [*one, *two, *three]), chroma_errors(film, [*one, *two, *three])
    for part in (slice(0, 10), slice(20, 30)):
        assert np.mean(errors[part]) < 0.4 * np.mean(gray[part])
    assert np.mean(errors[10:20]) == pytest.approx(np.mean(gray[10:20]), abs=0.5)
    with open_video(film) as before, open_video(target) as after:
        assert all((a.luma == b.luma).all() and a.seconds == b.seconds for a, b in zip(before, after, strict=True))


def config_flags(other: Path) -> Path:
    path = other.with_suffix(".yaml")
    path.write_text(f"chroma: {{source: {other}}}\n")
    return path


@pytest.mark.parametrize(("kind", "words"), [("another", "shows no shot of"), ("gray", "is black and white")])
def test_another_film_is_refused(tmp_path: Path, kind: str, words: str) -> None:
    film = gray_film(tmp_path / "film.mkv", shot(5))
    other = tmp_path / "other.mkv"
    if kind == "gray":
        gray_film(other, shot(5))
    else:
        write_truth(other, np.stack(shot(31)), Fraction(10))
    with pytest.raises(HintError, match=words):
        colorize_video(film, tmp_path / "out.mkv", ColorizeConfig.load(config_flags(other)), colorizer=Gray())
    assert not (tmp_path / "out.mkv").exists()
