"""The hint network in use: the same steps over either runtime.

A runtime is two functions over float32 arrays, as `videocolor.models.hint.network.HintNet` defines them:

    encode(luma (n, 1, h, w), ab (n, 2, h, w), mask (n, 1, h, w)) -> keys (n, t, k), values (n, t, v), valid (n, t)
    colorize(luma (n, 1, h, w), keys (1, t, k), values (1, t, v), valid (1, t), known (1, s, k),
             carried (n, 4, h/2, w/2)) -> ab (n, 2, h/2, w/2), confidence, error (n, 1, h/2, w/2)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import cv2
import numpy as np

from videocolor.models.base import Colorizer, HintInput, ModelCard, Prediction
from videocolor.models.hint.calibration import Calibration, Case, calibrate
from videocolor.types import Array

__all__ = ["MAX_TOKENS", "HintColorizer", "Memory", "Runtime", "Tokens"]

AB_SCALE = 110.0
_CLOSER = 1.5
"""Times the card's area from which a frame is looked at more closely than automatic colour wants."""
_CARRIED = 4
_SPOTS = 0.1
"""Share of a picture up to which what is painted counts as spots; of more the network can tell if it belongs here."""
MAX_TOKENS = 8192
"""Of all hints of a shot together (about 11 hints of 288x160); more are thinned out evenly."""


class Tokens(NamedTuple):
    """What a shot remembers of its hints."""

    keys: Array
    """(1, t, k) float32."""
    values: Array
    """(1, t, v) float32."""
    valid: Array
    """(1, t) float32 in 0..1."""
    known: Array
    """(1, s, k) float32: those of the keys that a person painted as spots on this very shot; for none one that lies far
    off any picture."""


class Memory(NamedTuple):
    """What a shot remembers."""

    tokens: Tokens
    calibration: Calibration | None
    """How far the network is off on the hints themselves."""


class Runtime(Protocol):
    """What executes the network."""

    name: str
    key_channels: int
    """k of keys."""
    value_channels: int
    """v of values."""

    def encode(self, luma: Array, ab: Array, mask: Array) -> tuple[Array, Array, Array]:
        """Hints to tokens."""

    def colorize(
        self, luma: Array, keys: Array, values: Array, valid: Array, known: Array, carried: Array
    ) -> tuple[Array, Array, Array]:
        """Frames to a*b*, confidence and expected error."""


class HintColorizer(Colorizer):
    """Colours with any number of hints, or with none."""

    def __init__(self, card: ModelCard, runtime: Runtime) -> None:
        self.card = card
        self.runtime = runtime

    def begin(self, hints: Sequence[HintInput]) -> Memory:
        """Encode the shot's hints into tokens, and look at what the network makes of the hints themselves."""
        tokens = self._encoded(hints) if hints else self._nothing()
        if not tokens.valid.any():
            return Memory(tokens, None)
        cases = []
        for hint in hints:  # one by one, for attention takes memory by frames times tokens
            luma = hint.luma[None].astype(np.float32)
            made = self.runtime.colorize(luma[:, None], *tokens, _no_carried(luma))[0]
            cases.append(Case(hint.luma, made[0], hint.ab, hint.mask))
        return Memory(tokens, calibrate(cases))

    def _encoded(self, hints: Sequence[HintInput]) -> Tokens:
        """The hints' tokens; places that are not painted leave none."""
        luma = np.stack([hint.luma for hint in hints])[:, None].astype(np.float32)
        ab = np.stack([hint.ab for hint in hints]).astype(np.float32) / np.float32(AB_SCALE)
        mask = np.stack([np.ones_like(h.luma) if h.mask is None else h.mask for h in hints])[:, None]
        encoded = self.runtime.encode(luma, ab, mask.astype(np.float32))
        spots = [hint.in_shot and hint.mask is not None and hint.mask.mean() <= _SPOTS for hint in hints]
        known = np.repeat(spots, encoded[2].shape[1])
        keys, values, valid = (part.reshape(-1, *part.shape[2:]) for part in encoded)
        chosen = np.flatnonzero(valid > 0)
        chosen = chosen[:: -(-len(chosen) // MAX_TOKENS)] if len(chosen) > MAX_TOKENS else chosen
        if not len(chosen):
            return self._nothing()
        painted = chosen[known[chosen]]
        nearby = keys[None, painted] if len(painted) else self._nothing().known
        return Tokens(keys[None, chosen], values[None, chosen], valid[None, chosen], nearby)

    def step(self, memory: Memory, luma: Array, carried: Array | None = None) -> Prediction:
        """Colour frames; frames of a shot do not depend on each other.

        Where frames are larger than the card's area for the hints' sake, what no hint speaks of is decided at that
        area: it is what automatic colour was learnt at.
        """
        h, w = luma.shape[1:]
        if carried is None:
            carried = _no_carried(luma)
        else:
            carried = carried.astype(np.float32)
            carried[:, :2] /= np.float32(AB_SCALE)
        seen = luma[:, None].astype(np.float32, copy=False)
        ab, confidence, error = self.runtime.colorize(seen, *memory.tokens, carried)
        if memory.calibration is not None:  # what motion brought is right as it is, and what no hint speaks of unknown
            shares = confidence[:, 0] * np.square(1 - carried[:, 2])
            frames = zip(ab, seen[:, 0], shares, strict=True)
            ab = ab + np.stack([memory.calibration.correction(*frame) for frame in frames])
        if memory.tokens.valid.any() and h * w > _CLOSER * self.card.area:
            own, own_error = self._without_hints(luma)
            ab = own + confidence * (ab - own)
            error = own_error + confidence * (error - own_error)
        return Prediction(ab, confidence[:, 0], error[:, 0])

    def _without_hints(self, luma: Array) -> tuple[Array, Array]:
        """a*b* and expected error on the grid of prediction, decided at the card's own working size."""
        h, w = luma.shape[1:]
        step, factor = self.card.multiple, (self.card.area / (h * w)) ** 0.5
        size = (_multiple(w * factor, step), _multiple(h * factor, step))
        small = np.stack([cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in luma])[:, None]
        ab, _, error = self.runtime.colorize(small.astype(np.float32), *self._nothing(), _no_carried(small[:, 0]))
        return _larger(ab, (w // 2, h // 2)), _larger(error, (w // 2, h // 2))

    def _nothing(self) -> Tokens:
        k, v = self.runtime.key_channels, self.runtime.value_channels
        key, value = np.zeros((1, 1, k), np.float32), np.zeros((1, 1, v), np.float32)
        return Tokens(key, value, np.zeros((1, 1), np.float32), np.full_like(key, 1e4))


def _no_carried(luma: Array) -> Array:
    """For frames (n, h, w) that motion brought nothing to."""
    n, h, w = luma.shape
    return np.zeros((n, _CARRIED, h // 2, w // 2), np.float32)


def _larger(planes: Array, size: tuple[int, int]) -> Array:
    """(n, c, h, w) at another (width, height)."""
    return np.stack([np.stack([cv2.resize(p, size, interpolation=cv2.INTER_LINEAR) for p in one]) for one in planes])


def _multiple(side: float, step: int) -> int:
    return max(step, round(side / step) * step)
