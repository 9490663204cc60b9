"""Controls that the papers lack, and what they wish for; where there are several seeds, the spread beside the mean.

    python pipelines/published_controls.py train --data PACK -o OUT [--rows 2,3] [--seeds 0] [--set [PRESET:]KEY=VALUE]
    python pipelines/published_controls.py page OUT/results.json PAGE.md

Rows 2 to 6 are H's experiments with one color network on one data set (pairs of frames), so that they differ in their
inputs alone; `uncompressed` sees all values, `pca`, `denoising` and `sparse` compress otherwise (the last two beside
row 2); `h128` is row 4 at 128 px, its codes 32x32; `deep` is deeper and wider, `recurrent` sees the frame before;
`batch5` and `batch10` are F with white borders; `r` is R's forty epochs; `colors` and `placed` are P with 9 to 400
colors, without and with the pixel's position. Autoencoders are trained once, by the first seed. What is done is
skipped, and OUT/results.json keeps every epoch of every run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click
import numpy as np
from published_figures import curves, epochs
from published_systems import changes_of, fast_bf16
from published_tables import rows_of

from videocolor.errors import InputError, VideocolorError
from videocolor.files import write_atomically
from videocolor.images import encode_image
from videocolor.presets import load_model

_ONE: Final = ("standardize=true", "features_layout=shuffle")
ROWS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "2": ("h4", ("inputs=[gray]", *_ONE)),
    "3": ("h4", ("inputs=[gray, outlines]", *_ONE)),
    "4": ("h4", _ONE),
    "5": ("h4", ("inputs=[gray, outlines, hint]", *_ONE)),
    "6": ("h4", ("inputs=[gray, outlines, hint, features]", *_ONE)),
    "uncompressed": ("h4", ("compressor=none", *_ONE)),
    "pca": ("h4", ("compressor=pca", *_ONE)),
    "denoising": ("h4", ("inputs=[gray]", *_ONE)),
    "sparse": ("h4", ("inputs=[gray]", *_ONE)),
    "h128": ("h4", ("size=128", *_ONE)),
    "deep": ("h4_deep", _ONE),
    "recurrent": ("h4_recurrent", _ONE),
    "batch5": ("f_batch5", ()),
    "batch10": ("f_batch10", ()),
    "r": ("r", ("epochs=40",)),
    "colors": ("p_colors", ("perceptron.position=false",)),
    "placed": ("p_colors", ()),
}
"""Preset and changes of each row."""
_CODES: Final = {"denoising": ("noise=0.1",), "sparse": ("sparsity=0.01",)}
"""What a row changes of the autoencoders."""
_PRESETS: Final = sorted({"h_gray", "h_outlines", "h_hint", *(preset for preset, _ in ROWS.values())})
_MACHINE: Final = ("device", "threads", "pictures")
_CURVES: Final = ("batch5", "batch10", "r")


def _run(preset: str, out: Path, settings: Sequence[str], changes: Sequence[str]) -> list[dict[str, Any]]:
    """Train what is not trained; the epochs, or P's networks."""
    from videocolor.training.systems import config_class, trainer

    name = f"published/{preset}"
    kind = config_class(name)
    fast = ["bf16=false"] if "bf16" in kind.model_fields and not fast_bf16() else []
    own = changes_of(preset, kind, settings, _PRESETS)
    config: Any = load_model(kind, "train", name, [*fast, *own, *changes, f"out={out}"])
    patches = out / "results.json"
    done = len(json.loads(patches.read_text(encoding="utf-8"))["networks"]) if patches.is_file() else 0
    if max([done, *(row["step"] for row in epochs(out / "metrics.jsonl"))]) < config.steps:
        trainer(name)(config, resume=True)
    if patches.is_file():
        found = json.loads(patches.read_text(encoding="utf-8"))
        return [{**row, "commonest": found["commonest"][str(row["neurons"])]} for row in found["networks"]]
    return epochs(out / "metrics.jsonl")


