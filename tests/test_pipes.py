"""Films through pipes, targets that are links, and what a dry run says of color that is there already."""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
import threading
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import cv2
import numpy as np
import pytest
from media import make_film, make_image, noise_planes, planes_of

from videocolor.colorize import colorize_video
from videocolor.config import ColorizeConfig
from videocolor.dryrun import plan_colorize
from videocolor.errors import InputError, Interrupted, OutputError, UsageError
from videocolor.models.base import Colorizer, HintInput, ModelCard, Prediction
from videocolor.types import Array
from videocolor.video import OutputOptions, open_video, plan_output, probe
from videocolor.video.pipes import STANDARD_INPUT, PipeWindow, opened_pipe

SIZE = (64, 48)


class Even(Colorizer):
    """Colors by lightness."""

    card = ModelCard("even", "Even", "many", 0, 0, area=SIZE[0] * SIZE[1])

    def begin(self, hints: list[HintInput]) -> None:
        """Take no notice."""

    def step(self, memory: None, luma: Array) -> Prediction:
        return Prediction(np.stack([30 * luma, 20 - 40 * luma], axis=1).astype(np.float32))


@pytest.fixture(autouse=True)
def _even(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("videocolor.pipeline.film.load_colorizer", lambda *_, **__: Even())


def config(**output: Any) -> ColorizeConfig:
    return ColorizeConfig.load(None, ["output.codec=ffv1", *(f"output.{key}={value}" for key, value in output.items())])


def planes(path: Path) -> list[tuple[int, Array, Array]]:
    with open_video(path) as film:
        return [(frame.pts, frame.luma.copy(), frame.chroma[0].copy()) for frame in film if frame.chroma]


def piped(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: False, buffer=io.BytesIO(data)))


def expect_same(found: Path, expected: Path) -> None:
    for mine, other in zip(planes(found), planes(expected), strict=True):
        assert mine[0] == other[0]
        np.testing.assert_array_equal(mine[1], other[1])
        np.testing.assert_array_equal(mine[2], other[2])


def copied(path: Path) -> list[tuple[int, int | None, bytes]]:
    with av.open(str(path)) as film:
        others = [stream for stream in film.streams if stream.type != "video"]
        return [(p.stream_index, p.pts, bytes(p)) for p in film.demux(others) if p.size] if others else []


@pytest.mark.parametrize(
    "suffix", [".mkv", pytest.param(".ts", marks=pytest.mark.slow), pytest.param(".y4m", marks=pytest.mark.slow)]
)
def test_a_pipe_gives_the_film_that_its_file_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    film, pipe = tmp_path / f"in{suffix}", tmp_path / f"fifo{suffix}"
    if suffix == ".mkv":
        make_film(film, 6, "libx264", "gray", audio=[{}], subtitles=[(40, 50, "early"), (200, 20, "late")])
    elif suffix == ".ts":
        make_film(film, 6, "libx264", "yuv420p", audio=[{}], audio_codec="mp2")
    else:
        with av.open(str(film), "w", format="yuv4mpegpipe") as out:
            stream = out.add_stream("wrapped_avframe", rate=24)
            stream.width, stream.height, stream.pix_fmt = *SIZE, "gray"
            for index in range(6):
                native = av.VideoFrame(*SIZE, "gray")
                planes_of(native)[0][:] = noise_planes(*SIZE, "gray", index)[0]
                native.pts, native.time_base = index, Fraction(1, 24)
                out.mux(stream.encode(native))
            out.mux(stream.encode(None))
    colorize_video(film, tmp_path / "file.mkv", config(resume="false"))
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(film.read_bytes(),))
    writer.start()
    colorize_video(pipe, tmp_path / "pipe.mkv", config())
    writer.join()
    piped(monkeypatch, film.read_bytes())
    notes: list[str] = []
    colorize_video(
        Path("-"),
        tmp_path / "stdin.mkv",
        config(),
        observer=lambda event: notes.append(event.data.get("message", "")) if event.kind == "note" else None,
    )
    for name in ("pipe.mkv", "stdin.mkv"):
        expect_same(tmp_path / name, tmp_path / "file.mkv")
        assert copied(tmp_path / name) == copied(tmp_path / "file.mkv")
    assert any("cannot be continued" in note for note in notes)
    sha256 = hashlib.sha256(film.read_bytes()).hexdigest()
    assert json.loads((tmp_path / "stdin.mkv.json").read_text())["source"] == {"path": "-", "sha256": sha256}
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_sound_after_the_picture_and_attachments_come_through_a_pipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture, film = tmp_path / "picture.mkv", tmp_path / "in.mkv"
    make_film(picture, 2, "ffv1", "gray", attachments={"notes.txt": b"hello"})
    with av.open(str(picture)) as source, av.open(str(film), "w") as out:
        video: Any = out.add_stream_from_template(source.streams.video[0])
        out.add_attachment("notes.txt", "text/plain", b"hello")
        sound: Any = out.add_stream("pcm_s16le", rate=48000, layout="stereo")
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = video
                out.mux(packet)
        for place in range(16):  # of 1 s, 192 kB
            samples = np.full((1, 96_000), place, np.int16)
            native = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
            native.sample_rate, native.pts = 48000, place * 48000
            out.mux(sound.encode(native))
        out.mux(sound.encode(None))
    data = film.read_bytes()
    assert len(data) > 3_000_000
    piped(monkeypatch, data)
    colorize_video(Path("-"), tmp_path / "pipe.mkv", config())
    assert copied(tmp_path / "pipe.mkv") == copied(film)
    with av.open(str(tmp_path / "pipe.mkv")) as made:
        assert [s.data for s in made.streams if s.type == "attachment"] == [b"hello"]
    record = json.loads((tmp_path / "pipe.mkv.json").read_text())
    assert record["source"]["sha256"] == hashlib.sha256(data).hexdigest()


