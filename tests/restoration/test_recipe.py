"""The recipe that restores a film and leaves it black and white."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import damage
import numpy as np
import pytest
from media import make_film, neutral_chroma

from videocolor.video import open_video


def recipe(root: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(root / "pipelines" / "restore_picture.py"), *map(str, arguments)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=250,
    )


@pytest.mark.slow
def test_a_pulled_down_dirty_film_is_restored(root: Path, tmp_path: Path) -> None:
    film = damage.textured_pan(1, 40, (144, 192), 3.0)
    woven, shown = damage.pulldown(film, "23")
    chroma = [neutral_chroma((96, 72), 8)] * 2
    source, target = tmp_path / "in.mkv", tmp_path / "out.mkv"
    make_film(source, [[luma, *chroma] for luma in woven], size=(192, 144), audio=[{"language": "deu"}])
    done = recipe(root, source, target, "--telecine", "--dust")
    assert done.returncode == 0, done.stderr
    assert "steps: telecine, dust" in done.stdout
    assert "cadence: 3:2 pulldown, repeats every 5 frames" in done.stdout
    assert f"{len(woven)} frames, " in done.stdout
    with open_video(source) as before, open_video(target) as after:
        assert [s.kind for s in after.info.streams] == [s.kind for s in before.info.streams]
        for a, b, number in zip(before, after, shown, strict=True):
            assert a.pts * a.time_base == b.pts * b.time_base
            if b.index < len(woven) - 1:
                assert np.array_equal(b.luma, film[number]), f"frame {b.index}"
            assert b.chroma is not None
            assert all((plane == 128).all() for plane in b.chroma)


@pytest.mark.parametrize(
    ("arguments", "code", "parts"),
    [
        pytest.param([], 2, ["nothing to do", "--dust"], marks=pytest.mark.slow),
        pytest.param(["--dust", "--set", "dust_contrast=1"], 2, ["dust_contrast = 1", "4..64"], marks=pytest.mark.slow),
        pytest.param(["--dust", "--set", "dust_contrst=9"], 2, ["did you mean dust_contrast"], marks=pytest.mark.slow),
        (["--dust"], 1, ["in.mkv", "no such file"]),
    ],
)
def test_what_is_wrong_is_said(arguments: list[str], code: int, parts: list[str], root: Path, tmp_path: Path) -> None:
    done = recipe(root, tmp_path / "in.mkv", tmp_path / "out.mkv", *arguments)
    assert done.returncode == code
    assert all(part in done.stderr for part in parts), done.stderr
    assert "Traceback" not in done.stderr
    assert not any(tmp_path.iterdir())
