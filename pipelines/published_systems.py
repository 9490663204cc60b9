"""Train the published systems, score them on the same clips, and lay their pictures beside each other.

    python pipelines/published_systems.py train    [--only h_gray,h4] [--set data.pack=DIR] [--stop-after-minutes M]
    python pipelines/published_systems.py evaluate --clips FOOTAGE/train -o OUT [--only r,f] [--set clips.most=8]
    python pipelines/published_systems.py strip    --clips FOOTAGE/train -o OUT/strip.jpg [--only r,f]
    python pipelines/published_systems.py report   -o OUT/report.md

`train` goes through the presets of configs/train/published/ in an order in which what one needs comes before it (H's
autoencoders first). What is done is skipped, what was stopped goes on; each run writes its weights file into the
preset's folder, under --runs. --set changes a value of all of them. `evaluate` takes the weights files that are there:
protocol e1 (systems without hints leave the hint aside) into OUT/e1, protocol auto into OUT/auto; H also as the R'G'B'
pictures of its paper (`h4-rgb`), which it makes into OUT/rgb. `strip` colors one frame of some clips with each of
them, the clip's first frame being the hint. `report` writes the errors of the epochs, parameters, files' sha256 and
CPU seconds for a 256x256 picture. P has a recipe of its own for its grid: pipelines/published_patches.py.

Needs: pip install 'videocolor[published]', packed footage (videocolor pairs pack).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np

from videocolor.errors import InputError, VideocolorError
from videocolor.files import file_sha256, write_atomically
from videocolor.models.base import Colorizer, HintInput
from videocolor.presets import config_root, load_model
from videocolor.shots.prepare import working_size
from videocolor.types import Array

ORDER = ("h_gray", "h_outlines", "h_hint", "h1", "h2", "h3", "h4", "h5", "h5_cured", "h6", "h6_cured", "r", "r_lite0")
ORDER += ("f", "f_batch5", "p")
LABEL = 14
"""Height of a name in the strip, in pixels."""


@click.group(help=__doc__)
def main() -> None:
    """The commands."""


def _chosen(only: str | None) -> list[str]:
    names = [name for name in ORDER if (config_root() / "train" / "published" / f"{name}.yaml").is_file()]
    wanted = names if only is None else [part.strip() for part in only.split(",")]
    if odd := [name for name in wanted if name not in names]:
        raise InputError(f"--only {','.join(odd)}: there are {', '.join(names)}")
    return wanted


def _weights(runs: Path, names: Sequence[str]) -> dict[str, Path]:
    """Weights files that are there."""
    files = {name: sorted((runs / name).glob("*.safetensors")) for name in names}
    return {name: found[0] for name, found in files.items() if found}


@main.command()
@click.option("--only", help="Names of presets; default: all.")
@click.option("--runs", default="runs/published", show_default=True, type=click.Path(path_type=Path))
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one setting of every run.")
@click.option("--stop-after-minutes", type=float, metavar="M", help="Leave each run after M minutes.")
def train(only: str | None, runs: Path, settings: tuple[str, ...], stop_after_minutes: float | None) -> None:
    """Train what is not trained yet."""
    from videocolor.training.systems import config_class, trainer

    for name in _chosen(only):
        preset, changes = f"published/{name}", [*settings, f"out={runs / name}"]
        if name.startswith("h"):
            changes += [f"{kind}={runs / f'h_{kind}'}" for kind in ("gray", "outlines", "hint")]
        if _weights(runs, [name]) and not settings:
            click.echo(f"{name}: done")
            continue
        config: Any = load_model(config_class(preset), "train", preset, changes)
        path = trainer(preset)(config, resume=True, stop_after_minutes=stop_after_minutes)
        click.echo(f"{name}: {path}")


@main.command()
@click.option("--clips", required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path))
@click.option("--only", help="Names of presets; default: all that are trained.")
@click.option("--runs", default="runs/published", show_default=True, type=click.Path(path_type=Path))
@click.option("--list", "listed", default="evaluate/held_back", show_default=True, help="Names the clips.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one setting of the evaluation.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1))
def evaluate(
    clips: Path, output: Path, only: str | None, runs: Path, listed: str, settings: tuple[str, ...], workers: int
) -> None:
    """Score all systems on the same clips."""
    from videocolor.evaluation.evaluate import evaluate as run
    from videocolor.evaluation.output import write_evaluation
    from videocolor.evaluation.protocols import export_inputs
    from videocolor.evaluation.settings import EvaluateConfig

    weights = _weights(runs, _chosen(only))
    for protocol in ("e1", "auto"):
        methods = ["gray", "network", *(f"{name}=network@{file}" for name, file in weights.items())]
        flags = {"protocol.name": protocol, "clips.listed": listed}
        config = load_model(EvaluateConfig, "evaluate", f"evaluate/{protocol}", settings, flags)
        if protocol == "e1":
            given = output / "given"
            if not given.exists():
                for folder in export_inputs(clips, given, config):
                    click.echo(folder, err=True)
            for name, file in weights.items():
                if name.startswith("h"):
                    _pictures(file, given, output / "rgb" / name)
                    methods.append(f"{name}-rgb={output / 'rgb' / name}")
        config = config.model_copy(update={"methods": tuple(methods)})
        for path in write_evaluation(run(clips, output / protocol, config, workers=workers)).values():
            click.echo(path)


def _pictures(weights: Path, given: Path, target: Path) -> None:
    """H's own R'G'B' pictures of what `videocolor evaluate --export` wrote; done ones are left as they are."""
    from videocolor.models.registry import load_colorizer

    net: Any = load_colorizer(str(weights), device="cpu", threads=1)
    for folder in sorted(path.parent for path in given.glob("**/task.json")):
        files, made = sorted((folder / "gray").glob("*.png")), target / folder.name
        if len(list(made.glob("*.png"))) == len(files) and made.stat().st_mtime > weights.stat().st_mtime:
            continue
        made.mkdir(parents=True, exist_ok=True)
        hints = sorted(folder.glob("hint*.png"))[: 0 if net.card.hints == "none" else 1]
        first = cv2.imread(str(files[0]), cv2.IMREAD_GRAYSCALE)
        size = working_size(first.shape[1], first.shape[0], net.card)
        memory = net.begin([hint_of(_rgb(hint), size) for hint in hints])
        for file in files:
            gray = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
            rgb = np.moveaxis(net.rgb(memory, _small(gray, size)[None])[0], 0, -1)
            large = cv2.resize(rgb, gray.shape[::-1], interpolation=cv2.INTER_CUBIC).clip(0, 1)
            cv2.imwrite(str(made / file.name), np.rint(large[..., ::-1] * 255).astype(np.uint8))


def _rgb(path: Path) -> Array:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR)[..., ::-1])


def _small(gray: Array, size: tuple[int, int]) -> Array:
    """(h, w) float32 in 0..1 of (height, width) uint8."""
    return cv2.resize(gray, size[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / np.float32(255)


def hint_of(rgb: Array, size: tuple[int, int]) -> HintInput:
    """A picture (h, w, 3) uint8 as a network gets it."""
    from videocolor.color import rgb_to_lab, rgb_to_luma

    small = np.moveaxis(cv2.resize(rgb, size[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255, -1, 0)
    return HintInput(rgb_to_luma(small, "bt709"), rgb_to_lab(small)[1:])


@main.command()
@click.option("--clips", required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path))
@click.option("--only", help="Names of presets; default: all that are trained.")
@click.option("--runs", default="runs/published", show_default=True, type=click.Path(path_type=Path))
@click.option("--list", "listed", default="evaluate/held_back", show_default=True, help="Names the clips.")
@click.option("--files", default="", help="Clips of the list to show, by file name; default: the first five.")
@click.option("--own", default="", help="Of H: names whose own R'G'B' pictures are shown too.")
@click.option("--width", default=128, show_default=True, help="Of a picture, in pixels.")
def strip(
    clips: Path, output: Path, only: str | None, runs: Path, listed: str, files: str, own: str, width: int
) -> None:
    """One frame of some clips, a row each: truth, gray, hint, and every system."""
    from videocolor.evaluation.clips import list_clips, read_frames
    from videocolor.evaluation.settings import ClipSettings
    from videocolor.models.registry import load_colorizer

    names = {name.strip() for name in files.split(",") if name.strip()}
    every = list_clips(clips, ClipSettings(listed=listed))
    shown = [clip for clip in every if clip.path.name in names] if names else every[:5]
    nets: dict[str, Colorizer] = {"ours": load_colorizer("hint", device="cpu", threads=1)}
    for name, file in _weights(runs, _chosen(only)).items():
        nets[name] = load_colorizer(str(file), device="cpu", threads=1)
    rows = []
    for clip in shown:
        frames = list(_some(read_frames(clip.path, short_side=144), 48))
        rows.append(_row(frames[0], frames[-1], nets, width, own.split(",") if own else []))
    head = _head(["truth", "hint", "gray", *nets, *(f"{name}-rgb" for name in own.split(",") if name)], width)
    if not cv2.imwrite(str(output), np.concatenate([head, *rows])[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 82]):
        raise InputError(f"{output}: cannot be written")
    click.echo(output)


def _some(frames: Iterator[Array], count: int) -> Iterator[Array]:
    for _, frame in zip(range(count), frames, strict=False):
        yield frame


def _row(hint: Array, truth: Array, nets: dict[str, Any], width: int, own: Sequence[str]) -> Array:
    from videocolor.evaluation.tasks import luma_codes, matrix_for, picture
    from videocolor.pipeline.upsample import upsample_chroma

    matrix = matrix_for(truth.shape[0])
    codes = luma_codes(truth, matrix)
    luma = codes.astype(np.float32) / 255
    gray = np.repeat(codes[..., None], 3, axis=2)
    pictures = [truth, hint, gray]
    for net in nets.values():
        size = working_size(truth.shape[1], truth.shape[0], net.card)
        memory = net.begin([hint_of(hint, size)] if net.card.hints != "none" else [])
        seen = _small(codes, size)
        ab = net.step(memory, seen[None]).ab[0]
        guide = cv2.resize(seen, (ab.shape[2], ab.shape[1]), interpolation=cv2.INTER_AREA)
        pictures.append(picture(codes, upsample_chroma(ab, guide, luma), matrix))
    for name in own:
        size = working_size(truth.shape[1], truth.shape[0], nets[name].card)
        memory = nets[name].begin([hint_of(hint, size)] if nets[name].card.hints != "none" else [])
        rgb = np.moveaxis(nets[name].rgb(memory, _small(codes, size)[None])[0], 0, -1)
        large = cv2.resize(rgb, (truth.shape[1], truth.shape[0]), interpolation=cv2.INTER_CUBIC).clip(0, 1)
        pictures.append(np.rint(large * 255).astype(np.uint8))
    height = round(width * truth.shape[0] / truth.shape[1])
    small = [cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA) for part in pictures]
    return np.concatenate(small, axis=1)


def _head(names: Sequence[str], width: int) -> Array:
    head = np.full((LABEL, width * len(names), 3), 255, np.uint8)
    for place, name in enumerate(names):
        cv2.putText(
            head, name, (width * place + 3, LABEL - 3), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (0, 0, 0), 1, cv2.LINE_AA
        )
    return head


@main.command()
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path))
@click.option("--only", help="Names of presets; default: all that are trained.")
@click.option("--runs", default="runs/published", show_default=True, type=click.Path(path_type=Path))
def report(output: Path, only: str | None, runs: Path) -> None:
    """Errors of the epochs, parameters, sha256, seconds."""
    lines = ["| system | epochs | samples | MSE first -> last epoch (learned from) | MSE -> (held back) | RMSE |"]
    lines.append("| --- | --- | --- | --- | --- | --- |")
    for name in _chosen(only):
        rows = _epochs(runs / name / "metrics.jsonl")
        if rows:
            learned, held = ([row.get(key, math.nan) for row in rows] for key in ("train_mse", "mse"))
            lines.append(
                f"| {name} | {len(rows)} | {rows[-1]['step']} steps | {learned[0]:.4f} -> {learned[-1]:.4f} | "
                f"{held[0]:.4f} -> {held[-1]:.4f} | {math.sqrt(held[0]):.3f} -> {math.sqrt(held[-1]):.3f} |"
            )
    lines += ["", "| system | parameters | working size | CPU s, 256x256 film | at 256x256 itself | sha256 |"]
    lines.append("| --- | --- | --- | --- | --- | --- |")
    for name, file in _weights(runs, _chosen(only)).items():
        lines.append(_cost(name, file))
    write_atomically(output, "\n".join(lines) + "\n")
    click.echo("\n".join(lines))


def _epochs(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if "epoch" in row]


def _cost(name: str, file: Path) -> str:
    """One thread, CPU time, the best of five."""
    from videocolor.models.registry import load_colorizer

    net = load_colorizer(str(file), device="cpu", threads=1)
    size = working_size(256, 256, net.card)
    own = _seconds(net, size)
    full = f"{_seconds(net, (256, 256)):.3f}" if net.card.size is None else "-"
    return f"| {name} | {net.card.parameters:,} | {size[1]}x{size[0]} | {own:.3f} | {full} | {file_sha256(file)[:12]} |"


def _seconds(net: Colorizer, size: tuple[int, int]) -> float:
    luma = np.random.default_rng(0).random((1, *size), np.float32)
    memory = net.begin([HintInput(luma[0], np.zeros((2, *size), np.float32))] if net.card.hints != "none" else [])
    taken = []
    for _ in range(5):
        began = time.process_time()
        net.step(memory, luma)
        taken.append(time.process_time() - began)
    return min(taken)


if __name__ == "__main__":
    try:
        main(standalone_mode=True)
    except VideocolorError as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(error.exit_code) from None
