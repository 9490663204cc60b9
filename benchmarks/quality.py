"""What the path does to a film, measured film in, film out, on clips whose color is known.

    python benchmarks/quality.py FOOTAGE [--clips 8] [--seconds 2.5] [-o benchmarks/results/quality.json]

FOOTAGE is the folder with train/ (`data.root`); the clips are those of configs/evaluate/held_back.yaml, evenly chosen.
Each is colored through FFV1 by the command's own function, with the true frame 0 as hint (`e1`) or without hints
(`auto`), under several settings; frame 0 is left out of the means. Luma is the source's in every row.

    rgb_psnr   float64, mean over frames, then clips, dB
    de00       CIEDE2000, every fifth frame
    edge       the same, within 3 px (at 480 lines) of the Canny edges (40, 80) of the truth's 8-bit a*b*
    flicker    mean |ab(t) - warp(ab(t-1))| over unoccluded pixels, DIS flow from luma, a*b* units
    color      Hasler-Suesstrunk colorfulness
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import click
import cv2
import numpy as np
import yaml
from skimage.color import deltaE_ciede2000

from videocolor.color import rgb_to_lab
from videocolor.colorize import colorize_video
from videocolor.config import ColorizeConfig
from videocolor.evaluation.metrics.pixels import colorfulness, mean_squared_error, psnr
from videocolor.hints.plan import frame_to_rgb
from videocolor.motion.flow import FlowEstimator, resize_flow, warp
from videocolor.types import Array
from videocolor.video import open_video

ROWS = {
    "default": (),
    "smoothing off": ("smoothing.enabled=false",),
    "network on every frame": ("model.keyframe_interval=1",),
    "anchor every 4": ("model.keyframe_interval=4",),
    "anchor every 8": ("model.keyframe_interval=8",),
    "bilinear": ("chroma.upsample=bilinear",),
}


def pictures(film: Path, count: int) -> Iterator[tuple[Array, Array, Array]]:
    """(8-bit luma, R'G'B' uint8, a*b*) of a film's first frames."""
    with open_video(film) as video:
        for frame in islice(video, count):
            rgb = np.rint(frame_to_rgb(frame) * 255).astype(np.uint8)
            yield frame.luma.copy(), rgb, rgb_to_lab(np.moveaxis(rgb.astype(np.float32) / 255, -1, 0))[1:]


def edge_band(ab: Array) -> Array:
    """Pixels beside the truth's color edges."""
    levels = np.clip(ab + 128, 0, 255).astype(np.uint8)
    edges = cv2.Canny(levels[0], 40, 80) | cv2.Canny(levels[1], 40, 80)
    reach = 2 * max(1, round(3 * ab.shape[1] / 480)) + 1
    return np.asarray(cv2.dilate(edges, np.ones((reach, reach), np.uint8)) > 0)


def score(truth: Path, result: Path, count: int) -> dict[str, float]:
    rows: dict[str, list[float]] = {"rgb_psnr": [], "de00": [], "edge": [], "flicker": [], "color": []}
    flow, before = FlowEstimator("fine"), None
    for index, (real, made) in enumerate(zip(pictures(truth, count), pictures(result, count), strict=True)):
        luma = flow.prepare(real[0])
        if before is not None:
            motion = flow.motion(before[0], luma)
            carried = warp(before[1], resize_flow(motion.ba, before[1].shape[1:]))
            seen = cv2.resize(motion.trust_b, made[2].shape[:0:-1]) > 0.5
            rows["flicker"].append(float(np.hypot(*(made[2] - carried))[seen].mean()))
        before = (luma, made[2])
        if index == 0:
            continue
        rows["rgb_psnr"].append(psnr(mean_squared_error(real[1], made[1])))
        if index % 5 == 0:
            labs = [rgb_to_lab(np.moveaxis(x.astype(np.float64) / 255, -1, 0)) for x in (real[1], made[1])]
            difference, band = deltaE_ciede2000(*labs, channel_axis=0), edge_band(real[2])
            rows["de00"].append(float(difference.mean()))
            rows["color"].append(colorfulness(made[1])[0])
            if band.any():
                rows["edge"].append(float(difference[band].mean()))
    return {name: float(np.mean(values)) for name, values in rows.items() if values}


@click.command(help=__doc__)
@click.argument("footage", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--held-back", default="configs/evaluate/held_back.yaml", type=click.Path(exists=True, path_type=Path))
@click.option("--clips", default=8, show_default=True)
@click.option("--seconds", default=2.5, show_default=True)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path))
def main(footage: Path, held_back: Path, clips: int, seconds: float, output: Path | None) -> None:
    listed = [clip["file"] for clip in yaml.safe_load(held_back.read_text())["clips"]]
    chosen = listed[:: max(1, len(listed) // clips)][:clips]
    table: dict[str, dict[str, list[dict[str, float]]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        hint, made = Path(folder) / "hint.png", Path(folder) / "made.mkv"
        for name in chosen:
            film = footage / "train" / name
            first = next(pictures(film, 1))[1]
            hint.write_bytes(cv2.imencode(".png", first[..., ::-1])[1].tobytes())
            for protocol, given in {"e1": (f"hints.items=['0={hint}']",), "auto": ()}.items():
                for row, settings in ROWS.items():
                    fixed = (
                        "output.codec=ffv1",
                        "output.overwrite=true",
                        "output.sidecar=false",
                        f"input.end={seconds}",
                    )
                    result = colorize_video(film, made, ColorizeConfig.load(None, [*fixed, *given, *settings]))
                    table.setdefault(protocol, {}).setdefault(row, []).append(score(film, made, result.frames))
                    click.echo(f"{name} {protocol} {row}: {table[protocol][row][-1]}", err=True)
    means = {
        protocol: {
            row: {
                key: round(float(np.mean([s[key] for s in scores if key in s])), 3)
                for key in ("rgb_psnr", "de00", "edge", "flicker", "color")
            }
            for row, scores in rows.items()
        }
        for protocol, rows in table.items()
    }
    click.echo(json.dumps({"clips": chosen, "seconds": seconds, "means": means}, indent=2))
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps({"clips": chosen, "seconds": seconds, "means": means}, indent=2) + "\n")


if __name__ == "__main__":
    main()
