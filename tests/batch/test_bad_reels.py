"""Bad reels in the pile: the batch ends, each is named with its reason, all others are whole, exit code 1."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from click.testing import CliRunner
from conftest import Run
from media import make_film

from videocolor.batch.inspection import sound_end
from videocolor.batch.status import batch_status
from videocolor.cli import cli
from videocolor.errors import UnsupportedVideoError
from videocolor.reports.verify import verify_film
from videocolor.video import probe
from videocolor.video.probe import is_encrypted

H264 = {"bf": "0", "g": "6"}


def whole(path: Path, frames: int = 24) -> None:
    make_film(path, frames, "libx264", audio=[{}], audio_codec="aac", options=H264)


def truncated(path: Path) -> None:
    whole(path, 48)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])


def zero_bytes(path: Path) -> None:
    path.write_bytes(b"")


def no_video(path: Path) -> None:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.int16), format="s16", layout="stereo")
        frame.sample_rate = 48000
        out.mux(stream.encode(frame))


def copy(source: Path, target: Path, **options: str) -> None:
    with av.open(str(source)) as film, av.open(str(target), "w", options=options) as out:
        streams = {s.index: out.add_stream_from_template(s, opaque=s.type == "video" or None) for s in film.streams}
        for packet in film.demux():
            if packet.size:
                packet.stream = streams[packet.stream.index]
                out.mux(packet)


def encrypted(path: Path) -> None:
    plain = path.with_name(".plain.mp4")
    whole(plain)
    copy(plain, path, encryption_scheme="cenc-aes-ctr", encryption_key="76" * 16, encryption_kid="a7" * 16)
    plain.unlink()


def wrong_extension(path: Path) -> None:
    path.write_text("Reel 7, shelf 12: see the card in the box\n" * 40)


def resized(path: Path) -> None:
    parts = []
    for name, size in (("a", (64, 48)), ("b", (96, 64))):
        part = path.with_name(f".{name}.ts")
        make_film(part, 12, "mpeg4", size=size, options={"bf": "0"}, time_base=Fraction(1, 24))
        parts.append(part.read_bytes())
        part.unlink()
    path.write_bytes(b"".join(parts))


def long_sound(path: Path) -> None:
    picture = path.with_name(".picture.mkv")
    sound = path.with_name(".sound.mkv")
    make_film(picture, 24, "libx264", options=H264)
    make_film(sound, 24 * 8, "libx264", audio=[{}], audio_codec="aac", options=H264)
    with av.open(str(picture)) as a, av.open(str(sound)) as b, av.open(str(path), "w") as out:
        video = out.add_stream_from_template(a.streams.video[0], opaque=True)
        audio = out.add_stream_from_template(b.streams.audio[0])
        for film, stream in ((a, video), (b, audio)):
            for packet in film.demux(film.streams.video[0] if stream is video else film.streams.audio[0]):
                if packet.size:
                    packet.stream = stream
                    out.mux(packet)
    picture.unlink()
    sound.unlink()


BAD: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "truncated": (truncated, ".mkv", "cut short"),
    "zero": (zero_bytes, ".mov", "empty"),
    "sound_only": (no_video, ".mkv", "no video"),
    "locked": (encrypted, ".mp4", "encrypted"),
    "card": (wrong_extension, ".avi", "film"),
    "resized": (resized, ".ts", "96x64"),
    "long_sound": (long_sound, ".mkv", "its sound ends at 8.0 s, its picture at 1.0 s"),
}
SETTINGS = ["--set", "model.name=constant", "--set", "output.preset=ultrafast", "--set", "work.backoff_seconds=0"]


@pytest.fixture(scope="module")
def pile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pile")
    (folder / "in").mkdir()
    whole(folder / "in/aaa.mp4")
    whole(folder / "in/zzz.mkv")
    for name, (make, suffix, _) in BAD.items():
        make(folder / "in" / f"{name}{suffix}")
    return folder


@pytest.mark.parametrize("plan", ["lazy", "ahead"])
@pytest.mark.slow
def test_the_pile(plan: str, pile: Path, tmp_path: Path, run_cli: Run) -> None:
    out = tmp_path / "out"
    before = {path.name: path.read_bytes() for path in (pile / "in").iterdir()}
    done = run_cli("batch", "run", pile / "in", "-o", out, *SETTINGS, "--set", f"work.plan={plan}", "--json")
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    events: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    failed = {event["film"]: event["error"] for event in events if event["event"] == "film_failed"}
    assert set(failed) == set(BAD)
    for name, (_, suffix, word) in BAD.items():
        assert word in failed[name] and f"{name}{suffix}" in failed[name], failed[name]
        assert not (out / f"{name}_colorized.mkv").exists()
    for name in ("aaa.mp4", "zzz.mkv"):
        check = verify_film(pile / "in" / name, out / f"{Path(name).stem}_colorized.mkv")
        assert check.frames == check.result_frames == 24
    table = {row.name: (row.state, row.error) for row in batch_status(out).films}
    assert {name for name, (state, _) in table.items() if state == "done"} == {"aaa", "zzz"}
    assert {name: error for name, (state, error) in table.items() if state == "failed"} == failed
    assert before == {path.name: path.read_bytes() for path in (pile / "in").iterdir()}, "no source is written"


@pytest.mark.slow
def test_they_are_named_on_stderr_and_may_be_accepted(pile: Path, tmp_path: Path, run_cli: Run) -> None:
    out, reels = tmp_path / "out", tmp_path / "in"
    reels.mkdir()
    for name in ("truncated.mkv", "long_sound.mkv", "locked.mp4"):
        (reels / name).write_bytes((pile / "in" / name).read_bytes())
    done = run_cli("batch", "run", reels, "-o", out, *SETTINGS)
    assert done.returncode == 3
    for name, word in (("truncated", "cut short"), ("long_sound", "its sound ends"), ("locked", "encrypted")):
        assert any(line.startswith(f"error: {name}: ") and word in line for line in done.stderr.splitlines())
    status = CliRunner().invoke(cli, ["batch", "status", str(out)])
    assert status.exit_code == 0 and "3 failed" in status.stdout and "encrypted" in status.stdout
    words = ["batch", "retry", str(out), "truncated", "long_sound", "--set", "films.damaged=accept"]
    again = CliRunner().invoke(cli, words)
    assert again.exit_code == 0, again.stderr
    assert "cut short" in again.stderr, "accepted, and said all the same"
    assert (out / "truncated_colorized.mkv").exists()
    with av.open(str(out / "long_sound_colorized.mkv")) as film:
        ends = [float((p.pts + p.duration) * p.time_base) for p in film.demux(audio=0) if p.size and p.pts is not None]
    assert max(ends) == pytest.approx(8, abs=0.1), "the sound is whole"
    states = {row.name: row.state for row in batch_status(out).films}
    assert states == {"truncated": "done", "long_sound": "done", "locked": "failed"}


@pytest.mark.slow
def test_an_encrypted_film_is_refused_as_such(pile: Path) -> None:
    with pytest.raises(UnsupportedVideoError, match="is encrypted"):
        probe(pile / "in/locked.mp4")


def test_what_is_encrypted(pile: Path) -> None:
    (pile / "raw.h264").write_bytes(b"\0\0\0\1gd\0\x1f" + b"\xff" * 16)
    assert not is_encrypted(pile / "raw.h264"), "its start code is no box with a long size"
    assert is_encrypted(pile / "in/locked.mp4")
    for name in ("aaa.mp4", "zzz.mkv", "card.avi", "zero.mov", "sound_only.mkv"):
        assert not is_encrypted(pile / "in" / name)
    head = bytes.fromhex("1a45dfa3") + b"\0" * 40
    encodings = bytes.fromhex("6d80") + b"\x8e" + bytes.fromhex("6240") + b"\x8b" + bytes.fromhex("5035") + b"\x88"
    (pile / "locked.mkv").write_bytes(head + encodings + b"\0" * 8)
    assert is_encrypted(pile / "locked.mkv")
    (pile / "open.mkv").write_bytes(head + bytes.fromhex("1f43b675") + encodings + b"\0" * 8)
    assert not is_encrypted(pile / "open.mkv"), "a packet may hold any bytes"
    plain = (pile / "in/aaa.mp4").read_bytes()
    (pile / "open.mp4").write_bytes(plain.replace(b"VideoHandler", b"Video encv r"))
    assert b"encv" in (pile / "open.mp4").read_bytes() and not is_encrypted(pile / "open.mp4")


def test_where_sound_ends(pile: Path) -> None:
    assert float(sound_end(pile / "in/long_sound.mkv") or 0) == pytest.approx(8, abs=0.1)
    assert float(sound_end(pile / "in/aaa.mp4") or 0) == pytest.approx(1, abs=0.1)
    assert sound_end(pile / "in/resized.ts") is None
