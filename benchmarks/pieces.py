"""CPU milliseconds of the pieces of the path that benchmarks/temporal.py does not time, and of the network's runtimes.

    python benchmarks/pieces.py samples/bw_his_girl_friday_1940.mp4 samples/hawk_25fps.mp4

Pieces: mean over 100 frames, one thread (`time.thread_time`). Network: median wall time a frame of nine runs at 288x160
with one hint, after one warm-up.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import click
import cv2
import numpy as np

from videocolor.chromatable import ChromaTable
from videocolor.color import ab_to_ycbcr
from videocolor.models.base import HintInput
from videocolor.models.registry import load_colorizer
from videocolor.pipeline.upsample import plane_luma, upsample_chroma
from videocolor.shots.prepare import prepare, working_size
from videocolor.video import open_video
from videocolor.video.stored import source_color


def cost(name: str, count: int, work: Callable[[], object]) -> None:
    began = time.thread_time()
    work()
    click.echo(f"  {name:24s} {1000 * (time.thread_time() - began) / count:7.3f} ms")


def pieces(film: Path) -> None:
    with open_video(film) as video:
        frames = list(islice(video, 100))
        info = video.info
    count, size = len(frames), working_size(info.width, info.height)
    grid, plane = (size[0] // 2, size[1] // 2), ((info.width + 1) // 2, (info.height + 1) // 2)
    click.echo(f"{film.name}: {info.width}x{info.height}, working size {size[1]}x{size[0]}")
    cost("luma to working size", count, lambda: list(prepare(iter(frames), size)))
    cost("source's own color", count, lambda: [source_color(frame) for frame in frames])
    shrink = lambda: [plane_luma(f.luma, f.layout.depth, f.color.range, plane) for f in frames]  # noqa: E731
    cost("luma on the chroma grid", count, shrink)
    large = shrink()
    small = [cv2.resize(luma, grid[::-1], interpolation=cv2.INTER_AREA) for luma in large]
    ab = np.random.default_rng(0).normal(0, 15, (2, *grid)).astype(np.float32)
    up = lambda: [upsample_chroma(ab, s, y) for s, y in zip(small, large, strict=True)]  # noqa: E731
    cost("guided upsampling", count, up)
    colors = up()
    cost("the table, once a film", 1, lambda: ChromaTable(info.color, 8))
    table = ChromaTable(info.color, 8)
    cost("a*b* to Cb, Cr: table", count, lambda: [table.codes(y, c) for y, c in zip(large, colors, strict=True)])
    cost("a*b* to Cb, Cr: search", 1, lambda: ab_to_ycbcr(large[0], colors[0], info.color.matrix))


def network() -> None:
    rng = np.random.default_rng(0)
    hint = HintInput(rng.random((160, 288), np.float32), rng.normal(0, 15, (2, 160, 288)).astype(np.float32))
    click.echo("network, ms a frame at batch 1, 4, 8; encoding a hint")
    for runtime in ("onnxruntime", "torch"):
        for threads in (1, 2):
            colorizer = load_colorizer("hint", device="cpu", runtime=runtime, threads=threads)
            memory, row = colorizer.begin([hint]), []
            for batch in (1, 4, 8):
                luma = rng.random((batch, 160, 288), np.float32)
                row.append(timed(lambda x=luma, c=colorizer, m=memory: c.step(m, x)) / batch)
            row.append(timed(lambda c=colorizer: c.begin([hint])))
            click.echo(f"  {runtime:12s} {threads} threads " + " ".join(f"{1000 * value:6.1f}" for value in row))


def timed(work: Callable[[], object]) -> float:
    work()
    seconds = []
    for _ in range(9):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


@click.command(help=__doc__)
@click.argument("films", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(films: tuple[Path, ...]) -> None:
    cv2.setNumThreads(1)
    for film in films:
        pieces(film)
    network()


if __name__ == "__main__":
    main()
