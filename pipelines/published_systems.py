"""Train the published systems, score them on the same clips, and write one page with tables and figures.

    python pipelines/published_systems.py reproduce --data DIR [-o OUT] [--only h4,r] [--page FILE.md]

does all of it, or one step at a time: `train`, `evaluate`, `page`. DIR is a folder of films and pictures, of which
pairs of frames are built first (OUT/pairs), a data set of `videocolor pairs build`, or a pack. What is done is skipped
and what was stopped goes on, so the same command, given again, ends where it would have ended. By default the systems
whose weights are packaged are trained; `--only all` trains those of every preset of configs/train/published/. `--set
KEY=VALUE` changes a value of every run that has the key, `--set NAME:KEY=VALUE` of one run.

`train` writes OUT/NAME/ (checkpoint, metrics, pictures) and OUT/weights/NAME.safetensors: 8 bits a weight, without
the frozen parts that a package installs; the packaged weights are these files. `evaluate` scores them under protocol
e1 (the hint is the true first frame; systems without hints leave it aside) into OUT/e1 and without a hint into
OUT/auto; of H also the R'G'B' pictures of its paper (`h4-rgb`). `page` writes the tables, the published figures beside
ours, and the papers' figures. The clips are by default the color films of samples/. P's whole grid has a recipe of its
own: pipelines/published_patches.py.

Needs: pip install 'videocolor[published]'.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import click
import cv2
import numpy as np
from published_figures import autoencoder_sheet, curves, epochs, hint_of, patch_figure, rgb_of, small_luma, strip
from published_tables import cost_table, error_table, hours_of, score_table

from videocolor.config import Section
from videocolor.datasets.pack import PackReader
from videocolor.errors import InputError, VideocolorError
from videocolor.files import file_sha256, write_atomically
from videocolor.images import encode_image
from videocolor.models.artifact import read_artifact, read_card, write_artifact
from videocolor.models.base import Colorizer
from videocolor.presets import config_root, load_model
from videocolor.shots.prepare import working_size

PACKAGED: Final = ("p", "h_gray", "h_hint", "h_outlines", "h2", "h4", "h5_cured", "r_lite0", "f")
"""In an order in which what one needs comes before it: H's autoencoders first."""
SAMPLES: Final = Path(__file__).parents[1] / "samples"
_METRICS: Final = "scores.metrics=[psnr_rgb,ciede2000,ssim,colorfulness]"


@click.group(help=__doc__)
def main() -> None:
    """The commands."""


def _chosen(only: str | None) -> list[str]:
    every = sorted(path.stem for path in (config_root() / "train" / "published").glob("*.yaml"))
    ordered = [*PACKAGED, *(name for name in every if name not in PACKAGED and name != "p_grid")]
    wanted = {None: list(PACKAGED), "all": ordered}.get(only) or [part.strip() for part in str(only).split(",")]
    if odd := [name for name in wanted if name not in ordered]:
        raise InputError(f"--only {','.join(odd)}: there are {', '.join(ordered)}")
    return sorted(wanted, key=ordered.index)


def _trained(out: Path, names: Sequence[str]) -> dict[str, Path]:
    """Weights files that are there."""
    files = {name: out / "weights" / f"{name}.safetensors" for name in names}
    return {name: file for name, file in files.items() if file.is_file()}


def _weights(out: Path, names: Sequence[str]) -> dict[str, Path]:
    """Weights files that are there, at least one."""
    if not (found := _trained(out, names)):
        raise InputError(
            f"{out}: none of {', '.join(names)} is trained; `train` or `reproduce` with --data comes first"
        )
    return found


def _options(*names: str) -> Any:
    """Decorate a command with options by name."""
    every = {
        "data": click.option("--data", required=True, type=click.Path(path_type=Path, exists=True)),
        "out": click.option("-o", "--output", "out", default="runs/published", type=click.Path(path_type=Path)),
        "only": click.option("--only", help="Names of presets, or all; default: those that are packaged."),
        "settings": click.option("--set", "settings", multiple=True, metavar="[NAME:]KEY=VALUE"),
        "minutes": click.option("--stop-after-minutes", "minutes", type=float, metavar="M"),
        "clips": click.option("--clips", default=SAMPLES, type=click.Path(path_type=Path), help="Default: samples/."),
        "listed": click.option(
            "--list", "listed", help="List of the clips, as evaluate/held_back; default: all in color."
        ),
        "scoring": click.option("--evaluate", "scoring", multiple=True, metavar="KEY=VALUE", help="Of the evaluation."),
        "page": click.option("--page", type=click.Path(path_type=Path), help="Default: OUT/page.md."),
        "workers": click.option("--workers", default=1, show_default=True, type=click.IntRange(1)),
    }

    def decorate(command: Any) -> Any:
        for name in reversed(names):
            command = every[name](command)
        return command

    return decorate


