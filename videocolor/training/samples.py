"""Batches for training, a function of (seed, step) alone: what was drawn never depends on what ran before."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from videocolor.pairs.distance import frame_distance
from videocolor.pairs.store import Item, PackReader
from videocolor.training.config import SampleConfig
from videocolor.training.degrade import gray_of, old_film
from videocolor.types import Array

__all__ = ["Batch", "Sampler"]


@dataclass(frozen=True)
class Batch:
    """Samples as arrays; hints lie in one list, `owner` says whose they are."""

    rgb: Array
    """(n, s, s, 3) uint8, the truth."""
    luma: Array
    """(n, s, s) float32 in 0..1, what the network sees."""
    angle: Array
    """(n,) float32, radians by which the hue of truth and hints is turned."""
    hint_rgb: Array
    """(m, s, s, 3) uint8."""
    hint_luma: Array
    """(m, s, s) float32."""
    hint_mask: Array
    """(m, s, s) float32."""
    owner: Array
    """(m,) int64, sample that a hint belongs to."""
    slot: Array
    """(m,) int64, 0 or 1: its first or second hint."""


@dataclass(frozen=True)
class _Crop:
    """A window of a frame, in fractions of its size."""

    x: float
    y: float
    side: float
    """Of the short side."""
    stretch: float
    flip: bool


class Sampler:
    """Draws batches from a pack."""

    def __init__(self, pack: PackReader, settings: SampleConfig, seed: int) -> None:
        self.pack, self.settings, self.seed = pack, settings, seed
        self._clip_odds = _odds([len(item.times) ** 0.5 for item in pack.clips])

    def batch(self, step: int, n: int, size: int) -> Batch:
        """Batch number `step`: `n` samples of `size` x `size` pixels."""
        rng = np.random.Generator(np.random.Philox(key=[self.seed, step]))
        samples = [self._sample(rng, size) for _ in range(n)]
        hints = [hint for sample in samples for hint in sample[3]]
        owner = [index for index, sample in enumerate(samples) for _ in sample[3]]
        slot = [number for sample in samples for number in range(len(sample[3]))]
        empty3, empty = np.zeros((0, size, size, 3), np.uint8), np.zeros((0, size, size), np.float32)
        return Batch(
            np.stack([s[0] for s in samples]),
            np.stack([s[1] for s in samples]),
            np.array([s[2] for s in samples], np.float32),
            np.stack([h[0] for h in hints]) if hints else empty3,
            np.stack([h[1] for h in hints]) if hints else empty,
            np.stack([h[2] for h in hints]) if hints else empty,
            np.array(owner, np.int64),
            np.array(slot, np.int64),
        )

    def _sample(
        self, rng: np.random.Generator, size: int
    ) -> tuple[Array, Array, float, list[tuple[Array, Array, Array]]]:
        settings = self.settings
        hinted = rng.random() >= settings.none
        item = self._item(rng, settings.clip_hinted if hinted else settings.clip_none, size)
        number = int(rng.integers(len(item.times)))
        crop = _draw_crop(rng)
        rgb = _cut(self.pack.frame(item, number), crop, size)
        if rng.random() < settings.border:
            rgb = _border(rgb, rng)
        luma = gray_of(rgb, rng)
        if rng.random() < settings.old_film:
            luma = old_film(luma, rng)
        if not hinted:
            return rgb, luma, 0.0, []
        kind = rng.random()
        if kind < settings.wrong:
            return rgb, luma, 0.0, [self._wrong_hint(rng, size)]
        hints = [self._hint(rng, item, number, crop, size)]
        if kind < settings.wrong + settings.two:
            hints.append(self._hint(rng, item, number, crop, size))
        turned = rng.random() < settings.hue_turn
        return rgb, luma, float(rng.uniform(-np.pi, np.pi)) if turned else 0.0, hints

    def _item(self, rng: np.random.Generator, clip_share: float, size: int) -> Item:
        clips, images = self.pack.clips, self.pack.images
        if clips and (not images or rng.random() < clip_share):
            return clips[int(rng.choice(len(clips), p=self._clip_odds))]
        for _ in range(4):  # small pictures, blown up, are drawn less often
            item = images[int(rng.integers(len(images)))]
            if min(item.height, item.width) >= 0.9 * size or rng.random() < 0.2:
                break
        return item

    def _hint(
        self, rng: np.random.Generator, item: Item, number: int, crop: _Crop, size: int
    ) -> tuple[Array, Array, Array]:
        if len(item.times) > 1:
            frame = self.pack.frame(item, self._partner(rng, item, number))
            rgb = _cut(frame, crop if rng.random() < 0.5 else _near(crop, rng), size)
        else:
            other = _draw_crop(rng) if rng.random() < 0.3 else _near(crop, rng)
            rgb = _warp(_cut(self.pack.frame(item, number), other, size), rng)
        return self._finish(rgb, rng)

    def _wrong_hint(self, rng: np.random.Generator, size: int) -> tuple[Array, Array, Array]:
        item = self._item(rng, 0.5, size)
        return self._finish(_cut(self.pack.frame(item, int(rng.integers(len(item.times)))), _draw_crop(rng), size), rng)

    def _finish(self, rgb: Array, rng: np.random.Generator) -> tuple[Array, Array, Array]:
        luma = gray_of(rgb, rng)
        if rng.random() < 0.3:
            luma = np.clip(luma, 0, 1) ** np.float32(rng.uniform(0.8, 1.25))
        mask = _spots(rng, rgb.shape[0]) if rng.random() < self.settings.masked else np.ones(rgb.shape[:2], np.float32)
        return rgb, luma, mask

    def _partner(self, rng: np.random.Generator, item: Item, number: int) -> int:
        """Another frame of the scene, 1-5 s away where there is one."""
        apart = np.abs(np.asarray(item.times) - item.times[number])
        thumbs = self.pack.thumbs[item.first : item.first + len(item.times)]
        same = frame_distance(thumbs[number][None], thumbs) <= self.settings.distance
        for choice in ((apart >= 1) & (apart <= 5) & same, (apart > 0) & same):
            if choice.any():
                return int(rng.choice(np.flatnonzero(choice)))
        return number


def _odds(weights: list[float]) -> Array:
    odds = np.asarray(weights, np.float64)
    return np.asarray(odds / odds.sum()) if len(odds) else odds


def _draw_crop(rng: np.random.Generator) -> _Crop:
    side = float(rng.uniform(0.5, 1.0))
    return _Crop(rng.random(), rng.random(), side, float(rng.uniform(0.9, 1.1)), bool(rng.random() < 0.5))


def _near(crop: _Crop, rng: np.random.Generator) -> _Crop:
    side = float(np.clip(crop.side * rng.uniform(0.8, 1.25), 0.3, 1.0))
    x, y = (float(np.clip(v + rng.uniform(-0.15, 0.15), 0, 1)) for v in (crop.x, crop.y))
    return _Crop(x, y, side, crop.stretch, crop.flip if rng.random() < 0.9 else not crop.flip)


def _cut(frame: Array, crop: _Crop, size: int) -> Array:
    height, width = frame.shape[:2]
    side = min(height, width) * crop.side
    h, w = max(8, min(height, int(side * crop.stretch))), max(8, min(width, int(side / crop.stretch)))
    top, left = int(crop.y * (height - h)), int(crop.x * (width - w))
    window = frame[top : top + h, left : left + w]
    cut = cv2.resize(window, (size, size), interpolation=cv2.INTER_AREA if h > size else cv2.INTER_LINEAR)
    return np.ascontiguousarray(cut[:, ::-1]) if crop.flip else cut


def _warp(rgb: Array, rng: np.random.Generator) -> Array:
    """Turn, shear and bend a picture a little, so that a self-made hint does not lie on its target."""
    size = rgb.shape[0]
    matrix = np.eye(2) + rng.uniform(-0.12, 0.12, (2, 2))
    ys, xs = np.mgrid[0:size, 0:size].astype(np.float32)
    centered = np.stack((xs, ys), axis=-1) - size / 2
    knots = rng.uniform(-0.04, 0.04, (4, 4, 2)).astype(np.float32)
    bend = cv2.resize(knots, (size, size), interpolation=cv2.INTER_CUBIC)
    where = (centered @ matrix.T.astype(np.float32) + size / 2 + bend * size).astype(np.float32)
    x, y = np.ascontiguousarray(where[..., 0]), np.ascontiguousarray(where[..., 1])
    return np.asarray(cv2.remap(rgb, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT))


def _border(rgb: Array, rng: np.random.Generator) -> Array:
    size, dark = rgb.shape[0], np.uint8(rng.integers(0, 30))
    top, bottom, left, right = (int(v) for v in rng.uniform(0, 0.12, 4) * size)
    framed = np.full_like(rgb, dark)
    framed[top : size - bottom, left : size - right] = rgb[top : size - bottom, left : size - right]
    return framed


def _spots(rng: np.random.Generator, size: int) -> Array:
    """A mask of a few painted spots."""
    mask = np.zeros((size, size), np.float32)
    for _ in range(int(rng.integers(2, 13))):
        center = (int(rng.integers(size)), int(rng.integers(size)))
        cv2.circle(mask, center, int(rng.integers(2, max(3, size // 8))), 1.0, -1)
    return mask
