"""The hint network in use: the same steps over each runtime.

A runtime is two functions over float32 arrays, as `videocolor.models.hint.network.HintNet` defines them:

    encode(luma (n, 1, h, w), ab (n, 2, h, w), mask (n, 1, h, w)) -> keys (n, t, k), values (n, t, v), valid (n, t)
    colorize(luma (n, 1, h, w), keys (1, t, k), values (1, t, v), valid (1, t), scribbles (1, s, k),
             propagated (n, 4, h/2, w/2)) -> ab (n, 2, h/2, w/2), confidence, error (n, 1, h/2, w/2)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import cv2
import numpy as np

from videocolor.models.base import Colorizer, HintInput, ModelCard, Prediction
from videocolor.models.hint import AB_SCALE, NEW, PROPAGATED_CHANNELS, SCRIBBLED, SHOWN, TOKEN
from videocolor.models.hint.calibration import Calibration, Case, calibrate
from videocolor.models.hint.reach import KeptGeodesic, Spot, find_region, find_spots
from videocolor.types import Array

__all__ = ["MAX_TOKENS", "HintColorizer", "Runtime", "ShotState", "Tokens"]

_LARGE = 1.5
"""Times the card's area above which colors without a hint are decided at the card's own size."""
_SURE = 0.999
"""Least confidence of frames that the hints support everywhere: what they would be without hints does not show."""
MAX_TOKENS = 8192
"""Of all hints of a shot together (about 11 hints of 288x160); more are thinned out evenly."""


class Tokens(NamedTuple):
    """The encoded hints of a shot."""

    keys: Array
    """(1, t, k) float32."""
    values: Array
    """(1, t, v) float32."""
    valid: Array
    """(1, t) float32 in 0..1."""
    scribbles: Array
    """(1, s, k) float32, the keys of scribbles on frames of this shot; without any, one far outside any picture."""


class ShotState(NamedTuple):
    """What is kept of a shot."""

    tokens: Tokens
    calibration: Calibration | None
    """Residual correction, fitted on the hints."""
    spots: tuple[Spot, ...] = ()
    """Scribbles, which govern things, not frames."""
    base: ShotState | None = None
    """The shot without its scribbles; None: there would be no hint, or there are no scribbles."""


class Runtime(Protocol):
    """What executes the network."""

    name: str

    @property
    def key_channels(self) -> int:
        """K of keys."""

    @property
    def value_channels(self) -> int:
        """V of values."""

    def encode(self, luma: Array, ab: Array, mask: Array) -> tuple[Array, Array, Array]:
        """Encode hints into tokens."""

    def colorize(
        self, luma: Array, keys: Array, values: Array, valid: Array, scribbles: Array, propagated: Array
    ) -> tuple[Array, Array, Array]:
        """Compute a*b*, confidence and expected error of frames."""


class HintColorizer(Colorizer):
    """Colors with any number of hints, or with none.

    Args:
        card: of the network.
        runtime: executes it.
        fast: for many requests about one frame: compute the residual correction at a quarter of the pixels, which is
            0.1 dE00 off, even where nothing was propagated; and regions of new scribbles only.
    """

    def __init__(self, card: ModelCard, runtime: Runtime, *, fast: bool = False) -> None:
        self.card = card
        self.runtime = runtime
        self._correct = _coarse_correction if fast else Calibration.correction
        self._distance = KeptGeodesic() if fast else None

    @property
    def holds_scribbles(self) -> bool:
        """See `Colorizer`."""
        return True

    def begin(self, hints: Sequence[HintInput]) -> ShotState:
        """Encode the shot's hints into tokens, find their scribbles, and fit the residual correction on the hints."""
        state = self._begun(hints)
        keys = [None if hint.places is None else self._keys(hint.luma) for hint in hints]
        spots = tuple(find_spots(hints, keys))
        if not spots:
            return state
        others = [hint for hint in hints if hint.places is None]
        return state._replace(spots=spots, base=self._begun(others) if others else None)

    def _begun(self, hints: Sequence[HintInput]) -> ShotState:
        tokens = self._encoded(hints) if hints else self._no_tokens()
        if not tokens.valid.any():
            return ShotState(tokens, None)
        cases = []
        for hint in hints:  # one by one, for attention takes memory by frames times tokens
            luma = hint.luma[None].astype(np.float32)
            made = self.runtime.colorize(luma[:, None], *tokens, _no_propagated(luma))[0]
            cases.append(Case(hint.luma, made[0], hint.ab, hint.mask))
        return ShotState(tokens, calibrate(cases))

    def remember(self, state: ShotState, frames: Sequence[HintInput]) -> ShotState:
        """Add those tokens of the frames that the hints do not show as well; the correction stays that of the hints."""
        added = [_new(self._encoded([frame]), state.tokens) for frame in frames]
        keys, values, valid, _ = (np.concatenate(parts, axis=1) for parts in zip(state.tokens, *added, strict=True))
        base = None if state.base is None else self.remember(state.base, frames)
        return state._replace(tokens=Tokens(keys, values, valid, state.tokens.scribbles), base=base)

    def _encoded(self, hints: Sequence[HintInput]) -> Tokens:
        """Encode the painted parts of hints."""
        luma = np.stack([hint.luma for hint in hints])[:, None].astype(np.float32)
        ab = np.stack([hint.ab for hint in hints]).astype(np.float32) / np.float32(AB_SCALE)
        mask = np.stack([np.ones_like(h.luma) if h.mask is None else h.mask for h in hints])[:, None]
        encoded = self.runtime.encode(luma, ab, mask.astype(np.float32))
        local = [
            hint.in_shot and hint.mask is not None and (hint.places is not None or hint.mask.mean() <= SCRIBBLED)
            for hint in hints
        ]
        scribbled = np.repeat(local, encoded[2].shape[1])
        keys, values, valid = (part.reshape(-1, *part.shape[2:]) for part in encoded)
        chosen = np.flatnonzero(valid > 0)
        chosen = chosen[:: -(-len(chosen) // MAX_TOKENS)] if len(chosen) > MAX_TOKENS else chosen
        if not len(chosen):
            return self._no_tokens()
        painted = chosen[scribbled[chosen]]
        scribbles = keys[None, painted] if len(painted) else self._no_tokens().scribbles
        return Tokens(keys[None, chosen], values[None, chosen], valid[None, chosen], scribbles)

    def step(self, state: ShotState, luma: Array, propagated: Array | None = None, /) -> Prediction:
        """Color frames; frames of a shot do not depend on each other.

        Where frames are larger than the card's area for the hints' sake, colors that no hint supports are decided at
        that area: automatic color was trained at it.
        """
        if not state.spots:
            return self._colored(state, luma, propagated)
        if state.base is not None:
            return self._held(state, luma, propagated, self._colored(state.base, luma, propagated))
        own, error = self._without_hints(luma)
        return self.step_over(state, luma, Prediction(own, None, error[:, 0]))

    def step_over(self, state: ShotState, luma: Array, base: Prediction) -> Prediction:
        """See `Colorizer`."""
        return self._held(state, luma, None, base)

    def regions(self, state: ShotState, luma: Array) -> dict[tuple[int, int], Array]:
        """See `Colorizer`."""
        if not state.spots:
            return {}
        shares = find_region(state.spots, luma, self._keys(luma), self._distance).shares
        return {spot.number: share for spot, share in zip(state.spots, shares, strict=True)}

    def unlike(self, hint: HintInput) -> Array | None:
        """See `Colorizer`."""
        if hint.mask is None:
            return None
        grid = hint.luma.shape[0] // TOKEN, hint.luma.shape[1] // TOKEN
        keys = self._keys(hint.luma)[:, :-3]
        painted = cv2.resize(hint.mask, grid[::-1], interpolation=cv2.INTER_AREA).ravel() > 0.5
        if not painted.any():
            return None
        cosine = (keys @ keys[painted].T).max(axis=1)
        return np.asarray(np.clip((SHOWN - cosine) / (SHOWN - NEW), 0, 1), np.float32).reshape(grid)

    def _held(self, state: ShotState, luma: Array, propagated: Array | None, base: Prediction) -> Prediction:
        """Hold the colors of scribbles within what these govern."""
        found = self._colored(state, luma, propagated)
        assert found.confidence is not None and found.error is not None
        ab, confidence, error = np.empty_like(found.ab), np.empty_like(found.confidence), np.empty_like(found.error)
        none = np.zeros_like(confidence[0])
        for i, frame in enumerate(luma):
            region = find_region(state.spots, frame, self._keys(frame), self._distance)
            ab[i] = region.blend(found.ab[i], found.confidence[i], base.ab[i])
            first = none if base.confidence is None else base.confidence[i]
            confidence[i] = first + region.governed * (found.confidence[i] - first)
            expected = found.error[i] if base.error is None else base.error[i]
            error[i] = expected + region.governed * (found.error[i] - expected)
        return Prediction(ab, confidence, error)

    def _keys(self, luma: Array) -> Array:
        """(t, k + 3) keys of all tokens of a picture (h, w)."""
        plane = luma[None, None].astype(np.float32, copy=False)
        none = np.zeros((1, 2, *luma.shape), np.float32)
        keys = self.runtime.encode(plane, none, np.ones_like(plane))[0]
        return np.asarray(keys[0])

    def _colored(self, state: ShotState, luma: Array, propagated: Array | None) -> Prediction:
        h, w = luma.shape[1:]
        correct = self._correct
        if propagated is None:
            propagated = _no_propagated(luma)
        else:
            correct = _coarse_correction  # most of the frame has propagated color, and needs none
            propagated = propagated.astype(np.float32)
            propagated[:, :2] /= np.float32(AB_SCALE)
        seen = luma[:, None].astype(np.float32, copy=False)
        ab, confidence, error = self.runtime.colorize(seen, *state.tokens, propagated)
        if state.calibration is not None:  # propagated chroma needs no correction; without support there is none to fit
            shares = confidence[:, 0] * np.square(1 - propagated[:, 2])
            frames = zip(ab, seen[:, 0], shares, strict=True)
            ab = ab + np.stack([correct(state.calibration, *frame) for frame in frames])
        if state.tokens.valid.any() and h * w > _LARGE * self.card.area and confidence.min() < _SURE:
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
        ab, _, error = self.runtime.colorize(small.astype(np.float32), *self._no_tokens(), _no_propagated(small[:, 0]))
        return _enlarged(ab, (w // 2, h // 2)), _enlarged(error, (w // 2, h // 2))

    def _no_tokens(self) -> Tokens:
        k, v = self.runtime.key_channels, self.runtime.value_channels
        key, value = np.zeros((1, 1, k), np.float32), np.zeros((1, 1, v), np.float32)
        return Tokens(key, value, np.zeros((1, 1), np.float32), np.full_like(key, 1e4))


def _coarse_correction(calibration: Calibration, ab: Array, luma: Array, share: Array) -> Array:
    """`Calibration.correction` of every second pixel of every second row, and bilinear between them."""
    some = np.zeros_like(share)
    some[::2, ::2] = share[::2, ::2]
    small = calibration.correction(ab, luma, some)[:, ::2, ::2]
    places = np.array([[2, 0, 0], [0, 2, 0]], np.float32)
    size = (share.shape[1], share.shape[0])
    return np.stack([cv2.warpAffine(plane, places, size, borderMode=cv2.BORDER_REPLICATE) for plane in small])


def _new(tokens: Tokens, known: Tokens) -> Tokens:
    """Those tokens, and by how much, that resemble none of the known ones; attention takes the log as a bias."""
    cosine = (tokens.keys[0, :, :-3] @ known.keys[0, :, :-3].T).max(axis=1)
    weight = np.clip((SHOWN - cosine) / (SHOWN - NEW), 0, 1).astype(np.float32)
    kept = np.flatnonzero(weight * tokens.valid[0])
    valid = (tokens.valid[0] * weight)[None, kept]
    return Tokens(tokens.keys[:, kept], tokens.values[:, kept], valid, tokens.scribbles)


def _no_propagated(luma: Array) -> Array:
    """For frames (n, h, w) to which nothing was propagated."""
    n, h, w = luma.shape
    return np.zeros((n, PROPAGATED_CHANNELS, h // 2, w // 2), np.float32)


def _enlarged(planes: Array, size: tuple[int, int]) -> Array:
    """(n, c, h, w) at another (width, height)."""
    return np.stack([np.stack([cv2.resize(p, size, interpolation=cv2.INTER_LINEAR) for p in one]) for one in planes])


def _multiple(side: float, step: int) -> int:
    return max(step, round(side / step) * step)
