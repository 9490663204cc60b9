"""A tiny pack and a tiny run for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from videocolor.datasets.pack import PackReader, PackWriter
from videocolor.models.artifact import load_checkpoint
from videocolor.models.hint.network import HintNet
from videocolor.training import loop
from videocolor.training.config import DataConfig, OptimizerConfig, Phase, TrainConfig
from videocolor.training.hint import start


def make_pack(folder: Path, seed: int = 0) -> PackReader:
    """Two clips and three pictures of smooth random color."""
    rng, writer = np.random.default_rng(seed), PackWriter(folder)
    pairs = [(i, j) for i in range(8) for j in range(8) if abs(i - j) >= 2]  # a second and more apart
    for name in ("a", "b"):
        base = cv2.resize(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8), (100, 70))
        frames = [(t * 0.5, np.roll(base, t, axis=1)) for t in range(8)]
        writer.add(f"{name}.mp4", f"source {name}", "CC0", "clip", frames, pairs)
    for index in range(3):
        picture = cv2.resize(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8), (80, 90))
        writer.add(f"{index}.jpg", f"source {index}", "CC0", "image", [(0.0, picture)])
    writer.close({"licences": {"clip": {"CC0": 2}, "image": {"CC0": 3}}})
    return PackReader(folder)


def tiny_config(folder: Path, monkeypatch: pytest.MonkeyPatch, steps: int = 6) -> TrainConfig:
    """Configure some steps on a made pack, without ImageNet weights; the last third with larger crops."""
    make_pack(folder / "pack")

    def untrained(seed: int, _encoder_weights: Path | None) -> HintNet:
        torch.manual_seed(seed)
        return HintNet()

    monkeypatch.setattr(start, "new_network", untrained)
    return TrainConfig(
        out=folder / "run",
        threads=1,
        log_every=1,
        bf16=False,
        phases=(Phase(steps=steps - steps // 3, size=32, batch=4), Phase(steps=steps // 3, size=64, batch=2)),
        data=DataConfig(pack=folder / "pack", held_pack=folder / "held"),
        optimizer=OptimizerConfig(warmup=2, encoder_lr=1e-4, encoder_from=15),
    )


def trained(config: TrainConfig, **options: Any) -> dict[str, Any]:
    """Train, and read the checkpoint."""
    loop.train(config, **options)
    return load_checkpoint(config.out / "checkpoint.pt")
