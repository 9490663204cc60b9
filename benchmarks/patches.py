"""Seconds that the patch colorizer takes for a frame of 848x480, by patch and network; weights are random.

OMP_NUM_THREADS=1 python benchmarks/patches.py
"""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np

from videocolor.models.base import ModelCard
from videocolor.published.patches import PatchClassifier, PatchColorizer

CARD = ModelCard("patches", "patches", "none", 0, None, output_stride=2)


def seconds(patch: int, hidden: tuple[int, ...]) -> tuple[float, float]:
    """Least (CPU time, wall time) of five frames."""
    rng = np.random.default_rng(0)
    shapes = pairwise((patch * patch, *hidden, 9))
    layers = tuple((rng.normal(size=shape).astype(np.float32), np.zeros(shape[1], np.float32)) for shape in shapes)
    colorizer = PatchColorizer(CARD, PatchClassifier(layers), rng.normal(size=(9, 2)) * 30)
    luma = rng.random((1, 480, 848), np.float32)
    spent = []
    for _ in range(5):
        began = time.process_time(), time.perf_counter()
        colorizer.step(None, luma)
        spent.append((time.process_time() - began[0], time.perf_counter() - began[1]))
    return min(cpu for cpu, _ in spent), min(wall for _, wall in spent)


if __name__ == "__main__":
    for hidden in ((50, 50), (300, 300)):
        for patch in (3, 5, 11):
            cpu, wall = seconds(patch, hidden)
            name = "+".join(map(str, hidden))
            print(f"{patch}x{patch} {name}: {cpu:.2f} s of CPU time, {wall:.2f} s by the clock")
