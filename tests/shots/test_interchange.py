"""Shot lists of other programs: exact in frames at every rate, there and back."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from media import make_film

from videocolor.cli import cli
from videocolor.errors import ConfigError, OutputError, UsageError
from videocolor.reports.shots import cut_shots
from videocolor.shots.interchange import frame_at, timecode_at
from videocolor.shots.shotlist import listed_shots, read_shots, write_shots
from videocolor.types import Shot
from videocolor.video import open_video
from videocolor.video.streams import start_timecode

RATES = (
    (Fraction(24000, 1001), "01:00:00:00"),
    (Fraction(25), None),
    (Fraction(30000, 1001), "09:59:59;28"),
    (Fraction(30000, 1001), "23:59:00:00"),
    (Fraction(18), "00:00:10:00"),
)
NOTES = {1: "doubtful: confidence 0.21", 3: 'hint "brücke, Nr. 2".png'}


def shots_of(rate: Fraction) -> list[Shot]:
    """Some 40 minutes, with shots around every dropped number."""
    starts = sorted({0, 1, *(np.random.default_rng(2).integers(2, 70_000, 60).tolist()), 1797, 1798, 1800, 17_982})
    ends = [*starts[1:], 70_001]
    return [Shot(n, a, b, a, b, 1 / rate) for n, (a, b) in enumerate(zip(starts, ends, strict=True))]


@pytest.mark.parametrize("suffix", [".otio", ".edl", ".csv", ".yaml"])
@pytest.mark.parametrize(("rate", "timecode"), RATES)
def test_lists_come_back_exact_in_frames(tmp_path: Path, suffix: str, rate: Fraction, timecode: str | None) -> None:
    if suffix == ".otio":
        pytest.importorskip("opentimelineio")
    shots, path = shots_of(rate), tmp_path / f"list{suffix}"
    write_shots(path, shots, film="a film.mkv", notes=NOTES, rate=rate, timecode=timecode)
    assert [(shot.start, shot.note) for shot in read_shots(path)] == [(s.start, NOTES.get(s.index)) for s in shots]
    assert listed_shots(path).frames == 70_001


def test_timecodes_are_those_of_the_standard() -> None:
    ntsc = Fraction(30000, 1001)
    for frame, text in ((1799, "00:00:59;29"), (1800, "00:01:00;02"), (17_981, "00:09:59;29"), (17_982, "00:10:00;00")):
        assert timecode_at(frame, ntsc, drop=True) == text
        assert frame_at(text, ntsc, drop=True) == frame
    with pytest.raises(ValueError, match="there is no 00:01:00;00 at 29"):
        frame_at("00:01:00;00", ntsc, drop=True)


def test_frames_and_markers_are_those_that_opentimelineio_sees(tmp_path: Path) -> None:
    otio = pytest.importorskip("opentimelineio")
    rate, path = Fraction(30000, 1001), tmp_path / "list.otio"
    write_shots(path, shots_of(rate), film="in.mkv", notes=NOTES, rate=rate, timecode="01:00:00;00")
    timeline = otio.adapters.read_from_file(str(path))
    clips = list(timeline.find_clips())
    begins = [clip.range_in_parent().start_time.to_frames() for clip in clips]
    assert begins == [shot.start for shot in shots_of(rate)]
    assert clips[1].source_range.start_time.to_timecode() == "01:00:00;01"
    assert [marker.color for clip in clips for marker in clip.markers] == ["RED", "GREEN"]


def test_an_edl_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "cuts.edl"
    path.write_text(
        "TITLE: reel\nFCM: NON-DROP FRAME\n* RATE: 25\n\n"
        "001  REEL1    V     C        10:00:00:00 10:00:02:00 01:00:00:00 01:00:02:00\n"
        "002  REEL1    A     C        10:00:00:00 10:00:09:00 01:00:00:00 01:00:09:00\n"
        "003  REEL1    V     C        10:00:02:00 10:00:02:00 01:00:02:00 01:00:02:00\n"
        "003  REEL2    V     D    012 04:00:00:00 04:00:01:10 01:00:02:00 01:00:03:10\n"
        "004  REEL1    AA/V  C        10:00:20:00 10:00:21:00 01:00:05:00 01:00:06:00\n"
    )
    assert [shot.start for shot in read_shots(path)] == [0, 50, 85, 125]
    assert listed_shots(path).frames == 150


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "a.edl",
            "001 AX V C 00:00:00:00 00:00:01:00 00:00:00:00 00:00:01:00",
            "line 1: an EDL does not say its frame",
        ),
        ("a.edl", "* RATE: 25\n1 AX V C 00:00:00:00 00:00:01:00 00:00:00:25 00:00:01:00", "line 2: there is no"),
        ("a.edl", "* RATE: 0/0", "line 1"),
        ("a.csv", "shot;frame\n1;0\n", "no column `frame`"),
        ("a.csv", "frame\n0\nx\n", "line 3: `frame` and `end` are whole numbers"),
        ("a.csv", "frame\n5\n5\n", "shot 2 begins at frame 5, not after 5"),
        ("a.otio", "{}", "cannot be read as OpenTimelineIO|no timeline"),
        ("a.otio", '{"OTIO_SCHEMA": "Timeline.1", "name": "x"}', "no timeline with a video track|cannot be read"),
    ],
)
def test_what_is_no_list_is_refused(tmp_path: Path, name: str, text: str, said: str) -> None:
    if name.endswith(".otio"):
        pytest.importorskip("opentimelineio")
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_shots(tmp_path / name)


def test_lists_are_written_and_turned_by_the_command(tmp_path: Path) -> None:
    film, edl, back = tmp_path / "in.mkv", tmp_path / "cuts.edl", tmp_path / "cuts.yaml"
    make_film(film, 6, "ffv1", "gray", rate=Fraction(25), metadata={"timecode": "01:00:00:00"})
    shot = {"index": 1, "start": 0, "end": 4, "start_seconds": 0.0, "confidence": 0.2, "hints": ["x/hint.png"]}
    shots = [shot, shot | {"index": 2, "start": 4, "end": 6, "start_seconds": 0.16, "confidence": None, "hints": []}]
    (tmp_path / "out.mkv.json").write_text(json.dumps({"shots": shots}))
    run = CliRunner().invoke
    assert run(cli, ["shots", str(film), "--of", str(tmp_path / "out.mkv"), "-o", str(edl)]).exit_code == 0
    assert "01:00:00:04 01:00:00:06" in edl.read_text()
    assert "RED     doubtful: confidence 0.20; hint hint.png" in edl.read_text()
    assert run(cli, ["shots", str(film), "--set", f"shots.file={edl}", "-o", str(back)]).exit_code == 0
    assert [each.start for each in read_shots(back)] == [0, 4]


def test_shots_are_cut_out_with_handles(tmp_path: Path) -> None:
    film = tmp_path / "in.mkv"
    make_film(film, 8, "ffv1", rate=Fraction(25), metadata={"timecode": "01:00:00:00"}, options={"g": "1"})
    (tmp_path / "out.mkv").write_bytes(film.read_bytes())
    shot = {"start_seconds": 0.0, "confidence": None, "hints": []}
    shots = [shot | {"index": 1, "start": 0, "end": 4}, shot | {"index": 2, "start": 4, "end": 8}]
    (tmp_path / "out.mkv.json").write_text(json.dumps({"shots": shots}))
    asked = ["shots", str(film), "--of", str(tmp_path / "out.mkv"), "--handles", "2", "-o", str(tmp_path / "cut")]
    assert CliRunner().invoke(cli, asked).exit_code == 0
    with open_video(film) as complete:
        lumas = [frame.luma.copy() for frame in complete]
    for name, span, code in (("0001.mkv", slice(0, 6), "01:00:00:00"), ("0002.mkv", slice(2, 8), "01:00:00:02")):
        with open_video(tmp_path / "cut" / name) as video:
            found = [(frame.pts * frame.time_base, frame.luma.copy()) for frame in video]
            assert start_timecode(video.info) == code
        assert [time for time, _ in found] == [Fraction(n, 25) for n in range(6)]
        np.testing.assert_array_equal([luma for _, luma in found], lumas[span])
    assert CliRunner().invoke(cli, asked).exit_code == 1
    make_film(tmp_path / "out.mkv", 8, "libx264", "yuv420p", rate=Fraction(25))
    (tmp_path / "other").mkdir()
    with pytest.raises(OutputError, match="frame 1 needs others"):
        cut_shots(film, tmp_path / "out.mkv", tmp_path / "other", 2)
    assert not list((tmp_path / "other").iterdir())


def test_a_film_without_a_rate_has_no_timecode(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no frame rate to count with; write \.csv or \.yaml"):
        write_shots(tmp_path / "a.edl", shots_of(Fraction(25)))
