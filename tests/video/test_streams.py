"""Everything else is copied, and what cannot be is named before the work starts."""

from __future__ import annotations

import hashlib
import itertools
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from ffmpeg_oracle import NOISE, TONE, ffmpeg, packets_of
from film_helpers import pass_through, times
from media import make_film, neutral_chroma, noise_planes

from videocolor.errors import OutputError
from videocolor.video import OutputOptions, VideoWriter, open_video, plan_output, probe, streams
from videocolor.video.packets import digests_of
from videocolor.video.remux import StreamCopier, _Track

FONT = bytes(range(256)) * 8
RICH: dict[str, Any] = {
    "audio": [{"language": "deu", "title": "Ton"}, {"language": "eng", "title": "Commentary"}],
    "subtitles": [(0, 400, "Guten Tag"), (500, 400, "Ende")],
    "chapters": [(0, 500, "Anfang"), (500, 1000, "Schluss")],
    "attachments": {"font.ttf": FONT},
    "metadata": {"title": "Berlin 1927", "comment": "print 3"},
}


def payloads(path: Path, kind: str) -> list[list[tuple[float, bytes]]]:
    """(time, bytes) of every packet of every stream of a kind."""
    with av.open(str(path)) as film:
        streams = [s for s in film.streams if s.type == kind]
        found: dict[int, list[tuple[float, bytes]]] = {s.index: [] for s in streams}
        for packet in film.demux(streams) if streams else ():
            if packet.size and packet.pts is not None:
                found[packet.stream_index].append((round(float(packet.pts * packet.time_base), 3), bytes(packet)))
    return list(found.values())


def test_a_rich_film_keeps_everything(tmp_path: Path) -> None:
    source, target = tmp_path / "in.mkv", tmp_path / "out.mkv"
    make_film(source, 24, "libx264", **RICH)
    _, report, out = pass_through(source, target)
    assert out.plan.dropped == ()
    assert report.warnings == ()
    for kind in ("audio", "subtitle"):
        assert payloads(source, kind) == payloads(target, kind)
        assert payloads(target, kind)
    with av.open(str(source)) as a, av.open(str(target)) as b:
        assert [s.type for s in b.streams] == [s.type for s in a.streams]
        assert [s.language for s in b.streams] == [s.language for s in a.streams]
        assert [s.metadata.get("title") for s in b.streams.audio] == ["Ton", "Commentary"]
        assert [s.disposition.value for s in b.streams] == [s.disposition.value for s in a.streams]
        assert b.streams.attachments[0].data == FONT
        assert [c["metadata"]["title"] for c in b.chapters()] == ["Anfang", "Schluss"]
        assert [c["end"] * c["time_base"] for c in b.chapters()] == [c["end"] * c["time_base"] for c in a.chapters()]
        tags = {k.lower(): v for k, v in b.metadata.items()}
        assert tags["title"] == "Berlin 1927"
        assert tags["comment"] == "print 3; colorized by videocolor, not original color"


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_what_a_container_cannot_hold_is_named(tmp_path: Path, suffix: str) -> None:
    source, target = tmp_path / "in.mkv", tmp_path / f"out{suffix}"
    make_film(source, 24, "libx264", **RICH, audio_codec="aac")
    plan = plan_output(probe(source), target, OutputOptions(codec="libx264"))
    assert len(plan.dropped) == 1 and "font.ttf" in plan.dropped[0]
    assert any("(srt) deu" in note and "stored as mov_text" in note for note in plan.notes)
    assert not target.exists()
    pass_through(source, target, codec="libx264")
    assert [len(p) for p in payloads(target, "audio")] == [len(p) for p in payloads(source, "audio")]
    with av.open(str(target)) as film:
        assert [s.language for s in film.streams.audio] == ["ger" if suffix == ".mov" else "deu", "eng"]
        assert [c["metadata"]["title"] for c in film.chapters()] == ["Anfang", "Schluss"]
        assert film.metadata["title"] == "Berlin 1927"


def test_odd_tags_survive_in_mp4_and_the_label_can_be_left_off(tmp_path: Path) -> None:
    source, target = tmp_path / "in.mkv", tmp_path / "out.mp4"
    make_film(source, 2, "libx264", metadata={"reel": "4B", "title": "x"})
    pass_through(source, target, color_label=False)
    with av.open(str(target)) as film:
        assert {k.lower(): v for k, v in film.metadata.items()}["reel"] == "4B"
        assert "comment" not in film.metadata


