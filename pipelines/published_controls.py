"""Controls that the papers lack: every row with three seeds, the spread beside the mean, and a score of sharpness.

    python pipelines/published_controls.py --data PACK -o OUT [--rows 2,3,4] [--seeds 0,1,2] [--set [PRESET:]KEY=VALUE]

Rows 2 to 6 are H's experiments with one color network on one data set (pairs of frames), so that they differ in their
inputs alone; `uncompressed` sees all values, `pca`, `denoising` and `sparse` compress otherwise; `h128` is row 4 at
128 px, its codes 32x32; `deep` is deeper and wider, `recurrent` sees the frame before; `batch5` and `batch10` are F
with white borders. Autoencoders are trained once, by the first seed. What is done is skipped. OUT/table.md has a line a
row.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click
import numpy as np
from published_figures import epochs
from published_systems import changes_of, fast_bf16
from published_tables import rows_of

from videocolor.errors import InputError, VideocolorError
from videocolor.files import write_atomically
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
}
"""Preset and changes of each row."""
_CODES: Final = {"denoising": ("noise=0.1",), "sparse": ("sparsity=0.01",)}
"""What a row changes of the autoencoders."""


_PRESETS: Final = sorted({"h_gray", "h_outlines", "h_hint", *(preset for preset, _ in ROWS.values())})


def _run(preset: str, out: Path, settings: Sequence[str], changes: list[str]) -> list[dict[str, Any]]:
    """Train what is not trained; the epochs' errors."""
    from videocolor.training.systems import config_class, trainer

    name = f"published/{preset}"
    kind = config_class(name)
    changes = [*changes_of(preset, kind, settings, _PRESETS), *changes, f"out={out}"]
    config: Any = load_model(kind, "train", name, [*([] if fast_bf16() else ["bf16=false"]), *changes])
    done = epochs(out / "metrics.jsonl")
    if not done or done[-1]["epoch"] < config.epochs:
        trainer(name)(config, resume=True)
    return epochs(out / "metrics.jsonl")


@click.command(help=__doc__)
@click.option("--data", required=True, type=click.Path(path_type=Path, exists=True), help="Folder of a pack.")
@click.option("-o", "--output", default="runs/controls", type=click.Path(path_type=Path))
@click.option("--rows", default=",".join(ROWS), show_default=True)
@click.option("--seeds", default="0,1,2", show_default=True)
@click.option("--set", "settings", multiple=True, metavar="[PRESET:]KEY=VALUE", help="Change a value of every run.")
def main(data: Path, output: Path, rows: str, seeds: str, settings: tuple[str, ...]) -> None:
    """Train the rows and write their table."""
    packs = [f"data.pack={data}", f"data.held_pack={data.with_name(f'{data.name}_held')}"]
    body = []
    for row in rows.split(","):
        if row not in ROWS:
            raise InputError(f"--rows {row}: there are {', '.join(ROWS)}")
        (preset, changes), codes, runs = ROWS[row], output / (row if row in _CODES else "codes"), []
        for seed in seeds.split(","):
            folders = []
            for kind in _kinds(preset, changes):
                _run(f"h_{kind}", codes / kind, settings, [*packs, *_CODES.get(row, ())])
                folders.append(f"{kind}={codes / kind}")
            out = output / row / f"seed{seed}"
            runs.append(_run(preset, out, settings, [*packs, *changes, *folders, f"seed={seed}"])[-1])
        cells = [f"{np.mean(v):.4f} [{min(v):.4f}, {max(v):.4f}]" for v in _columns(runs)]
        body.append([row, preset, " ".join(changes), str(len(runs)), *cells, *["-"] * (2 - len(cells))])
        head = ["row", "preset", "changes", "seeds", "MSE held back: mean [least, most]", "sharpness (truth: 1)"]
        write_atomically(output / "table.md", "\n".join(rows_of(head, body)) + "\n")
    click.echo((output / "table.md").read_text(encoding="utf-8"))


def _kinds(preset: str, changes: tuple[str, ...]) -> list[str]:
    """Autoencoders that a row needs."""
    if not preset.startswith("h") or any(change.startswith("compressor=") for change in changes):
        return []
    inputs = next((change for change in changes if change.startswith("inputs=")), "inputs=[gray, hint]")
    return [kind for kind in ("gray", "outlines", "hint") if kind in inputs]


def _columns(runs: list[dict[str, Any]]) -> list[list[float]]:
    found = [[run.get(key) for run in runs] for key in ("mse", "sharpness")]
    return [values for values in found if None not in values]


if __name__ == "__main__":
    try:
        main(standalone_mode=True)
    except VideocolorError as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(error.exit_code) from error
