"""How fast pairs are read: stored frames, references decoded on the fly, and a reader that opens and seeks each time.

    python benchmarks/pairs.py FOOTAGE/train/*.mp4 [--pairs 300] [--workers 1,2] [--size 256] [--json FILE]

Two data sets are built of the films in a temporary folder (preset any_rate, two originals a second), one that stores
frames and one that refers. Each way gives the same tensors (luma, hint, chroma) in batches of 16 through a PyTorch
DataLoader; reading starts anew each time, its start-up counts, files are in the system's cache. The naive reader opens
the film, seeks and decodes for each of the two frames.

    python benchmarks/pairs.py --formats FOOTAGE/train/*.mp4

compares image formats: kilobytes, CPU-ms to encode and to decode, RMS change of a*b*.
"""

from __future__ import annotations

import json
import random
import resource
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import click
import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from videocolor.datasets.pairs.build import build_pairs
from videocolor.datasets.pairs.dataset import WHOLE, PairBatches, PairDataset, cut_window
from videocolor.datasets.pairs.frames import picture_of
from videocolor.datasets.pairs.settings import PairsConfig
from videocolor.errors import VideocolorError
from videocolor.presets import load_model
from videocolor.video import open_video

Array = np.ndarray[Any, Any]
BATCH = 16


class Naive(PairDataset):
    """Opens the film, seeks and decodes, for every frame."""

    def pictures(self, index: int) -> tuple[Array, Array]:
        record = self.records[index]
        size = self.size or (256, 256)
        original, hint = (self._open(record.source, pts) for pts in (record.original_pts, record.hint_pts))
        return cut_window(original, WHOLE, size), cut_window(hint, WHOLE, size)

    def _open(self, source: str, pts: int) -> Array:
        with av.open(source) as film:
            stream = film.streams.video[0]
            film.seek(pts, stream=stream)
            for frame in film.decode(stream):
                if frame.pts is not None and frame.pts >= pts:
                    return frame.to_ndarray(format="rgb24")
        raise RuntimeError(f"{source}: no frame at {pts}")


def build(films: Sequence[Path], folder: Path, mode: str) -> Path:
    """A data set of all pairs in one split, whatever their licence: it is read and thrown away."""
    settings = [f"store.mode={mode}", "store.short_side=288", "sampling.rate=2", "split.val=0", "split.test=0"]
    config = load_model(PairsConfig, "pairs", "any_rate", [*settings, "split.held_back=[]", "scene.accept=200"])
    began = time.perf_counter()
    result = build_pairs(films, folder, config)
    click.echo(
        f"{mode}: {sum(result.decisions.values())} pairs of {result.sources} films, {time.perf_counter() - began:.0f} s"
    )
    return folder


def batches(count: int, seed: int) -> list[list[int]]:
    order = list(range(count))
    random.Random(seed).shuffle(order)
    return [order[i : i + BATCH] for i in range(0, count, BATCH)]


