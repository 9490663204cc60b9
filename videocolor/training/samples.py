"""Draw batches for training: sample i of a step is a function of (seed, step, i) alone."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from videocolor.color import rgb_to_luma
from videocolor.datasets.degrade import gray_of, harsh, old_film
from videocolor.datasets.pack import Item, PackReader
from videocolor.errors import InputError
from videocolor.training.config import SampleConfig
from videocolor.training.propagated import PropagatedPair, PropagatedReader
from videocolor.types import Array

__all__ = ["Batch", "Sampler", "read_weights"]

_WIDE: Final = 0.5
"""Least side of a crop, of the picture's short side, that still shows what the picture is of."""
_HALF: Final = 0.5
"""How much a picture's frame between hint and target is bent, the hint being bent by 1."""


@dataclass(frozen=True)
class Batch:
    """Samples as arrays; hints are in one list, `owner` says whose they are."""

    rgb: Array
    """(n, s, s, 3) uint8, the truth."""
    luma: Array
    """(n, s, s) float32 in 0..1, network input."""
    angle: Array
    """(n,) float32, radians by which the hue of truth and hints is rotated."""
    gain: Array
    """(n,) float32, factor on the chroma of truth and hints."""
    full_hint: Array
    """(n,) bool, samples whose first hint is of their own scene and painted all over."""
    hint_rgb: Array
    """(m, s, s, 3) uint8."""
    hint_luma: Array
    """(m, s, s) float32."""
    hint_mask: Array
    """(m, s, s) uint8, 1 where the hint is painted."""
    owner: Array
    """(m,) int64, sample that a hint belongs to."""
    slot: Array
    """(m,) int64, 0 or 1: its first or second hint."""
    between: Array
    """(r, s, s) float32, frames between hint and target, as the network sees them."""
    between_owner: Array
    """(r,) int64, sample that each belongs to, ascending."""
    propagated_rgb: Array
    """(k, s, s, 3) uint8, hinted frames as motion propagated them here."""
    propagated: Array
    """(k, 2, s, s) float32, their confidence in 0..1 and how much brighter they are (Y')."""
    propagated_owner: Array
    """(k,) int64, sample that a propagated frame belongs to, ascending."""


_Hint = tuple[Array, Array, Array]
"""rgb, luma, mask."""
_Moved = tuple[Array, Array]
"""A propagated frame; its confidence and brightness."""