@pytest.mark.parametrize(("into", "out"), [(".mov", ".mov"), (".mov", ".mp4"), (".mov", ".mkv")])
def test_timecode_is_kept(tmp_path: Path, into: str, out: str) -> None:
    source, target = tmp_path / f"in{into}", tmp_path / f"out{out}"
    make_film(source, 24, "libx264", metadata={"timecode": "01:02:03:04"})
    _, _, writer = pass_through(source, target, codec="libx264")
    assert writer.plan.dropped == ()
    with av.open(str(target)) as film:
        found = {k.lower(): v for owner in (film, *film.streams) for k, v in owner.metadata.items()}
    assert found["timecode"] == "01:02:03:04"
    assert times(target)[0] == 0


@pytest.mark.parametrize("out", [".mp4", ".mkv", ".mov"])
def test_chapters_of_mp4_are_no_stray_stream(tmp_path: Path, out: str) -> None:
    source, target = tmp_path / "in.mp4", tmp_path / f"out{out}"
    make_film(source, 24, "libx264", chapters=RICH["chapters"])
    _, _, writer = pass_through(source, target, codec="libx264")
    assert writer.plan.dropped == ()
    with av.open(str(target)) as film:
        assert [c["metadata"]["title"] for c in film.chapters()] == ["Anfang", "Schluss"]


@pytest.mark.parametrize(("into", "out"), [(".mkv", ".mkv"), (".mkv", ".mp4"), (".mp4", ".mkv"), (".mp4", ".mp4")])
def test_cover_picture_is_kept_and_never_taken_for_the_film(tmp_path: Path, into: str, out: str) -> None:
    plain, source, target = tmp_path / "plain.mp4", tmp_path / f"in{into}", tmp_path / f"out{out}"
    make_film(plain, 6, "libx264")
    cover = _jpeg()
    with av.open(str(plain)) as film, av.open(str(source), "w") as made:
        picture = made.add_stream_from_template(film.streams.video[0], opaque=True)
        art = None
        if into == ".mkv":
            made.add_attachment("cover.jpg", "image/jpeg", cover)
        else:
            art = made.add_mux_stream("mjpeg", width=32, height=32)
            art.time_base = film.streams.video[0].time_base
            art.disposition = av.stream.Disposition.attached_pic.value
        for packet in film.demux(video=0):
            if packet.dts is not None:
                packet.stream = picture
                made.mux(packet)
        if art is not None:
            packet = av.Packet(cover)
            packet.stream, packet.pts, packet.dts, packet.time_base = art, 0, 0, picture.time_base
            made.mux(packet)
    assert probe(source).codec == "h264"
    _, report, writer = pass_through(source, target)
    assert writer.plan.dropped == ()
    assert [(each.packets, each.sha256) for each in report.copied] == [(1, hashlib.sha256(cover).hexdigest())]
    assert digests_of(source, [report.copied[0].stream]) == list(report.copied)
    with av.open(str(target)) as film:
        art = next(s for s in film.streams.video if s.disposition & av.stream.Disposition.attached_pic)
        assert next(bytes(p) for p in film.demux(art) if p.size) == cover
    assert len(times(target)) == 6


def _jpeg() -> bytes:
    context = av.CodecContext.create("mjpeg", "w")
    context.width = context.height = 32
    context.pix_fmt, context.time_base = "yuvj420p", Fraction(1, 24)
    frame = av.VideoFrame(32, 32, "yuvj420p")
    for plane, data in zip(frame.planes, noise_planes(32, 32, "yuvj420p"), strict=True):
        plane.update(bytes(plane.buffer_size) if plane.line_size != data.shape[1] else data.tobytes())
    frame.pts = 0
    return b"".join(bytes(p) for p in (*context.encode(frame), *context.encode(None)))


