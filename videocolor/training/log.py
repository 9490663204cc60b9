"""The log of a training run: metrics.jsonl, pictures, TensorBoard, and a progress bar or events."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from videocolor.errors import OutputError, UsageError
from videocolor.events import Event, Observer
from videocolor.files import write_atomically
from videocolor.training.config import RunConfig
from videocolor.types import Array

__all__ = ["TrainingLog"]


class TrainingLog:
    """Writes means over some steps, and validations, a line each.

    Args:
        config: the settings.
        first: step that the run goes on from; lines about later steps are dropped.
        observer: receives progress; None: a bar on stderr.
        quiet: write nothing, in all processes but the first.

    Raises:
        UsageError: TensorBoard is asked for and not installed.
    """

    def __init__(self, config: RunConfig, first: int, observer: Observer | None, *, quiet: bool) -> None:
        self.config, self._quiet, self._observer = config, quiet, observer
        self._board = None if quiet else _board(config, first)
        if not quiet:
            _keep_until(config.out / "metrics.jsonl", first)
        patience = 0.5 if sys.stderr.isatty() else 30.0
        self._bar = tqdm(
            total=config.steps,
            initial=first,
            unit="step",
            mininterval=patience,
            smoothing=0.05,
            disable=quiet or observer is not None,
        )
        self._sums: dict[str, float] = {}
        self._count, self._samples, self._waited, self._since = 0, 0, 0.0, time.perf_counter()

    def step(self, step: int, samples: int, waited: float, values: Mapping[str, float]) -> None:
        """Add a step.

        Args:
            step: its number, from 0.
            samples: in its batch.
            waited: seconds it waited for them.
            values: losses, of which means are written; `lr` is written as it is.
        """
        self._count, self._samples, self._waited = self._count + 1, self._samples + samples, self._waited + waited
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._bar.update()
        if (step + 1) % self.config.log_every == 0:
            seconds = max(time.perf_counter() - self._since, 1e-9)
            means = {name: total / self._count for name, total in self._sums.items()}
            speed = {"samples_per_s": self._samples / seconds, "waited": min(1.0, self._waited / seconds)}
            row = {"step": step + 1, **means, "lr": values["lr"], **speed}
            self._bar.set_postfix(loss=f"{means['total']:.4f}", waited=f"{100 * speed['waited']:.0f}%", refresh=False)
            left = (self.config.steps - step - 1) * seconds / self._count
            self._write(row, "train", {"steps": self.config.steps, "eta_s": round(left, 1)})
            self._reset()

    def validated(self, step: int, scores: Mapping[str, float], sheet: Array | None) -> None:
        """Write a validation.

        Args:
            step: steps done.
            scores: by name.
            sheet: (h, w, 3) uint8 R'G'B', or None.

        Raises:
            OutputError: the picture cannot be written.
        """
        if sheet is not None and not self._quiet:
            path = self.config.out / "pictures" / f"step_{step:06d}.jpg"
            path.parent.mkdir(exist_ok=True)
            if not cv2.imwrite(str(path), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90]):
                raise OutputError(f"{path}: cannot be written")
            if self._board is not None:
                self._board.add_image("pictures", np.ascontiguousarray(sheet), step, dataformats="HWC")
        self._write({"step": step, **scores}, "validate", {})

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Leave the time of checkpoints and validations out of the speed."""
        began = time.perf_counter()
        yield
        self._since += time.perf_counter() - began

    def _reset(self) -> None:
        self._sums = {}
        self._count, self._samples, self._waited, self._since = 0, 0, 0.0, time.perf_counter()

    def _write(self, row: dict[str, Any], stage: str, more: dict[str, Any]) -> None:
        if self._quiet:
            return
        rounded = {key: float(f"{value:.6g}") if isinstance(value, float) else value for key, value in row.items()}
        with (self.config.out / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(rounded) + "\n")
        if self._observer is not None:
            self._observer(Event("progress", {"stage": stage, **rounded, **more}))
        if self._board is not None:
            for key in rounded.keys() - {"step"}:
                self._board.add_scalar(f"{stage}/{key}", rounded[key], rounded["step"])

    def __enter__(self) -> TrainingLog:
        return self

    def __exit__(self, *_error: object) -> None:
        self._bar.close()
        if self._board is not None:
            self._board.close()


def _keep_until(path: Path, step: int) -> None:
    """Drop lines about steps after `step`, which will be written again, and an incomplete one."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except (ValueError, KeyError, TypeError):
            continue
    write_atomically(path, "".join(kept if step else []))


def _board(config: RunConfig, first: int) -> Any:
    if not config.tensorboard:
        return None
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ModuleNotFoundError as error:
        raise UsageError("tensorboard: true needs the package tensorboard: pip install 'videocolor[train]'") from error
    # What was written about the step of the checkpoint itself stays, as in metrics.jsonl.
    return SummaryWriter(str(config.out / "tensorboard"), purge_step=first + 1 if first else 0)