@click.group(help=__doc__)
def main() -> None:
    """The commands."""


_OUTPUT: Final = click.option("-o", "--output", default="runs/controls", type=click.Path(path_type=Path))


@main.command()
@click.option("--data", required=True, type=click.Path(path_type=Path, exists=True), help="Folder of a pack.")
@_OUTPUT
@click.option("--rows", default=",".join(ROWS), show_default=True)
@click.option("--seeds", default="0,1,2", show_default=True)
@click.option("--set", "settings", multiple=True, metavar="[PRESET:]KEY=VALUE", help="Change a value of every run.")
def train(data: Path, output: Path, rows: str, seeds: str, settings: tuple[str, ...]) -> None:
    """Train the rows."""
    pack, held = f"data.pack={data}", f"data.held_pack={data.with_name(f'{data.name}_held')}"
    results = output / "results.json"
    if not all(seed.strip().isdecimal() for seed in seeds.split(",")):
        raise InputError(f"--seeds {seeds}: expected numbers, as 0,1,2")
    for row in rows.split(","):
        if row not in ROWS:
            raise InputError(f"--rows {row}: there are {', '.join(ROWS)}")
        (preset, changes), codes, runs = ROWS[row], output / (row if row in _CODES else "codes"), {}
        for seed in seeds.split(","):
            folders = []
            for kind in _kinds(preset, changes):
                _run(f"h_{kind}", codes / kind, settings, [pack, held, *_CODES.get(row, ())])
                folders.append(f"{kind}={codes / kind}")
            given = [pack, *(() if preset.startswith("p") else (held,)), *changes, *folders, f"seed={seed}"]
            runs[seed] = _run(preset, output / row / f"seed{seed}", settings, given)
        found = json.loads(results.read_text(encoding="utf-8")) if results.is_file() else {}
        runs = found.get(row, {}).get("runs", {}) | runs
        found[row] = {"preset": preset, "changes": changes, "settings": settings, "runs": runs}
        write_atomically(results, json.dumps(found, indent=1) + "\n")
        click.echo(f"{row}: seeds {', '.join(runs)} done")


def _kinds(preset: str, changes: Sequence[str]) -> list[str]:
    """Autoencoders that a row needs."""
    if not preset.startswith("h") or any(change.startswith("compressor=") for change in changes):
        return []
    inputs = next((change for change in changes if change.startswith("inputs=")), "inputs=[gray, hint]")
    return [kind for kind in ("gray", "outlines", "hint") if kind in inputs]


@main.command()
@click.argument("results", type=click.Path(path_type=Path, exists=True))
@click.argument("page", type=click.Path(path_type=Path))
def page(results: Path, page: Path) -> None:
    """Write the tables and curves of the results."""
    found: dict[str, Any] = json.loads(results.read_text(encoding="utf-8"))
    rows = {row: found[row] for row in ROWS if row in found}
    written = (
        f"Written by `pipelines/published_controls.py page` from `{results.name}`; what rows are: its first lines."
    )
    lines = ["# Published systems: controls", "", written]
    for letter, title, table in (
        ("h", "H: inputs, compressors, depth", _spread_table),
        ("fr", "F and R: errors by epoch", _course_table),
        ("p", "P: more colors, and the pixel's position", _color_table),
    ):
        chosen = {row: entry for row, entry in rows.items() if entry["preset"][0] in letter}
        if chosen:
            shared = sorted({setting for entry in chosen.values() for setting in _shared(entry, letter)})
            text = [f"Settings: {' '.join(f'`{setting}`' for setting in shared)}.", ""] if shared else []
            lines += ["", f"## {title}", "", *text, *table(chosen)]
    picture = curves({row: [e["mse"] for e in rows[row]["runs"]["0"]] for row in _CURVES if row in rows})
    if picture is not None:
        target = page.parent / "images" / f"{page.stem}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, encode_image(picture))
        text = "Held-back error by epoch, each divided by that of the first"
        lines += ["", f"![{text}](images/{target.name})", "", f"{text}."]
    write_atomically(page, "\n".join(lines) + "\n")
    click.echo(page)


