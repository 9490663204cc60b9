"""The task of a method, and the interface that all methods share.

A task is a few seconds of film without its colors: stored luma, first frames of shots, and the protocol's hints. A
method yields the frames in color and keeps luma.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from videocolor.chromatable import ChromaTable
from videocolor.color import codes_to_chroma, rgb_to_lab, rgb_to_luma, ycbcr_to_rgb
from videocolor.images import encode_image, resized
from videocolor.types import Array, ColorSpec, Matrix

__all__ = [
    "ChromaMethod",
    "GivenHint",
    "Method",
    "ShotHint",
    "ShotTask",
    "Task",
    "hint_picture",
    "luma_codes",
    "matrix_for",
    "picture",
    "write_png",
]


@dataclass(frozen=True, eq=False)
class GivenHint:
    """A hint of a protocol."""

    rgb: Array = field(repr=False)
    """(h, w, 3) uint8 R'G'B' of any size; with a mask, gray outside it."""
    frame: int | None = None
    """Index of the task's frame that it was made for; None: a style reference."""
    mask: Array | None = field(default=None, repr=False)
    """(h, w) bool, the painted pixels; None: all."""


@dataclass(frozen=True, eq=False)
class Task:
    """What a method gets."""

    luma: Array = field(repr=False)
    """(n, h, w) uint8, full-range Y' codes of `matrix`; may be a memory-mapped file."""
    rate: Fraction
    """Frames a second."""
    hints: tuple[GivenHint, ...] = ()
    shots: tuple[int, ...] = (0,)
    """Index of each shot's first frame, ascending, beginning with 0."""
    matrix: Matrix = "bt601"
    name: str = ""
    """The clip's name, by which folders of results are read."""
    case: str = ""
    """Case of the protocol; empty where it has one."""
    notes: list[str] = field(default_factory=list)
    """What a method adds for the reader of the table: a hint refused, frames left out."""


class Method(ABC):
    """Colors a task. One object serves one task after another, in one process.

    Every method keeps the contract of tests/evaluation/test_baselines.py: as many frames as given, in order, uint8,
    of the task's size; luma within rounding; the same frames for the same task.
    """

    name: str
    needs_hint: bool = False
    """Without a hint it yields gray film; protocols without hints leave it out."""
    uses_hints: bool = True
    """Hints change its result; without, it is scored once for all cases."""

    @abstractmethod
    def color(self, task: Task) -> Iterator[Array]:
        """Yield (h, w, 3) uint8 R'G'B' frames in film order."""

    def identity(self) -> dict[str, Any]:
        """Return what a stored result depends on besides the task: settings, sha256 of weights."""
        return {"name": self.name}


@dataclass(frozen=True, eq=False)
class ShotHint:
    """A hint on the grid of the shot's frames."""

    rgb: Array = field(repr=False)
    """(h, w, 3) uint8 R'G'B'."""
    luma: Array = field(repr=False)
    """(h, w) uint8 codes."""
    ab: Array = field(repr=False)
    """(2, h, w) float32 CIE a*b*; 0 where nothing is painted."""
    mask: Array = field(repr=False)
    """(h, w) bool."""
    frame: int
    """Index in the shot; 0 for style references."""


@dataclass(frozen=True, eq=False)
class ShotTask:
    """One shot of a task."""

    luma: Array = field(repr=False)
    """(n, h, w) uint8."""
    hints: tuple[ShotHint, ...]
    """In film order."""

    @property
    def gray(self) -> Array:
        """(2, h, w) float32 zeros."""
        return np.zeros((2, *self.luma.shape[1:]), np.float32)


class ChromaMethod(Method):
    """A method that colors shot by shot and returns a*b* of the frames' own grid."""

    def color(self, task: Task) -> Iterator[Array]:
        """Color each shot with its own hints."""
        for start, stop in pairwise((*task.shots, len(task.luma))):
            shot = ShotTask(task.luma[start:stop], _hints_of(task, start, stop))
            for luma, ab in zip(shot.luma, self.chroma(shot), strict=True):
                yield picture(luma, ab, task.matrix)

    @abstractmethod
    def chroma(self, shot: ShotTask) -> Iterator[Array]:
        """Yield (2, h, w) float32 CIE a*b* of each frame of a shot."""


def _hints_of(task: Task, start: int, stop: int) -> tuple[ShotHint, ...]:
    mine = [hint for hint in task.hints if hint.frame is None or start <= hint.frame < stop]
    placed = [_on_grid(hint, start, (task.luma.shape[1], task.luma.shape[2]), task.matrix) for hint in mine]
    return tuple(sorted(placed, key=lambda hint: hint.frame))


def _on_grid(hint: GivenHint, start: int, shape: tuple[int, int], matrix: Matrix) -> ShotHint:
    """Resize a hint to the frames' size."""
    rgb, size = hint.rgb, (shape[1], shape[0])
    mask = np.ones(shape, bool)
    if rgb.shape[:2] != shape:
        rgb = resized(rgb, shape)
    if hint.mask is not None:
        mask = cv2.resize(hint.mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    ab = rgb_to_lab(np.moveaxis(rgb.astype(np.float32) / 255, -1, 0))[1:] * mask
    frame = 0 if hint.frame is None else hint.frame - start
    return ShotHint(rgb, luma_codes(rgb, matrix), ab.astype(np.float32), mask, frame)


def matrix_for(height: int) -> Matrix:
    """Return BT.601 below 720 lines, else BT.709: what is assumed of an untagged film."""
    return "bt601" if height < 720 else "bt709"


def luma_codes(rgb: Array, matrix: Matrix) -> Array:
    """Convert (h, w, 3) uint8 R'G'B' to full-range Y', (h, w) uint8, rounded."""
    luma = rgb_to_luma(np.moveaxis(rgb.astype(np.float32), -1, 0), matrix)
    return np.clip(np.rint(luma), 0, 255).astype(np.uint8)


def picture(luma: Array, ab: Array, matrix: Matrix) -> Array:
    """Return the R'G'B' picture of this luma and this a*b*.

    Args:
        luma: (h, w) uint8 full-range Y' codes.
        ab: (2, h, w) float32 CIE a*b*; brought into the gamut at this luma.
        matrix: luma weights.

    Returns:
        (h, w, 3) uint8.
    """
    y = luma.astype(np.float32) / 255
    cb, cr = (codes_to_chroma(codes, 16, "full") for codes in _table(matrix).codes(y, ab))
    rgb = np.moveaxis(ycbcr_to_rgb(y, cb, cr, matrix), 0, -1)
    return np.asarray(np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8))


@lru_cache(maxsize=2)
def _table(matrix: Matrix) -> ChromaTable:
    return ChromaTable(ColorSpec(matrix, "full"), 16)


def hint_picture(hint: GivenHint) -> Array:
    """Return R'G'B', with opacity where only a part is painted."""
    if hint.mask is None:
        return hint.rgb
    return np.dstack([hint.rgb, hint.mask.astype(np.uint8) * 255])


def write_png(path: Path, image: Array) -> None:
    """Write gray, R'G'B' or R'G'B'A as PNG."""
    path.write_bytes(encode_image(image))
