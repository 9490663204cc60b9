"""Whose clock is right: every container with every kind of times, held against FFmpeg's own answer."""

from __future__ import annotations

import re
import struct
from fractions import Fraction
from pathlib import Path

import pytest
from ffmpeg_oracle import NOISE, TONE, ffmpeg, frames_of, packets_of
from film_helpers import pass_through
from media import make_film

from videocolor.video import open_video, probe
from videocolor.video.clock import frame_count, stated_end
from videocolor.video.opening import main_video, open_input

H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "12")
MPEG2 = ("-c:v", "mpeg2video", "-g", "12", "-q:v", "3")
MPEG4 = ("-c:v", "mpeg4", "-g", "12", "-q:v", "3")
AAC, MP2, MP3, PCM = (("-c:a", name) for name in ("aac", "mp2", "libmp3lame", "pcm_s16le"))
B, NO_B = ("-bf", "2"), ("-bf", "0")
GAPS = ("-vf", r"select=not(eq(mod(n\,5)\,1)+eq(mod(n\,7)\,3)),format=yuv420p", "-fps_mode", "passthrough")
FIELDS = ("-vf", "tinterlace=interleave_top,setfield=tff,format=yuv420p", "-flags", "+ildct+ilme")
PLAIN = ("-pix_fmt", "yuv420p")
DV = ("-vf", "scale=720:576,format=yuv420p", "-c:v", "dvvideo")
NTSC = ("-vf", "scale=720:480,fps=30000/1001,format=yuv411p", "-c:v", "dvvideo")
APART = ("-x264-params", "tff=1")

MATRIX: dict[str, tuple[str, ...]] = {
    **{f"b{n}.{k}": (*PLAIN, *H264, *bf, *AAC) for k in ("mp4", "mov", "mkv", "ts") for n, bf in ((0, NO_B), (2, B))},
    **{f"b{n}.vob": (*PLAIN, *MPEG2, *bf, *MP2) for n, bf in ((0, NO_B), (2, B))},
    **{f"b{n}.mxf": (*PLAIN, *MPEG2, *bf, *PCM) for n, bf in ((0, NO_B), (2, B))},
    **{f"b{n}.avi": (*PLAIN, *MPEG4, *bf, *MP3) for n, bf in ((0, NO_B), (2, B))},
    **{f"x264_b{n}.avi": (*PLAIN, *H264, *bf, *MP3) for n, bf in ((0, NO_B), (2, B))},
    **{f"b{n}.h264": (*PLAIN, *H264, *bf, "-an") for n, bf in ((0, NO_B), (2, B))},
    **{f"b{n}.m2v": (*PLAIN, *MPEG2, *bf, "-an") for n, bf in ((0, NO_B), (2, B))},
    **{f"gaps.{k}": (*GAPS, *H264, *B, *AAC, "-enc_time_base", "1:1000") for k in ("mp4", "mov", "mkv", "ts")},
    "b1.avi": (*PLAIN, *MPEG4, "-bf", "1", "-b_strategy", "0", *MP3),
    "null.avi": (*GAPS, *MPEG4, *NO_B, *MP3),
    "null_b1.avi": (*GAPS, *MPEG4, "-bf", "1", *MP3),
    "gaps.wmv": (*GAPS, "-c:v", "wmv2", "-c:a", "wmav2", "-enc_time_base", "1:1000"),
    "plain.wmv": (*PLAIN, "-c:v", "wmv2", "-c:a", "wmav2"),
    "plain.mjpeg": ("-c:v", "mjpeg", "-an"),
    "plain.y4m": (*PLAIN, "-an"),
    "pal.dv": (*DV, "-ac", "2"),
    "ntsc.dv": (*NTSC, "-ac", "2"),
    "ntsc.avi": (*NTSC, *PCM),
    "fields.ts": (*FIELDS, *H264, *APART, *AAC),
    "fields.mkv": (*FIELDS, *H264, *APART, *AAC),
    "fields.h264": (*FIELDS, *H264, *APART, "-an"),
    "fields.vob": (*FIELDS, *MPEG2, *MP2),
    "imx.mxf": (
        *("-vf", "scale=720:608,setfield=tff,format=yuv422p", "-c:v", "mpeg2video", "-g", "1", "-intra_vlc", "1"),
        *(
            "-b:v",
            "50000k",
            "-minrate",
            "50000k",
            "-maxrate",
            "50000k",
            "-bufsize",
            "2000000",
            "-qmax",
            "8",
            "-dc",
            "10",
        ),
        *("-rc_init_occupancy", "2000000", "-non_linear_quant", "1", "-flags", "+ildct+low_delay"),
        *("-c:a", "pcm_s24le", "-ac", "4", "-f", "mxf_d10"),
    ),
    "negative.mov": (*PLAIN, *H264, *B, *AAC, "-movflags", "negative_cts_offsets"),
}
COPIES: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    # name: (made from, options of the input, of the output)
    "edit.mp4": ("b2.mp4", ("-ss", "0.3"), ()),
    "edit.mov": ("b2.mov", ("-ss", "0.3"), ()),
    "cropped.mp4": ("b2.mp4", (), ("-bsf:v", "h264_metadata=crop_left=4:crop_top=8")),
    "pal.avi": ("pal.dv", (), ()),
    "late.mkv": ("b2.mkv", ("-itsoffset", "2"), ()),
    "late.mp4": ("b2.mp4", ("-itsoffset", "2"), ()),
    "wrap.ts": ("b2.ts", (), ("-output_ts_offset", "95442.2")),
    "wrap.vob": ("b2.vob", (), ("-output_ts_offset", "95442.2")),
}
FAST = {"cropped.mp4", "b2.avi", "null_b1.avi", "b2.h264", "edit.mp4", "gaps.mkv", "wrap.ts"}


