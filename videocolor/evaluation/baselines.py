"""Simple methods, the floor of every table.

gray        no color
copy        the chroma of the hint nearest in time, pixel for pixel
table       one color for each luma level, averaged from the hints
reinhard    the hints' channel statistics
welsh       the color of the hints' most similar neighborhood
flow        the hint's chroma propagated from frame to frame along optical flow
lightness   one color for each luma level, learned from other footage
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import cv2
import numpy as np

from videocolor.color import rgb_to_lab
from videocolor.evaluation.tasks import ChromaMethod, Method, ShotHint, ShotTask
from videocolor.motion.flow import warp
from videocolor.types import Array

__all__ = ["BASELINES", "MEAN_AB", "Copy", "Flow", "Gray", "Lightness", "Reinhard", "Table", "Welsh"]

_SAMPLES: Final = 256
"""Samples of a hint in Welsh et al.'s transfer; they took about 200."""
_SPREADS: Final = 64
"""Classes of local deviation, 1 level wide; the last one is open."""
MEAN_AB: Final = (
    (0.51, -0.18), (0.94, 0.26), (1.37, 1.11), (1.56, 2.49), (1.72, 3.42), (1.90, 4.17),
    (2.02, 4.73), (2.08, 5.15), (2.07, 5.55), (2.02, 5.80), (1.87, 5.93), (1.72, 5.98),
    (1.48, 6.02), (1.21, 6.12), (0.98, 6.14), (0.82, 6.14), (0.67, 6.16), (0.52, 6.12),
    (0.39, 6.11), (0.25, 6.08), (0.07, 5.98), (-0.13, 5.87), (-0.35, 5.79), (-0.56, 5.70),
    (-0.78, 5.62), (-0.99, 5.48), (-1.22, 5.34), (-1.46, 5.19), (-1.65, 4.79), (-1.81, 4.07),
    (-1.85, 3.27), (-1.53, 2.33),
)  # fmt: skip
"""(a*, b*) of equally wide classes of BT.601 Y', from black to white: printed by pipelines/learn_lightness.py."""


class Gray(ChromaMethod):
    """No color: what any method must beat."""

    name = "gray"
    uses_hints = False

    def chroma(self, shot: ShotTask) -> Iterator[Array]:
        """Zeros."""
        for _ in shot.luma:
            yield shot.gray


class Copy(ChromaMethod):
    """The chroma of the hint nearest in time, pixel for pixel: right where nothing moves."""

    name = "copy"
    needs_hint = True

    def chroma(self, shot: ShotTask) -> Iterator[Array]:
        """Yield the hint's a*b*; of two equally near ones the earlier's."""
        for index in range(len(shot.luma)):
            near = min(shot.hints, key=lambda hint: abs(hint.frame - index), default=None)
            yield shot.gray if near is None else near.ab


class Table(ChromaMethod):
    """The mean a*b* of the hints' pixels of the same luma: right where luma determines color."""

    name = "table"
    needs_hint = True

    def chroma(self, shot: ShotTask) -> Iterator[Array]:
        """Look up by luma; levels that no hint has are interpolated."""
        if not any(hint.mask.any() for hint in shot.hints):
            yield from Gray().chroma(shot)
            return
        levels = np.concatenate([hint.luma[hint.mask] for hint in shot.hints])
        colors = np.concatenate([hint.ab[:, hint.mask] for hint in shot.hints], axis=1)
        table = _mean_by_level(levels, colors)
        for luma in shot.luma:
            yield np.ascontiguousarray(np.moveaxis(table[luma], -1, 0))


class Reinhard(ChromaMethod):
    """Statistics transfer (Reinhard et al., Color transfer between images, IEEE CG&A 21(5), 2001).

    Each channel of R'G'B' gets the hint's mean and deviation, then luma is restored. The paper's own space,
    l-alpha-beta, is of no use: a gray picture has no deviation of alpha and beta to scale, so it would get one tint.
    """

    name = "reinhard"
    needs_hint = True

    def chroma(self, shot: ShotTask) -> Iterator[Array]:
        """Match each frame's statistics to those of all hints together."""
        pixels = [hint.rgb[hint.mask].T.astype(np.float64) for hint in shot.hints if hint.mask.any()]
        if not pixels:
            yield from Gray().chroma(shot)
            return
        together = np.concatenate(pixels, axis=1)
        mean, deviation = together.mean(axis=1), together.std(axis=1)
        levels = np.arange(256, dtype=np.float32)
        for luma in shot.luma:
            middle, spread = cv2.meanStdDev(luma)
            gain = deviation / max(float(spread[0, 0]), 1e-3)
            channels = (levels - float(middle[0, 0])) * gain[:, None] + mean[:, None]
            table = rgb_to_lab(np.clip(channels / 255, 0, 1).astype(np.float32))[1:]
            yield np.ascontiguousarray(table[:, luma])