@dataclass(frozen=True)
class _Sample:
    """One sample, as `Batch` has many."""

    rgb: Array
    luma: Array
    hints: list[_Hint]
    propagated: _Moved | None
    angle: float = 0.0
    gain: float = 1.0
    full_hint: bool = False
    between: Array | None = None


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
    """Draws batches from a pack.

    Args:
        pack: to draw from.
        settings: how.
        seed: with the step, all that a batch depends on.
        propagated: the pack's tracks.
        weights: by source, how many times as often as the rest a picture is drawn.

    Raises:
        InputError: hints are asked for and no clip has a pair.
    """

    def __init__(
        self,
        pack: PackReader,
        settings: SampleConfig,
        seed: int,
        propagated: PropagatedReader | None = None,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        self.pack, self.settings, self.seed, self.propagated = pack, settings, seed, propagated
        self._clip_odds = _odds([len(item.times) ** 0.5 for item in pack.clips])
        self._paired_odds = _odds([len(pack.pairs(item)) ** 0.5 for item in pack.clips])
        self._image_odds = _odds([weights.get(item.source, 1.0) for item in pack.images]) if weights else None
        if pack.clips and settings.none < 1 and not any(self._paired_odds):
            raise InputError("a pack of clips without pairs; make it with `videocolor pairs pack`")

    def batch(self, step: int, n: int, size: int, first: int = 0) -> Batch:
        """Draw samples number `first` .. `first + n - 1` of step `step`, `size` x `size` pixels each.

        The shares of several processes, concatenated, are the batch of one.
        """
        samples = [self._sample(self._random(step, first + index), size) for index in range(n)]
        hints = [hint for sample in samples for hint in sample.hints]
        between = [(index, sample.between) for index, sample in enumerate(samples) if sample.between is not None]
        moved = [(index, sample.propagated) for index, sample in enumerate(samples) if sample.propagated is not None]
        return Batch(
            rgb=np.stack([s.rgb for s in samples]),
            luma=np.stack([s.luma for s in samples]),
            angle=np.array([s.angle for s in samples], np.float32),
            gain=np.array([s.gain for s in samples], np.float32),
            full_hint=np.array([s.full_hint for s in samples], bool),
            hint_rgb=_stack([h[0] for h in hints], (size, size, 3), np.uint8),
            hint_luma=_stack([h[1] for h in hints], (size, size), np.float32),
            hint_mask=_stack([h[2] for h in hints], (size, size), np.uint8),
            owner=np.array([index for index, sample in enumerate(samples) for _ in sample.hints], np.int64),
            slot=np.array([number for sample in samples for number in range(len(sample.hints))], np.int64),
            between=_stack([luma for _, luma in between], (size, size), np.float32),
            between_owner=np.array([index for index, _ in between], np.int64),
            propagated_rgb=_stack([m[0] for _, m in moved], (size, size, 3), np.uint8),
            propagated=_stack([m[1] for _, m in moved], (2, size, size), np.float32),
            propagated_owner=np.array([index for index, _ in moved], np.int64),
        )

    def _random(self, step: int, index: int) -> np.random.Generator:
        """Counter-based (Philox), so that no draw depends on another."""
        return np.random.Generator(np.random.Philox(counter=[0, 0, 0, index], key=[self.seed, step]))

    def _sample(self, rng: np.random.Generator, size: int) -> _Sample:
        settings = self.settings
        hinted = rng.random() >= settings.none
        item = self._item(rng, settings.clip_hinted if hinted else settings.clip_none, size, hinted)
        (number, hint), kind = self._frames(rng, item, hinted), rng.random()
        right = hinted and kind >= settings.wrong
        tracks = self.propagated.of(item.file) if self.propagated is not None and right else []
        track = tracks[int(rng.integers(len(tracks)))] if tracks and rng.random() < settings.propagated else None
        if track is not None:
            number, hint = track.frame, track.hint
        crop = _draw_crop(rng, settings.closest if hinted else _WIDE)
        rgb = _cut(self.pack.frame(item, number), crop, size)
        propagated = None if track is None else self._propagated(rng, item, track, crop, rgb)
        if track is None and rng.random() < settings.border:
            rgb = _border(rgb, rng)
        luma = self._aged(rng, rgb)
        if not right:
            return _Sample(rgb, luma, self._wrong_hint(rng, item, size) if hinted else [], propagated)
        hints = [self._hint(rng, item, hint, crop, size)]
        if kind < settings.wrong + settings.two:
            others = [other for frame, other in self.pack.pairs(item).tolist() if frame == number]
            second = others[int(rng.integers(len(others)))] if others else hint
            hints.append(self._hint(rng, item, second, crop, size))
        full_hint, angle, gain = bool(hints[0][2].all()), 0.0, 1.0
        if rng.random() < settings.hue_turn:
            angle, gain = rng.uniform(-np.pi, np.pi), rng.uniform(1 - settings.gain, 1 + settings.gain)
        between = self._between(rng, item, number, hint, crop, size) if rng.random() < settings.remembered else None
        return _Sample(rgb, luma, hints, propagated, float(angle), float(gain), full_hint, between)

    def _between(self, rng: np.random.Generator, item: Item, number: int, hint: int, crop: _Crop, size: int) -> Array:
        """Draw the gray of a frame between a hint and its target; of a picture, the target less bent than the hint."""
        nearest, farthest = sorted((number, hint))
        between = int(rng.integers(nearest + 1, farthest)) if farthest - nearest > 1 else number
        rgb = _cut(self.pack.frame(item, between), _near(crop, rng) if rng.random() < 0.5 else crop, size)
        if item.kind == "image":
            rgb = _warp(rgb, rng, _HALF)
        luma = gray_of(rgb, rng)
        return old_film(luma, rng) if rng.random() < self.settings.old_film else luma

    def _aged(self, rng: np.random.Generator, rgb: Array) -> Array:
        """Take the color off a picture, and let some have the faults of old film."""
        settings, luma = self.settings, gray_of(rgb, rng, self.settings.orthochromatic)
        if rng.random() >= settings.old_film:
            return luma
        if settings.harsh and rng.random() < settings.harsh:
            luma = harsh(luma, rng)
        return old_film(luma, rng)

    def _frames(self, rng: np.random.Generator, item: Item, hinted: bool) -> tuple[int, int]:
        """Draw a frame of an item, and its hint: one of the clip's pairs, or a picture with itself."""
        if hinted and item.kind == "clip":
            pairs = self.pack.pairs(item)
            original, hint = pairs[int(rng.integers(len(pairs)))].tolist()
            return original, hint
        number = int(rng.integers(len(item.times)))
        return number, number

    def _propagated(
        self, rng: np.random.Generator, item: Item, pair: PropagatedPair, crop: _Crop, rgb: Array
    ) -> _Moved:
        """Warp the reference frame, with its confidence and brightness, cropped like the frame itself."""
        size = rgb.shape[0]
        assert self.propagated is not None
        moved, confidence = self.propagated.picture(pair, self.pack.frame(item, pair.hint))
        moved, confidence = _cut(moved, crop, size), _cut(confidence, crop, size)
        brighter = (_gray(moved) - _gray(rgb)) * np.float32(rng.uniform(0.8, 1.25))
        if rng.random() < 0.3:  # grain on both films
            brighter += rng.standard_normal(brighter.shape, dtype=np.float32) * np.float32(rng.uniform(0, 0.04))
        return moved, np.stack((confidence, brighter.astype(np.float32)))

    def _item(self, rng: np.random.Generator, clip_share: float, size: int, hinted: bool = False) -> Item:
        clips, images = self.pack.clips, self.pack.images
        if clips and (not images or rng.random() < clip_share):
            return clips[int(rng.choice(len(clips), p=self._paired_odds if hinted else self._clip_odds))]
        for _ in range(4):  # small pictures, blown up, are drawn less often
            odds = self._image_odds
            item = images[int(rng.integers(len(images)) if odds is None else rng.choice(len(images), p=odds))]
            if min(item.height, item.width) >= 0.9 * size or rng.random() < 0.2:
                break
        return item

    def _hint(self, rng: np.random.Generator, item: Item, number: int, crop: _Crop, size: int) -> _Hint:
        """Cut a hint out of a frame of a clip, or out of the picture itself, bent."""
        if item.kind == "clip":
            rgb = _cut(self.pack.frame(item, number), crop if rng.random() < 0.5 else _near(crop, rng), size)
        else:
            other = _draw_crop(rng) if rng.random() < 0.3 else _near(crop, rng)
            rgb = _warp(_cut(self.pack.frame(item, number), other, size), rng)
        return self._finish(rgb, rng)

    def _wrong_hint(self, rng: np.random.Generator, item: Item, size: int) -> list[_Hint]:
        """Draw a hint of another source; none where the pack has hardly any other."""
        for _ in range(8):
            other = self._item(rng, 0.5, size)
            if other.source != item.source:
                frame = self.pack.frame(other, int(rng.integers(len(other.times))))
                return [self._finish(_cut(frame, _draw_crop(rng), size), rng)]
        return []

    def _finish(self, rgb: Array, rng: np.random.Generator) -> _Hint:
        luma = gray_of(rgb, rng)
        if rng.random() < 0.3:
            luma = np.clip(luma, 0, 1) ** np.float32(rng.uniform(0.8, 1.25))
        mask = _spots(rng, rgb.shape[0]) if rng.random() < self.settings.masked else np.ones(rgb.shape[:2], np.uint8)
        return rgb, luma, mask


def read_weights(path: Path) -> dict[str, float]:
    """Read a table of weights by source, a CSV with the columns `source` and `weight`.

    Raises:
        InputError: it cannot be read, or a weight is not a finite number above 0.
    """
    try:
        with path.open(newline="", encoding="utf-8") as handle:
            weights = {row["source"]: float(row["weight"]) for row in csv.DictReader(handle)}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: expected a CSV with the columns source and weight ({error!r})") from error
    if not all(0 < weight < math.inf for weight in weights.values()):
        raise InputError(f"{path}: weights must be finite and above 0")
    return weights


def _stack(arrays: list[Array], shape: tuple[int, ...], kind: type[np.generic]) -> Array:
    """Stack arrays of one shape; without any, make an empty stack of that shape and kind."""
    return np.stack(arrays).astype(kind, copy=False) if arrays else np.zeros((0, *shape), kind)


def _gray(rgb: Array) -> Array:
    return rgb_to_luma(np.moveaxis(rgb.astype(np.float32) / 255, -1, 0), "bt601")


def _odds(weights: list[float]) -> Array:
    odds = np.asarray(weights, np.float64)
    return np.asarray(odds / odds.sum()) if odds.any() else odds


def _draw_crop(rng: np.random.Generator, least: float = _WIDE) -> _Crop:
    side = float(rng.uniform(least, 1.0))
    return _Crop(rng.random(), rng.random(), side, float(rng.uniform(0.9, 1.1)), bool(rng.random() < 0.5))


def _near(crop: _Crop, rng: np.random.Generator) -> _Crop:
    side = float(np.clip(crop.side * rng.uniform(0.8, 1.25), min(0.3, crop.side), 1.0))
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


def _warp(rgb: Array, rng: np.random.Generator, amount: float = 1.0) -> Array:
    """Rotate, shear and bend a picture a little, so that a self-made hint does not fit its target."""
    size = rgb.shape[0]
    matrix = np.eye(2) + rng.uniform(-0.12, 0.12, (2, 2)) * amount
    ys, xs = np.mgrid[0:size, 0:size].astype(np.float32)
    centered = np.stack((xs, ys), axis=-1) - size / 2
    knots = (rng.uniform(-0.04, 0.04, (4, 4, 2)) * amount).astype(np.float32)
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
    """Draw a mask of a few scribbles."""
    mask = np.zeros((size, size), np.uint8)
    for _ in range(int(rng.integers(2, 13))):
        center = (int(rng.integers(size)), int(rng.integers(size)))
        cv2.circle(mask, center, int(rng.integers(2, max(3, size // 8))), 1, -1)
    return mask
