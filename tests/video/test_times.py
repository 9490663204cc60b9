"""Time is the film's: every pts, the start, the last duration, and what the container says about the picture."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from film_helpers import pass_through, times
from media import make_film

from videocolor.video import open_video, plan_output, probe

RATES = [Fraction(24000, 1001), Fraction(60000, 1001), Fraction(18), Fraction(16), Fraction(25)]
ROTATES = hasattr(av.VideoStream, "set_display_rotation")
CODEC = {".mkv": "libx264", ".mp4": "libx264", ".mov": "libx264"}
FAST = list(zip([*CODEC, ".mkv", ".mp4"], [".mp4", ".mov", ".mkv", ".mkv", ".mp4"], RATES, strict=True))


def same_times(source: Path, target: Path) -> None:
    """Equal to the tick; Matroska targets may round to their millisecond."""
    before, after = times(source), times(target)
    assert len(before) == len(after)
    slack = Fraction(1, 2000) if target.suffix == ".mkv" and source.suffix != ".mkv" else Fraction(0)
    assert all(abs(a - b) <= slack for a, b in zip(before, after, strict=True)), (before, after)


@pytest.mark.parametrize(
    ("into", "out", "rate"),
    [
        # Every container in and out, and every rate; the other combinations are slow.
        pytest.param(into, out, rate, marks=() if (into, out, rate) in FAST else pytest.mark.slow)
        for into, out, rate in itertools.product(CODEC, CODEC, RATES)
    ],
)
def test_every_time_is_kept(tmp_path: Path, into: str, out: str, rate: Fraction) -> None:
    source, target = tmp_path / f"in{into}", tmp_path / f"out{out}"
    make_film(source, 12, CODEC[into], rate=rate)
    pass_through(source, target, codec="libx264")
    same_times(source, target)
    assert probe(target).rate == pytest.approx(probe(source).rate, rel=0.03)


@pytest.mark.parametrize("out", [".mkv", ".mp4", ".mov"])
@pytest.mark.parametrize("into", [".mkv", ".mp4"])
def test_variable_rate_and_late_start(tmp_path: Path, into: str, out: str) -> None:
    source, target = tmp_path / f"in{into}", tmp_path / f"out{out}"
    make_film(source, 9, "libx264", pts=[500, 533, 600, 601, 840, 1500, 1517, 1550, 2999], time_base=Fraction(1, 1000))
    assert times(source)[0] == Fraction(1, 2)
    pass_through(source, target, codec="libx264")
    same_times(source, target)


@pytest.mark.parametrize("codec", ["libx264", "libx265", "prores_ks", "ffv1"])
def test_every_encoder_keeps_uneven_times(tmp_path: Path, codec: str) -> None:
    source = tmp_path / "in.mkv"
    target = tmp_path / ("out.mov" if codec == "prores_ks" else "out.mkv")
    make_film(source, 8, pts=[0, 7, 40, 41, 200, 1000, 1003, 1400], time_base=Fraction(1, 1000))
    pass_through(source, target, codec=codec)
    same_times(source, target)


@pytest.mark.parametrize("codec", ["libx264", pytest.param("libx265", marks=pytest.mark.slow), "ffv1"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_very_short_films_can_be_written(tmp_path: Path, codec: str, count: int) -> None:
    """x265 returns decoding times that were never set when it sees a single frame."""
    source = tmp_path / "in.mkv"
    make_film(source, count)
    for attempt in range(4 if codec == "libx265" else 1):
        target = tmp_path / f"out{attempt}.mkv"
        pass_through(source, target, codec=codec)
        same_times(source, target)


def test_the_last_frame_lasts_as_long_as_it_did(tmp_path: Path) -> None:
    source = tmp_path / "in.mp4"
    make_film(source, 5, "libx264", rate=Fraction(25))
    for suffix in (".mp4", ".mkv", ".mov"):
        target = tmp_path / f"out{suffix}"
        pass_through(source, target, codec="libx264")
        assert float(probe(target).duration or 0) == pytest.approx(0.2, abs=0.0011), suffix


def test_sound_keeps_its_place_beside_a_late_picture(tmp_path: Path) -> None:
    source, target = tmp_path / "in.mkv", tmp_path / "out.mp4"
    make_film(source, 12, "libx264", pts=range(12, 24), audio=[{}], audio_codec="aac")
    pass_through(source, target)
    same_times(source, target)
    assert audio_span(source) == pytest.approx(audio_span(target), abs=0.002)


def audio_span(path: Path) -> tuple[float, float]:
    """First and last presentation time of the sound in seconds."""
    with av.open(str(path)) as film:
        stamps = [float(p.pts * p.time_base) for p in film.demux(audio=0) if p.pts is not None]
    return stamps[0], stamps[-1]


@pytest.mark.parametrize(("into", "out"), [(".mp4", ".mkv"), (".mp4", ".mp4"), (".mkv", ".mp4"), (".mkv", ".mkv")])
def test_priming_of_compressed_sound_does_not_move_the_picture(tmp_path: Path, into: str, out: str) -> None:
    source, target = tmp_path / f"in{into}", tmp_path / f"out{out}"
    make_film(source, 12, "libx264", audio=[{}], audio_codec="aac")
    pass_through(source, target, codec="libx264")
    same_times(source, target)
    assert audio_span(source) == pytest.approx(audio_span(target), abs=0.002)


def test_duplicate_times_are_said_and_no_frame_is_lost(tmp_path: Path) -> None:
    source, target = tmp_path / "in.mkv", tmp_path / "out.mkv"
    make_film(source, 6, pts=[0, 42, 42, 125, 167, 208], time_base=Fraction(1, 1000))
    with open_video(source) as film:
        stamps = [frame.pts for frame in film]
    assert stamps == [0, 42, 43, 125, 167, 208]
    assert any("not after" in line and "frame 2" in line for line in film.losses)
    pass_through(source, target)
    assert len(times(target)) == 6


def test_picture_geometry_is_kept(tmp_path: Path) -> None:
    for suffix in (".mkv", ".mp4", ".mov"):
        source, target = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
        make_film(source, 2, "libx264", sar=Fraction(16, 15), rotation=90 if ROTATES else 0)
        pass_through(source, target, codec="libx264")
        info = probe(target)
        assert info.sar == Fraction(16, 15), suffix
        assert info.rotation == probe(source).rotation == (90 if ROTATES else 0), suffix


@pytest.mark.skipif(not hasattr(av.VideoCodecContext, "field_order"), reason="this PyAV does not tell")
@pytest.mark.parametrize(("number", "name"), [(2, "tt"), (3, "bb")])
def test_field_order_is_kept(tmp_path: Path, number: int, name: str) -> None:
    for suffix, codec in ((".mkv", "ffv1"), (".mov", "prores_ks"), (".mkv", "libx264")):
        source, target = tmp_path / "in.mkv", tmp_path / f"out{suffix}"
        make_film(source, 3, field_order=number)
        assert probe(source).field_order == name
        pass_through(source, target, codec=codec, overwrite=True)
        assert probe(target).field_order == name, codec


def test_trimming_takes_whole_frames_and_starts_at_zero(tmp_path: Path) -> None:
    source, target = tmp_path / "in.mkv", tmp_path / "out.mkv"
    make_film(source, 48, "libx264", audio=[{}], options={"g": "12"}, chapters=[(0, 900, "one"), (900, 2000, "two")])
    start, end = Fraction(1), Fraction(3, 2)
    frames, report, _ = pass_through(source, target, start=start, end=end)
    want = [t for t in times(source) if start <= t < end]
    assert [f.pts * f.time_base for f in frames] == want
    assert times(target) == [t - want[0] for t in want]
    assert (report.frames, frames[0].index) == (12, 0)
    first, last = audio_span(target)
    assert first < 0.03
    assert 0.4 < last < 0.5
    with av.open(str(target)) as film:
        assert [c["metadata"]["title"] for c in film.chapters()] == ["two"]


def test_seeking_gives_the_same_samples_as_reading_through(tmp_path: Path) -> None:
    source = tmp_path / "in.mkv"
    make_film(source, 40, "libx264", options={"g": "10", "bf": "3"})
    with open_video(source) as film:
        all_frames = list(film)
    with open_video(source, start=Fraction(1), end=Fraction(4, 3)) as film:
        part = list(film)
    same = [f for f in all_frames if Fraction(1) <= f.pts * f.time_base < Fraction(4, 3)]
    assert [f.pts for f in part] == [f.pts for f in same]
    for a, b in zip(part, same, strict=True):
        np.testing.assert_array_equal(a.luma, b.luma)
    assert film.losses == []


def test_edit_list_frames_outside_are_not_shown(tmp_path: Path) -> None:
    """A stream copy cut between keyframes: the container holds frames that the edit list hides."""
    whole, source, target = tmp_path / "whole.mp4", tmp_path / "in.mp4", tmp_path / "out.mp4"
    make_film(whole, 24, "libx264", options={"g": "24", "bf": "0"})
    with (
        av.open(str(whole)) as film,
        av.open(str(source), "w", container_options={"avoid_negative_ts": "disabled"}) as out,
    ):
        stream = out.add_stream_from_template(film.streams.video[0], opaque=True)
        for packet in film.demux(video=0):
            if packet.dts is not None:
                packet.pts -= 6
                packet.dts -= 6
                packet.stream = stream
                out.mux(packet)
    shown = times(source)
    assert len(shown) == 18
    pass_through(source, target)
    assert times(target) == shown


def test_a_late_first_frame_is_no_missing_end(tmp_path: Path) -> None:
    source = tmp_path / "in.mkv"
    make_film(source, 46, "libx264", pts=range(240, 286), audio=[{}])
    with open_video(source) as film:
        count = sum(1 for _ in film)
    assert count == 46
    assert film.losses == []
    assert float(probe(source).duration or 0) == pytest.approx(46 / 24, abs=0.1)


@pytest.mark.parametrize(
    ("suffix", "rate", "rounded"),
    [(".mp4", Fraction(25), False), (".mp4", Fraction(24), True), (".mkv", Fraction(24), False)],
)
def test_rounded_times_are_said_only_where_they_are(tmp_path: Path, suffix: str, rate: Fraction, rounded: bool) -> None:
    source = tmp_path / f"in{suffix}"
    make_film(source, 4, "libx264", rate=rate, pts=range(0, 2048, 512), time_base=1 / (rate * 512))
    notes = plan_output(probe(source), tmp_path / "out.mkv").notes
    assert any("milliseconds" in note for note in notes) == rounded
    pass_through(source, tmp_path / "out.mkv", codec="libx264")
    assert (times(source) != times(tmp_path / "out.mkv")) == rounded
