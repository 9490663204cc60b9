"""Tiny packs and tiny settings of the published systems, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from videocolor.datasets.pack import PackWriter
from videocolor.models.artifact import write_artifact
from videocolor.presets import load_model
from videocolor.training.loop import make_task
from videocolor.training.systems import config_class

AUTOENCODERS = ("h_gray", "h_outlines", "h_hint")
NAMES = ("h1", "h2", "h3", "h4", "h5", "h5_cured", "h6", "h6_cured", "r", "r_lite0", "f", "f_batch5", "f_batch10")
NAMES += ("f_published", "h4_deep", "h4_recurrent")


def make_pack(folder: Path, seed: int = 0, *, held: bool = False) -> Path:
    """Two clips of six seconds and some pictures of all the classes that the presets ask for."""
    rng, writer = np.random.default_rng(seed), PackWriter(folder)
    pairs = [(i, j) for i in range(12) for j in range(12) if 2 <= abs(i - j) <= 10]  # 1-5 s apart
    for name in ("a", "b"):
        base = cv2.resize(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8), (100, 70))
        frames = [(t * 0.5, np.roll(base, t, axis=1)) for t in range(12)]
        writer.add(f"{name}.mp4", f"source {name}", "CC0", "clip", frames, pairs)
    for index, (tar, part) in enumerate((("scenes100", "forest"), ("scenes100", "sea"), ("main_0", "x")) * 2):
        picture = cv2.resize(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8), (80, 90))
        writer.add(f"{tar}.tar/{index}.jpg", f"owner/set:train/{part}/{index}.jpg", "CC0", "image", [(0.0, picture)])
    writer.close({"licences": {"clip": {"CC0": 2}, "image": {"CC0": 6}}, "held": held})
    return folder


def tiny(preset: str, folder: Path, *overrides: str, packs: Path | None = None) -> Any:
    """Load a preset, made small: 16 px, 6 samples, one epoch of two steps, in float32, on made packs."""
    packs = packs or folder
    if not (packs / "pack" / "index.json").exists():
        make_pack(packs / "pack")
        make_pack(packs / "held", 1, held=True)
    changes = [
        *(f"data.pack={packs / 'pack'}", f"data.held_pack={packs / 'held'}", "data.train=6", "data.validation=4"),
        *(f"out={folder / preset}", "size=16", "batch=3", "epochs=1", "threads=1", "bf16=false", "log_every=1"),
        *("pictures=2", "device=cpu"),
    ]
    if preset.startswith("h"):
        changes += [f"{kind}={folder / f'h_{kind}'}" for kind in ("gray", "outlines", "hint")]
    name = f"published/{preset}"
    return load_model(config_class(name), "train", name, [*changes, *overrides])


def tiny_models(folder: Path) -> dict[str, Path]:
    """Weights files of untrained H (with a hint), R and F, 32 px, by kind."""
    made = {}
    for kind, preset in (("h", "h4"), ("r", "r"), ("f", "f")):
        config = tiny(preset, folder, "size=32", *(["data.fit=white"] if kind == "f" else []))
        task = make_task(config)
        if kind == "f":  # untrained it gives next to no color
            torch.nn.init.constant_(task.net.decoder[-1].bias, 0.2)
        artifact = task.artifact()
        made[kind] = folder / f"{kind}.safetensors"
        write_artifact(made[kind], artifact.weights, artifact.card, artifact.architecture, artifact.training)
    return made
