"""How exactly a painted frame is laid over its own, whether a frame of another shot is taken, or another moment.

    python benchmarks/alignment.py own FOLDER [--kind all] [--frames 8,40] [--rounds 1] [-o RESULT.json]
    python benchmarks/alignment.py others FOLDER [FOLDER...] [--pairs 600] [-o RESULT.json]
    python benchmarks/alignment.py found FOLDER [FOLDER...] [--most 150] [--apart 3] [-o RESULT.json]

`own`: frames of every clip of FOLDER come back as a painting program might give them, by maps and curves drawn by
seed: turned by 1-3 degrees and shifted by 1-3 %, cropped by up to 7 % a side, stretched to another sample aspect
ratio, scaled to 45-220 %, with bars, with another gamma (0.6-1.6) and contrast (0.75-1.25), as JPEG 60. `all` puts
each of these on with a chance of about a half; a name or names joined by + put on those alone. Told: share accepted,
and the error of the place in pixels of the frame (root mean square over the frame, and the worst corner).

`others`: pairs of frames of different clips, drawn by seed; the number that would be accepted, and the nearest.

`found`: one frame of every clip comes back scaled, with another tone and as JPEG 60, without its time, and is looked
for in the clip's first frames; then again with all frames up to `--apart` from it left out, so that whatever is taken
is another moment. Told: how many are found, how many at the very frame; and in how many clips another moment is
taken, with the largest mean difference of luma (0..255) between it and the frame.
"""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np

from videocolor.color import codes_to_luma, rgb_to_luma
from videocolor.errors import HintError, InputError
from videocolor.hints.align import align_painted
from videocolor.hints.plan import frame_to_rgb
from videocolor.pipeline.aligned import FrameFinder
from videocolor.shots.prepare import gray_of
from videocolor.types import Array, Hint
from videocolor.video import open_video

RATIOS = (8 / 9, 10 / 11, 16 / 15, 32 / 27, 4 / 3, 64 / 45)


def scaling(x: float, y: float) -> Array:
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])


def moving(x: float, y: float) -> Array:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])


def scaled(picture: Array, x: float, y: float) -> tuple[Array, Array]:
    h, w = picture.shape[:2]
    size = (max(1, round(w * x)), max(1, round(h * y)))
    kind = cv2.INTER_AREA if x * y < 1 else cv2.INTER_CUBIC
    return np.clip(cv2.resize(picture, size, interpolation=kind), 0, 1), scaling(size[0] / w, size[1] / h)


def painted(rgb: Array, rng: np.random.Generator, kind: str) -> tuple[Array, Array]:
    """A frame as it comes back, and the map from the frame's pixels to the picture's."""

    def on(name: str, chance: float) -> bool:
        return bool(rng.random() < chance) if kind == "all" else name in kind.split("+")

    out, whole = rgb, np.eye(3)
    h, w = out.shape[:2]
    if on("turn", 0.5):
        angle = np.deg2rad(rng.uniform(1, 3) * rng.choice([-1, 1]))
        turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
        shift = rng.uniform(0.01, 0.03, 2) * (w, h) * rng.choice([-1, 1], 2)
        whole = moving(*shift) @ moving((w - 1) / 2, (h - 1) / 2) @ turn @ moving((1 - w) / 2, (1 - h) / 2)
        out = np.clip(cv2.warpAffine(out, whole[:2], (w, h), flags=cv2.INTER_CUBIC), 0, 1)
    if on("crop", 0.5):
        left, right, top, bottom = (int(v) for v in rng.uniform(0, 0.07, 4) * (w, w, h, h))
        out, whole = out[top : h - bottom, left : w - right], moving(-left, -top) @ whole
    if on("ratio", 0.4):
        out, step = scaled(out, float(rng.choice(RATIOS)), 1)
        whole = step @ whole
    if on("scale", 0.7):
        factor = float(np.exp(rng.uniform(np.log(0.45), np.log(2.2))))
        out, step = scaled(out, factor, factor)
        whole = step @ whole
    if on("bars", 0.4):
        h, w = out.shape[:2]
        sides = float(rng.choice([1.0, 4 / 3, 16 / 9, 2.39]))
        wide, tall = (w, round(w / sides)) if w / h > sides else (round(h * sides), h)
        x, y, level = (wide - w) // 2, (tall - h) // 2, float(rng.choice([0, 0, 0.06, 1]))
        out = cv2.copyMakeBorder(out, y, tall - h - y, x, wide - w - x, cv2.BORDER_CONSTANT, value=(level,) * 3)
        whole = moving(x, y) @ whole
    if on("tone", 0.6):
        gamma, contrast, offset = np.exp(rng.uniform(-0.5, 0.5)), rng.uniform(0.75, 1.25), rng.uniform(-0.08, 0.08)
        out = np.clip((out**gamma - 0.5) * contrast + 0.5 + offset, 0, 1)
    if on("jpeg", 0.6):
        codes = np.rint(out[..., ::-1] * 255).astype(np.uint8)
        _, data = cv2.imencode(".jpg", codes, [cv2.IMWRITE_JPEG_QUALITY, 60])
        out = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1].astype(np.float32) / 255
    return np.ascontiguousarray(out, np.float32), whole


def distances(found: Array, truth: Array, shape: tuple[int, int]) -> Array:
    """Pixels of the frame between where the picture was put and where it belongs, on a grid of 9 x 9."""
    x, y = np.meshgrid(np.linspace(0, shape[1] - 1, 9), np.linspace(0, shape[0] - 1, 9))
    places = np.stack([x.ravel(), y.ravel(), np.ones(81)])
    back = np.linalg.inv(np.vstack([found, [0, 0, 1]])) @ (truth @ places)
    return np.hypot(*(back - places)[:2])


