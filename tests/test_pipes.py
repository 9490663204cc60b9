"""Films through pipes, targets that are links, and what a dry run says of color that is there already."""

from __future__ import annotations

import io
import json
import os
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from media import make_film, noise_planes

from videocolor.colorize import colorize_video
from videocolor.config import ColorizeConfig
from videocolor.dryrun import plan_colorize
from videocolor.errors import InputError, OutputError, UsageError
from videocolor.models.base import Colorizer, HintInput, ModelCard, Prediction
from videocolor.types import Array
from videocolor.video import OutputOptions, open_video, plan_output, probe

SIZE = (64, 48)


class Even(Colorizer):
    """Colors by lightness."""

    card = ModelCard("even", "Even", "many", 0, 0, area=SIZE[0] * SIZE[1])

    def begin(self, hints: list[HintInput]) -> None:
        """Take no notice."""

    def step(self, memory: None, luma: Array) -> Prediction:
        return Prediction(np.stack([30 * luma, 20 - 40 * luma], axis=1).astype(np.float32))


@pytest.fixture(autouse=True)
def _even(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("videocolor.pipeline.film.load_colorizer", lambda *_, **__: Even())


def config(**output: Any) -> ColorizeConfig:
    return ColorizeConfig.load(None, ["output.codec=ffv1", *(f"output.{key}={value}" for key, value in output.items())])


def planes(path: Path) -> list[tuple[int, Array, Array]]:
    with open_video(path) as film:
        return [(frame.pts, frame.luma.copy(), frame.chroma[0].copy()) for frame in film if frame.chroma]


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_pipe_gives_the_film_that_its_file_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    film, pipe = tmp_path / f"in{suffix}", tmp_path / f"fifo{suffix}"
    make_film(film, 6, "libx264", "gray")
    data = film.read_bytes()
    colorize_video(film, tmp_path / "file.mkv", config())
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(data,))
    writer.start()
    colorize_video(pipe, tmp_path / "pipe.mkv", config())
    writer.join()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: False, buffer=io.BytesIO(data)))
    notes: list[str] = []
    colorize_video(
        Path("-"),
        tmp_path / "stdin.mkv",
        config(),
        observer=lambda event: notes.append(event.data.get("message", "")) if event.kind == "note" else None,
    )
    expected = planes(tmp_path / "file.mkv")
    for name in ("pipe.mkv", "stdin.mkv"):
        for found, wanted in zip(planes(tmp_path / name), expected, strict=True):
            assert found[0] == wanted[0]
            np.testing.assert_array_equal(found[1], wanted[1])
            np.testing.assert_array_equal(found[2], wanted[2])
    assert any("cannot be continued" in note for note in notes)
    assert json.loads((tmp_path / "stdin.mkv.json").read_text())["source"]["path"] == "-"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_what_cannot_be_read_from_a_pipe_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = tmp_path / "pipe.tif"
    os.mkfifo(pipe)
    for path in (pipe, Path("-")):
        with pytest.raises(InputError, match="a pipe is read only once"):
            probe(path)
        with pytest.raises(UsageError, match="--dry-run needs a file"):
            plan_colorize(path, tmp_path / "x.mkv", config())
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    with pytest.raises(UsageError, match="is a terminal"):
        colorize_video(Path("-"), tmp_path / "x.mkv", config())
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: False, buffer=io.BytesIO(b"")))
    with pytest.raises(InputError, match="nothing came through"):
        colorize_video(Path("-"), tmp_path / "x.mkv", config())
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: False, buffer=io.BytesIO(b"no film")))
    with pytest.raises(InputError, match=r"^-: cannot be read as a film"):
        colorize_video(Path("-"), tmp_path / "x.mkv", config())
    (tmp_path / "x.mkv").write_bytes(b"old")
    with pytest.raises(OutputError, match="exists already"):
        colorize_video(pipe, tmp_path / "x.mkv", config())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pipe.tif", "x.mkv"]


@pytest.mark.parametrize("resume", ["true", "false"])
def test_a_link_stays_and_its_file_is_written(tmp_path: Path, resume: str) -> None:
    make_film(tmp_path / "in.mkv", 3, "ffv1", "gray")
    (tmp_path / "disk").mkdir()
    link, real = tmp_path / "latest.mkv", tmp_path / "disk" / "film_2.mkv"
    link.symlink_to(real)
    colorize_video(tmp_path / "in.mkv", link, config(resume=resume))
    assert link.is_symlink() and len(planes(real)) == 3
    with pytest.raises(OutputError, match=r"film_2\.mkv: exists already"):
        colorize_video(tmp_path / "in.mkv", link, config(resume=resume, sidecar="false"))
    before = real.stat().st_ino
    result = colorize_video(tmp_path / "in.mkv", link, config(resume=resume, overwrite="true"))
    assert link.is_symlink() and real.stat().st_ino != before and result.frames == 3
    assert [path.name for path in real.parent.iterdir()] == ["film_2.mkv"]
    notes = plan_output(probe(tmp_path / "in.mkv"), link, OutputOptions(overwrite=True)).notes
    assert notes[0] == f"{link} is a symbolic link, which stays; {real} is written"
    (tmp_path / "round.mkv").symlink_to("round.mkv")
    with pytest.raises(OutputError, match="leads nowhere"):
        plan_output(probe(tmp_path / "in.mkv"), tmp_path / "round.mkv")


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "gbrp10le"])
def test_a_dry_run_says_which_shots_have_color_already(tmp_path: Path, pix_fmt: str) -> None:
    frames = []
    for shot, colored in enumerate((False, True, False)):
        luma = np.kron(noise_planes(8, 6, "gray", shot)[0], np.ones((8, 8), np.uint8))
        for _ in range(24):
            if pix_fmt == "gbrp10le":
                deep = luma.astype(np.uint16) * 4
                frames.append([deep, deep, np.roll(deep, 20, 1) if colored else deep])
            else:
                chroma = (luma[::2, ::2] // 2 + 64) if colored else np.full((24, 32), 128, np.uint8)
                frames.append([luma, chroma, chroma])
    make_film(tmp_path / "in.mkv", frames, "ffv1", pix_fmt)
    plan = plan_colorize(tmp_path / "in.mkv", tmp_path / "x.mkv", config())
    assert len(plan.scan.shots) == 3
    said = [warning for warning in plan.warnings if "already in color" in warning]
    fate = "its chroma is replaced; chroma.keep_source=true keeps it"
    assert said == [f"the source is already in color in shots 2: {fate}"]
    assert f"warning   {said[0]}" in plan.lines()
