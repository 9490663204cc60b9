"""How much of a plain transcode's speed is left when the film is colored: ratios, side by side in one run.

    python benchmarks/film.py FILM... [--height 480] [--frames 300] [--rounds 3] [-o benchmarks/results/film.json]

Every row decodes the same file and encodes with the same encoder (x264 veryfast by default):

    transcode   decode and encode, nothing else (PyAV)
    constant    our path with a constant predictor, smoothing off
    fused       our path with a constant predictor, smoothing on
    default     our path as it comes: packaged network, anchors, smoothing
    painted     the same with the first frame of every shot, in color, as a hint: finer motion, more anchors
    usual       as other tools do it: decode to RGB, whole-frame Lab by scikit-image, network on every frame,
                Lab to RGB, encode; a tenth of the frames, because it is slow
Rows take turns within a round, so that a drifting machine moves them together; the ratio of the medians
is what counts. The film is scaled to HEIGHT once, before anything is timed; of several FILMs, shots of --shot frames
take turns.
"""

from __future__ import annotations

import json
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import click
import cv2
import numpy as np
from skimage.color import lab2rgb, rgb2lab

from videocolor.colorize import colorize_video
from videocolor.config import ColorizeConfig
from videocolor.models.base import HintInput
from videocolor.models.registry import load_colorizer


def scaled(film: Path, target: Path, height: int, frames: int) -> None:
    """The film at `height` lines, looped to `frames` frames if it is shorter, x264 crf 20."""
    assembled([film], target, height, frames, frames)


def assembled(films: Sequence[Path], target: Path, height: int, frames: int, shot: int) -> None:
    """Shots of `shot` frames out of several films in turn, at `height` lines.

    Every film goes on where its last shot ended, and begins again at its end.
    """
    streams = [looped(film) for film in films]
    with av.open(str(target), "w") as out:
        made: Any = None
        for count in range(frames):
            frame = next(streams[count // shot % len(streams)])
            if made is None:
                made = out.add_stream("libx264", rate=25, options={"crf": "20", "preset": "medium"})
                made.width, made.height, made.pix_fmt = (
                    round(frame.width * height / frame.height / 2) * 2,
                    height,
                    "yuv420p",
                )
            picture = frame.reformat(made.width, height, "yuv420p")
            picture.pts, picture.time_base, picture.pict_type = count, Fraction(1, 25), 0
            out.mux(made.encode(picture))
        out.mux(made.encode(None))


def looped(film: Path) -> Iterator[av.VideoFrame]:
    while True:
        with av.open(str(film)) as source:
            yield from source.decode(video=0)


def transcode(source: Path, target: Path, preset: str) -> None:
    with av.open(str(source)) as film, av.open(str(target), "w") as out:
        film.streams.video[0].thread_type = "AUTO"
        inside = film.streams.video[0].codec_context
        stream = out.add_stream("libx264", rate=25, options={"crf": "18", "preset": preset})
        stream.width, stream.height, stream.pix_fmt = inside.width, inside.height, "yuv420p"
        for frame in film.decode(video=0):
            frame.pict_type = 0
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def usual(source: Path, target: Path, preset: str, frames: int) -> None:
    """Whole frames through RGB and Lab, one by one, as the field's scripts do."""
    colorizer = load_colorizer("hint", device="cpu")
    hints: list[HintInput] = []
    memory = colorizer.begin(hints)
    with av.open(str(source)) as film, av.open(str(target), "w") as out:
        inside = film.streams.video[0].codec_context
        stream = out.add_stream("libx264", rate=25, options={"crf": "18", "preset": preset})
        stream.width, stream.height, stream.pix_fmt = inside.width, inside.height, "yuv420p"
        for frame in islice(film.decode(video=0), frames):
            lab = rgb2lab(frame.to_ndarray(format="rgb24"))
            small = cv2.resize((lab[..., 0] / 100).astype(np.float32), (288, 160), interpolation=cv2.INTER_AREA)
            ab = np.moveaxis(colorizer.step(memory, small[None]).ab[0], 0, -1)
            lab[..., 1:] = cv2.resize(ab, (inside.width, inside.height), interpolation=cv2.INTER_LINEAR)
            rgb = (np.clip(lab2rgb(lab), 0, 1) * 255 + 0.5).astype(np.uint8)
            picture = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            picture.pts, picture.time_base = frame.pts, frame.time_base
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))


