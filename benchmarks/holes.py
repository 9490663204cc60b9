"""What a painted frame is worth that leaves parts unpainted: films colored from frame 0 with holes, and without.

    python -m benchmarks.holes FOOTAGE [-o benchmarks/results/holes.json]

FOOTAGE is the folder with train/ (`data.root`). 9 clips of evaluate/held_back and 5 of evaluate/moving, 240 lines, 2 s,
scored as `e1`. Holes are stripes: of every 64 columns, 16 are transparent.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Final
from unittest.mock import patch

import click
import numpy as np

from videocolor.evaluation.evaluate import evaluate
from videocolor.evaluation.settings import EvaluateConfig
from videocolor.evaluation.tasks import GivenHint
from videocolor.types import Array

SETS: Final = {"held back": ("evaluate/held_back", 9), "moving": ("evaluate/moving", 5)}


def striped(rgb: Array, index: int) -> GivenHint:
    return GivenHint(rgb, index, np.broadcast_to(np.arange(rgb.shape[1]) % 64 < 48, rgb.shape[:2]))


@click.command(help=__doc__)
@click.argument("footage", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path))
def main(footage: Path, output: Path | None) -> None:
    table: dict[str, dict[str, list[float]]] = {}
    for name, (listed, most) in SETS.items():
        for kind, hint in (("whole", GivenHint), ("with holes", striped)):
            with tempfile.TemporaryDirectory() as folder, patch("videocolor.evaluation.protocols.GivenHint", hint):
                config = {
                    "protocol": {"name": "e1"},
                    "clips": {"listed": listed, "most": most, "seconds": 2},
                    "methods": ["videocolor"],
                    "scores": {"metrics": ["psnr_rgb", "ciede2000"]},
                }
                found = evaluate(footage / "train", Path(folder), EvaluateConfig.model_validate(config))
            scores = [row.scores for row in found.rows if row.method == "videocolor"]
            means = [float(np.mean([one[key] for one in scores])) for key in ("psnr_rgb", "ciede2000_mean")]
            table.setdefault(name, {})[kind] = [round(value, 3) for value in means]
            click.echo(f"{name}, {kind}: {means[0]:.2f} dB, dE00 {means[1]:.2f}")
    if output is not None:
        output.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
