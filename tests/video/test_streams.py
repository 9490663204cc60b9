"""Everything else is copied, and what cannot be is named before the work starts."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from film_helpers import pass_through, times
from media import make_film, noise_planes

from videocolor.video import OutputOptions, plan_output, probe

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
        assert tags["comment"] == "print 3; colorized by videocolor, not original colour"


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_what_a_container_cannot_hold_is_named(tmp_path: Path, suffix: str) -> None:
    source, target = tmp_path / "in.mkv", tmp_path / f"out{suffix}"
    make_film(source, 24, "libx264", **RICH, audio_codec="aac")
    plan = plan_output(probe(source), target, OutputOptions(codec="libx264"))
    assert len(plan.dropped) == 2
    assert any("(srt)" in name and "deu" in name for name in plan.dropped)
    assert any("font.ttf" in name for name in plan.dropped)
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
    _, _, writer = pass_through(source, target)
    assert writer.plan.dropped == ()
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