def test_hints_of_a_pipe_go_to_shots_that_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film, hint, shots = tmp_path / "in.mkv", tmp_path / "hint.png", tmp_path / "shots.yaml"
    make_film(film, 6, "ffv1", "gray")
    cv2.imwrite(str(hint), np.stack([np.roll(noise_planes(*SIZE, "gray", 4)[0], step, 1) for step in range(3)], -1))
    shots.write_text("shots:\n- {shot: 2, frame: 3}\n")
    listed = ColorizeConfig.load(None, ["output.codec=ffv1", f"shots.file={shots}"])
    assigned = [f"hints.assigned=[{{image: {hint}, frame: 4}}]", "output.codec=ffv1", f"shots.file={shots}"]
    colorize_video(film, tmp_path / "file.mkv", ColorizeConfig.load(None, assigned))
    piped(monkeypatch, film.read_bytes())
    timed = ColorizeConfig.load(None, [], {**listed.as_dict(), "hints.items": [f"0.167={hint}"]})
    colorize_video(Path("-"), tmp_path / "pipe.mkv", timed)
    expect_same(tmp_path / "pipe.mkv", tmp_path / "file.mkv")
    for item, file, said in ((f"0.167={hint}", None, "--shots FILE"), (str(hint), shots, "needs its time")):
        piped(monkeypatch, film.read_bytes())
        asked = ColorizeConfig.load(None, [], {"hints.items": [item], "shots.file": file})
        with pytest.raises(UsageError, match=said):
            colorize_video(Path("-"), tmp_path / "x.mkv", asked)


def test_a_window_holds_what_its_readers_have_still_to_see() -> None:
    data = np.random.default_rng(1).bytes(5 << 20)
    window = PipeWindow(Path("-"), io.BytesIO(data), lambda: None)
    gone, fast, slow = window.view(), window.view(), window.view()
    assert window.head().getvalue() == data[: 1 << 20]
    read = fast.read(1000) + fast.read(1 << 22)
    while len(read) < 3 << 20:
        read += fast.read(1 << 16)
    assert window.most == 3 << 20
    del gone
    window.go()
    with pytest.raises(InputError, match="its beginning is gone"):
        window.view()
    assert slow.read(100) == data[:100]
    for view in (slow, fast):
        while part := view.read(1 << 16):
            read += part if view is fast else b""
    assert read == data and window.end == 5 << 20 and window.most <= 4 << 20
    assert window.result() == hashlib.sha256(data).hexdigest()


def test_a_silent_pipe_can_be_stopped(tmp_path: Path) -> None:
    make_film(tmp_path / "in.mkv", 6, "ffv1", "gray")
    pipe, stop = tmp_path / "fifo", threading.Event()
    os.mkfifo(pipe)
    keeps = os.open(pipe, os.O_RDWR)  # never closed by its writer
    try:
        os.write(keeps, (tmp_path / "in.mkv").read_bytes()[:4000])
        timer = threading.Timer(0.3, stop.set)
        timer.start()
        with pytest.raises(Interrupted):
            colorize_video(pipe, tmp_path / "x.mkv", config(), cancel=stop)
        timer.join()
    finally:
        os.close(keeps)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fifo", "in.mkv"]