def frames_of(folder: Path, indices: tuple[int, ...]) -> list[tuple[str, int, Array, Array]]:
    """(clip, index, R'G'B', luma) of some frames of every clip; gray clips get a tint, or they would be refused."""
    out = []
    for path in sorted(folder.glob("*.mp4")):
        try:
            with open_video(path) as video:
                for frame in islice(video, max(indices) + 1):
                    if frame.index not in indices:
                        continue
                    luma = np.clip(codes_to_luma(frame.luma, frame.layout.depth, frame.color.range), 0, 1)
                    rgb = frame_to_rgb(frame)
                    if float(np.ptp(rgb, axis=2).mean()) < 0.04:
                        rgb = np.clip(rgb + np.array([0.12, 0, -0.12], np.float32), 0, 1)
                    out.append((path.stem, frame.index, rgb, luma))
        except InputError as error:
            click.echo(str(error), err=True)
    return out


def told(result: dict[str, Any], output: Path | None) -> None:
    click.echo(json.dumps(result, indent=2))
    if output is not None:
        output.write_text(json.dumps(result, indent=2) + "\n")


@click.group()
def main() -> None:
    """Alignment, measured."""


@main.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--kind", default="all")
@click.option("--frames", default="8,40")
@click.option("--rounds", default=1)
@click.option("-o", "--output", type=click.Path(path_type=Path))
def own(folder: Path, kind: str, frames: str, rounds: int, output: Path | None) -> None:
    """Frames that come back."""
    cv2.setNumThreads(1)
    rng, rows, refused = np.random.default_rng(0), [], []
    for name, index, rgb, luma in frames_of(folder, tuple(int(v) for v in frames.split(","))):
        for _ in range(rounds):
            picture, truth = painted(rgb, rng, kind)
            try:
                found = align_painted(picture, None, luma, explain=False)
            except HintError as error:
                refused.append(f"{name} {index}: {error}")
                continue
            off = distances(found.matrix, truth, luma.shape)
            rows.append((float(np.sqrt((off**2).mean())), float(off.max()), found.correlation))
    table = np.array(rows)
    result = {
        "kind": kind,
        "pictures": len(rows) + len(refused),
        "accepted": len(rows),
        "error_px": {"median": np.median(table[:, 0]), "p90": np.percentile(table[:, 0], 90), "max": table[:, 0].max()},
        "worst_corner_px": {"median": np.median(table[:, 1]), "p90": np.percentile(table[:, 1], 90)},
        "least_likeness": table[:, 2].min(),
        "refused": refused,
    }
    told(result, output)


@main.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--pairs", default=600)
@click.option("-o", "--output", type=click.Path(path_type=Path))
def others(folders: tuple[Path, ...], pairs: int, output: Path | None) -> None:
    """Frames of other clips."""
    cv2.setNumThreads(1)
    items = [item for folder in folders for item in frames_of(folder, (8,))]
    rng, taken = np.random.default_rng(1), []
    done = 0
    while done < pairs:
        mine, theirs = rng.integers(0, len(items), 2)
        if items[mine][0] == items[theirs][0]:
            continue
        done += 1
        luma = rgb_to_luma(np.moveaxis(items[mine][2], -1, 0), "bt709")
        tinted = np.clip(luma[..., None] + np.array([0.1, 0, -0.1], np.float32), 0, 1)
        try:
            align_painted(tinted, None, items[theirs][3], explain=False)
        except HintError:
            continue
        taken.append(f"{items[mine][0]} for {items[theirs][0]}")
    told({"pairs": done, "accepted": len(taken), "which": taken}, output)


@main.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--most", default=150, help="Frames of a clip that are searched.")
@click.option("--apart", default=3)
@click.option("-o", "--output", type=click.Path(path_type=Path))
def found(folders: tuple[Path, ...], most: int, apart: int, output: Path | None) -> None:
    """Frames whose time is not known."""
    cv2.setNumThreads(1)
    rng, some, exact, others = np.random.default_rng(2), list[bool](), list[bool](), list[float]()
    for path in sorted(path for folder in folders for path in folder.glob("*.mp4")):
        try:
            with open_video(path) as video:
                frames = list(islice(video, most))
        except InputError as error:
            click.echo(str(error), err=True)
            continue
        lumas = [codes_to_luma(f.luma, f.layout.depth, f.color.range).clip(0, 1) for f in frames]
        place = int(rng.integers(len(frames)))
        hint = Hint(path.stem, painted(np.repeat(lumas[place][..., None], 3, axis=2), rng, "scale+tone+jpeg")[0])
        for left_out in (-1, apart):
            finder = FrameFinder([hint])
            for index, luma in enumerate(lumas):
                if abs(index - place) > left_out:
                    finder.look(index, gray_of(luma))
            taken = finder.find(lumas.__getitem__)
            if left_out < 0:
                exact.append(taken.get(0) == place)
                some.append(bool(taken))
            elif taken:
                others.append(255 * float(np.abs(lumas[taken[0]] - lumas[place]).mean()))
    result = {"clips": len(some), "found": sum(some), "the very frame": sum(exact)}
    told(result | {"another moment": len(others), "its difference": max(others, default=0.0)}, output)


if __name__ == "__main__":
    main()
