"""What a container can hold is found by writing to it, before the work; what it can hold arrives."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from ffmpeg_oracle import NOISE, TONE, ffmpeg, frames_of, packets_of, shown
from film_helpers import pass_through
from media import make_film, make_image

from videocolor.colorize import colorize_video
from videocolor.config import ColorizeConfig
from videocolor.errors import OutputError, UsageError
from videocolor.record import read_record
from videocolor.shots.scan import scan_film
from videocolor.video import OutputOptions, plan_output, probe, unwritten_later

FIELDS = ("-vf", "scale=192:128,tinterlace=interleave_{0},setfield={1},format=yuv420p", "-flags", "+ildct+ilme")


def sounding(folder: Path, codec: str, suffix: str, *more: str) -> Path:
    """Make a film with sound of a codec."""
    source = folder / f"{codec}{suffix}"
    picture = "mpeg2video" if suffix == ".vob" else "wmv2" if suffix == ".wmv" else "mjpeg"
    ffmpeg(*NOISE, *TONE, "-pix_fmt", "yuv420p", "-c:v", picture, "-c:a", codec, *more, source)
    return source


@pytest.mark.parametrize(
    "codec",
    [
        *("wmav2", "adpcm_ms"),
        *(pytest.param(c, marks=pytest.mark.slow) for c in ("wmav1", "adpcm_ima_wav", "pcm_mulaw", "pcm_alaw", "mp2")),
    ],
)
def test_sound_of_windows_is_copied_into_matroska(tmp_path: Path, codec: str) -> None:
    source, target = sounding(tmp_path, codec, ".wmv" if codec.startswith("wma") else ".avi"), tmp_path / "out.mkv"
    _, report, writer = pass_through(source, target, codec="ffv1", options={"g": "1"})
    assert writer.plan.dropped == report.warnings == ()
    assert packets_of(target) == packets_of(source)
    assert [digest for _, digest in frames_of(target)] == [digest for _, digest in frames_of(source)]


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_sound_that_cannot_be_copied_is_stored_with_its_samples(tmp_path: Path, suffix: str) -> None:
    source, target = sounding(tmp_path, "pcm_dvd", ".vob", "-ac", "2"), tmp_path / f"out{suffix}"
    _, report, writer = pass_through(source, target, codec="libx264")
    assert writer.plan.dropped == report.warnings == ()
    assert any("stored as PCM" in note for note in writer.plan.notes)
    assert packets_of(target, coded=False) == packets_of(source, coded=False)


def test_sound_of_windows_in_mp4_is_stored_or_named(tmp_path: Path) -> None:
    plan = plan_output(probe(sounding(tmp_path, "wmav2", ".wmv")), tmp_path / "out.mp4")
    assert len(plan.recoded) + len(plan.dropped) == 1


@pytest.mark.parametrize(("first", "mark"), [("top", "tff"), pytest.param("bottom", "bff", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("suffix", "codec"), [(".mkv", "ffv1"), (".mov", "prores_ks"), (".mp4", "libx264"), (".mkv", "libx264")]
)
def test_the_order_of_fields_is_in_container_and_frames(
    tmp_path: Path, first: str, mark: str, suffix: str, codec: str
) -> None:
    source, target = tmp_path / "in.vob", tmp_path / f"out{suffix}"
    fields = [option.format(first, mark) for option in FIELDS]
    ffmpeg(*NOISE, *fields, "-c:v", "mpeg2video", "-q:v", "2", source)
    pass_through(source, target, codec=codec)
    said = shown(target)
    letter = first[0].upper()
    assert set(re.findall(r" i:(.) ", said)) == {letter}
    assert re.search(rf"Video: [^\n]*{first} (coded )?first", said)
    with av.open(str(target)) as film:
        assert all(frame.interlaced_frame for frame in film.decode(video=0))


@pytest.mark.slow
def test_a_tape_says_its_order_in_frames_alone(tmp_path: Path) -> None:
    source, target = tmp_path / "in.dv", tmp_path / "out.mov"
    ffmpeg(*NOISE, "-vf", "scale=720:576,format=yuv420p,setfield=bff", "-c:v", "dvvideo", "-flags", "+ildct", source)
    assert probe(source).field_order == "bt"
    _, report, writer = pass_through(source, target)
    assert writer.plan.codec == "prores_ks" and report.warnings == ()
    assert set(re.findall(r" i:(.) ", shown(target))) == {"B"}
    assert "25 fps" in shown(target)


def captioned(folder: Path, first: int = 0) -> Path:
    """Make a transport stream with CEA-608 pairs in the user data of pictures from one on (A/53 part 4, 6.2.3)."""
    plain, source = folder / "plain.ts", folder / "captions.ts"
    ffmpeg(*NOISE, *TONE, "-pix_fmt", "yuv420p", "-c:v", "mpeg2video", "-q:v", "3", "-bf", "0", "-c:a", "mp2", plain)
    with av.open(str(plain)) as film, av.open(str(source), "w", format="mpegts") as out:
        copies = {s.index: out.add_stream_from_template(s, opaque=True) for s in film.streams}
        pictures = 0
        for number, packet in enumerate(film.demux()):
            if packet.dts is None:
                continue
            made, stream = packet, packet.stream
            pictures += stream.type == "video"
            if stream.type == "video" and pictures > first:
                content = bytes(packet)
                at = content.find(b"\x00\x00\x01\x01")
                pair = bytes([0xFC, 0x80 | (0x20 + number % 64), 0x80 | (0x21 + number % 64)])
                made = av.Packet(content[:at] + b"\x00\x00\x01\xb2GA94\x03\x41\xff" + pair + b"\xff" + content[at:])
                made.pts, made.dts, made.time_base = packet.pts, packet.dts, packet.time_base
                made.is_keyframe = packet.is_keyframe
            made.stream = copies[stream.index]
            out.mux(made)
    return source


def captions(film: Path) -> list[bytes]:
    """Read the captions of each frame with PyAV."""
    with av.open(str(film)) as container:
        frames = container.decode(video=0)
        return [b"".join(bytes(d) for d in f.side_data if d.type.name == "A53_CC") for f in frames]


@pytest.mark.parametrize(("suffix", "codec"), [(".mkv", "libx264"), (".mp4", "libx264"), (".mov", "libx264")])
def test_captions_inside_the_pictures_are_kept(tmp_path: Path, suffix: str, codec: str) -> None:
    source, target = captioned(tmp_path), tmp_path / f"out{suffix}"
    _, report, writer = pass_through(source, target, codec=codec)
    assert writer.plan.dropped == report.warnings == ()
    assert captions(target) == captions(source)
    assert all(captions(target))
    assert packets_of(target) == packets_of(source)


def test_captions_that_an_encoder_does_not_write_are_named(tmp_path: Path) -> None:
    plan = plan_output(probe(captioned(tmp_path)), tmp_path / "out.mkv", OutputOptions(codec="ffv1"))
    assert plan.dropped == ("captions inside the pictures (A/53): ffv1 does not write it",)


LATE = "left out: captions inside the pictures (A/53): {} does not write it"


@pytest.mark.parametrize(
    ("name", "codec", "said"),
    [("out.mkv", "ffv1", (LATE.format("ffv1"),)), ("out.mkv", "libx264", ()), ("%d.png", None, (LATE.format("png"),))],
)
def test_captions_that_begin_later_are_kept_or_named(
    tmp_path: Path, name: str, codec: str | None, said: tuple[str, ...]
) -> None:
    source, target = captioned(tmp_path, first=10), tmp_path / name
    _, report, writer = pass_through(source, target, codec=codec)
    assert not any("captions" in text for text in writer.plan.dropped)
    assert report.warnings == said
    if codec == "libx264":
        assert captions(target) == captions(source) and [bool(c) for c in captions(target)][9:11] == [False, True]
    if codec == "ffv1":
        scan = scan_film(source, ColorizeConfig())
        with av.open(str(source)) as film:
            assert scan.begins == {"A53_CC": [frame.pts for frame in film.decode(video=0)][10]}
        assert unwritten_later(scan.info, writer.plan, scan.begins) == said


@pytest.mark.parametrize(
    "settings", [{}, pytest.param({"chroma": {"by_shot": [{"frame": 1, "saturation": 1.0}]}}, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("resume", [True, False])
def test_a_run_says_once_that_later_captions_are_left_out(
    tmp_path: Path, settings: dict[str, Any], resume: bool
) -> None:
    source, target, said = captioned(tmp_path, first=10), tmp_path / "out.mkv", []
    output = {"codec": "ffv1", "resume": resume, "report": False}
    config = ColorizeConfig.model_validate({"model": {"name": "constant"}, "output": output, **settings})
    colorize_video(source, target, config, observer=lambda e: said.append((e.kind, e.data.get("message"))))
    warning = LATE.format("ffv1")
    assert said.count(("warning", warning)) == 1
    assert (said.index(("warning", warning)) < [kind for kind, _ in said].index("start")) is bool(settings)
    assert read_record(target)["warnings"].count(warning) == 1


@pytest.mark.slow
def test_a_timecode_that_the_muxer_refuses_is_named_and_not_the_end(tmp_path: Path) -> None:
    """Dropped frames are of 30000/1001 a second: found when the film was closed, formerly."""
    source, target = tmp_path / "in.mkv", tmp_path / "out.mov"
    make_film(source, 6, "libx264", metadata={"timecode": "01:02:03;04"})
    plan = plan_output(probe(source), target, OutputOptions(codec="libx264"))
    reason = "Drop frame is only allowed with multiples of 30000/1001 FPS"
    assert plan.dropped == (f"timecode: mov cannot hold it ({reason})",)
    _, report, _ = pass_through(source, target, codec="libx264")
    assert report.frames == len(frames_of(target)) == 6


def test_what_cannot_be_written_at_all_fails_before_the_start(tmp_path: Path) -> None:
    source = tmp_path / "in.mkv"
    make_film(source, 6, "libx264", size=(66, 50))
    with pytest.raises(UsageError, match=r"h263 cannot write .*multiple of 4"):
        plan_output(probe(source), tmp_path / "out.mov", OutputOptions(codec="h263"))


def test_a_trial_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    source = tmp_path / "in.mkv"
    make_film(source, 6, "libx264")
    plan_output(probe(source), tmp_path / "out.mkv")
    assert list(scratch.iterdir()) == []
    assert not (tmp_path / "out.mkv").exists()


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".mxf", ".mov"])
def test_dnxhr_for_editors(tmp_path: Path, suffix: str) -> None:
    source, target = tmp_path / "in.mov", tmp_path / f"out{suffix}"
    ffmpeg(*NOISE, *TONE, "-vf", "scale=256:144,format=yuv420p", "-c:v", "libx264", "-c:a", "pcm_s16le", source)
    _, report, writer = pass_through(source, target, codec="dnxhd")
    assert writer.plan.dropped == report.warnings == ()
    said = shown(target)
    assert "dnxhd (DNXHR HQX)" in said and "25 fps" in said
    assert [time for time, _ in frames_of(target)] == [time for time, _ in frames_of(source)]
    assert packets_of(target, coded=False) == packets_of(source, coded=False)


def test_mxf_begins_at_zero_and_takes_sound_of_24_bits(tmp_path: Path) -> None:
    source, target = tmp_path / "in.ts", tmp_path / "out.mxf"
    ffmpeg(
        *NOISE,
        *TONE,
        "-vf",
        "scale=256:144,format=yuv420p",
        "-c:v",
        "mpeg2video",
        "-c:a",
        "ac3",
        "-ar",
        "48000",
        source,
    )
    _, _, writer = pass_through(source, target, codec="dnxhd")
    assert writer.plan.dropped == () and any("PCM of at most 24 bits" in note for note in writer.plan.notes)
    begins = frames_of(source)[0][0]
    assert begins > 1
    assert [time for time, _ in frames_of(target)] == pytest.approx([time - begins for time, _ in frames_of(source)])
    assert "pcm_s24le" in shown(target)


def test_interlaced_film_as_dnxhr_says_what_is_lost(tmp_path: Path) -> None:
    source, target = tmp_path / "in.mkv", tmp_path / "out.mov"
    ffmpeg(*NOISE, "-vf", "scale=256:144,setfield=tff,format=yuv420p", "-c:v", "libx264", "-flags", "+ildct+ilme",
           "-x264-params", "tff=1", source)  # fmt: skip
    _, _, writer = pass_through(source, target, codec="dnxhd")
    assert len(frames_of(target)) == len(frames_of(source))
    assert any("order of fields" in lost for lost in writer.plan.dropped)


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_hevc_has_the_tag_that_quicktime_plays(tmp_path: Path, suffix: str) -> None:
    source, target = tmp_path / "in.mkv", tmp_path / f"out{suffix}"
    make_film(source, 6, "libx264")
    pass_through(source, target, codec="libx265")
    assert "hvc1" in shown(target)
    assert len(frames_of(target)) == 6


def test_options_of_the_muxer_are_checked(tmp_path: Path) -> None:
    source, target = tmp_path / "in.mkv", tmp_path / "out.mov"
    make_film(source, 6, "libx264")
    pass_through(source, target, codec="libx264", muxer={"brand": "abcd"})
    assert b"ftypabcd" in target.read_bytes()[:16]
    with pytest.raises(UsageError, match=r"output\.muxer: mov does not take brant"):
        plan_output(probe(source), tmp_path / "x.mov", OutputOptions(codec="libx264", muxer={"brant": "abcd"}))


@pytest.mark.parametrize("source", ["film.mkv", "pictures"])
def test_a_gap_into_mxf_is_refused_before_the_start(tmp_path: Path, source: str) -> None:
    """MXF counts frames; the film would be shorter, which was found when it was finished."""
    numbers = (0, 1, 2, 3, 6, 7)
    if source == "pictures":
        for number in numbers:
            make_image(tmp_path / f"a_{number:03d}.png", [np.full((144, 256), number, np.uint8)], "gray")
        path, rate = tmp_path / "a_%03d.png", Fraction(25)
    else:
        path, rate = tmp_path / source, None
        make_film(path, 6, "ffv1", pts=numbers, rate=Fraction(25), size=(256, 144))
    film, asked = probe(path, rate=rate), OutputOptions(codec="dnxhd", options={"profile": "dnxhr_hq"})
    with pytest.raises(UsageError, match=r"at 0\.240 s the film leaves its 25 frames"):
        plan_output(film, tmp_path / "out.mxf", asked)
    assert plan_output(film, tmp_path / "out.mxf", replace(asked, span=(None, Fraction(6, 25)))).container == "mxf"
    assert plan_output(film, tmp_path / "out.mov", asked).container == "mov"


def test_a_gap_into_mxf_that_only_decoding_finds_is_met_on_the_way(tmp_path: Path) -> None:
    source = tmp_path / "in.mkv"
    make_film(source, 6, "mjpeg", "yuvj420p", rate=Fraction(25), size=(256, 144))
    data = bytearray(source.read_bytes())
    with av.open(str(source)) as film:
        packets = [bytes(packet) for packet in film.demux(video=0)]
    start = data.index(packets[3])
    data[start : start + len(packets[3])] = bytes(len(packets[3]))
    source.write_bytes(data)
    asked = {"codec": "dnxhd", "options": {"profile": "dnxhr_hq"}}
    with pytest.raises(OutputError, match=r"before frame 3 \(0\.160 s\) some are missing; use \.mov or \.mkv"):
        pass_through(source, tmp_path / "out.mxf", **asked)
    assert not (tmp_path / "out.mxf").exists()
    assert pass_through(source, tmp_path / "out.mov", **asked)[1].frames == 5


def side_data_of(film: Path, kind: str) -> list[bytes]:
    """Read one kind of side data of each frame that has it with PyAV."""
    with av.open(str(film)) as container:
        return [bytes(d) for frame in container.decode(video=0) for d in frame.side_data if d.type.name == kind]


def test_light_levels_are_written_or_named(tmp_path: Path) -> None:
    source = tmp_path / "in.mkv"
    display = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
    light = {"x265-params": f"log-level=error:master-display={display}:max-cll=1000,400"}
    make_film(source, 3, "libx265", options=light)
    film, kinds = probe(source), ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL")
    for codec in ("libx264", "libx265"):
        _, report, writer = pass_through(source, tmp_path / f"{codec}.mp4", codec=codec)
        assert writer.plan.dropped == report.warnings == ()
        for kind in kinds:
            assert set(side_data_of(tmp_path / f"{codec}.mp4", kind)) == set(side_data_of(source, kind)) != set()
    dropped = plan_output(film, tmp_path / "out.mkv", OutputOptions(codec="ffv1")).dropped
    assert len(dropped) == 2 and all("libx264, libx265, libsvtav1 are" in said for said in dropped)


def test_timecodes_of_frames_are_named(tmp_path: Path) -> None:
    """One time code message (ITU-T H.265, D.2.27) before each picture: 01:02:03 and the frame's number."""
    plain, source = tmp_path / "plain.hevc", tmp_path / "in.mkv"
    make_film(plain, 3, "libx265", options={"x265-params": "log-level=error:bframes=0"})
    head, *pictures = re.split(rb"(?=\x00\x00\x01[\x02\x26\x28])", plain.read_bytes())  # TRAIL_R, IDR
    bits = [f"011000000100{n:09b}{3:06b}{2:06b}{1:05b}000001" for n in range(3)]
    codes = [int(b.ljust(48, "0"), 2).to_bytes(6, "big").replace(b"\0\0\0", b"\0\0\3\0") for b in bits]
    messages = [b"\x00\x00\x01\x4e\x01\x88\x06" + code + b"\x80" for code in codes]
    raw = tmp_path / "raw.hevc"
    raw.write_bytes(head + b"".join(m + p for m, p in zip(messages, pictures, strict=True)))
    ffmpeg("-i", raw, "-c", "copy", source)
    assert len(side_data_of(source, "S12M_TIMECODE")) == 3
    dropped = plan_output(probe(source), tmp_path / "out.mkv").dropped
    assert dropped == ("timecodes of single frames (SMPTE 12M): libx264 does not write it",)
