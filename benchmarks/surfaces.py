"""What evening out the network's own colors (`videocolor.models.hint.nonlocal_means`) does, without any hint.

    python benchmarks/surfaces.py PACK [--items 150] [--sheet SHEET.jpg --frame samples/man_yellow_wall_60fps.mp4:100]
        [-o benchmarks/results/surfaces.json]

PACK is packed footage (videocolor pairs pack). The middle frame of some items is colored by the network
alone at its working size, with and without evening out, and compared with the truth there: RGB-PSNR, colorfulness
(Hasler and Suesstrunk 2003) over the truth's, and patches: the spread of a*b* (standard deviation, both together) in
windows of 40 px in which the truth's L* spreads by less than 12 and its a* and b* by less than 3 each. --sheet shows
frames of films: as they are, without, with.
"""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import videocolor.models
from videocolor.color import lab_to_rgb, rgb_to_lab, rgb_to_luma
from videocolor.datasets.pack import PackReader
from videocolor.evaluation.metrics.pixels import colorfulness
from videocolor.hints.plan import frame_to_rgb
from videocolor.models.artifact import read_artifact
from videocolor.models.hint import AB_SCALE
from videocolor.models.hint.network import HintNet, no_propagated, no_tokens
from videocolor.models.hint.runtimes import network_of
from videocolor.shots.prepare import working_size
from videocolor.types import Array
from videocolor.video import open_video

WINDOW = 40


def colored(net: HintNet, rgb: Array, card: Any) -> tuple[Array, Array, Array]:
    """(3, h, w) true picture at the working size, and it in the network's colors, without and with evening out."""
    height, width = working_size(rgb.shape[2], rgb.shape[1], card)
    small = cv2.resize(np.moveaxis(rgb, 0, -1), (width, height), interpolation=cv2.INTER_AREA)
    true = np.moveaxis(small, -1, 0).astype(np.float64)
    luma = torch.from_numpy(rgb_to_luma(true, "bt709")[None, None].astype(np.float32))
    before = net.from_taps(luma, net.encoder(luma), *no_tokens(), no_propagated(luma)).own * AB_SCALE
    after = net.colorize(luma, *no_tokens(), no_propagated(luma))[0]
    return true, *(painted(true, ab) for ab in (before, after))


def painted(true: Array, ab: Tensor) -> Array:
    large = F.interpolate(ab, size=true.shape[1:], mode="bilinear", align_corners=False)[0].numpy()
    return np.asarray(np.clip(lab_to_rgb(np.concatenate((rgb_to_lab(true)[:1], large))), 0, 1))


def patches(true: Array, ours: Array) -> list[float]:
    truth, lab, found = rgb_to_lab(true), rgb_to_lab(ours), []
    for y in range(0, true.shape[1] - WINDOW + 1, WINDOW // 2):
        for x in range(0, true.shape[2] - WINDOW + 1, WINDOW // 2):
            place = (slice(None), slice(y, y + WINDOW), slice(x, x + WINDOW))
            light, a, b = truth[place].std(axis=(1, 2))
            if light < 12 and a < 3 and b < 3:
                found.append(float(np.hypot(*lab[place][1:].std(axis=(1, 2)))))
    return found


def vivid(picture: Array) -> float:
    return colorfulness(np.moveaxis(picture, 0, -1))[0]


def measure(pictures: list[tuple[Array, Array, Array]]) -> dict[str, dict[str, float]]:
    rows = {}
    for name, place in (("without", 1), ("with", 2)):
        psnr = [-10 * np.log10(np.mean((p[0] - p[place]) ** 2)) for p in pictures]
        share = sum(vivid(p[place]) for p in pictures) / sum(vivid(p[0]) for p in pictures)
        spread = [value for p in pictures for value in patches(p[0], p[place])]
        rows[name] = {
            "psnr_rgb": round(float(np.mean(psnr)), 3),
            "colorfulness_share": round(share, 3),
            "patches": round(float(np.mean(spread)), 2),
            "patches_p90": round(float(np.quantile(spread, 0.9)), 2),
        }
    rows["items"] = {"frames": len(pictures), "windows": len(spread)}
    return rows


def from_film(text: str) -> Array:
    path, _, number = text.rpartition(":")
    with open_video(Path(path)) as video:
        return np.moveaxis(frame_to_rgb(next(islice(video, int(number), None))), -1, 0)


@click.command(help=__doc__)
@click.argument("pack", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--items", default=150, show_default=True)
@click.option("--frame", "frames", multiple=True, metavar="FILM:NUMBER")
@click.option("--sheet", type=click.Path(dir_okay=False, path_type=Path))
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path))
@torch.inference_mode()
def main(pack: Path, items: int, frames: tuple[str, ...], sheet: Path | None, output: Path | None) -> None:
    torch.set_num_threads(1)
    artifact = read_artifact(Path(videocolor.models.__file__).parent / "weights" / "hint.safetensors")
    net, card = network_of(artifact), artifact.card
    reader, rng = PackReader(pack), np.random.default_rng(3)
    chosen = [reader.items[n] for n in rng.permutation(len(reader.items))[:items]]
    unit = [np.moveaxis(reader.frame(item, len(item.times) // 2), -1, 0) / np.float32(255) for item in chosen]
    rows = measure([colored(net, rgb, card) for rgb in unit])
    click.echo(json.dumps(rows, indent=1))
    if output is not None:
        output.write_text(json.dumps(rows, indent=1) + "\n")
    if sheet is not None:
        lines = [colored(net, from_film(text), card) for text in frames]
        cells = [[cv2.resize(np.moveaxis(p, 0, -1)[..., ::-1], (320, 180)) for p in line] for line in lines]
        picture = np.rint(np.vstack([np.hstack(row) for row in cells]) * 255).astype(np.uint8)
        cv2.imwrite(str(sheet), picture, [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main()
