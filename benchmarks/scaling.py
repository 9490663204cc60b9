"""What a batch costs besides color, a piece at a time: the figures that docs/research/scaling.md reckons with.

    python benchmarks/scaling.py FILM [--height 480 --height 1080] [--frames 120] [-o benchmarks/results/scaling.json]

CPU seconds of all threads, which a busy machine disturbs less than the clock does; medians of `--rounds`.

    decode, encode      a frame of the film as H.264, FFV1 (preset master) and x264 (preset access)
    bytes               a frame in each of the two
    sha256, framemd5    a gigabyte of a file; the luma of a frame, decoding included
    task                a task that does nothing, given out and reported back, of the driver's own time
    status              a report of the status of 1,000 films
"""

from __future__ import annotations

import hashlib
import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import click

from videocolor.batch.framemd5 import framemd5_path, write_framemd5
from videocolor.batch.state import state_folder
from videocolor.batch.status import FilmStatus, write_status
from videocolor.config import ColorizeConfig
from videocolor.engines.base import open_engine
from videocolor.engines.settings import EngineSettings
from videocolor.files import file_sha256
from videocolor.shards.types import Task, Tell

TASKS = 400


def nothing(task: Task, tell: Tell) -> None:
    """The work of a task: one report of progress, one of a shard."""
    tell({"kind": "progress", "frames": 1})
    tell({"kind": "shard", "record": {"number": 0, "key": task.id}})


def cpu(work: Callable[[], Any]) -> float:
    """CPU seconds of this process, all threads."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def decode(film: Path) -> int:
    with av.open(str(film)) as source:
        source.streams.video[0].thread_count = 1
        return sum(1 for _ in source.decode(video=0))


def encode(frames: list[av.VideoFrame], target: Path, codec: str, options: dict[str, str]) -> None:
    with av.open(str(target), "w") as out:
        stream = out.add_stream(codec, rate=24, options=options)
        stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, "yuv420p"
        stream.codec_context.thread_count = 1
        for count, frame in enumerate(frames):
            frame.pts, frame.time_base, frame.pict_type = count, Fraction(1, 24), 0
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def pictures(film: Path, height: int, count: int) -> list[av.VideoFrame]:
    with av.open(str(film)) as source:
        found: list[av.VideoFrame] = []
        for frame in source.decode(video=0):
            found.append(frame.reformat(round(frame.width * height / frame.height / 2) * 2, height, "yuv420p"))
            if len(found) == count:
                break
    return found


def codecs(film: Path, height: int, count: int, rounds: int) -> dict[str, float]:
    """CPU-ms and bytes a frame."""
    frames, found = pictures(film, height, count), {}
    with tempfile.TemporaryDirectory() as name:
        for preset, suffix in (("master", "mkv"), ("access", "mp4")):
            output = ColorizeConfig.load(preset).output
            options = dict(output.options)
            if output.crf is not None:
                options |= {"crf": str(output.crf), "preset": str(output.preset)}
            target = Path(name) / f"{preset}.{suffix}"
            times = [cpu(lambda: encode(frames, target, output.codec or "", options)) for _ in range(rounds)]  # noqa: B023
            found[f"encode_{preset}_ms"] = 1000 * statistics.median(times) / len(frames)
            times = [cpu(lambda: decode(target)) for _ in range(rounds)]  # noqa: B023
            found[f"decode_{preset}_ms"] = 1000 * statistics.median(times) / len(frames)
            found[f"bytes_{preset}"] = target.stat().st_size / len(frames)
            if preset == "master":
                times = [cpu(lambda: write_framemd5(target, framemd5_path(target))) for _ in range(rounds)]  # noqa: B023
                found["framemd5_ms"] = 1000 * statistics.median(times) / len(frames)
    return found


def hashing(rounds: int) -> float:
    """CPU seconds a gigabyte."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "bytes"
        path.write_bytes(hashlib.shake_128(b"videocolor").digest(10**6) * 256)
        return statistics.median(cpu(lambda: file_sha256(path)) for _ in range(rounds)) / 0.256


def tasks(kind: str) -> dict[str, float]:
    """The driver's CPU-ms and the wall-clock ms of a task that does nothing, two workers."""
    settings = EngineSettings.model_validate({"kind": kind, "workers": 2, "cpus_per_task": 1})
    with open_engine(settings, "scaling:nothing") as engine:
        warm(engine, 20, "warm")
        began = time.monotonic()
        used = cpu(lambda: warm(engine, TASKS, "task"))
        wall = time.monotonic() - began
    return {f"task_{kind}_driver_ms": 1000 * used / TASKS, f"task_{kind}_wall_ms": 1000 * wall / TASKS}


def warm(engine: Any, count: int, name: str) -> None:
    left = [Task(f"{name}{i}", {"config": {}}, (0,)) for i in range(count)]
    while left or engine.unfinished:
        while left and engine.room:
            engine.submit(left.pop())
        engine.events(0.5)


def status(films: int = 1000) -> float:
    """CPU-ms of a report of the batch's status, which the driver writes once a second."""
    with tempfile.TemporaryDirectory() as name:
        out = Path(name)
        state_folder(out).mkdir()
        rows = [FilmStatus(f"film{i}", out / f"{i}.mkv", out / f"{i}_colorized.mkv") for i in range(films)]
        return 1000 * cpu(lambda: write_status(out, rows))


@click.command()
@click.argument("film", type=click.Path(path_type=Path, exists=True))
@click.option("--height", "heights", multiple=True, default=(480, 1080), show_default=True)
@click.option("--frames", default=120, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path))
def main(film: Path, heights: tuple[int, ...], frames: int, rounds: int, output: Path | None) -> None:
    """Measure, print, write."""
    sys.path.insert(0, str(Path(__file__).parent))  # workers import this file as `scaling`
    found: dict[str, Any] = {"film": film.name, "frames": frames, "rounds": rounds}
    for height in heights:
        found[str(height)] = codecs(film, height, frames, rounds)
    found |= {"sha256_s_a_gb": hashing(rounds), "status_1000_films_ms": status(), **tasks("local"), **tasks("ray")}
    text = json.dumps(found, indent=2)
    print(text)
    if output is not None:
        output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