# Training ------------------------------------------------------------------------------------------------------------


def _packs(data: Path, out: Path) -> tuple[Path, Path]:
    """The pack to learn from and the held-back one, which need not be there."""
    if (data / "index.json").is_file():
        return data, data.with_name(f"{data.name}_held")
    from videocolor.cli.group import session
    from videocolor.cli.watch import watching
    from videocolor.datasets.pairs.build import build_pairs
    from videocolor.datasets.pairs.manifest import MANIFEST
    from videocolor.datasets.pairs.packing import pack_pairs, packable
    from videocolor.datasets.pairs.settings import PairsConfig

    pairs = data
    if not (data / MANIFEST).is_file():
        pairs = out / "pairs"
        config = load_model(PairsConfig, "pairs", "pairs/any_rate", ["sampling.rate=2"])
        with watching(session()) as observer:
            built = build_pairs([data], pairs, config, observer=observer)
        if not built.sources:
            raise InputError("; ".join([*built.failed, *built.refused][:3]))
    packs = out / "pack", out / "pack_held"
    for folder, split in zip(packs, ("train", "val"), strict=True):
        if split == "train" or packable(pairs, split):
            pack_pairs(pairs, folder, split)
    return packs


def _has(kind: type[Section], key: str) -> bool:
    """Whether settings have a dotted key."""
    first, _, rest = key.partition(".")
    field = kind.model_fields.get(first)
    if field is None or not rest:
        return field is not None
    inner = field.annotation
    return isinstance(inner, type) and issubclass(inner, Section) and _has(inner, rest)


def changes_of(name: str, kind: type[Section], settings: Sequence[str], names: Sequence[str]) -> list[str]:
    """The settings of one run."""
    from videocolor.training.systems import config_class

    found = []
    for setting in settings:
        target, colon, rest = setting.partition(":")
        named = bool(colon) and target in names
        key = (rest if named else setting).partition("=")[0]
        if not named and not any(_has(config_class(f"published/{other}"), key) for other in names):
            raise InputError(f"--set {setting}: none of {', '.join(names)} has {key}")
        if target == name if named else _has(kind, key):
            found.append(rest if named else setting)
    return found