def film(folder: Path, name: str) -> Path:
    """Make a film of the matrix."""
    target = folder / name
    if name in COPIES:
        origin, before, after = COPIES[name]
        ffmpeg(*before, "-i", film(folder, origin), "-c", "copy", *after, target)
    else:
        ffmpeg(*NOISE, *TONE, *MATRIX[name], target)
    return target


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in FAST else pytest.mark.slow) for n in (*MATRIX, *COPIES)]
)
def test_frames_times_luma_and_sound_are_those_that_ffmpeg_sees(tmp_path: Path, name: str) -> None:
    source, target = film(tmp_path, name), tmp_path / "out.mkv"
    seen = frames_of(source)
    with open_video(source) as video:
        times = [frame.pts * frame.time_base for frame in video]
        assert video.losses == []
    assert times == [time for time, _ in seen]
    _, report, _ = pass_through(source, target, codec="ffv1", options={"g": "1"})
    assert report.warnings == ()
    made = frames_of(target)
    assert [digest for _, digest in made] == [digest for _, digest in seen]
    shift = min(0, times[0])  # Matroska has no times before zero
    assert all(abs(a - b + shift) <= Fraction(1, 1000) for (a, _), b in zip(made, times, strict=True))
    if "-an" not in MATRIX.get(name, ()):
        assert len(packets_of(target)) == 1
        coded = not name.endswith((".mxf", ".dv", ".ts"))  # these wrap each packet of sound in something of their own
        assert packets_of(target, coded=coded) == packets_of(source, coded=coded)


@pytest.mark.parametrize(
    ("name", "rate"), [("pal.dv", Fraction(25)), ("pal.avi", Fraction(25)), ("ntsc.dv", Fraction(30000, 1001))]
)
def test_a_tape_has_the_rate_of_its_system(tmp_path: Path, name: str, rate: Fraction) -> None:
    info = probe(film(tmp_path, name))
    assert info.rate == rate
    assert info.frames is not None and abs(info.frames - Fraction("1.2") * rate) <= 1


@pytest.mark.parametrize("fields", [(), ("-flags", "+ildct+ilme")])
def test_gxf_counts_fields_and_its_rate_is_of_frames(tmp_path: Path, fields: tuple[str, ...]) -> None:
    source = tmp_path / "in.gxf"
    ffmpeg(*NOISE, "-vf", "scale=720:576,setfield=tff,format=yuv420p", "-c:v", "mpeg2video", *fields, source)
    info = probe(source)
    assert (info.rate, info.frames) == (25, len(frames_of(source)))


@pytest.mark.slow
def test_dv_of_type_1_is_one_stream_with_its_sound(tmp_path: Path) -> None:
    """AVI whose only stream is raw DV, `iavs` (Microsoft, DV Data in the AVI File Format)."""

    def chunk(name: bytes, *parts: bytes) -> bytes:
        return name + struct.pack("<I", sum(map(len, parts))) + b"".join(parts)

    tape = film(tmp_path, "pal.dv").read_bytes()
    frames = [tape[start : start + 144_000] for start in range(0, len(tape), 144_000)]
    count = len(frames)
    head = struct.pack("<14I", 40_000, 3_600_000, 0, 16, count, 0, 1, 144_000, 720, 576, 0, 0, 0, 0)
    stream = b"iavsdvsd" + struct.pack("<IHH8I4H", 0, 0, 0, 0, 1, 25, 0, count, 144_000, 2**32 - 1, 0, 0, 0, 720, 576)
    described = chunk(b"LIST", b"strl", chunk(b"strh", stream), chunk(b"strf", bytes(32)))
    header = chunk(b"LIST", b"hdrl", chunk(b"avih", head), described)
    movie = chunk(b"LIST", b"movi", *(chunk(b"00__", frame) for frame in frames))
    index = (b"00__" + struct.pack("<3I", 16, 4 + place * 144_008, 144_000) for place in range(count))
    source = tmp_path / "type1.avi"
    source.write_bytes(chunk(b"RIFF", b"AVI ", header, movie, chunk(b"idx1", *index)))
    assert probe(source).rate == 25
    pass_through(source, tmp_path / "out.mkv", codec="ffv1")
    made = frames_of(tmp_path / "out.mkv")
    assert [digest for _, digest in made] == [digest for _, digest in frames_of(source)] and len(made) == count
    assert packets_of(tmp_path / "out.mkv", coded=False) == packets_of(source, coded=False)


