"""Shards of difficult films: predicted frames, uneven times, trims, damage, restoration, images, full disks."""

from __future__ import annotations

import errno
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from batch.films import RATE, samples_of, write_reel

from videocolor.colorize import colorize_video
from videocolor.config import ColorizeConfig
from videocolor.errors import InputError, OutputError, UnsupportedVideoError
from videocolor.shards.merge import merge_film
from videocolor.shards.types import FilmJob, Task
from videocolor.shards.work import plan_film, run_task
from videocolor.video import open_video
from videocolor.video.shardfile import PacketFile

SHOTS = ((1, 30), (2, 25), (1, 20), (3, 70))
SETTINGS = ("output.codec=ffv1", "shots.shard=2", "shots.max_shard=4", "model.name=constant", "model.batch=1")


def uneven(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    times = np.cumsum(rng.integers(20, 140, 145)) + 3000
    return write_reel(tmp_path / "in.mkv", SHOTS, pts=[int(t) for t in times], time_base=Fraction(1, 1000))


def predicted(tmp_path: Path) -> Path:
    """Two-way prediction, one keyframe in 100 frames, none at the cuts."""
    reel = write_reel(tmp_path / "plain.mkv", SHOTS, pix_fmt="gray")
    from videocolor.video import OutputOptions, VideoWriter

    options = {"bf": "3", "g": "100", "sc_threshold": "0"}
    with (
        open_video(reel) as video,
        VideoWriter.like(video, tmp_path / "in.mp4", OutputOptions("libx264", options=options)) as out,
    ):
        neutral = np.full((out.plan.chroma_size[1], out.plan.chroma_size[0]), 128, np.uint8)
        for frame in video:
            out.write(frame, neutral, neutral)
    return tmp_path / "in.mp4"


def repeated_times(tmp_path: Path) -> Path:
    """Some frames share their time with the one before: times have to be repaired."""
    times = [i * 80 - (80 if i % 17 == 5 else 0) for i in range(145)]
    return write_reel(tmp_path / "in.mkv", SHOTS, pts=times, time_base=Fraction(1, 1000), audio=(), subtitles=())


def cut_short(tmp_path: Path) -> Path:
    whole = write_reel(tmp_path / "whole.mkv", SHOTS)
    data = whole.read_bytes()
    (tmp_path / "in.mkv").write_bytes(data[: len(data) * 3 // 4])
    return tmp_path / "in.mkv"


def images(tmp_path: Path) -> Path:
    import cv2

    folder = tmp_path / "scans"
    folder.mkdir()
    with open_video(write_reel(tmp_path / "reel.mkv", SHOTS)) as video:
        for frame in video:
            cv2.imwrite(str(folder / f"{frame.index:05d}.png"), frame.luma)
    return folder


CASES: dict[str, tuple[Callable[[Path], Path], tuple[str, ...]]] = {
    "uneven": (uneven, ()),
    "predicted": (predicted, ()),
    "repeated times": (repeated_times, ()),
    "cut short": (cut_short, ()),
    "images": (images, ("input.rate=12",)),
    "trimmed": (predicted, ("input.start=1.3", "input.end=11")),
    "restored": (predicted, ("restoration.deflicker=true", "restoration.dust=true")),
    "trimmed, restored": (uneven, ("input.start=4", "input.end=14.5", "restoration.deflicker=true")),
    "high bit depth": (
        lambda folder: write_reel(folder / "in.mkv", SHOTS, pix_fmt="gray"),
        ("output.pix_fmt=yuv422p10le",),
    ),
}


_QUICK = "repeated times"


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == _QUICK else pytest.mark.slow) for name in CASES]
)
def test_every_shard_by_itself_gives_the_film_in_one_go(name: str, tmp_path: Path) -> None:
    make, extra = CASES[name]
    source = make(tmp_path)

    def config(*more: str) -> ColorizeConfig:
        return ColorizeConfig.load(None, [*SETTINGS, *extra, *more])

    whole = tmp_path / "one.mkv"
    colorize_video(source, whole, config("output.resume=false"))
    expected = samples_of(whole)
    assert len(expected) > 60
    colorize_video(source, tmp_path / "two.mkv", config())
    assert samples_of(tmp_path / "two.mkv") == expected

    job = FilmJob("in", source, tmp_path / "three.mkv", config().as_dict(), tmp_path / "work")
    plan = plan_film(job)
    assert len(plan.shards) >= 2
    for shard in plan.shards:
        run_task(Task(str(shard.number), job.as_dict(), (shard.number,)), lambda _: None)
    assert samples_of(merge_film(job).target) == expected


