"""Chroma alone, laid over the scan by FFmpeg as the manual says: the very film that is written complete."""

from __future__ import annotations

import re
from pathlib import Path

import av
import numpy as np
import pytest
from ffmpeg_oracle import ffmpeg
from media import make_film, noise_planes

from videocolor.colorize import colorize_video
from videocolor.config import ColorizeConfig
from videocolor.errors import ConfigError, UsageError
from videocolor.models.base import Colorizer, HintInput, ModelCard, Prediction
from videocolor.types import Array
from videocolor.video import open_video

SIZE = (66, 48)


class Even(Colorizer):
    """Colors by lightness."""

    card = ModelCard("even", "Even", "many", 0, 0, area=SIZE[0] * SIZE[1])

    def begin(self, hints: list[HintInput]) -> None:
        """Take no notice."""

    def step(self, memory: None, luma: Array) -> Prediction:
        return Prediction(np.stack([30 * luma, 20 - 40 * luma], axis=1).astype(np.float32))


@pytest.mark.parametrize(("bits", "resume"), [(8, True), (16, False)])
def test_chroma_over_the_scan_is_the_film(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bits: int, resume: bool
) -> None:
    monkeypatch.setattr("videocolor.pipeline.film.load_colorizer", lambda *_, **__: Even())
    scan, pix_fmt = tmp_path / "scan.mkv", "yuv420p" if bits == 8 else "yuv420p16le"
    frames = [noise_planes(*SIZE, "gray" if bits == 8 else "gray16le", index) for index in range(3)]
    make_film(scan, frames, "ffv1", "gray" if bits == 8 else "gray16le", size=SIZE)
    settings = ["output.codec=ffv1", f"output.pix_fmt={pix_fmt}", "output.sidecar=false", f"output.resume={resume}"]
    colorize_video(scan, tmp_path / "film.mkv", ColorizeConfig.load(None, settings))
    colorize_video(scan, tmp_path / "chroma.mkv", ColorizeConfig.load(None, [*settings, "output.only_chroma=true"]))
    with av.open(str(tmp_path / "chroma.mkv")) as made:
        stream = made.streams.video[0]
        assert (stream.width, stream.height) == (33, 24)
        assert stream.format.name == pix_fmt.replace("420", "444")
    recipe = re.search(r'"(\[0:v\]extractplanes.*?)"', (root / "docs" / "guides" / "editing.md").read_text())
    assert recipe is not None
    laid = recipe[1].replace("yuv420p", pix_fmt)
    ffmpeg("-i", scan, "-i", tmp_path / "chroma.mkv", "-filter_complex", laid, "-c:v", "ffv1", tmp_path / "laid.mkv")
    with open_video(tmp_path / "laid.mkv") as laid_film, open_video(tmp_path / "film.mkv") as film:
        for found, expected in zip(laid_film, film, strict=True):
            assert found.pts == expected.pts and found.chroma is not None and expected.chroma is not None
            for mine, other in zip((found.luma, *found.chroma), (expected.luma, *expected.chroma), strict=True):
                np.testing.assert_array_equal(mine, other)


def test_chroma_alone_is_a_film_and_has_no_report(tmp_path: Path) -> None:
    make_film(tmp_path / "scan.mkv", 2, "ffv1", "gray")
    asked = ColorizeConfig.load(None, ["output.only_chroma=true", "model.name=gray"])
    with pytest.raises(UsageError, match="chroma alone is written as a film"):
        colorize_video(tmp_path / "scan.mkv", tmp_path / "%03d.png", asked)
    with pytest.raises(ConfigError, match="leave one out"):
        ColorizeConfig.load(None, ["output.only_chroma=true", "output.report=true"])