def ours(source: Path, target: Path, preset: str, *settings: str) -> None:
    fixed = ["output.codec=libx264", "output.crf=18", f"output.preset={preset}", "output.overwrite=true"]
    colorize_video(source, target, ColorizeConfig.load(None, [*fixed, "output.sidecar=false", *settings]))


def painted(source: Path, starts: Sequence[int]) -> str:
    """The frames at `starts` as hints with their times."""
    return json.dumps([f"{start / 25:.2f}={source}@{start / 25:.2f}" for start in starts])


def rows(preset: str, few: int, starts: Sequence[int]) -> dict[str, Callable[[Path, Path], None]]:
    plain = ("model.name=constant", "smoothing.enabled=false")
    return {
        "transcode": lambda s, t: transcode(s, t, preset),
        "constant": lambda s, t: ours(s, t, preset, *plain),
        "fused": lambda s, t: ours(s, t, preset, "model.name=constant"),
        "default": lambda s, t: ours(s, t, preset),
        "painted": lambda s, t: ours(s, t, preset, f"hints.items={painted(s, starts)}"),
        "usual": lambda s, t: usual(s, t, preset, few),
    }


@click.command(help=__doc__)
@click.argument("films", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--shot", default=100, show_default=True, help="Frames of a shot of each film, of several.")
@click.option("--height", default=480, show_default=True)
@click.option("--frames", default=300, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--preset", default="veryfast", show_default=True)
@click.option("--only", multiple=True, help="Rows to run beside `transcode`.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path))
def main(
    films: tuple[Path, ...],
    shot: int,
    height: int,
    frames: int,
    rounds: int,
    preset: str,
    only: tuple[str, ...],
    output: Path | None,
) -> None:
    starts = list(range(0, frames, shot)) if len(films) > 1 else [0]
    every = rows(preset, frames // 10, starts)
    chosen = {name: run for name, run in every.items() if not only or name in (*only, "transcode")}
    wall: dict[str, list[float]] = {name: [] for name in chosen}
    cpu: dict[str, list[float]] = {name: [] for name in chosen}
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "source.mkv", Path(folder) / "target.mkv"
        assembled(films, source, height, frames, shot if len(films) > 1 else frames)
        for _ in range(rounds):
            for name, run in chosen.items():
                before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
                run(source, target)
                after = resource.getrusage(resource.RUSAGE_SELF)
                count = frames // 10 if name == "usual" else frames
                wall[name].append((time.perf_counter() - began) / count)
                cpu[name].append((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / count)
                with av.open(str(target)) as made:
                    assert sum(1 for _ in made.demux(video=0)) >= count, f"{name}: frames are missing"
                click.echo(f"{name:10s} {1 / wall[name][-1]:7.1f} frames/s", err=True)
    base = statistics.median(wall["transcode"])
    table = {
        name: {
            "fps": round(1 / statistics.median(wall[name]), 1),
            "cpu_ms_per_frame": round(1000 * statistics.median(cpu[name]), 1),
            "of_transcode": round(base / statistics.median(wall[name]), 3),
        }
        for name in chosen
    }
    result = {
        "kind": "film",
        "film": ", ".join(film.name for film in films),
        "height": height,
        "frames": frames,
        "rounds": rounds,
        "preset": preset,
        "machine": f"{platform.machine()}, {cv2.getNumberOfCPUs()} CPUs",
        "rows": table,
    }
    click.echo(json.dumps(result, indent=2))
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
