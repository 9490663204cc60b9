"""Read a data set of pairs with PyTorch, with augmentation. Of `videocolor.datasets.pairs` this alone imports torch."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from videocolor.color import LUMA_WEIGHTS, lab_of
from videocolor.datasets.degrade import Archival, age
from videocolor.datasets.pairs.manifest import SPLITS, PairRecord, read_manifest, uniforms
from videocolor.datasets.pairs.reading import PairPictures
from videocolor.datasets.pairs.splits import find_leaks
from videocolor.errors import InputError, UsageError
from videocolor.images import resized
from videocolor.types import Array

__all__ = ["Augment", "cut_window", "draw_windows", "PairBatches", "PairDataset", "Sample", "Window"]


@dataclass(frozen=True)
class Augment:
    """How a pair is varied.

    The flip is shared: no hint of a real scene is its mirror image. The window (zoom and place) is shared as well, so
    that the hint still shows what the original shows, and then the hint's own is moved and scaled a little: a hint
    painted from another still never fits the frame exactly. Degradation is for the original's luma alone.
    """

    flip: float = 0.5
    """Probability of mirroring both, left to right."""
    zoom: tuple[float, float] = (0.5, 1.0)
    """Side of the window as a share of the largest one that fits, drawn uniformly."""
    hint_shift: float = 0.1
    """Most that the hint's window is moved against the original's, as a share of its side."""
    hint_scale: float = 0.15
    """Most that the hint's window is larger or smaller, as a share."""

    def __post_init__(self) -> None:
        low, high = self.zoom
        if not 0 < low <= high <= 1:
            raise ValueError(f"{self.zoom=}: expected 0 < low <= high <= 1")
        if not (0 <= self.flip <= 1 and 0 <= self.hint_shift < 1 and 0 <= self.hint_scale < 1):
            raise ValueError(f"{self=}: expected flip in 0..1, hint_shift and hint_scale in [0, 1)")


@dataclass(frozen=True)
class Window:
    """A part of a picture in shares of its size."""

    x: float
    """0: at the left edge, 1: at the right edge."""
    y: float
    side: float
    """Of the largest window of the wanted shape that fits, 0..1."""
    flip: bool = False


WHOLE = Window(0.5, 0.5, 1.0)
"""The largest window, in the middle."""


def draw_windows(settings: Augment, *key: object) -> tuple[Window, Window]:
    """(original's, hint's) window; the same key gives the same windows, in any order and any process."""
    draw = uniforms(7, "augment", *key)
    low, high = settings.zoom
    side = low + (high - low) * draw[0]
    flip = draw[1] < settings.flip
    original = Window(draw[2], draw[3], side, flip)
    scale = 1 + settings.hint_scale * (2 * draw[4] - 1)
    shift_x, shift_y = (settings.hint_shift * side * (2 * value - 1) for value in draw[5:7])
    hint = Window(_inside(original.x + shift_x), _inside(original.y + shift_y), min(1.0, side * scale), flip)
    return original, hint


def _inside(place: float) -> float:
    return min(1.0, max(0.0, place))


def cut_window(rgb: Array, window: Window, size: tuple[int, int]) -> Array:
    """Cut a window out of a picture and scale it.

    Args:
        rgb: (h, w, 3) uint8.
        window: which part; its middle is moved inwards where it would leave the picture.
        size: (height, width) of the result, whose shape the window has.

    Returns:
        (*size, 3) uint8.
    """
    height, width = rgb.shape[:2]
    scale = min(height / size[0], width / size[1]) * window.side
    h, w = max(1, min(height, round(size[0] * scale))), max(1, min(width, round(size[1] * scale)))
    top = round((height - h) * window.y)
    left = round((width - w) * window.x)
    part = rgb[top : top + h, left : left + w]
    if (h, w) != size:
        part = resized(part, size)
    return np.ascontiguousarray(part[:, ::-1] if window.flip else part)


Sample = tuple[Tensor, Tensor, Tensor, dict[str, Any]]
_BLOCK: Final = 32
"""Pairs of one stretch of one source that are read together."""
_MIXED: Final = 8
"""Blocks whose pairs are mixed."""