def test_what_cannot_be_read_from_a_pipe_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = tmp_path / "pipe.tif"
    os.mkfifo(pipe)
    for path in (pipe, Path("-")):
        with pytest.raises(InputError, match="a pipe is read only once"):
            probe(path)
        with pytest.raises(UsageError, match="--dry-run needs a file"):
            plan_colorize(path, tmp_path / "x.mkv", config())
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    with pytest.raises(UsageError, match="is a terminal"):
        colorize_video(Path("-"), tmp_path / "x.mkv", config())
    piped(monkeypatch, b"")
    with pytest.raises(InputError, match="nothing came through"):
        colorize_video(Path("-"), tmp_path / "x.mkv", config())
    make_film(tmp_path / "in.mov", 1, "mjpeg", "yuvj420p")
    make_image(tmp_path / "in.png", noise_planes(*SIZE, "gray"), "gray")
    refused = (
        (b"no film", r"^-: cannot be read as a film"),
        ((tmp_path / "in.mov").read_bytes(), "its index comes after its packets"),
        ((tmp_path / "in.png").read_bytes(), "holds pictures"),
    )
    for data, said in refused:
        piped(monkeypatch, data)
        with pytest.raises(InputError, match=said):
            colorize_video(Path("-"), tmp_path / "x.mkv", config())
    with pytest.raises(UsageError, match="read only once; leave it out"):
        colorize_video(Path("-"), tmp_path / "x.mkv", config(report="true"))
    (tmp_path / "x.mkv").write_bytes(b"old")
    with pytest.raises(OutputError, match="exists already"):
        colorize_video(pipe, tmp_path / "x.mkv", config())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mov", "in.png", "pipe.tif", "x.mkv"]


@pytest.mark.parametrize("resume", ["true", "false"])
def test_a_link_stays_and_its_file_is_written(tmp_path: Path, resume: str) -> None:
    make_film(tmp_path / "in.mkv", 3, "ffv1", "gray")
    (tmp_path / "disk").mkdir()
    link, real = tmp_path / "latest.mkv", tmp_path / "disk" / "film_2.mkv"
    link.symlink_to(real)
    colorize_video(tmp_path / "in.mkv", link, config(resume=resume))
    assert link.is_symlink() and len(planes(real)) == 3
    with pytest.raises(OutputError, match=r"film_2\.mkv: exists already"):
        colorize_video(tmp_path / "in.mkv", link, config(resume=resume, sidecar="false"))
    before = real.stat().st_ino
    result = colorize_video(tmp_path / "in.mkv", link, config(resume=resume, overwrite="true"))
    assert link.is_symlink() and real.stat().st_ino != before and result.frames == 3
    assert [path.name for path in real.parent.iterdir()] == ["film_2.mkv"]
    notes = plan_output(probe(tmp_path / "in.mkv"), link, OutputOptions(overwrite=True)).notes
    assert notes[0] == f"{link} is a symbolic link, which stays; {real} is written"
    (tmp_path / "round.mkv").symlink_to("round.mkv")
    with pytest.raises(OutputError, match="leads nowhere"):
        plan_output(probe(tmp_path / "in.mkv"), tmp_path / "round.mkv")


@pytest.mark.slow
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "gbrp10le"])
def test_a_dry_run_says_which_shots_have_color_already(tmp_path: Path, pix_fmt: str) -> None:
    frames = []
    for shot, colored in enumerate((False, True, False)):
        luma = np.kron(noise_planes(8, 6, "gray", shot)[0], np.ones((8, 8), np.uint8))
        for _ in range(24):
            if pix_fmt == "gbrp10le":
                deep = luma.astype(np.uint16) * 4
                frames.append([deep, deep, np.roll(deep, 20, 1) if colored else deep])
            else:
                chroma = (luma[::2, ::2] // 2 + 64) if colored else np.full((24, 32), 128, np.uint8)
                frames.append([luma, chroma, chroma])
    make_film(tmp_path / "in.mkv", frames, "ffv1", pix_fmt)
    plan = plan_colorize(tmp_path / "in.mkv", tmp_path / "x.mkv", config())
    assert len(plan.scan.shots) == 3
    said = [warning for warning in plan.warnings if "already in color" in warning]
    fate = "its chroma is replaced; chroma.keep_source=true keeps it"
    assert said == [f"the source is already in color in shots 2: {fate}"]
    assert f"warning   {said[0]}" in plan.lines()


def test_what_was_read_of_a_pipe_is_not_taken_for_the_next_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    for width in (64, 96):
        film = tmp_path / f"{width}.mkv"
        make_film(film, 3, size=(width, 48))
        piped(monkeypatch, film.read_bytes())
        with opened_pipe(STANDARD_INPUT, lambda: None):
            seen.append(probe(STANDARD_INPUT).width)
    assert seen == [64, 96]
