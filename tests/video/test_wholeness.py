"""A film that was cut off or overwritten is never read as a shorter, whole one."""

from __future__ import annotations

from pathlib import Path

import pytest
from media import make_film

from videocolor.video import open_video

SUFFIXES = (".mkv", ".ts", ".avi")


def film(path: Path) -> bytes:
    make_film(path, 24, codec="mpeg4" if path.suffix == ".avi" else "libx264")
    return path.read_bytes()


def losses(path: Path) -> tuple[int, list[str]]:
    with open_video(path) as video:
        return sum(1 for _ in video), video.losses


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_whole_film_has_lost_nothing(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"film{suffix}"
    film(path)
    assert losses(path) == (24, [])


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
def test_a_film_cut_off_is_said(suffix: str, share: float, tmp_path: Path) -> None:
    path = tmp_path / f"film{suffix}"
    data = film(path)
    path.write_bytes(data[: int(len(data) * share) // 188 * 188 + 40])
    count, said = losses(path)
    assert count < 24
    assert any("cut short" in line or "promises" in line for line in said), said


def test_overwritten_transport_packets_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "film.ts"
    data = bytearray(film(path))
    start = len(data) * 3 // 4 // 188 * 188
    data[start:] = bytes(len(data) - start)
    path.write_bytes(data)
    _, said = losses(path)
    assert any("transport packets are damaged" in line for line in said), said
