"""Tables of the published systems in Markdown: errors beside the papers', scores, parameters and seconds."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from published_figures import epochs

from videocolor.files import file_sha256
from videocolor.models.artifact import read_card
from videocolor.models.base import Colorizer, HintInput
from videocolor.published.cards import PUBLISHED
from videocolor.shots.prepare import working_size

_ERRORS: Final = {
    "h_gray": "> 0.09 -> < 0.011",
    "h_hint": "> 0.12 -> < 0.02",
    "h5": "did not learn",
    "h6": "no change",
    "r": "0.0025 after 10 epochs, 0.0019 after 40",
    "r_lite0": "0.0025 after 10 epochs, 0.0019 after 40 (ResNet)",
    "p": "accuracy .419 / .409",
}
"""What the papers say of each."""
_PARAMETERS: Final = {"h_gray": "1,060,356", "h_outlines": "1,060,356", "h_hint": "2,389,254"}
_COLUMNS: Final = (("psnr_rgb", "PSNR RGB, dB", 2), ("ciede2000_mean", "dE00", 2), ("ssim", "SSIM", 3))
_COLUMNS_ALL: Final = (*_COLUMNS, ("colorfulness", "colorfulness", 1))


def rows_of(head: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """A table's lines."""
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *body)]


def error_table(out: Path, names: Sequence[str]) -> list[str]:
    """Errors of the first and last epoch, learned from and held back, beside the published ones."""
    body = []
    for name in names:
        rows = epochs(out / name / "metrics.jsonl")
        if rows:
            learned, held = ([row.get(key, math.nan) for row in rows] for key in ("train_mse", "mse"))
            line = [name, str(len(rows)), f"{rows[-1]['step']:,}"]
            line += [f"{values[0]:.4f} -> {values[-1]:.4f}" for values in (learned, held)]
            line.append(f"{math.sqrt(held[0]):.3f} -> {math.sqrt(held[-1]):.3f}")
            body.append([*line, _ERRORS.get(name, "not given")])
    results = out / "p" / "results.json"
    if "p" in names and results.is_file():
        found = json.loads(results.read_text(encoding="utf-8"))["networks"]
        means = [np.mean([row[key] for row in found if row[key] is not None]) for key in ("train", "test", "unseen")]
        shown = f"unseen pictures {means[2]:.3f}"
        body.append(["p", "-", "-", f"accuracy {means[0]:.3f}", shown, f"test {means[1]:.3f}", _ERRORS["p"]])
    head = ["system", "epochs", "steps", "MSE, first -> last epoch", "held back", "its root", "published"]
    return rows_of(head, body)


def score_table(out: Path, weights: Mapping[str, Path]) -> list[str]:
    """Scores under e1 and, in the last column, without a hint; and what they say of each system."""
    tables = {}
    for protocol in ("e1", "auto"):
        path = out / protocol / "table.json"
        if not path.is_file():
            return ["Not evaluated."]
        tables[protocol] = json.loads(path.read_text(encoding="utf-8"))
    alone = {line["method"]: line["means"].get("ciede2000_mean") for line in tables["auto"]["summary"]}
    floor = alone["gray"]["value"]
    body, worse = [], []
    for line in tables["e1"]["summary"]:
        name, means = line["method"], line["means"]
        cells = [_mean(means.get(key), digits) for key, _, digits in _COLUMNS_ALL]
        other = alone.get(name)
        sha = file_sha256(weights[name])[:12] if name in weights else ""
        body.append([f"`{name}`", *cells, "-" if other is None else f"{other['value']:.2f}", sha])
        if name in weights and other is not None and other["value"] > floor:
            worse.append(f"`{name}` ({other['value'] - floor:+.2f})")
    clips = len(tables["e1"]["clips"])
    head = ["method", *(title for _, title, _ in _COLUMNS_ALL), "dE00 without a hint", "sha256"]
    text = (
        f"{clips} clips, protocol `e1`; brackets: 95 % over clips.\n"
        f"Without a hint gray has dE00 {floor:.2f};\nworse are "
    )
    return [text + f"{', '.join(worse) or 'none'}.", "", *rows_of(head, body)]


def _mean(mean: Mapping[str, float] | None, digits: int) -> str:
    if mean is None:
        return "-"
    value, low, high = (f"{mean[key]:.{digits}f}" for key in ("value", "low", "high"))
    return value if low == high else f"{value} [{low}, {high}]"


def cost_table(out: Path, weights: Mapping[str, Path], nets: Mapping[str, Colorizer]) -> list[str]:
    """Parameters, the file's size, what training took, and CPU seconds for a film's frame."""
    counts = {model.name: f"{model.parameters:,}" for model in PUBLISHED}
    hours = {name: hours_of(out / name) for name in (*_PARAMETERS, *weights)}
    body = [[name, counts[name], known, "-", "-", _shown(hours[name]), "-"] for name, known in _PARAMETERS.items()]
    for name, file in weights.items():
        net, size = nets[name], working_size(256, 256, nets[name].card)
        megabytes = f"{file.stat().st_size / 1e6:.2f}"
        steps = read_card(file)[2].get("steps", "-")
        seconds = f"{seconds_of(net, size):.3f} ({size[1]}x{size[0]})"
        line = [name, f"{net.card.parameters:,}", "not given", str(steps), megabytes, _shown(hours[name])]
        body.append([*line, seconds])
    head = ["system", "parameters", "published", "steps", "MB", "hours of training", "CPU s a frame, one thread"]
    text = (
        "`python pipelines/published_systems.py train --data PACK --only SYSTEM` trains one again (H needs its "
        f"autoencoders).\nHours are by the clock, one thread; together {sum(filter(None, hours.values())):.1f}."
    )
    return [text, "", *rows_of(head, body)]


def hours_of(run: Path) -> float | None:
    """Hours that a run took by the clock; of P, the sum over its networks. None: not noted."""
    if (run / "results.json").is_file():
        networks = json.loads((run / "results.json").read_text(encoding="utf-8"))["networks"]
        return sum(float(network["seconds"]) for network in networks) / 3600
    rows = epochs(run / "metrics.jsonl")
    return float(rows[-1]["seconds"]) / 3600 if rows and "seconds" in rows[-1] else None


def _shown(hours: float | None) -> str:
    return "-" if hours is None else f"{hours:.2f}"


def seconds_of(net: Colorizer, size: tuple[int, int]) -> float:
    """CPU time for one frame, the best of five."""
    luma = np.random.default_rng(0).random((1, *size), np.float32)
    memory = net.begin([HintInput(luma[0], np.zeros((2, *size), np.float32))] if net.card.hints != "none" else [])
    taken = []
    for _ in range(5):
        began = time.process_time()
        net.step(memory, luma)
        taken.append(time.process_time() - began)
    return min(taken)
