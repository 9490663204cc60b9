"""A tiny pack for tests."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from videocolor.pairs.store import PackReader, PackWriter


def make_pack(folder: Path, seed: int = 0) -> PackReader:
    """Two clips and three pictures of smooth random colour."""
    rng, writer = np.random.default_rng(seed), PackWriter(folder)
    for name in ("a", "b"):
        base = cv2.resize(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8), (100, 70))
        frames = [(t * 0.5, np.roll(base, t, axis=1)) for t in range(8)]
        writer.add(f"{name}.mp4", f"source {name}", "CC0", "clip", frames)
    for index in range(3):
        picture = cv2.resize(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8), (80, 90))
        writer.add(f"{index}.jpg", f"source {index}", "CC0", "image", [(0.0, picture)])
    writer.close({"licences": {"clip": {"CC0": 2}, "image": {"CC0": 3}}})
    return PackReader(folder)