def test_frames_that_an_edit_list_hides_are_not_missing(tmp_path: Path) -> None:
    source = film(tmp_path, "b2.mov")
    data = bytearray(source.read_bytes())
    entry = data.index(b"elst") + 12
    duration, start = struct.unpack_from(">Ii", data, entry)
    struct.pack_into(">Ii", data, entry, duration // 2, start)
    source.write_bytes(data)
    with open_video(source) as video:
        times = [frame.pts * frame.time_base for frame in video]
        assert times == [time for time, _ in frames_of(source)] and 10 < len(times) < 20
        assert video.losses == []


def test_fields_coded_apart_are_frames_of_their_rate(tmp_path: Path) -> None:
    assert probe(film(tmp_path, "fields.h264")).rate == Fraction(25, 2)


def test_what_was_decided_is_said(tmp_path: Path) -> None:
    assert re.search("order of decoding", probe(film(tmp_path, "b2.avi")).notes[0])
    assert re.search("counted at the rate", probe(film(tmp_path, "b2.h264")).notes[0])
    assert probe(film(tmp_path, "b2.mp4")).notes == ()


def test_packed_frames_are_even_and_no_damage(tmp_path: Path) -> None:
    """DivX 5's AVI: two frames in one packet, and an empty one to keep the count (made by undoing FFmpeg's repair)."""
    plain, source = film(tmp_path, "b1.avi"), tmp_path / "packed.avi"
    pack(plain, source)
    seen = frames_of(source)
    with open_video(source) as video:
        assert [frame.pts * frame.time_base for frame in video] == [time for time, _ in seen]
        assert video.losses == []
    assert len(seen) == len(frames_of(plain))


def pack(plain: Path, target: Path) -> None:
    """Join each B-frame to the reference before it, and put a frame that is not coded in its place."""
    import av

    with av.open(str(plain)) as source, av.open(str(target), "w") as out:
        video = source.streams.video[0]
        copy = out.add_stream_from_template(video)
        data = [(bytes(p), p.dts, p.is_keyframe) for p in source.demux(video) if p.size]
        data[0] = _tagged(data[0][0]), *data[0][1:]
        held = list(data)
        for at, (content, dts, key) in enumerate(data):
            if at + 1 < len(data) and _kind(data[at + 1][0]) == 2:
                held[at] = content + data[at + 1][0], dts, key
                held[at + 1] = _not_coded(content), data[at + 1][1], False
        for content, dts, key in held:
            packet = av.Packet(content)
            packet.pts = packet.dts = dts
            packet.time_base, packet.stream, packet.is_keyframe = video.time_base, copy, key
            out.mux(packet)


def _at(content: bytes) -> int:
    return content.find(b"\x00\x00\x01\xb6") + 4


def _kind(content: bytes) -> int:
    return content[_at(content)] >> 6


def _tagged(content: bytes) -> bytes:
    at = _at(content) - 4
    return content[:at] + b"\x00\x00\x01\xb2DivX503b1393p" + content[at:]


def _not_coded(content: bytes) -> bytes:
    """A P picture without content, at the time of a coded one (ISO/IEC 14496-2, 6.2.5, at 25 ticks a second)."""
    bits = "".join(f"{byte:08b}" for byte in content[_at(content) : _at(content) + 4])
    end = bits.index("0", 2)
    head = "01" + bits[2 : end + 1] + "1" + bits[end + 2 : end + 7] + "100"
    head += "1" * (-len(head) % 8)
    return b"\x00\x00\x01\xb6" + int(head, 2).to_bytes(len(head) // 8, "big")


def test_tags_of_another_film_are_not_believed(tmp_path: Path) -> None:
    source = tmp_path / "in.mkv"
    make_film(source, 24, "libx264")
    stale = tmp_path / "stale.mkv"
    tags = ("-metadata:s:v", "NUMBER_OF_FRAMES=90000", "-metadata:s:v", "DURATION-eng=01:02:03.000")
    ffmpeg("-i", source, "-c", "copy", *tags, stale)
    with open_input(stale) as container:
        stream = main_video(container, stale)
        assert any(value == "90000" for value in stream.metadata.values())
        assert stated_end(container, stream) == Fraction(container.duration or 0, 1_000_000)
        assert frame_count(stream, Fraction(1), Fraction(24)) == 24
    with open_video(stale) as video:
        assert sum(1 for _ in video) == 24
        assert video.losses == []
