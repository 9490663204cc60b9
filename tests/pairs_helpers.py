"""Color films and small data sets for the tests of pairs."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from media import make_film
from numpy.typing import NDArray

from videocolor.datasets.pairs.settings import PairsConfig
from videocolor.presets import load_model

__all__ = ["color_film", "config", "moving_planes", "tree"]

Array = NDArray[Any]
SIZE = (96, 64)


def moving_planes(index: int, seed: int = 0, size: tuple[int, int] = SIZE) -> list[Array]:
    """Y, Cb, Cr of a colored texture that moves by a pixel and a half a frame; another seed is another scene."""
    texture, chroma = _scene(seed, size)
    left, between = divmod(1.5 * index, 1)
    at = (np.arange(size[0]) + int(left)) % size[0]
    luma = texture[:, at] * (1 - between) + texture[:, at + 1] * between
    return [np.clip(luma, 16, 235).astype(np.uint8), *chroma]


@cache
def _scene(seed: int, size: tuple[int, int]) -> tuple[Array, list[Array]]:
    """A texture of luma, its first column once more behind its last, and two planes of chroma."""
    width, height = size
    random = np.random.default_rng([77, seed])
    coarse = np.tile(random.integers(40, 216, (6, 8)).astype(np.float32), (1, 3))
    # The middle one of three copies: the texture closes upon itself, so moving it on and on makes no jump.
    wide = cv2.resize(coarse, (3 * width, height), interpolation=cv2.INTER_CUBIC)[:, width : 2 * width]
    texture = wide + random.normal(0, 12, (height, width)).astype(np.float32)
    tint = random.integers(60, 196, 2)
    half = (height // 2, width // 2)
    chroma = [np.full(half, int(t), np.uint8) for t in tint]
    chroma[0][:, : half[1] // 2] = 256 - int(tint[0])
    return np.hstack([texture, texture[:, :1]]), chroma


def color_film(
    path: Path,
    seconds: float = 7.0,
    rate: Fraction = Fraction(60),
    *,
    scenes: Sequence[int] = (1,),
    repeat: int = 1,
    pts: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    codec: str = "libx264",
) -> int:
    """Write a film of scenes of equal length, cut hard; `repeat` shows each picture so many times. Frames written."""
    count = len(pts) if pts is not None else round(seconds * rate)
    each = -(-count // len(scenes))
    frames = [moving_planes(i // repeat, scenes[i // each]) for i in range(count)]
    options = {"crf": "12", "preset": "ultrafast", "g": "48"} if codec == "libx264" else {}
    make_film(path, frames, codec, rate=rate, size=SIZE, pts=pts, time_base=time_base, options=options)
    return count


def config(*overrides: str) -> PairsConfig:
    """The defaults without the held-back list, with changes."""
    return load_model(PairsConfig, "pairs", None, ["split.held_back=[]", *overrides])


def tree(folder: Path, *, hidden: bool = False) -> dict[str, bytes]:
    """Every file below a folder: name -> bytes; what begins with a dot only where asked for."""
    names = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in sorted(names.items()) if hidden or not name.startswith(".")}
