"""adapters/ffmpeg: the lines of its manual, run by a real FFmpeg."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import av
import pytest
from media import make_film

from videocolor.video import open_video

ffmpeg = pytest.importorskip("imageio_ffmpeg")


@pytest.mark.slow
def test_the_recipe_runs(root: Path, tmp_path: Path) -> None:
    make_film(tmp_path / "in.mkv", 6, "ffv1", size=(80, 48), audio=[{"title": "Ton"}])
    lines = re.findall(r"^    (ffmpeg .*)$", (root / "adapters/ffmpeg/README.md").read_text(), re.MULTILINE)
    assert len(lines) == 2
    for line in lines:
        command = line.replace("ffmpeg ", f"'{ffmpeg.get_ffmpeg_exe()}' ", 1).replace(
            "| videocolor ", f"| '{sys.executable}' -m videocolor "
        )
        done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, done.stderr
    for name in ("color.mkv", "laid.mkv"):
        with open_video(tmp_path / "in.mkv") as before, open_video(tmp_path / name) as after:
            assert all((a.luma[:, :64] == b.luma).all() for a, b in zip(before, after, strict=True)), name
    with av.open(str(tmp_path / "color.mkv")) as film:
        assert film.streams.audio[0].metadata["title"] == "Ton"
