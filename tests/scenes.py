"""Small scenes in which it is known beforehand who must win."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from media import make_film
from numpy.typing import NDArray

from videocolor.color import rgb_to_ycbcr
from videocolor.evaluation.tasks import GivenHint, Task, luma_codes

Array = NDArray[Any]


def smooth_noise(seed: int, height: int, width: int, grain: int = 8) -> Array:
    """(height, width) float 0..1: noise with a grain of some pixels."""
    import cv2

    small = np.random.default_rng(seed).random((height // grain + 2, width // grain + 2)).astype(np.float32)
    large = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(large, 0, 1)


def colored_noise(seed: int, height: int, width: int) -> Array:
    """(height, width, 3) uint8 with texture, and colors that luma does not tell."""
    luma = smooth_noise(seed, height, width, 4) * 100 + 70
    planes = [luma + (smooth_noise(seed + 1 + k, height, width, 12) - 0.5) * 110 for k in range(3)]
    return np.clip(np.rint(np.stack(planes, axis=-1)), 0, 255).astype(np.uint8)


def task_of(truth: Array, known: tuple[int, ...] = (0,), **changes: Any) -> Task:
    """The task of a film (n, h, w, 3) with some true frames as hints."""
    luma = np.stack([luma_codes(rgb, "bt601") for rgb in truth])
    given = tuple(GivenHint(truth[index], index) for index in known)
    return Task(**{"luma": luma, "rate": Fraction(10), "hints": given, **changes})


def still(count: int = 6) -> Array:
    return np.stack([colored_noise(1, 64, 96)] * count)


def pan(count: int = 8, step: int = 4) -> Array:
    wide = colored_noise(5, 64, 96 + count * step)
    return np.stack([wide[:, k * step : k * step + 96] for k in range(count)])


def two_tone(count: int = 5) -> Array:
    """Dark is blue, light is orange, and the pattern is another in every frame."""
    frames = []
    for index in range(count):
        light = smooth_noise(50 + index, 64, 96, 10) > 0.5
        frames.append(np.where(light[..., None], (230, 160, 60), (30, 50, 140)))
    return np.stack(frames).astype(np.uint8)


def write_truth(path: Path, truth: Array, rate: Fraction = Fraction(10)) -> None:
    """A lossless film of R'G'B' frames, as full-range BT.601 4:4:4."""
    planes = []
    for rgb in truth:
        y, cb, cr = rgb_to_ycbcr(np.moveaxis(rgb.astype(np.float64) / 255, -1, 0), "bt601")
        planes.append([np.clip(np.rint(p), 0, 255).astype(np.uint8) for p in (y * 255, cb * 255 + 128, cr * 255 + 128)])
    size = (truth.shape[2], truth.shape[1])
    make_film(path, planes, pix_fmt="yuv444p", rate=rate, size=size, tags={"color_range": 2, "colorspace": 6})


def error_db(truth: Array, made: Array) -> float:
    """PSNR over all frames, by its definition."""
    mse = float(np.mean((truth.astype(np.float64) - made.astype(np.float64)) ** 2))
    return float("inf") if mse == 0 else 10 * float(np.log10(255**2 / mse))