class PairDataset(Dataset[Sample]):
    """The pairs of one split.

    `dataset[i]` is (luma, hint, chroma, meta):

    luma    (1, h, w) float32, Y' of BT.709 in 0..1: what the network sees; degraded where `archival` is given
    hint    (3, h, w) float32, R'G'B' (sRGB) in 0..1
    chroma  (2, h, w) float32, CIE a*, b* (D65), about -110..110: the truth, never degraded
    meta    dict: pair_id, source, split, licence (str); offset_s, distance, original_s, hint_s (float); shot (int)

    h, w is `size`; without it, luma and chroma have the original's size and the hint its own. What is drawn depends on
    (seed, epoch, pair_id) alone: not on the order, not on the number of workers.
    """

    def __init__(
        self,
        folder: str | Path,
        split: str = "train",
        *,
        size: tuple[int, int] | None = (256, 256),
        augment: Augment | None = None,
        archival: Archival | None = None,
        decisions: Sequence[str] = ("accepted",),
        root: Path | None = None,
        seed: int = 0,
    ) -> None:
        """Open a data set.

        Args:
            folder: as `videocolor pairs build` wrote it.
            split: train, val, test or held_back.
            size: (height, width) of what is returned; None: complete pictures, no augmentation.
            augment: flip, zoom and crop; None: the middle of each picture.
            archival: degradation of the luma; None: none.
            decisions: which pairs are read.
            root: where sources are, in the mode of references.
            seed: of augmentation and degradation.

        Raises:
            UsageError: an unknown split, or augmentation without a size.
            InputError: no manifest, no such pair in it, or a source that is in two splits.
        """
        if split not in SPLITS:
            raise UsageError(f"split {split!r}: expected one of {', '.join(SPLITS)}")
        if augment is not None and size is None:
            raise UsageError("augmentation cuts windows of one size; give `size`")
        every = read_manifest(Path(folder))
        if leaks := find_leaks(every):
            raise InputError(f"{folder}: {leaks[0]}; `videocolor pairs split` divides again")
        self.records = [r for r in every if r.split == split and r.decision in decisions]
        if not self.records:
            raise InputError(f"{folder}: no {' or '.join(decisions)} pair in the split {split!r}")
        self.size, self.augment, self.archival, self.seed = size, augment, archival, seed
        self._epoch = torch.zeros(1, dtype=torch.int64)
        self._epoch.share_memory_()  # type: ignore[no-untyped-call]  # persistent workers of a loader see changes
        self._pictures = PairPictures(Path(folder), self.records, root=root)

    def __len__(self) -> int:
        return len(self.records)

    @property
    def epoch(self) -> int:
        """The present epoch."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Change the epoch, and with it windows and damage; between two passes, in all workers of a loader."""
        self._epoch.fill_(epoch)

    def __getitem__(self, index: int) -> Sample:
        record = self.records[index]
        original, hint = self.pictures(index)
        rgb = original.astype(np.float32) / np.float32(255)
        luma = cv2.transform(rgb, np.array([LUMA_WEIGHTS["bt709"]], np.float32))
        chroma = lab_of(original)[1:]
        if self.archival is not None:
            luma = age(rgb, luma, self.archival, _generator("archival", self.seed, self.epoch, record.pair_id))
        # Reordering bytes, not floats, moves a quarter of the memory.
        shown = np.ascontiguousarray(np.moveaxis(hint, -1, 0)).astype(np.float32)
        shown *= np.float32(1 / 255)
        return (
            torch.from_numpy(np.ascontiguousarray(luma[None], np.float32)),
            torch.from_numpy(shown),
            torch.from_numpy(chroma),
            _meta(record),
        )

    def pictures(self, index: int) -> tuple[Array, Array]:
        """(original, hint) as (h, w, 3) uint8 R'G'B' after flip, zoom and crop."""
        record = self.records[index]
        original, hint = (self._pictures.get(record, which) for which in ("original", "hint"))
        if self.size is None:
            return original, hint
        windows = (WHOLE, WHOLE)
        if self.augment is not None:
            windows = draw_windows(self.augment, self.seed, self.epoch, record.pair_id)
        return cut_window(original, windows[0], self.size), cut_window(hint, windows[1], self.size)

    def close(self) -> None:
        """Close the source films, if any are open."""
        self._pictures.close()


def _meta(record: PairRecord) -> dict[str, Any]:
    return {
        "pair_id": record.pair_id,
        "source": record.source,
        "split": record.split,
        "licence": record.licence,
        "offset_s": record.offset_s,
        "distance": record.distance,
        "original_s": record.seconds("original"),
        "hint_s": record.seconds("hint"),
        "shot": record.shot,
    }


def _generator(*key: object) -> np.random.Generator:
    """Make a generator that follows from the key alone."""
    digest = hashlib.sha256("\0".join(map(str, key)).encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "big")))


class PairBatches(Sampler[list[int]]):
    """Batches in a random order that reads films piece by piece: for the mode of references.

    Pairs are cut into blocks of 32 neighbors of one source; blocks are shuffled, eight at a time are mixed. Each
    worker of the loader gets its own blocks, so no stretch of film is decoded twice:

        DataLoader(data, batch_sampler=PairBatches(data, 16, workers=2), num_workers=2)

    A data set of stored frames needs none of this; there `shuffle=True` is as fast.
    """

    def __init__(self, data: PairDataset, batch_size: int, *, workers: int = 0, seed: int = 0) -> None:
        """Prepare.

        Args:
            data: the pairs.
            batch_size: pairs a batch; the last batch of each worker may be smaller.
            workers: `num_workers` of the loader.
            seed: of the order.
        """
        if batch_size < 1 or workers < 0:
            raise UsageError(f"batch_size {batch_size} and workers {workers}: expected at least 1 and at least 0")
        self._data, self._size, self._streams, self.seed = data, batch_size, max(1, workers), seed
        self._lengths = [len(part) for part in self._dealt()]

    def __len__(self) -> int:
        return sum(-(-length // self._size) for length in self._lengths)

    def __iter__(self) -> Iterator[list[int]]:
        streams = [self._batches(part) for part in self._dealt()]
        while streams:
            for stream in list(streams):
                batch = next(stream, None)
                if batch is None:
                    streams.remove(stream)
                else:
                    yield batch

    def _batches(self, indices: list[int]) -> Iterator[list[int]]:
        for start in range(0, len(indices), self._size):
            yield indices[start : start + self._size]

    def _dealt(self) -> list[list[int]]:
        """List indices in reading order, one list for each worker."""
        records = self._data.records
        rng = random.Random(f"{self.seed} {self._data.epoch}")
        order = sorted(range(len(records)), key=lambda i: (records[i].source_sha256, records[i].original_pts))
        blocks: list[list[int]] = []
        for index in order:
            last = blocks[-1] if blocks else []
            if not last or len(last) >= _BLOCK or records[last[0]].source_sha256 != records[index].source_sha256:
                blocks.append([])
            blocks[-1].append(index)
        rng.shuffle(blocks)
        streams: list[list[int]] = [[] for _ in range(self._streams)]
        for number, stream in enumerate(streams):
            mine = blocks[number :: self._streams]
            for start in range(0, len(mine), _MIXED):
                mixed = [index for block in mine[start : start + _MIXED] for index in block]
                rng.shuffle(mixed)
                stream += mixed
        return streams