@pytest.mark.slow
def test_sound_goes_on_in_step_where_the_clock_starts_anew(tmp_path: Path) -> None:
    """Two recordings in one transport stream: every packet of the second keeps its distance to the picture."""
    source = _twice(tmp_path)
    count = len(payloads(source, "audio")[0])
    for suffix in (".mkv", ".mp4"):
        target = tmp_path / f"out{suffix}"
        _, report, _ = pass_through(source, target, codec="libx264")
        sound = payloads(target, "audio")[0]
        assert report.frames == len(times(target)) == 96
        # The first of the second half begins before the last of the first half ended.
        assert count - 1 <= len(sound) <= count
        assert report.warnings == (("audio stream 1: 1 packets could not be copied",) if len(sound) < count else ())
        gaps = [b[0] - a[0] for a, b in itertools.pairwise(sound)]
        assert max(gaps) < 0.04, suffix
        lead = times(target)[0] - Fraction(sound[0][0])
        second = times(target)[48]
        half = next(i for i, s in enumerate(sound) if s[1] == sound[5][1] and i > count // 2)
        assert float(second) - sound[half][0] == pytest.approx(float(lead) + sound[0][0] - sound[5][0], abs=0.003)


def test_losses_are_silent_where_every_frame_came(tmp_path: Path) -> None:
    with open_video(_twice(tmp_path)) as film:
        assert sum(1 for _ in film) == 96
    assert len(film.losses) == 1
    assert "clock restarts" in film.losses[0]


@pytest.mark.slow
def test_a_trim_behind_several_restarts_keeps_step(tmp_path: Path) -> None:
    """Seeking leads anywhere in such a film: both readers count through from its beginning."""
    source, target = tmp_path / "in.ts", tmp_path / "out.mkv"
    source.write_bytes(_twice(tmp_path).read_bytes() * 2)
    with open_video(source) as film:
        every = [frame.pts * frame.time_base for frame in film]
    for start in (Fraction(1), Fraction(5)):
        frames, report, _ = pass_through(source, target, start=start, overwrite=True)
        assert [f.pts * f.time_base for f in frames] == [t for t in every if t >= start]
        sound = [time for time, _ in payloads(target, "audio")[0]]
        picture = times(target)
        assert sound[0] < 0.03
        assert sound[-1] == pytest.approx(float(picture[-1]), abs=0.1)
        assert max(b - a for a, b in itertools.pairwise(sound)) < 0.05
        assert len(report.warnings) <= 1


def test_the_writer_of_a_description_sees_restarts_too(tmp_path: Path) -> None:
    source, target = _twice(tmp_path), tmp_path / "out.mkv"
    with open_video(source) as film, VideoWriter.like(film.info, target, OutputOptions(codec="ffv1")) as out:
        plane = neutral_chroma(out.plan.chroma_size, 8)
        for frame in film:
            out.write(frame, plane, plane)
    sound = [time for time, _ in payloads(target, "audio")[0]]
    assert sound[-1] == pytest.approx(float(times(target)[-1]), abs=0.1)


def _twice(folder: Path) -> Path:
    once, both = folder / "once.ts", folder / "both.ts"
    make_film(once, 48, "libx264", audio=[{}], audio_codec="aac", time_base=Fraction(1, 24))
    both.write_bytes(once.read_bytes() * 2)
    return both


def test_a_step_back_of_the_sound_alone_is_bridged(tmp_path: Path) -> None:
    source = tmp_path / "in.mkv"
    make_film(source, 2, audio=[{}])
    copier = StreamCopier(source, ())
    try:
        place = copier._place
        track = _Track(Fraction(5), Fraction(5), 0, Fraction(0))
        assert place(track, Fraction(1), Fraction(5)) is None
        assert place(track, Fraction(1), Fraction(16)) == (0, 4)
        assert place(track, Fraction(1), None) == (0, 4)
        copier.restarted([Fraction(9, 2)])
        assert place(track, Fraction(1), Fraction(5)) == (1, Fraction(9, 2))
    finally:
        copier.close()


def test_what_is_lost_while_copying_is_said(tmp_path: Path) -> None:
    source, target = tmp_path / "in.mkv", tmp_path / "out.mkv"
    make_film(source, 24, "libx264", audio=[{}])
    copier = StreamCopier(source, ())
    copier._fail(1)
    copier._fail(1)
    copier._unreadable(av.error.InvalidDataError(1, "invalid data"))
    assert copier.lost() == "2 packets of audio stream 1 (pcm_s16le)"
    copier.close()
    assert copier.warnings() == (
        "1 x while copying the other streams: the file is damaged or cut short (invalid data)",
    )
    with open_video(source) as film, VideoWriter.like(film, target, OutputOptions(codec="ffv1")) as out:
        plane = neutral_chroma(out.plan.chroma_size, 8)
        for frame in film:
            out.write(frame, plane, plane)
        inside = out.close()
    assert out.close() is inside


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_sound_without_a_layout_is_kept(tmp_path: Path, suffix: str) -> None:
    source, target = tmp_path / "in.mkv", tmp_path / f"out{suffix}"
    make_film(source, 24, "libx264", audio=[{}])
    with av.open(str(source)) as film:
        assert film.streams.audio[0].codec_context.layout.name == "2 channels"
    _, report, out = pass_through(source, target, codec="libx264")
    assert out.plan.dropped == report.warnings == ()
    before, after = (b"".join(data for _, data in payloads(path, "audio")[0]) for path in (source, target))
    assert before == after


def test_what_a_muxer_refuses_only_at_the_end_is_named_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_LAYOUTS", {})
    source, target = tmp_path / "in.mkv", tmp_path / "out.mp4"
    make_film(source, 24, "libx264", audio=[{}])
    _, _, out = pass_through(source, target)
    assert out.plan.dropped == ("audio stream 1 (pcm_s16le): mp4 cannot hold it",)
    assert len(times(target)) == 24


def test_a_line_that_lasts_over_the_start_is_kept(tmp_path: Path) -> None:
    source, target = tmp_path / "in.mkv", tmp_path / "out.mkv"
    lines = [(0, 300, "gone"), (500, 1000, "over"), (1600, 200, "inside")]
    make_film(source, 72, "libx264", options={"g": "12"}, subtitles=lines)
    pass_through(source, target, start=Fraction(1))
    assert payloads(target, "subtitle") == [[(0.0, b"over"), (0.6, b"inside")]]
    with av.open(str(target)) as film:
        assert [p.duration for p in film.demux(subtitles=0) if p.size] == [500, 200]


def test_a_timecode_lost_by_a_trim_is_said(tmp_path: Path) -> None:
    source = tmp_path / "in.mov"
    make_film(source, 48, "libx264", metadata={"timecode": "01:02:03:04"}, options={"g": "12"})
    _, report, _ = pass_through(source, tmp_path / "later.mkv", start=Fraction(1))
    assert any("01:02:03:04" in warning for warning in report.warnings)
    _, report, _ = pass_through(source, tmp_path / "shorter.mkv", end=Fraction(1))
    assert report.warnings == ()
    with av.open(str(tmp_path / "shorter.mkv")) as film:
        found = {k.lower(): v for owner in (film, *film.streams) for k, v in owner.metadata.items()}
    assert found["timecode"] == "01:02:03:04"


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_no_sound_is_dropped_where_two_parts_overlap(tmp_path: Path, suffix: str) -> None:
    """Recordings in parts, one file after the other: the last packet of sound overlaps the next part's first."""
    source, target = tmp_path / "in.ts", tmp_path / f"out{suffix}"
    for number in (0, 1):
        part = tmp_path / f"{number}.ts"
        codecs = ("-pix_fmt", "yuv420p", "-c:v", "mpeg2video", "-bf", "0", "-c:a", "mp2")
        place = ("-output_ts_offset", str(number), "-muxpreload", "0", "-muxdelay", "0")
        ffmpeg(*NOISE, *TONE, "-t", "1", *codecs, *place, part)
        with source.open("ab") as film:
            film.write(part.read_bytes())
    _, report, _ = pass_through(source, target, codec="libx264")
    assert report.warnings == ()
    assert packets_of(target) == packets_of(source)


def test_a_packet_that_cannot_be_kept_leaves_no_film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "in.mkv", tmp_path / "out.mkv"
    make_film(source, 24, audio=[{}])
    write = StreamCopier._write

    def broken(self: StreamCopier, packet: Any, index: int) -> None:
        if packet.pts and packet.pts > 300 and self._most is None:
            raise av.error.InvalidDataError(22, "invalid")
        write(self, packet, index)

    monkeypatch.setattr(StreamCopier, "_write", broken)
    with pytest.raises(OutputError, match=r"packets of audio stream 1 \(pcm_s16le\) cannot be written in matroska"):
        pass_through(source, target)
    monkeypatch.setattr(StreamCopier, "_write", lambda self, packet, index: self._most and write(self, packet, index))
    with pytest.raises(OutputError, match=r"audio stream 1 \(pcm_s16le\) was altered in matroska"):
        pass_through(source, target)
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize(
    ("codec", "suffix"), [("aac", ".ts"), ("pcm_s16le", ".mov"), ("mp2", ".mkv"), ("ac3", ".ts"), ("flac", ".mkv")]
)
@pytest.mark.parametrize("into", [".mkv", *(pytest.param(into, marks=pytest.mark.slow) for into in (".mp4", ".mov"))])
def test_sound_is_compared_with_the_source(tmp_path: Path, codec: str, suffix: str, into: str) -> None:
    source, target = tmp_path / f"in{suffix}", tmp_path / f"out{into}"
    make_film(source, 24, "mpeg2video" if suffix == ".ts" else "libx264", audio=[{}], audio_codec=codec)
    _, report, out = pass_through(source, target, codec="libx264")
    assert out.plan.uncompared == () and not out.plan.dropped
    (digest,) = report.copied
    with av.open(str(target)) as film:
        data = b"".join(bytes(packet) for packet in film.demux(audio=0))
    assert digest.sha256 == hashlib.sha256(data).hexdigest() and bool(digest.stored) == bool(out.plan.recoded)


def test_times_that_matroska_rounds_together_are_moved_by_a_tick(tmp_path: Path) -> None:
    """Sound in pieces of half a millisecond: two of them have one time, which MP4 does not take."""
    source, target = tmp_path / "in.mkv", tmp_path / "out.mp4"
    ffmpeg(*NOISE, *TONE, "-t", "0.5", "-c:v", "libx264", "-c:a", "flac", "-frame_size", "24", "-ar", "48000", source)
    sound = payloads(source, "audio")[0]
    assert len({time for time, _ in sound}) < len(sound)
    _, report, _ = pass_through(source, target, codec="libx264")
    assert report.warnings == () and len(report.copied) == 1
    kept = payloads(target, "audio")[0]
    assert [data for _, data in kept] == [data for _, data in sound]
    assert max(abs(a - b) for (a, _), (b, _) in zip(kept, sound, strict=True)) < 0.002


@pytest.mark.parametrize(
    ("into", "kind"), [(".mp4", "mov_text"), (".mov", "mov_text"), (".webm", "webvtt"), (".mkv", "srt")]
)
def test_text_subtitles_are_converted(tmp_path: Path, into: str, kind: str) -> None:
    first, source, target = tmp_path / "in.mkv", tmp_path / "text.mp4", tmp_path / f"out{into}"
    lines = ((100, 300, "first <i>line</i>\nof two"), (500, 200, "ü"))
    make_film(first, 24, "libx264", subtitles=lines)
    if into == ".mkv":
        pass_through(first, source, codec="libx264")
    _, _, out = pass_through(source if into == ".mkv" else first, target)
    assert not out.plan.dropped
    assert any(f"its text is stored as {kind if kind != 'srt' else 'subrip'}" in note for note in out.plan.notes)
    with av.open(str(target)) as film:
        (stream,) = film.streams.subtitles
        assert stream.codec_context.name == kind
        found = [p for p in film.demux(stream) if p.size and bytes(p) != b"\0\0"]
    assert [(p.pts * p.time_base, p.duration * p.time_base) for p in found] == [
        (Fraction(start, 1000), Fraction(length, 1000)) for start, length, _ in lines
    ]
    assert b"line" in bytes(found[0]) and "ü".encode() in bytes(found[1])


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".ts", ".vob"])
def test_sound_that_begins_late_is_kept(tmp_path: Path, suffix: str) -> None:
    """After 5 MB, where FFmpeg does not look for it any more."""
    source, target = tmp_path / f"in{suffix}", tmp_path / "out.mkv"
    picture = ("-f", "lavfi", "-i", "color=gray:s=640x480:r=25:d=1.6,noise=alls=80:allf=t")
    codecs = ("-pix_fmt", "yuv420p", "-c:v", "mpeg2video", "-q:v", "1", "-c:a", "mp2", "-map", "0", "-map", "1")
    ffmpeg(*picture, "-itsoffset", "1.4", *TONE, *codecs, source)
    assert source.stat().st_size > 6_000_000
    _, report, out = pass_through(source, target, codec="libx264", preset="ultrafast")
    assert not any("audio" in name for name in out.plan.dropped) and report.warnings == ()
    assert len(payloads(target, "audio")[0]) == 50
