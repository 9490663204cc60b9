"""Recipes do what their manuals say, on small films."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from media import make_film

from videocolor import before_after, verify_film


def recipe(root: Path, name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(root / "pipelines" / name), *map(str, arguments)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=250,
    )


@pytest.mark.slow
def test_colorize_film(root: Path, tmp_path: Path) -> None:
    make_film(tmp_path / "in.mkv", 12, pix_fmt="gray")
    out = tmp_path / "out.mkv"
    done = recipe(
        root, "colorize_film.py", tmp_path / "in.mkv", out, "--config", "master", "--set", "model.name=constant"
    )
    assert done.returncode == 0, done.stderr
    assert "12 -> 12, largest luma difference 0" in done.stdout
    assert (tmp_path / "out.mkv.before_after.jpg").stat().st_size > 1000
    assert json.loads((tmp_path / "out.mkv.json").read_text())["frames"] == 12


@pytest.mark.slow
def test_colorize_film_says_what_is_wrong(root: Path, tmp_path: Path) -> None:
    done = recipe(root, "colorize_film.py", tmp_path / "none.mkv", tmp_path / "out.mkv")
    assert done.returncode == 1
    assert "none.mkv" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_hold_back_is_what_is_committed(root: Path, tmp_path: Path) -> None:
    footage = tmp_path / "footage"
    for part, rows in {"train": ["a.mp4,x/y:a.mp4", "b.mp4,x/y:b.mp4"], "images": ["1.jpg,x/z:1.jpg"]}.items():
        (footage / part).mkdir(parents=True)
        (footage / part / "manifest.csv").write_text("\n".join(["file,source", *rows]) + "\n")
    for name in ("a.mp4", "b.mp4"):
        (footage / "train" / name).write_bytes(name.encode())
    for output in ("one.yaml", "two.yaml"):
        done = recipe(root, "hold_back.py", footage, "-o", tmp_path / output, "--clips", "0.99", "--images", "0.99")
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "one.yaml").read_text() == (tmp_path / "two.yaml").read_text()
    assert "a.mp4" in (tmp_path / "one.yaml").read_text()


@pytest.mark.parametrize("change", ["luma", "frames", "times"])
def test_verification_can_fail(change: str, tmp_path: Path) -> None:
    planes = make_film(tmp_path / "a.mkv", 6)
    if change == "luma":
        planes[3][0][5, 7] ^= 1
    pts = range(6) if change != "times" else [0, 1, 2, 3, 4, 7]
    make_film(
        tmp_path / "b.mkv", planes[: 5 if change == "frames" else 6], pts=list(pts)[: 5 if change == "frames" else 6]
    )
    check = verify_film(tmp_path / "a.mkv", tmp_path / "b.mkv")
    assert not check.exact
    assert verify_film(tmp_path / "a.mkv", tmp_path / "a.mkv").exact
    assert (check.luma_max_diff == 1) == (change == "luma")


def test_sheet_shows_gray_over_color(tmp_path: Path) -> None:
    import cv2

    frame = [np.full((48, 64), 120, np.uint8), np.full((24, 32), 90, np.uint8), np.full((24, 32), 180, np.uint8)]
    make_film(tmp_path / "a.mkv", [frame] * 6)
    sheet = before_after([(tmp_path / "a.mkv", tmp_path / "a.mkv")], tmp_path / "s.png", columns=2, height=48)
    picture = cv2.imread(str(sheet)).astype(int)
    assert picture.shape == (96, 128, 3)
    assert np.ptp(picture[:48], axis=2).max() <= 1
    assert np.ptp(picture[48:], axis=2).min() > 30


@pytest.mark.slow
def test_before_after(root: Path, tmp_path: Path) -> None:
    make_film(tmp_path / "in.mkv", 8, pix_fmt="gray")
    sheet = tmp_path / "sheet.jpg"
    done = recipe(root, "before_after.py", tmp_path / "in.mkv", "-o", sheet, "--set", "model.name=constant")
    assert done.returncode == 0, done.stderr
    assert sheet.stat().st_size > 1000


def test_look_sheet(root: Path, tmp_path: Path) -> None:
    main = runpy.run_path(str(root / "pipelines/look_sheet.py"))["main"]
    colors = {"truth": 40, "gray": 80, "videocolor": 120, "flow": 160}
    for run, methods in (("auto", ("gray", "videocolor")), ("e1", ("truth", "videocolor", "flow"))):
        for clip in ("one", "two"):
            folder = tmp_path / run / "stills" / clip
            folder.mkdir(parents=True)
            for method in methods:
                value = colors[method] + (60 if run == "e1" and method == "videocolor" else 0)
                cv2.imwrite(str(folder / f"{method}-abc-000007.png"), np.full((63, 112, 3), value, np.uint8))
    sheet = tmp_path / "look.png"
    run = ["--clips", str(tmp_path / "auto"), str(tmp_path / "e1"), "-o", str(sheet)]
    result = CliRunner().invoke(main, [*run, "--only", "two"])
    assert result.exit_code == 0 and "1 frames" in result.output
    row = cv2.imread(str(sheet))[14:]
    assert [int(row[100, 224 * n + 112, 0]) for n in range(5)] == [40, 80, 120, 180, 160]

    (tmp_path / "auto/stills/one/gray-abc-000007.png").unlink()
    result = CliRunner().invoke(main, run)
    assert result.exit_code == 1 and "no still of gray at frame 000007" in str(result.exception or result.output)
    result = CliRunner().invoke(main, ["--film", str(tmp_path / "look.png"), "-o", str(sheet)])
    assert "no hint was made for it by hand" in str(result.exception or result.output)
