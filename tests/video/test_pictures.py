"""Pictures as film: EXIF, orientation, pages, depths, rates, gaps."""

from __future__ import annotations

import subprocess
from pathlib import Path

import av
import numpy as np
import pytest
from film_helpers import pass_through, times
from imageio_ffmpeg import get_ffmpeg_exe
from PIL import Image

from videocolor.video.sidedata import _pass_over, side_data

SIZE = (64, 48)


def scan(index: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Make a gray picture of which every corner differs, and every index."""
    y, x = np.mgrid[0 : size[1], 0 : size[0]]
    return ((x * 2 + y * 3 + index * 5) % 256).astype(np.uint8)


def ffmpeg(*args: object) -> bytes:
    """Run an ffmpeg that is not the one under test."""
    command = [get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", *map(str, args)]
    return subprocess.run(command, check=True, capture_output=True).stdout


def gray_by_ffmpeg(path: Path, *args: object) -> np.ndarray:
    """Read luma as the other ffmpeg decodes it: (frames, height, width)."""
    raw = ffmpeg(*args, "-i", path, "-map", "0:v", "-vf", "extractplanes=y", "-f", "rawvideo", "-pix_fmt", "gray", "-")
    return np.frombuffer(raw, np.uint8).reshape(-1, SIZE[1], SIZE[0])


def exif_bytes(orientation: int = 1) -> Image.Exif:
    """Make the EXIF that a scanner writes."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Scanner", orientation
    return exif


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_scans_with_exif_are_a_film(tmp_path: Path, suffix: str) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    for i in range(3):
        Image.fromarray(scan(i)).save(folder / f"scan_{i:03}.{suffix}", exif=exif_bytes())
    pass_through(folder, tmp_path / "x.mkv", codec="ffv1")
    expected = [gray_by_ffmpeg(folder / f"scan_{i:03}.{suffix}")[0] for i in range(3)]
    np.testing.assert_array_equal(gray_by_ffmpeg(tmp_path / "x.mkv"), expected)
    if suffix != "jpg":
        np.testing.assert_array_equal(expected, [scan(i) for i in range(3)])


def test_motion_jpeg_with_exif_is_a_film(tmp_path: Path) -> None:
    for i in range(3):
        Image.fromarray(scan(i)).save(tmp_path / f"s_{i}.jpg", exif=exif_bytes())
    film = tmp_path / "mjpeg.mov"
    ffmpeg("-framerate", 18, "-i", tmp_path / "s_%d.jpg", "-c", "copy", film)
    pass_through(film, tmp_path / "x.mov", codec="libx264", crf=0)
    np.testing.assert_array_equal(gray_by_ffmpeg(tmp_path / "x.mov"), gray_by_ffmpeg(film))
    assert times(tmp_path / "x.mov") == times(film)


def test_unknown_side_data_is_passed_over_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _pass_over.cache_clear()
    Image.fromarray(scan(0)).save(tmp_path / "s.jpg", exif=exif_bytes(6))
    with av.open(str(tmp_path / "s.jpg")) as file, caplog.at_level("INFO", "videocolor"):
        frame = next(file.decode(video=0))
        kinds = dict(side_data(frame))
    assert list(kinds) == ["DISPLAYMATRIX"]
    assert len(kinds["DISPLAYMATRIX"]) == 36
    assert "kind 31" in caplog.text