class Welsh(ChromaMethod):
    """Neighborhood transfer (Welsh et al., Transferring color to greyscale images, SIGGRAPH 2002).

    Pixels take the a*b* of the hints' sample that is nearest in luma and local deviation (5x5), weighted equally; the
    hints' luma first gets the shot's mean and deviation. As in the paper, samples are taken on a jittered grid; here by
    a fixed seed, and the nearest is found once for each of 256 x 64 classes.
    """

    name = "welsh"
    needs_hint = True

    def chroma(self, shot: ShotTask) -> Iterator[Array]:
        """Look up by luma and deviation."""
        samples = [_welsh_samples(hint, shot.luma[0]) for hint in shot.hints if hint.mask.any()]
        if not samples:
            yield from Gray().chroma(shot)
            return
        level, spread, colors = (np.concatenate(parts, axis=-1) for parts in zip(*samples, strict=True))
        grid_level = np.arange(256, dtype=np.float32)[:, None, None]
        grid_spread = np.arange(_SPREADS, dtype=np.float32)[None, :, None] + 0.5
        nearest = ((grid_level - level) ** 2 + (grid_spread - spread) ** 2).argmin(axis=2)
        table = colors[:, nearest]
        for luma in shot.luma:
            classes = np.minimum(_deviation(luma), _SPREADS - 1).astype(np.uint8)
            yield np.ascontiguousarray(table[:, luma, classes])


class Flow(ChromaMethod):
    """The hint's chroma propagated from frame to frame along DIS flow (Kroeger et al., ECCV 2016; medium preset).

    Forward from each hint up to the next one, and backward from the first to the shot's beginning.
    """

    name = "flow"
    needs_hint = True

    def chroma(self, shot: ShotTask) -> Iterator[Array]:
        """Propagate the last hint's a*b*."""
        if not shot.hints:
            yield from Gray().chroma(shot)
            return
        hints = {hint.frame: hint.ab for hint in reversed(shot.hints)}
        first = min(hints)
        # Backward frames are kept, for they come out in film order: 3 s at 240 lines are 70 MB in half precision.
        before: list[Array] = []
        ab = hints[first]
        for index in range(first - 1, -1, -1):
            ab = _propagate(ab, shot.luma[index + 1], shot.luma[index])
            before.append(ab.astype(np.float16))
        while before:
            yield before.pop().astype(np.float32)
        for index in range(first, len(shot.luma)):
            ab = hints[index] if index in hints else _propagate(ab, shot.luma[index - 1], shot.luma[index])
            yield ab


class Lightness(ChromaMethod):
    """The mean a*b* of other footage at each luma: what is known without looking at the picture.

    The table was made by pipelines/learn_lightness.py from training footage, nothing held back.
    """

    name = "lightness"
    uses_hints = False

    def chroma(self, shot: ShotTask) -> Iterator[Array]:
        """Look up by luma."""
        known = np.asarray(MEAN_AB, np.float32)
        centers = (np.arange(len(known)) + 0.5) * 256 / len(known) - 0.5
        table = np.stack([np.interp(np.arange(256), centers, column) for column in known.T]).astype(np.float32)
        for luma in shot.luma:
            yield np.ascontiguousarray(table[:, luma])


BASELINES: Final[dict[str, type[Method]]] = {
    kind.name: kind for kind in (Gray, Copy, Table, Reinhard, Welsh, Flow, Lightness)
}
"""By name, in the order of tables."""


def _mean_by_level(levels: Array, colors: Array) -> Array:
    """(256, 2) float32: mean of (2, n) colors by (n,) uint8 level, gaps interpolated."""
    count = np.bincount(levels, minlength=256)
    seen = np.flatnonzero(count)
    means = [np.bincount(levels, weights=channel, minlength=256)[seen] / count[seen] for channel in colors]
    return np.stack([np.interp(np.arange(256), seen, mean) for mean in means], axis=1).astype(np.float32)


def _deviation(luma: Array) -> Array:
    """(h, w) float32 standard deviation of 5x5 neighborhoods, in levels."""
    level = luma.astype(np.float32)
    mean = cv2.blur(level, (5, 5), borderType=cv2.BORDER_REFLECT_101)
    square = cv2.blur(level * level, (5, 5), borderType=cv2.BORDER_REFLECT_101)
    return np.sqrt(np.maximum(square - mean * mean, 0))


def _welsh_samples(hint: ShotHint, target: Array) -> tuple[Array, Array, Array]:
    """(n,) luma remapped to the target's statistics, (n,) deviation, (2, n) a*b* of a hint's samples."""
    rows, columns = np.nonzero(hint.mask)
    if len(rows) == hint.mask.size:
        rows, columns = _jittered(*hint.mask.shape)
    else:
        step = max(1, len(rows) // _SAMPLES)
        rows, columns = rows[::step], columns[::step]
    mine, theirs = cv2.meanStdDev(hint.luma), cv2.meanStdDev(target)
    gain = float(theirs[1][0, 0]) / max(float(mine[1][0, 0]), 1.0)
    level = (hint.luma[rows, columns].astype(np.float32) - float(mine[0][0, 0])) * gain + float(theirs[0][0, 0])
    return level, _deviation(hint.luma)[rows, columns] * gain, hint.ab[:, rows, columns]


def _jittered(height: int, width: int) -> tuple[Array, Array]:
    """Coordinates of about `_SAMPLES` samples: one at random in each cell of a grid."""
    side = int(np.sqrt(_SAMPLES))
    shift = np.random.default_rng(2002).random((2, side, side))
    rows = (np.arange(side)[:, None] + shift[0]) * height / side
    columns = (np.arange(side)[None, :] + shift[1]) * width / side
    return rows.astype(int).ravel(), columns.astype(int).ravel()


def _propagate(ab: Array, from_luma: Array, to_luma: Array) -> Array:
    """a*b* of one frame warped to the next by the flow of luma."""
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    # Start from a field of zeros, so that nothing of an earlier call gets into the result.
    field = np.zeros((*to_luma.shape, 2), np.float32)
    flow = dis.calc(np.ascontiguousarray(to_luma), np.ascontiguousarray(from_luma), field)
    return warp(ab, np.asarray(flow, np.float32))
