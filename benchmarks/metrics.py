"""What scoring costs at 480p: each metric alone, the default set, and a plain scikit-image loop in the same run.

    python benchmarks/metrics.py samples/hawk_25fps.mp4 [--lpips-weights FILE] [-o benchmarks/results/metrics.json]

The film's frames are scaled to 854x480; the "result" is their luma with two thirds of their chroma, blurred. CPU
milliseconds a frame (`time.process_time`, so other programs on the machine hardly count), the median of ROUNDS rounds,
in which the rows take turns. One thread, but for the rows that say otherwise.

    pieces     each metric by itself, with what it shares with others (Lab, the CIEDE2000 map) apart
    scorer     `FilmScorer`: the frame metrics alone; the default set (flow on every 5th pair); flow on every pair
    command    `score_film` on two FFV1 films: the default set with decoding
    plain      the frame metrics by scikit-image and SciPy, as one would write them down: PSNR, PSNR of Lab's ab, SSIM,
               CIEDE2000 (mean, 90 %), both colorfulnesses, CDC, edge-band CIEDE2000
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import av
import click
import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.spatial.distance import jensenshannon
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.feature import canny
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from videocolor.color import lab_of
from videocolor.evaluation.metrics import pixels, temporal
from videocolor.evaluation.metrics.base import Picture, ScoredFrame
from videocolor.evaluation.metrics.color import ReferenceCiede2000, edge_band
from videocolor.evaluation.metrics.lab import ciede2000
from videocolor.evaluation.scoring import FilmScorer, ScoreOptions, score_film
from videocolor.hints.plan import frame_to_rgb
from videocolor.video import open_video

SIZE = (854, 480)
FRAME_METRICS = (
    "psnr_rgb",
    "psnr_ab",
    "ssim",
    "ciede2000",
    "colorfulness",
    "cdc",
    "edge_ciede2000",
)
Array = np.ndarray


def pictures(film: Path, count: int) -> tuple[list[Array], list[Array]]:
    """Truth and result, (480, 854, 3) uint8."""
    truth, result = [], []
    with open_video(film) as video:
        for frame in islice(video, count):
            rgb = cv2.resize(frame_to_rgb(frame), SIZE, interpolation=cv2.INTER_AREA)
            luma = rgb @ np.array([[0.2126], [0.7152], [0.0722]], np.float32)
            made = luma + cv2.GaussianBlur(rgb - luma, (0, 0), 3) * 0.67
            truth.append(np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8))
            result.append(np.rint(np.clip(made, 0, 1) * 255).astype(np.uint8))
    return truth, result


def plain(truth: list[Array], result: list[Array]) -> dict[str, float]:
    """The frame metrics in the words of scikit-image."""
    rows: dict[str, list[float]] = {}
    shares: list[tuple[Array, Array]] = []
    for a, b in zip(truth, result, strict=True):
        lab_a, lab_b = rgb2lab(a), rgb2lab(b)
        delta = deltaE_ciede2000(lab_a, lab_b)
        edges = canny(lab_a[..., 1], 0) | canny(lab_a[..., 2], 0)
        band = distance_transform_edt(~edges) <= 3
        values = {
            "psnr_rgb": peak_signal_noise_ratio(a, b),
            "psnr_ab": 10 * np.log10(255**2 / np.mean((lab_a[..., 1:] - lab_b[..., 1:]) ** 2)),
            "ssim": structural_similarity(a, b, channel_axis=2),
            "ciede2000_mean": delta.mean(),
            "p90": np.percentile(delta, 90),
            "edge": delta[band].mean() if band.any() else 0.0,
        }
        for picture in (a, b):
            red, green, blue = np.moveaxis(picture.astype(float), -1, 0)
            for take in (lambda x: x, np.abs):
                rg, yb = take(red - green), take((red + green) / 2 - blue)
                values["colorfulness"] = np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean())
        pair = tuple(
            np.stack([np.histogram(p[..., c], 256, (0, 256))[0] / p[..., c].size for c in range(3)]) for p in (a, b)
        )
        shares.append((pair[0], pair[1]))
        for side in (0, 1):
            for step in (1, 2, 4):
                if len(shares) > step:
                    jensenshannon(shares[-1 - step][side], shares[-1][side], axis=1)
        for name, value in values.items():
            rows.setdefault(name, []).append(float(value))
    return {name: float(np.mean(values)) for name, values in rows.items()}


def scorer(truth: list[Array], result: list[Array], **options: Any) -> dict[str, Any]:
    film = FilmScorer(ScoreOptions(**options))
    for a, b in zip(truth, result, strict=True):
        film.add(a, b)
    return film.result().as_dict()


def pieces(truth: list[Array], result: list[Array], lpips: Path | None) -> dict[str, Callable[[], object]]:
    """One call a row, each over all frames."""
    pairs = list(zip(truth, result, strict=True))
    labs = [(lab_of(a), lab_of(b)) for a, b in pairs]
    deltas = [ciede2000(a, b) for a, b in labs]
    flows = [temporal.truth_flow(a, b) for a, b in pairwise(truth)]
    hidden = [temporal.occluded(*flow) for flow in flows]
    shares = [temporal.histograms(a) for a in truth]
    steps = range(len(flows))
    rows: dict[str, Callable[[], object]] = {
        "shared: Lab of both": lambda: [(lab_of(a), lab_of(b)) for a, b in pairs],
        "CIEDE2000 map by scikit-image": lambda: [deltaE_ciede2000(a, b, channel_axis=0) for a, b in labs],
        "shared: CIEDE2000 map": lambda: [ciede2000(a, b) for a, b in labs],
        "psnr_rgb": lambda: [pixels.psnr(pixels.mean_squared_error(a, b)) for a, b in pairs],
        "psnr_ab, without Lab": lambda: [pixels.mean_squared_error(a[1:], b[1:]) for a, b in labs],
        "ssim": lambda: [pixels.ssim(a, b) for a, b in pairs],
        "ciede2000 mean and p90, without the map": lambda: [
            (d.mean(dtype=np.float64), np.bincount(np.ceil(d * 100).astype(np.int32).ravel())) for d in deltas
        ],
        "colorfulness, both forms, both films": lambda: [[pixels.colorfulness(p) for p in pair] for pair in pairs],
        "cdc, both films": lambda: [
            [temporal.jensen_shannon(shares[0], temporal.histograms(p)) for p in pair for _ in range(3)]
            for pair in pairs
        ],
        "edge_ciede2000, without the map": lambda: [
            d[edge_band(a)].mean(dtype=np.float64) for (a, _), d in zip(labs, deltas, strict=True)
        ],
        "reference_ciede2000": lambda: [
            ReferenceCiede2000(ScoreOptions()).measure(ScoredFrame(0, 0, True, Picture(a), Picture(b), None))
            for a, b in pairs
        ],
        "shared: flow of a pair, both ways": lambda: [temporal.truth_flow(truth[i], truth[i + 1]) for i in steps],
        "warp_error of a pair, without the flow": lambda: [
            [temporal.warp_error(f[i], f[i + 1], flows[i][0], temporal.occluded(*flows[i])) for f in (truth, result)]
            for i in steps
        ],
        "flicker of a pair, without the flow": lambda: [
            [temporal.flicker(labs[i][s], labs[i + 1][s], flows[i][1], hidden[i]) for s in (0, 1)] for i in steps
        ],
    }
    if lpips is not None:
        from videocolor.evaluation.metrics.lpips import LpipsAlex

        net = LpipsAlex.load(lpips)
        rows["lpips_alex of a frame"] = lambda: [net(a, b) for a, b in pairs[:4] * (len(pairs) // 4)]
    return rows


def write_film(path: Path, frames: list[Array]) -> None:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for index, rgb in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format="yuv420p")
            frame.pts = index
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


@click.command(help=__doc__)
@click.argument("film", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--frames", default=24, show_default=True)
@click.option("--rounds", default=5, show_default=True)
@click.option("--lpips-weights", type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path))
def main(film: Path, frames: int, rounds: int, lpips_weights: Path | None, output: Path | None) -> None:
    cv2.setNumThreads(1)
    if lpips_weights is not None:
        import torch

        torch.set_num_threads(1)
    truth, result = pictures(film, frames)
    with tempfile.TemporaryDirectory() as folder:
        films = Path(folder) / "truth.mkv", Path(folder) / "result.mkv"
        for path, content in zip(films, (truth, result), strict=True):
            write_film(path, content)
        rows: dict[str, Callable[[], object]] = {
            f"pieces: {n}": f for n, f in pieces(truth, result, lpips_weights).items()
        }
        rows |= {
            "scorer: frame metrics": lambda: scorer(truth, result, metrics=FRAME_METRICS),
            "scorer: frame metrics, two threads": lambda: scorer(truth, result, metrics=FRAME_METRICS, threads=2),
            "scorer: default set": lambda: scorer(truth, result),
            "scorer: default set, flow on every pair": lambda: scorer(truth, result, flow_every=1),
            "command: default set with decoding": lambda: score_film(films[1], films[0]),
            "plain": lambda: plain(truth, result),
        }
        cpu: dict[str, list[float]] = {name: [] for name in rows}
        wall: dict[str, list[float]] = {name: [] for name in rows}
        for turn in range(rounds + 1):  # the first warms up
            for name, row in rows.items():
                began, started = time.process_time(), time.perf_counter()
                row()
                if turn:
                    cpu[name].append((time.process_time() - began) * 1000 / len(truth))
                    wall[name].append((time.perf_counter() - started) * 1000 / len(truth))
    found: dict[str, Any] = {
        "film": film.name,
        "size": "854x480",
        "frames": len(truth),
        "rounds": rounds,
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs",
        "cpu_ms_per_frame": {name: round(statistics.median(values), 2) for name, values in cpu.items()},
        "wall_ms_per_frame": {name: round(statistics.median(values), 2) for name, values in wall.items()},
    }
    slow = found["cpu_ms_per_frame"]["plain"]
    found["plain_over_scorer"] = {
        "cpu": round(slow / found["cpu_ms_per_frame"]["scorer: frame metrics"], 2),
        "wall_two_threads": round(
            found["wall_ms_per_frame"]["plain"] / found["wall_ms_per_frame"]["scorer: frame metrics, two threads"], 2
        ),
    }
    text = json.dumps(found, indent=2)
    click.echo(text)
    if output is not None:
        output.write_text(text + "\n")


if __name__ == "__main__":
    main()
