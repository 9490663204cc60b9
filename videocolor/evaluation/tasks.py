"""What a method is asked, and the one interface that all methods share.

A task is a few seconds of film without its colours: stored luma, where the shots begin, and the hints that the
protocol deals. A method yields the frames in colour, luma kept.
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

from videocolor.color import ChromaTable, codes_to_chroma, rgb_to_lab, rgb_to_luma, ycbcr_to_rgb
from videocolor.errors import OutputError
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
    """A hint as a protocol deals it."""

    rgb: Array
    """(h, w, 3) uint8 R'G'B'; where a mask is given, gray outside it. Need not have the film's size."""
    frame: int | None = None
    """Index of the task's frame that it was made for; None: it comes from somewhere else and carries no time."""
    mask: Array | None = None
    """(h, w) bool, the painted pixels; None: all."""


@dataclass(frozen=True, eq=False)
class Task:
    """What a method gets."""

    luma: Array
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
    """Which of a protocol's cases it is; empty where the protocol has one."""
    notes: list[str] = field(default_factory=list)
    """A method adds what a reader of the table must know: a hint that was refused, frames left out."""


class Method(ABC):
    """Colours a task. One object serves one task after another, in one process.

    Every method keeps the contract of tests/evaluation/test_baselines.py: as many frames as it was given, in order,
    uint8, of the task's size; luma within rounding; the same frames for the same task; no frame of the truth but the
    hints.
    """

    name: str
    needs_hint: bool = False
    """Without any hint it yields gray film, so tables without hints leave it out."""
    uses_hints: bool = True
    """Hints change what it makes; who uses none is scored once."""

    @abstractmethod
    def color(self, task: Task) -> Iterator[Array]:
        """Yield (h, w, 3) uint8 R'G'B' frames in film order."""

    def identity(self) -> dict[str, Any]:
        """What a stored result depends on besides the task: settings, sha256 of weights."""
        return {"name": self.name}


@dataclass(frozen=True, eq=False)
class ShotHint:
    """A hint on the grid of the shot's frames."""

    rgb: Array
    """(h, w, 3) uint8 R'G'B'."""
    luma: Array
    """(h, w) uint8 codes."""
    ab: Array
    """(2, h, w) float32 CIE a*b*; 0 where nothing is painted."""
    mask: Array
    """(h, w) bool."""
    frame: int
    """Index in the shot; hints without a time count as the first frame's."""


@dataclass(frozen=True, eq=False)
class ShotTask:
    """One shot of a task."""

    luma: Array
    """(n, h, w) uint8."""
    hints: tuple[ShotHint, ...]
    """In film order."""

    @property
    def gray(self) -> Array:
        """(2, h, w) float32 zeros."""
        return np.zeros((2, *self.luma.shape[1:]), np.float32)


class ChromaMethod(Method):
    """A method that colours shot by shot and returns a*b* of the frames' own grid."""

    def color(self, task: Task) -> Iterator[Array]:
        """Each shot with its own hints; colour never crosses a cut."""
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
    """A hint stretched to the frames' size."""
    rgb, size = hint.rgb, (shape[1], shape[0])
    mask = np.ones(shape, bool)
    if rgb.shape[:2] != shape:
        shrink = rgb.shape[0] >= shape[0] and rgb.shape[1] >= shape[1]
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR)
    if hint.mask is not None:
        mask = cv2.resize(hint.mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    ab = rgb_to_lab(np.moveaxis(rgb.astype(np.float32) / 255, -1, 0))[1:] * mask
    frame = 0 if hint.frame is None else hint.frame - start
    return ShotHint(rgb, luma_codes(rgb, matrix), ab.astype(np.float32), mask, frame)


def matrix_for(height: int) -> Matrix:
    """BT.601 below 720 lines, BT.709 from there on: what a film that states nothing is taken for."""
    return "bt601" if height < 720 else "bt709"


def luma_codes(rgb: Array, matrix: Matrix) -> Array:
    """(h, w) uint8 full-range Y' of (h, w, 3) uint8 R'G'B', rounded."""
    luma = rgb_to_luma(np.moveaxis(rgb.astype(np.float32), -1, 0), matrix)
    return np.clip(np.rint(luma), 0, 255).astype(np.uint8)


def picture(luma: Array, ab: Array, matrix: Matrix) -> Array:
    """R'G'B' of the frame that has this luma and this a*b*.

    Args:
        luma: (h, w) uint8 full-range Y' codes.
        ab: (2, h, w) float32 CIE a*b*; what R'G'B' cannot show at this luma is brought inside.
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
    """R'G'B', with opacity where only a part is painted."""
    if hint.mask is None:
        return hint.rgb
    return np.dstack([hint.rgb, hint.mask.astype(np.uint8) * 255])


def write_png(path: Path, image: Array) -> None:
    """Gray, R'G'B' or R'G'B'A as PNG."""
    if image.ndim == 3:
        image = image[..., (2, 1, 0, 3)[: image.shape[2]]]
    done, data = cv2.imencode(".png", np.ascontiguousarray(image))
    if not done:
        raise OutputError(f"{path}: this frame cannot be written as PNG")
    path.write_bytes(data.tobytes())