def _fitted(name: str, config: Any, pack: PackReader) -> list[str] | None:
    """Changes that let a preset learn from a pack that has other pictures than ours; None: it cannot."""
    data, clips = config.data, any(len(pack.pairs(item)) for item in pack.clips)
    if getattr(data, "kind", "images") == "clips":
        return [] if clips else None
    tests = (lambda item: f"/{data.files}" in f"/{item.file}", lambda item: _of_class(data, item.source))
    if any(all(test(item) for test in tests) for item in pack.images):
        return []
    patches = hasattr(data, "scenes")
    changes = ["data.files=''", "data.scenes=[]" if patches else "data.source=''"]
    if not pack.images and not patches:
        changes.append("data.kind=clips")
    if patches:
        # Nine of ten pictures are learned from; a split needs its rows.
        count = sum(len(item.times) for item in pack.images or pack.clips)
        rows = min(data.images, 9 * count // 10) * min(data.pixels, data.size**2)
        changes.append(f"data.unseen={min(data.unseen, count // 10)}")
        for key, part in (("train", 10), ("test", 1)):
            changes.append(f"perceptron.{key}={min(getattr(config.perceptron, key), rows * part // 12)}")
    click.echo(
        f"{name}: the pack has no pictures {data.files and f'of {data.files}'}; taken: {' '.join(changes)}", err=True
    )
    return changes


def _of_class(data: Any, source: str) -> bool:
    scenes = getattr(data, "scenes", None)
    return data.source in source if scenes is None else not scenes or any(f"/{scene}/" in source for scene in scenes)


def _train(names: list[str], data: Path, out: Path, settings: Sequence[str], minutes: float | None) -> None:
    from videocolor.training.systems import config_class, trainer

    pack, held = _packs(data, out)
    reader = PackReader(pack)
    for name in names:
        preset = f"published/{name}"
        kind = config_class(preset)
        changes = [*changes_of(name, kind, settings, names), f"out={out / name}", f"data.pack={pack}"]
        if _has(kind, "data.held_pack"):
            changes.append(f"data.held_pack={held}")
        if _has(kind, "bf16") and not fast_bf16():
            changes.append("bf16=false")
        if name.startswith("h"):
            changes += [f"{part}={out / f'h_{part}'}" for part in ("gray", "outlines", "hint")]
        fitted = _fitted(name, load_model(kind, "train", preset, changes), reader)
        if fitted is None:
            click.echo(f"{name}: left out, for the pack has no pairs of frames", err=True)
            continue
        config: Any = load_model(kind, "train", preset, [*changes, *fitted])
        done = _trained(out, [name]).get(name)
        if done is not None and read_card(done)[2].get("steps", config.steps) == config.steps:
            click.echo(f"{name}: done")
            continue
        path = trainer(preset)(config, resume=True, stop_after_minutes=minutes)
        if path.suffix == ".safetensors":
            path = _packaged(path, name, out, reader)
        click.echo(f"{name}: {path}")


def fast_bf16() -> bool:
    """Whether bfloat16 is computed by the machine, not emulated at a fifth of the speed."""
    import torch

    return torch.cuda.is_available() or torch.cpu._is_avx512_bf16_supported()


def _packaged(path: Path, name: str, out: Path, pack: PackReader) -> Path:
    """Write the file in 8 bits, with what its data are under."""
    artifact, target = read_artifact(path), out / "weights" / f"{name}.safetensors"
    licences: Any = pack.notes.get("licences", {})
    kind = {"clips": "clip", "images": "image"}[artifact.training["config"].get("data", {}).get("kind", "images")]
    training = {**artifact.training, "licences": licences.get(kind, {})}
    write_artifact(
        target, artifact.weights, replace(artifact.card, name=name), artifact.architecture, training, int8=True
    )
    return target


@main.command()
@_options("data", "out", "only", "settings", "minutes")
def train(data: Path, out: Path, only: str | None, settings: tuple[str, ...], minutes: float | None) -> None:
    """Train what is not trained yet."""
    _train(_chosen(only), data, out, settings, minutes)


# Evaluation ----------------------------------------------------------------------------------------------------------


def _listed(clips: Path, listed: str | None) -> str | None:
    """Name the clips; of the samples those in color by default."""
    return "evaluate/samples" if listed is None and clips == SAMPLES else listed


def _evaluate(
    names: list[str], out: Path, clips: Path, listed: str | None, scoring: Sequence[str], workers: int
) -> None:
    from videocolor.evaluation.evaluate import evaluate as run
    from videocolor.evaluation.output import write_evaluation
    from videocolor.evaluation.rows import digest
    from videocolor.evaluation.settings import EvaluateConfig

    weights, listed = _weights(out, names), _listed(clips, listed)
    scores: dict[str, dict[str, float]] = {}
    for protocol in ("e1", "auto"):
        methods = ["gray", "network", *(f"{name}=network@{file}" for name, file in weights.items())]
        flags = {"protocol.name": protocol, "clips.listed": listed}
        settings = [_METRICS, *scoring]
        config = load_model(EvaluateConfig, "evaluate", f"evaluate/{protocol}", settings, flags)
        if protocol == "e1":
            # A folder for each question: what was answered to another one is never taken for an answer to this.
            asked = out / "rgb" / digest([str(clips.resolve()), config.clips.model_dump(mode="json")])[:12]
            for name, file in weights.items():
                if name.startswith("h"):
                    methods.append(f"{name}-rgb={_pictures(file, asked, clips, config)}")
        config = config.model_copy(update={"methods": tuple(methods)})
        result = run(clips, out / protocol, config, workers=workers)
        for path in write_evaluation(result).values():
            click.echo(path)
        for line in json.loads((out / protocol / "table.json").read_text(encoding="utf-8"))["summary"]:
            if line["method"] in weights and (mean := line["means"].get("ciede2000_mean")) is not None:
                sha = file_sha256(weights[line["method"]])
                scores.setdefault(sha, {})[protocol] = round(mean["value"], 2)
                if (hours := hours_of(out / line["method"])) is not None:
                    scores[sha]["hours"] = round(hours, 2)
    write_atomically(out / "weights" / "scores.json", json.dumps(scores, indent=1, sort_keys=True) + "\n")


def _pictures(weights: Path, asked: Path, clips: Path, config: Any) -> Path:
    """H's own R'G'B' pictures of the frames that the protocol asks for."""
    from videocolor.evaluation.protocols import export_inputs
    from videocolor.models.registry import load_colorizer

    given, target = asked / "given", asked / f"{weights.stem}-{file_sha256(weights)[:12]}"
    if not given.exists():
        partial = asked / f"given.{file_sha256(weights)[:6]}.part"
        for folder in export_inputs(clips, partial, config):
            click.echo(folder, err=True)
        partial.replace(given)
    net: Any = load_colorizer(str(weights), device="cpu", threads=1)
    for folder in sorted(path.parent for path in given.glob("**/task.json")):
        files, made = sorted((folder / "gray").glob("*.png")), target / folder.name
        if len(list(made.glob("*.png"))) == len(files):
            continue
        made.mkdir(parents=True, exist_ok=True)
        hints = sorted(folder.glob("hint*.png"))[: 0 if net.card.hints == "none" else 1]
        first = cv2.imread(str(files[0]), cv2.IMREAD_GRAYSCALE)
        size = working_size(first.shape[1], first.shape[0], net.card)
        memory = net.begin([hint_of(np.asarray(cv2.imread(str(hint))[..., ::-1]), size) for hint in hints])
        for file in files:
            gray = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
            picture = rgb_of(net, memory, small_luma(gray, size), gray.shape)
            write_atomically(made / file.name, encode_image(picture))
    return target


@main.command()
@_options("out", "only", "clips", "listed", "scoring", "workers")
def evaluate(
    out: Path, only: str | None, clips: Path, listed: str | None, scoring: tuple[str, ...], workers: int
) -> None:
    """Score all that is trained on the same clips."""
    _evaluate(_chosen(only), out, clips, listed, scoring, workers)


# The page ------------------------------------------------------------------------------------------------------------


def _page(names: list[str], out: Path, clips: Path, listed: str | None, page: Path | None, pack: Path | None) -> None:
    from videocolor.models.registry import load_colorizer

    page = page or out / "page.md"
    images = page.parent / "images" / page.stem
    images.mkdir(parents=True, exist_ok=True)
    weights, listed = _weights(out, names), _listed(clips, listed)
    nets: dict[str, Colorizer] = {name: load_colorizer(str(file), device="cpu") for name, file in weights.items()}
    errors = {
        name: [row.get("mse", row["train_mse"]) for row in epochs(out / name / "metrics.jsonl")] for name in names
    }
    pictures = {
        "autoencoders": ("Input, target, output of each autoencoder, held back", autoencoder_sheet(out)),
        "curves": ("Held-back error by epoch, each divided by that of the first", curves(errors)),
        "systems": ("Truth, hint, gray, ours, and each system", strip(clips, listed, nets)),
        "patches": ("P: original, u*v*, gray, predicted u*v*, prediction; repainted", patch_figure(out, pack, nets)),
    }
    lines = ["# Published systems: results", "", f"Written by `pipelines/published_systems.py page` from `{out.name}`."]
    for title, text in (
        ("Errors of training", error_table(out, names)),
        ("Scores", score_table(out, weights)),
        ("Parameters and cost", cost_table(out, weights, nets)),
    ):
        lines += ["", f"## {title}", "", *text]
    for name, (title, picture) in pictures.items():
        if picture is not None:
            path = images / f"{name}.jpg"
            write_atomically(path, encode_image(picture, ".jpg", quality=82))
            lines += ["", f"![{title}]({path.relative_to(page.parent).as_posix()})", "", f"{title}."]
    write_atomically(page, "\n".join(lines) + "\n")
    click.echo(page)


@main.command()
@_options("out", "only", "clips", "listed", "page")
@click.option("--data", type=click.Path(path_type=Path, exists=True), help="For P's figure: the pack.")
def page(out: Path, only: str | None, clips: Path, listed: str | None, page: Path | None, data: Path | None) -> None:
    """Write tables and figures of what is there."""
    _page(_chosen(only), out, clips, listed, page, data)


@main.command()
@_options("data", "out", "only", "settings", "clips", "listed", "scoring", "workers", "page")
def reproduce(
    data: Path,
    out: Path,
    only: str | None,
    settings: tuple[str, ...],
    clips: Path,
    listed: str | None,
    scoring: tuple[str, ...],
    workers: int,
    page: Path | None,
) -> None:
    """Train what is missing, evaluate, and write the page."""
    names = _chosen(only)
    _train(names, data, out, settings, None)
    _evaluate(names, out, clips, listed, scoring, workers)
    _page(names, out, clips, listed, page, _packs(data, out)[0])


if __name__ == "__main__":
    try:
        main(standalone_mode=True)
    except VideocolorError as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(error.exit_code) from error