def _shared(entry: Mapping[str, Any], letters: str) -> list[str]:
    """Settings of all rows, of H's autoencoders and of P, without those of the machine."""
    given = [setting for setting in entry["settings"] if not setting.startswith(_MACHINE)]
    named = {"h": ("h_gray:", "h_outlines:", "h_hint:"), "p": ("p_",)}.get(letters, ())
    return [s for s in given if s.startswith(named) or (":" not in s and letters != "p")]


def _own(entry: Mapping[str, Any]) -> str:
    """What sets a row apart: its changes, and the settings of its preset alone."""
    own = [s.partition(":")[2] for s in entry["settings"] if s.startswith(f"{entry['preset']}:")]
    return " ".join([*(change for change in entry["changes"] if change not in _ONE), *own])


def _spread_table(rows: Mapping[str, Any]) -> list[str]:
    """Mean [least, most] over seeds after the last epoch; a seed's samples are the same in all rows."""
    body, base = [], rows["2"]["runs"] if "2" in rows else {}
    for row, entry in rows.items():
        runs = {seed: run[-1] for seed, run in entry["runs"].items()}
        mse, sharpness, seconds = ([run[key] for run in runs.values()] for key in ("mse", "sharpness", "cpu_seconds"))
        shares = [run["mse"] / base[seed][-1]["mse"] for seed, run in runs.items() if seed in base]
        cells = (_spread(mse, 4), _spread(shares, 2), _spread(sharpness, 2), _spread(np.divide(seconds, 60), 1))
        body.append([row, entry["preset"], _own(entry), str(len(runs)), *cells])
    head = [
        "row",
        "preset",
        "changes",
        "seeds",
        "MSE held back",
        "share of row 2's",
        "sharpness (truth: 1)",
        "CPU minutes",
    ]
    return rows_of(head, body)


def _spread(values: Sequence[float], digits: int) -> str:
    if not len(values):
        return "-"
    low, mean, high = (f"{value:.{digits}f}" for value in (min(values), np.mean(values), max(values)))
    return mean if len(values) == 1 else f"{mean} [{low}, {high}]"


def _course_table(rows: Mapping[str, Any]) -> list[str]:
    """Errors of the first, the best and the last epoch, a line a run."""
    body = []
    for row, entry in rows.items():
        for seed, run in entry["runs"].items():
            held = [line["mse"] for line in run]
            best = int(np.argmin(held))
            line = [row, _own(entry), seed, str(len(run)), f"{run[0]['train_mse']:.4f} -> {run[-1]['train_mse']:.4f}"]
            line += [f"{held[0]:.4f} -> {held[-1]:.4f}", f"{held[best]:.4f} ({best + 1})"]
            body.append([*line, f"{run[-1]['cpu_seconds'] / 60:.1f}"])
    head = ["row", "changes", "seed", "epochs", "MSE, first -> last", "held back", "at epoch", "CPU minutes"]
    return rows_of(head, body)


def _color_table(rows: Mapping[str, Any]) -> list[str]:
    """Accuracies by number of colors; the commonest color's share is what knowing nothing gives."""
    body = []
    for entry in rows.values():
        found = [network for run in entry["runs"].values() for network in run]
        for neurons in sorted({network["neurons"] for network in found}):
            mine = [network for network in found if network["neurons"] == neurons]
            cells = [_spread([network[key] for network in mine], 3) for key in ("commonest", "train", "test", "unseen")]
            position = "yes" if mine[0]["position"] else "no"
            minutes = f"{sum(network['seconds'] for network in mine) / 60:.1f}"
            body.append([str(neurons), position, str(len(mine)), *cells, minutes])
    return rows_of(
        ["colors", "position", "splits", "always the commonest", "train", "test", "unseen pictures", "minutes"], body
    )


if __name__ == "__main__":
    try:
        main(standalone_mode=True)
    except VideocolorError as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(error.exit_code) from error
