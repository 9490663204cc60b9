"""The display size of anamorphic films in Matroska, read back by another ffmpeg than the one that wrote it."""

from __future__ import annotations

import re
import subprocess
import zlib
from fractions import Fraction
from pathlib import Path

import av
import pytest
from ffmpeg_oracle import ffmpeg, frames_of, shown
from film_helpers import pass_through
from media import make_film

from videocolor.colorize import colorize_video
from videocolor.config import ColorizeConfig
from videocolor.errors import OutputError
from videocolor.video import plan_output, probe
from videocolor.video.matroska import RESERVED, write_display_size


def colored(source: Path, target: Path, *overrides: str) -> Path:
    colorize_video(source, target, ColorizeConfig.load(None, ["model.name=constant", *overrides]))
    return target


def shape(path: Path) -> str:
    """What an independent ffmpeg says of the picture's shape."""
    exe = pytest.importorskip("imageio_ffmpeg").get_ffmpeg_exe()
    said = subprocess.run([exe, "-hide_banner", "-i", str(path)], capture_output=True, text=True).stderr
    found = re.search(r"SAR (\d+:\d+)", said)
    return "1:1" if found is None else found[1]


@pytest.mark.parametrize(
    ("sar", "stated"),
    [
        (Fraction(16, 15), "16:15"),
        pytest.param(Fraction(1, 2), "1:2", marks=pytest.mark.slow),
        pytest.param(Fraction(1), "1:1", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("resume", ["true", "false"])
def test_a_master_keeps_its_shape(sar: Fraction, stated: str, resume: str, tmp_path: Path) -> None:
    source = tmp_path / "film.mp4"
    make_film(source, 6, "libx264", size=(120, 80), sar=sar, audio=[{}], audio_codec="aac")
    target = colored(source, tmp_path / "master.mkv", "output.codec=ffv1", f"output.resume={resume}")
    assert probe(source).sar == probe(target).sar == sar
    assert shape(target) == stated
    with av.open(str(target)) as film:
        assert "title" not in film.streams.video[0].metadata
        assert sum(1 for _ in film.decode(video=0)) == 6 and len(film.streams.audio) == 1


def test_a_name_is_kept_and_sums_are_right(tmp_path: Path) -> None:
    source, named = tmp_path / "film.mkv", tmp_path / "named.mkv"
    make_film(source, 4, "libx264", size=(64, 48), sar=Fraction(4, 3))
    with av.open(str(source)) as film, av.open(str(named), "w") as out:
        stream = out.add_stream_from_template(film.streams.video[0], opaque=True)
        stream.metadata["title"] = "Reel 7, Zürich"
        for packet in film.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    target = colored(named, tmp_path / "master.mkv", "output.codec=ffv1")
    with av.open(str(target)) as film:
        assert film.streams.video[0].metadata["title"] == "Reel 7, Zürich"
    data = target.read_bytes()
    assert RESERVED.encode() not in data
    found = re.search(rb"\x16\x54\xae\x6b(.{1,8}?)(?=\xbf\x84)", data, re.DOTALL)  # Tracks; its checksum comes first
    assert found is not None
    size = int.from_bytes(found[1], "big") & ((1 << 7 * len(found[1])) - 1)
    held = data[found.end() :][:size]
    assert int.from_bytes(held[2:6], "little") == zlib.crc32(held[6:])
    assert shape(target) == "4:3"


def test_webm(tmp_path: Path) -> None:
    source = tmp_path / "film.mp4"
    make_film(source, 4, "libx264", size=(64, 48), sar=Fraction(4, 3))
    assert shape(colored(source, tmp_path / "film.webm")) == "4:3"


def test_a_file_without_room_is_left_alone(tmp_path: Path) -> None:
    film = tmp_path / "film.mkv"
    make_film(film, 2, "ffv1", size=(64, 48))
    before = film.read_bytes()
    with pytest.raises(OutputError, match="no room"):
        write_display_size(film, 64, 48, Fraction(4, 3))
    (tmp_path / "odd.mkv").write_bytes(b"\x00\x01\x02")
    with pytest.raises(OutputError, match="no room"):
        write_display_size(tmp_path / "odd.mkv", 64, 48, Fraction(4, 3))
    assert film.read_bytes() == before


@pytest.mark.parametrize("codec", ["ffv1", "libx264"])
def test_a_crop_stays_a_crop(tmp_path: Path, codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target, mp4 = tmp_path / "in.mkv", tmp_path / "out.mkv", tmp_path / "in.mp4"
    make_film(mp4, 6, "libx264", size=(96, 64))
    source = cropped(mp4, source)
    assert probe(source).crop == (2, 8, 0, 12)
    assert ", 94x44" in shown(source)
    _, report, writer = pass_through(source, target, codec=codec, options={"crf": "0"} if codec == "libx264" else {})
    assert writer.plan.dropped == report.warnings == ()
    assert probe(target).crop == (2, 8, 0, 12)
    assert frames_of(target) == frames_of(source)
    assert probe(target).sar == 1
    monkeypatch.setattr("videocolor.video.trial.read_crop", lambda _: (0, 0, 0, 0))
    plan = plan_output(probe(source), tmp_path / "out.mp4")
    assert plan.dropped[0].startswith("crop (2 at the left, 8 at the top, 12 at the bottom)")


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
@pytest.mark.parametrize("title", ["", "Reel 1"])
def test_a_crop_is_the_clean_aperture_of_mp4(tmp_path: Path, suffix: str, title: str) -> None:
    mp4, source, target = tmp_path / "in.mp4", tmp_path / "in.mkv", tmp_path / f"out{suffix}"
    make_film(mp4, 6, "libx264", size=(96, 64), audio=[{}], audio_codec="aac")
    source = cropped(mp4, source)
    if title:
        named = tmp_path / "named.mkv"
        ffmpeg("-i", source, "-c", "copy", "-metadata:s:v", f"title={title}", named)
        source = named
    _, report, writer = pass_through(source, target, codec="libx264", options={"crf": "0"})
    assert writer.plan.dropped == report.warnings == ()
    assert probe(target).crop == (2, 8, 0, 12)
    assert ", 94x44" in shown(target)
    assert frames_of(target) == frames_of(source)
    with av.open(str(target)) as film:
        assert film.streams.video[0].metadata.get("title", film.streams.video[0].metadata.get("name", "")) == title


def cropped(film: Path, target: Path) -> Path:
    """Copy a film into Matroska with a crop, which is written where room was kept for it."""
    ffmpeg("-i", film, "-c", "copy", "-metadata:s:v", f"title={RESERVED}", target)
    write_display_size(target, 96, 64, Fraction(1), (2, 8, 0, 12))
    return target
