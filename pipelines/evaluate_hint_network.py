"""Score a network on the held-back clips: gray, the hint's chroma copied, flow, automatic, with a hint.

    python pipelines/evaluate_hint_network.py FOOTAGE [--model hint] [--area PIXELS] [--json FILE]

Protocol: all clips of configs/evaluate/held_back.yaml, at most 3 s each, short side 240; the hint is the true frame 0,
which is left out of the means; luma is kept (BT.601), pictures are rounded to 8 bits. RGB-PSNR in float64, mean over
frames, then over clips; CIEDE2000 on every fifth frame; colourfulness after Hasler and Suesstrunk. The network sees the
film at its card's working size; its chroma is brought up guided by luma, without temporal smoothing. `flow` carries
frame 0's chroma from frame to frame by DIS optical flow (medium preset); `wrong hint` is frame 0 of the clip before.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray
from tqdm import tqdm

from videocolor.color import ChromaTable, codes_to_chroma, rgb_to_lab, rgb_to_luma, ycbcr_to_rgb
from videocolor.evaluation.metrics import ciede2000_mean, colorfulness, psnr_rgb
from videocolor.models.base import Colorizer, HintInput
from videocolor.models.registry import load_colorizer
from videocolor.pairs.pack import read_clip
from videocolor.prepare import working_size
from videocolor.types import ColorSpec
from videocolor.upsample import upsample_chroma

Array = NDArray[np.float32]
METHODS = ("truth", "gray", "copy", "flow", "automatic", "hint", "wrong hint")
_TABLE = ChromaTable(ColorSpec("bt601", "full"), 16)


def luma_of(rgb: NDArray[np.uint8]) -> Array:
    """(h, w) Y' in 0..1."""
    return rgb_to_luma(np.moveaxis(rgb.astype(np.float32) / 255, -1, 0), "bt601")


def ab_of(rgb: NDArray[np.uint8]) -> Array:
    """(2, h, w) CIE a*b*."""
    return rgb_to_lab(np.moveaxis(rgb.astype(np.float32) / 255, -1, 0))[1:]


def picture(luma: Array, ab: Array) -> NDArray[np.uint8]:
    """R'G'B' of a frame with this luma and a*b*."""
    cb, cr = (codes_to_chroma(codes, 16, "full").astype(np.float32) for codes in _TABLE.codes(luma, ab))
    rgb = np.moveaxis(ycbcr_to_rgb(luma, cb, cr, "bt601"), 0, -1)
    return np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8)


def resized(planes: Array, size: tuple[int, int]) -> Array:
    """(c, h, w) -> (c, *size), area-averaged."""
    return np.stack([cv2.resize(plane, size[::-1], interpolation=cv2.INTER_AREA) for plane in planes])


def network_ab(net: Colorizer, lumas: list[Array], hint: NDArray[np.uint8] | None) -> Iterator[Array]:
    """The network's a*b* of frames, brought to their size."""
    height, width = lumas[0].shape
    size = working_size(width, height, net.card)
    hints = []
    if hint is not None:
        hints = [HintInput(resized(luma_of(hint)[None], size)[0], resized(ab_of(hint), size))]
    memory = net.begin(hints)
    for start in range(0, len(lumas), 4):
        batch = lumas[start : start + 4]
        small = resized(np.stack(batch), size)
        for luma, seen, ab in zip(batch, small, net.step(memory, small).ab, strict=True):
            guide = cv2.resize(seen, (ab.shape[2], ab.shape[1]), interpolation=cv2.INTER_AREA)
            yield upsample_chroma(ab, guide, luma)


def flow_ab(lumas: list[Array], first: Array) -> Iterator[Array]:
    """Frame 0's a*b*, carried from frame to frame."""
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    height, width = lumas[0].shape
    xs, ys = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    ab, before = first, (lumas[0] * 255).astype(np.uint8)
    yield ab
    for luma in lumas[1:]:
        now = (luma * 255).astype(np.uint8)
        flow = dis.calc(now, before, None)
        x, y = xs + flow[..., 0], ys + flow[..., 1]
        ab = np.stack([cv2.remap(p, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for p in ab])
        before = now
        yield ab


def first_frames(path: Path, seconds: float) -> list[NDArray[np.uint8]]:
    """(h, w, 3) frames of a clip's beginning, short side 240."""
    frames, start = [], None
    for time, rgb in read_clip(path, 240, 1000.0):
        start = time if start is None else start
        if time - start > seconds:
            break
        frames.append(rgb)
    return frames


def score_clip(net: Colorizer, path: Path, seconds: float, wrong: NDArray[np.uint8]) -> dict[str, dict[str, float]]:
    """Scores of all methods on one clip."""
    frames = first_frames(path, seconds)
    lumas, first = [luma_of(rgb) for rgb in frames], ab_of(frames[0])
    streams = {
        "truth": None,
        "gray": iter([np.zeros_like(first)] * len(frames)),
        "copy": iter([first] * len(frames)),
        "flow": flow_ab(lumas, first),
        "automatic": network_ab(net, lumas, None),
        "hint": network_ab(net, lumas, frames[0]),
        "wrong hint": network_ab(net, lumas, wrong),
    }
    scores = {}
    for method, stream in streams.items():
        rows: dict[str, list[float]] = {"psnr": [], "de00": [], "colorfulness": []}
        for index, (rgb, luma) in enumerate(zip(frames, lumas, strict=True)):
            made = rgb if stream is None else picture(luma, next(stream))
            if index == 0:
                continue
            if stream is not None:
                rows["psnr"].append(psnr_rgb(rgb, made))
            if index % 5 == 0:
                rows["colorfulness"].append(colorfulness(made))
                rows["de00"].append(0.0 if stream is None else ciede2000_mean(rgb, made))
        scores[method] = {name: float(np.mean(values)) if values else float("nan") for name, values in rows.items()}
    return scores


def print_table(scores: dict[str, dict[str, dict[str, float]]]) -> None:
    """Means over clips, as Markdown."""
    print(f"| {len(scores)} clips | RGB-PSNR | dE00 | colourfulness |\n| --- | --- | --- | --- |")
    for method in METHODS:
        psnr, de00, color = (
            float(np.mean([clip[method][name] for clip in scores.values()]))
            for name in ("psnr", "de00", "colorfulness")
        )
        print(f"| {method} | {psnr:.2f} | {de00:.2f} | {color:.1f} |")


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="folder that holds train/ (data.root)")
    parser.add_argument("--model", default="hint", help="name or weights file")
    parser.add_argument("--runtime", default="auto")
    parser.add_argument("--held-back", type=Path, default=Path("configs/evaluate/held_back.yaml"))
    parser.add_argument("--clips", type=int, help="only the first so many")
    parser.add_argument("--area", type=int, help="pixels that the network sees, instead of its card's")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--json", type=Path, help="write all scores there")
    args = parser.parse_args(arguments)
    clips = yaml.safe_load(args.held_back.read_text(encoding="utf-8"))["clips"][: args.clips]
    net = load_colorizer(args.model, runtime=args.runtime)
    if args.area:
        net.card = replace(net.card, area=args.area)
    scores = {}
    wrong = first_frames(args.root / "train" / clips[-1]["file"], 0.0)[0]
    for clip in tqdm(clips, unit="clip"):
        path = args.root / "train" / clip["file"]
        scores[clip["file"]] = score_clip(net, path, args.seconds, wrong)
        wrong = first_frames(path, 0.0)[0]
    print_table(scores)
    if args.json:
        args.json.write_text(json.dumps({"model": net.card.as_dict(), "scores": scores}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
