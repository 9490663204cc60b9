"""Samples of the published systems: sample k of an epoch is a function of (seed, epoch, k) alone."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from videocolor.datasets.pack import Item, PackReader
from videocolor.datasets.pairs.distance import frame_distance
from videocolor.errors import InputError, ModelError
from videocolor.published.train_config import PublishedData
from videocolor.types import Array

__all__ = ["Pictures", "Samples", "fit_white"]

_TRIES = 12
"""Draws of a hint before a frame takes the nearest in the look of all that are late enough."""


class Pictures(NamedTuple):
    """Samples as arrays."""

    rgb: Array
    """(n, s, s, 3) uint8, the truth."""
    hint: Array
    """(n, s, s, 3) uint8; the truth itself where the data are images."""
    shown: Array
    """(n, s, s) bool, which pixels are the picture's and not padding."""


class Samples:
    """The samples of a pack.

    Args:
        pack: what to draw from.
        data: which items, and how.
        size: side in pixels.
        seed: of all draws.
        held: the pack is of held-back footage, and nothing is learnt from it.

    Raises:
        ModelError: held-back footage where something is to be learnt.
        InputError: the pack has no such item.
    """

    def __init__(self, pack: PackReader, data: PublishedData, size: int, seed: int, *, held: bool = False) -> None:
        if pack.notes.get("held") and not held:
            raise ModelError(f"{data.pack}: a pack of held-back footage, never to be trained on")
        self._pack, self._data, self._size, self._seed, self._held = pack, data, size, seed, held
        every = pack.clips if data.kind == "clips" else pack.images
        self.items = [item for item in every if item.file.startswith(data.files) and data.source in item.source]
        if data.kind == "clips":
            self.items = [item for item in self.items if item.times[-1] - item.times[0] >= data.delay_min]
        if not self.items:
            which = " ".join(part for part in (data.kind, data.files, data.source) if part)
            raise InputError(f"{data.held_pack if held else data.pack}: no {which} in this pack")
        odds = np.array([len(item.times) for item in self.items], np.float64) ** 0.5
        self._odds = odds / odds.sum()

    def __len__(self) -> int:
        return self._data.validation if self._held else self._data.train

    def draw(self, numbers: Array, epoch: int = 0) -> Pictures:
        """Samples by number; the epoch counts where `augment` is set and something is learnt."""
        drawn = [self._sample(int(number), epoch if self._data.augment and not self._held else 0) for number in numbers]
        return Pictures(*(np.stack(column) for column in zip(*drawn, strict=True)))

    def _sample(self, number: int, epoch: int) -> tuple[Array, Array, Array]:
        which = np.random.Generator(np.random.Philox(counter=[0, 0, 0, number], key=[self._seed, 0]))
        how = np.random.Generator(np.random.Philox(counter=[0, 0, 1, number], key=[self._seed, epoch]))
        item = self._item(which, number)
        at = int(which.integers(len(item.times)))
        frame = self._pack.frame(item, at)
        hint = self._pack.frame(item, self._hint(which, item, at)) if self._data.kind == "clips" else frame
        x, y, zoom, flip = how.random(4)
        side = round(min(frame.shape[:2]) / (1 + (self._data.zoom - 1) * zoom))
        pictures = [self._square(picture, side, x, y) for picture in (frame, hint)]
        mirrored = self._data.flip and flip < 0.5
        made = [np.ascontiguousarray(part[:, ::-1]) if mirrored else part for part, _ in pictures]
        shown = pictures[0][1][:, ::-1] if mirrored else pictures[0][1]
        return made[0], made[1], shown

    def _item(self, rng: np.random.Generator, number: int) -> Item:
        if self._data.kind == "images" and len(self) <= len(self.items):
            # Every picture once: a fixed order of all, which the seed gives.
            order = np.random.Generator(np.random.Philox(key=[self._seed, 1])).permutation(len(self.items))
            return self.items[int(order[number])]
        return self.items[int(rng.choice(len(self.items), p=self._odds))]

    def _hint(self, rng: np.random.Generator, item: Item, at: int) -> int:
        """A frame some seconds away, on either side, that the scene check does not refuse."""
        apart = np.abs(np.asarray(item.times) - item.times[at])
        late = np.flatnonzero((apart >= self._data.delay_min) & (apart <= self._data.delay_max))
        if not len(late):
            return int(np.argmax(apart))
        thumbs = self._pack.thumbs[item.first : item.first + len(item.times)]
        distance = frame_distance(thumbs[at], thumbs[late])
        for _ in range(_TRIES):
            chosen = int(rng.integers(len(late)))
            if distance[chosen] <= self._data.distance:
                return int(late[chosen])
        return int(late[int(np.argmin(distance))])

    def _square(self, rgb: Array, side: int, x: float, y: float) -> tuple[Array, Array]:
        size, fit = self._size, self._data.fit
        height, width = rgb.shape[:2]
        if fit == "crop":
            top, left = round(y * (height - side)), round(x * (width - side))
            return _resized(rgb[top : top + side, left : left + side], (size, size)), np.ones((size, size), np.bool_)
        if self._data.zoom > 1:  # the same part of height and width, so that the aspect stays
            part = side / min(height, width)
            h, w = max(1, round(part * height)), max(1, round(part * width))
            top, left = round(y * (height - h)), round(x * (width - w))
            rgb = rgb[top : top + h, left : left + w]
        if fit == "stretch":
            return _resized(rgb, (size, size)), np.ones((size, size), np.bool_)
        return fit_white(rgb, size)


def fit_white(picture: Array, size: int) -> tuple[Array, Array]:
    """Scale (h, w, 3) uint8 into a white square, in its middle.

    Returns:
        (size, size, 3) uint8, and (size, size) bool, which pixels are the picture's.
    """
    height, width = picture.shape[:2]
    scale = size / max(height, width)
    h, w = max(1, round(height * scale)), max(1, round(width * scale))
    square, shown = np.full((size, size, 3), 255, np.uint8), np.zeros((size, size), np.bool_)
    top, left = (size - h) // 2, (size - w) // 2
    square[top : top + h, left : left + w] = _resized(picture, (h, w))
    shown[top : top + h, left : left + w] = True
    return square, shown


def _resized(picture: Array, size: tuple[int, int]) -> Array:
    shrinks = picture.shape[0] >= size[0] and picture.shape[1] >= size[1]
    return cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
