"""What each piece of the hinted path is worth: films colored without it, by the scorer of `videocolor evaluate`.

    python -m benchmarks.ablation FOOTAGE [--only PIECE] [--set held_back] [-o benchmarks/results/ablation.json]

FOOTAGE is the folder with train/ (`data.root`). A piece is left out by a setting, or by code that does nothing in its
place. Sets of clips, 240 lines:

    held_back    9 of evaluate/held_back, 2 s, frame 0 as the hint (`e1`)
    moving       5 of evaluate/moving, 4 s, the same
    far          9 of evaluate/held_back, 2 s, the last frame as the hint, without its time (`e1-far`)

The row "all pieces" also has CPU-ms a frame of the film, and of each piece's functions in their own thread.
"""

from __future__ import annotations

import json
import pkgutil
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import click
import numpy as np
import yaml

import videocolor.models
from videocolor.evaluation.evaluate import evaluate
from videocolor.evaluation.settings import EvaluateConfig
from videocolor.models.hint.colorizer import HintColorizer, ShotState
from videocolor.models.hint.export import write_graphs
from videocolor.models.hint.network import HintNet

SETS: Final = {
    "held_back": {"protocol": {"name": "e1"}, "clips": {"listed": "evaluate/held_back", "most": 9, "seconds": 2}},
    "moving": {"protocol": {"name": "e1"}, "clips": {"listed": "evaluate/moving", "most": 5, "seconds": 4}},
    "far": {"protocol": {"name": "e1-far"}, "clips": {"listed": "evaluate/held_back", "most": 9, "seconds": 2}},
}
WEIGHTS: Final = Path(videocolor.models.__file__).parent / "weights"
METRICS: Final = ("psnr_rgb", "ciede2000_mean")
FILM, ALL = "videocolor.evaluation.methods.colorize_video", "all pieces"


def uncorrected(self: HintColorizer, hints: Any) -> ShotState:
    return ShotState(self._encoded(hints) if hints else self._no_tokens(), None)


def nothing(*_: Any) -> None: ...


PATH, HINT = "videocolor.pipeline", "videocolor.models.hint"
NETWORK, TRACK, SMOOTH = f"{HINT}.colorizer.HintColorizer", f"{PATH}.propagation", f"{PATH}.smoothing.KalmanSmoother"
PIECES: Final[dict[str, dict[str, Any]]] = {
    ALL: {},
    "memory of colored frames": {"model": {"memory": 0}},
    "correction learned from the hint": {f"{NETWORK}._begun": uncorrected},
    "colors without a hint at the card's size": {f"{HINT}.colorizer._LARGE": 1e9},
    "non-local means": {f"{HINT}.network.smooth_by_feature_similarity": lambda _, own, __: own},
    "correction of drift": {f"{TRACK}.CoordinateMap.correct_drift": nothing},
    "search for hints in frames": {f"{TRACK}.HintPropagator._search": nothing},
    "missing grain": {f"{PATH}.propagated.missing_grain": lambda now, _: np.zeros_like(now)},
    "common exposure": {f"{PATH}.propagated.exposure": lambda *_: (np.float32(1), np.float32(0))},
    "keyframes where motion is lost": {f"{PATH}.scheduling._LOST_SHARE": 2.0},
    "smoothing from later frames": {f"{SMOOTH}._backward": nothing},
    "damped flashes": {f"{SMOOTH}._damp_flashes": nothing},
}
"""Piece -> settings (by section) and code (dotted names) without it."""
COSTS: Final = {name: [code for code in without if "." in code] for name, without in PIECES.items()} | {
    "memory of colored frames": [f"{PATH}.memory.ShotMemory.look", f"{NETWORK}.remember"],
    "correction learned from the hint": [f"{NETWORK}._begun", f"{HINT}.colorizer._coarse_correction"],
    "colors without a hint at the card's size": [f"{NETWORK}._without_hints"],
    "non-local means": [],
    "keyframes where motion is lost": [f"{PATH}.scheduling.KeyframePolicy.choose"],
}
"""Piece -> functions that are its cost."""


def timed(code: Callable[..., Any], spent: list[float], clock: Callable[[], float]) -> Callable[..., Any]:
    @wraps(code)
    def run(*arguments: Any, **options: Any) -> Any:
        began = clock()
        result = code(*arguments, **options)
        spent.append(clock() - began)
        return result

    return run


def measure(footage: Path, folder: Path, clips: str, piece: str) -> dict[str, Any]:
    """Mean scores of one set without one piece; with all, CPU-ms a frame too."""
    without, label = PIECES[piece], piece.replace(" ", "_").replace("'", "")
    preset, spent = folder / "without.yaml", dict[str, list[float]]()
    preset.write_text(yaml.safe_dump({name: value for name, value in without.items() if "." not in name}))
    chosen = {"methods": [f"{label}=videocolor:{preset}"], "scores": {"metrics": ["psnr_rgb", "ciede2000"]}}
    clocks = dict.fromkeys((name for cost in COSTS.values() for name in cost), time.thread_time)
    with ExitStack() as stack:
        for name, clock in {**clocks, FILM: time.process_time}.items() if piece == ALL else ():
            spent[name] = []
            stack.enter_context(patch(name, timed(pkgutil.resolve_name(name), spent[name], clock)))
        for name, code in without.items():
            if "." in name:
                stack.enter_context(patch(name, code))
            if name.startswith(f"{HINT}.network."):  # the packaged graphs hold it
                shutil.copytree(WEIGHTS, folder / label, dirs_exist_ok=True)
                write_graphs(HintNet().folded(), folder / label, "hintnet-4")
                stack.enter_context(patch("videocolor.models.runtimes._FOLDER", folder / label))
        found = evaluate(footage / "train", folder / clips, EvaluateConfig.model_validate(SETS[clips] | chosen))
    scores = [row.scores for row in found.rows if row.method == label]
    row: dict[str, Any] = {key: round(float(np.mean([one[key] for one in scores])), 4) for key in METRICS}
    if piece == ALL:
        count = sum(one["frames"] + one["reference_frames"] for one in scores)
        times = {name: 1000 * sum(part) / count for name, part in spent.items()}
        row["cpu_ms"] = {key: round(sum(times[n] for n in cost), 2) for key, cost in COSTS.items() if cost}
        row["cpu_ms"][ALL] = round(times[FILM], 1)
    return row


@click.command(help=__doc__)
@click.argument("footage", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--only", multiple=True, type=click.Choice(list(PIECES)), help="Measure these alone; others are kept.")
@click.option("--set", "sets", multiple=True, type=click.Choice(list(SETS)), default=list(SETS), show_default=True)
@click.option("-o", "--output", default="benchmarks/results/ablation.json", type=click.Path(path_type=Path))
def main(footage: Path, only: tuple[str, ...], sets: tuple[str, ...], output: Path) -> None:
    table: dict[str, dict[str, Any]] = json.loads(output.read_text()) if output.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        for piece in only or PIECES:
            for clips in sets:
                table.setdefault(clips, {})[piece] = measure(footage, Path(folder), clips, piece)
                click.echo(f"{clips}, without {piece}: {table[clips][piece]}")
                output.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