def cpu_seconds() -> float:
    """Of this process and of workers that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def speed(data: Dataset[Any], order: Sequence[list[int]], workers: int, least: int) -> tuple[float, float]:
    """(pairs a second, CPU-ms a pair) of a loader, from its making to its last batch, at least `least` pairs."""
    wanted: list[list[int]] = []
    while sum(map(len, wanted)) < least and len(wanted) < len(order):
        wanted.append(order[len(wanted)])
    began, cpu, seen = time.perf_counter(), cpu_seconds(), 0
    for luma, *_ in DataLoader(data, batch_sampler=wanted, num_workers=workers):
        seen += len(luma)
    return seen / (time.perf_counter() - began), (cpu_seconds() - cpu) / seen * 1000


def readers(stored: Path, referred: Path, size: int, workers: int) -> Iterator[tuple[str, Any, Any]]:
    """(name, data set, order) of each way."""
    side = (size, size)
    data = PairDataset(stored, size=side)
    yield "stored frames", data, batches(len(data), 1)
    flying = PairDataset(referred, size=side)
    yield "on the fly, PairBatches", flying, list(PairBatches(flying, BATCH, workers=workers, seed=1))
    shuffled = PairDataset(referred, size=side)
    yield "on the fly, shuffled", shuffled, batches(len(shuffled), 1)
    naive = Naive(referred, size=side)
    yield "naive: open and seek", naive, batches(len(naive), 1)


def compare(films: Sequence[Path], count: int, sizes: int, workers: Sequence[int], rounds: int) -> dict[str, Any]:
    """Pairs a second by way and number of workers; the best of some rounds."""
    found: dict[str, Any] = {
        "films": len(films),
        "batch": BATCH,
        "size": sizes,
        "pairs_a_second": {},
        "cpu_ms_a_pair": {},
    }
    with tempfile.TemporaryDirectory() as folder:
        stored, referred = (build(films, Path(folder) / mode, mode) for mode in ("frames", "references"))
        found["pairs"] = len(PairDataset(stored))
        found["bytes_a_pair"] = sum(p.stat().st_size for p in stored.rglob("*.jpg")) // found["pairs"]
        for number in workers:
            for _ in range(rounds):
                for name, data, order in readers(stored, referred, sizes, number):
                    least = min(len(data), count if "naive" in name or "shuffled" in name else len(data))
                    rate, cost = speed(data, order, number, least)
                    best = found["pairs_a_second"].setdefault(name, {})
                    best[str(number)] = max(best.get(str(number), 0.0), rate)
                    least_cost = found["cpu_ms_a_pair"].setdefault(name, {})
                    least_cost[str(number)] = min(least_cost.get(str(number), float("inf")), cost)
    return found


def formats(films: Sequence[Path]) -> list[dict[str, Any]]:
    """Image formats on one frame of each film."""
    pictures = []
    for path in films:
        try:
            with open_video(path) as video:
                pictures.append(picture_of(next(iter(video)), video.info, 288))
        except VideocolorError as error:
            click.echo(f"left out: {error}")
    full = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    ways = [
        *((f"JPEG {q}, 4:4:4", ".jpg", [cv2.IMWRITE_JPEG_QUALITY, q, *full]) for q in (90, 95, 98)),
        ("JPEG 95, 4:2:0", ".jpg", [cv2.IMWRITE_JPEG_QUALITY, 95]),
        ("PNG", ".png", [cv2.IMWRITE_PNG_COMPRESSION, 3]),
        ("WebP 95", ".webp", [cv2.IMWRITE_WEBP_QUALITY, 95]),
        ("WebP lossless", ".webp", [cv2.IMWRITE_WEBP_QUALITY, 101]),
    ]
    return [{"format": name, **_one_format(pictures, suffix, options)} for name, suffix, options in ways]


def _one_format(pictures: Sequence[Array], suffix: str, options: list[int]) -> dict[str, float]:
    bgr = [np.ascontiguousarray(picture[..., ::-1]) for picture in pictures]
    marks = [time.process_time()]
    coded = [cv2.imencode(suffix, picture, options)[1] for picture in bgr]
    marks.append(time.process_time())
    for _ in range(3):
        back = [cv2.imdecode(data, cv2.IMREAD_COLOR) for data in coded]
        marks.append(time.process_time())
    encode, *decode = (b - a for a, b in pairwise(marks))
    chroma = [_chroma(a) - _chroma(b) for a, b in zip(bgr, back, strict=True)]
    count = len(pictures)
    return {
        "kilobytes": sum(map(len, coded)) / count / 1024,
        "encode_ms": encode / count * 1000,
        "decode_ms": min(decode) / count * 1000,
        "chroma_rms": float(np.mean([np.sqrt((difference**2).mean()) for difference in chroma])),
    }


def _chroma(bgr: Array) -> Array:
    return cv2.cvtColor(bgr.astype(np.float32) / np.float32(255), cv2.COLOR_BGR2LAB)[..., 1:]


@click.command(help=__doc__)
@click.argument("films", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--pairs", default=300, show_default=True, help="Pairs read by the slow ways; the fast ones read all.")
@click.option("--size", default=256, show_default=True)
@click.option("--workers", default="1,2", show_default=True)
@click.option("--rounds", default=2, show_default=True, help="The best of so many.")
@click.option("--formats", "only_formats", is_flag=True, help="Compare image formats instead.")
@click.option("--json", "record", type=click.Path(path_type=Path), help="Write the figures.")
def main(
    films: tuple[Path, ...], pairs: int, size: int, workers: str, rounds: int, only_formats: bool, record: Path | None
) -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if only_formats:
        rows = formats(films)
        for row in rows:
            click.echo("  ".join(f"{v:10.2f}" if isinstance(v, float) else f"{v:16}" for v in row.values()))
        found: Any = rows
    else:
        found = compare(films, pairs, size, [int(n) for n in workers.split(",")], rounds)
        base = found["pairs_a_second"]["naive: open and seek"]
        for name, rates in found["pairs_a_second"].items():
            costs = found["cpu_ms_a_pair"][name]
            told = "  ".join(
                f"{n} workers {r:7.1f} pairs/s ({r / base[n]:4.1f} x naive), {costs[n]:6.1f} CPU-ms a pair"
                for n, r in rates.items()
            )
            click.echo(f"{name:26} {told}")
    if record is not None:
        record.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