@pytest.mark.slow
def test_a_full_disk_loses_nothing_that_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_reel(tmp_path / "in.mkv", SHOTS)
    config = ColorizeConfig.load(None, list(SETTINGS))
    keeping = ColorizeConfig.load(None, [*SETTINGS, "output.keep_shards=true"])
    colorize_video(source, tmp_path / "whole.mkv", keeping)
    sizes = [path.stat().st_size for path in sorted((tmp_path / ".whole.mkv.videocolor").glob("*.vcs"))]
    written, most = [0], sum(sizes) - sizes[-1] // 2
    write = PacketFile._write

    def fill(self: PacketFile, data: bytes) -> None:
        written[0] += len(data)
        if written[0] > most:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, data)

    monkeypatch.setattr(PacketFile, "_write", fill)
    with pytest.raises(OutputError, match="the disk is full"):
        colorize_video(source, tmp_path / "out.mkv", config)
    assert not (tmp_path / "out.mkv").exists()
    assert not list((tmp_path / ".out.mkv.videocolor").glob(".*")), "nothing half-written"
    monkeypatch.setattr(PacketFile, "_write", write)
    assert colorize_video(source, tmp_path / "out.mkv", config).resumed > 0
    assert samples_of(tmp_path / "out.mkv") == samples_of(tmp_path / "whole.mkv")


@pytest.mark.slow
def test_a_picture_that_changes_its_size_ends_the_film_there(tmp_path: Path) -> None:
    source, rng = tmp_path / "in.mjpeg", np.random.default_rng(3)
    scenes = [rng.integers(0, 255, (12, 16), np.uint8).repeat(4, 0).repeat(4, 1) for _ in range(3)]
    frames = [scenes[index // 25] for index in range(75)] + [scenes[0][:24, :32]] * 4
    source.write_bytes(b"".join(cv2.imencode(".jpg", frame)[1].tobytes() for frame in frames))
    settings = [*SETTINGS, "shots.shard=1", "output.sidecar=false"]
    with pytest.raises(
        UnsupportedVideoError, match=r"at frame 75; .*\(--end 3\.000\).* is kept in .*out\.mkv\.videocolor"
    ):
        colorize_video(source, tmp_path / "out.mkv", ColorizeConfig.load(None, settings))
    result = colorize_video(source, tmp_path / "out.mkv", ColorizeConfig.load(None, [*settings, "input.end=3.000"]))
    assert (result.frames, result.resumed >= 25) == (75, True)
    expected = colorize_video(source, tmp_path / "new.mkv", ColorizeConfig.load(None, [*settings, "input.end=3.000"]))
    assert samples_of(result.target) == samples_of(expected.target)


@pytest.mark.slow
def test_a_film_that_changed_is_not_mixed(tmp_path: Path) -> None:
    source = write_reel(tmp_path / "in.mkv", SHOTS)
    job = FilmJob(
        "in", source, tmp_path / "out.mkv", ColorizeConfig.load(None, list(SETTINGS)).as_dict(), tmp_path / "work"
    )
    plan_film(job)
    write_reel(source, ((1, 30), (2, 25), (1, 21), (3, 70)))
    with pytest.raises(InputError, match="has changed since it was planned"):
        run_task(Task("0", job.as_dict(), (0,)), lambda _: None)


def test_a_source_without_a_change_but_another_date_is_the_same(tmp_path: Path) -> None:
    source = write_reel(tmp_path / "in.mkv", SHOTS[:2])
    job = FilmJob(
        "in", source, tmp_path / "out.mkv", ColorizeConfig.load(None, list(SETTINGS)).as_dict(), tmp_path / "work"
    )
    plan_film(job)
    source.touch()
    told: list[dict[str, Any]] = []
    run_task(Task("0", job.as_dict(), (0,)), told.append)
    assert [message["kind"] for message in told if message["kind"] == "shard"] == ["shard"]
    assert Fraction(12) == RATE


@pytest.mark.slow
def test_a_mended_film_is_not_called_interlaced(tmp_path: Path) -> None:
    from videocolor.video import probe

    source = write_reel(tmp_path / "in.mkv", SHOTS[:2], field_order=2)
    assert probe(source).field_order == "tt"
    for resume in ("true", "false"):
        for mended, order in (("off", "tt"), ("on", "progressive")):
            target = tmp_path / f"{resume}-{mended}.mkv"
            more = [f"output.resume={resume}", f"restoration.deinterlace={mended}"]
            colorize_video(source, target, ColorizeConfig.load(None, [*SETTINGS, *more]))
            assert probe(target).field_order == order
