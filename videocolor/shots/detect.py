"""Hard cuts, found while the film streams by: PySceneDetect proposes, the Euclidean scene check decides."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from scenedetect import FrameTimecode
from scenedetect.detectors import AdaptiveDetector, HashDetector

from videocolor.types import Array

__all__ = ["CutFinder", "similarities", "scene_distance", "shot_similarity"]

_SIZE: Final = (18, 32)
"""(height, width) of the scene check's thumbnails: small motion and grain vanish."""
_FLAT: Final = 10.0
"""Spread of luma (8-bit levels) under which a thumbnail is not normalised up: fog, black, a faded picture."""
_SHIFT: Final = 2
"""Thumbnail pixels that two pictures may be shifted against each other: camera motion."""
_PROPOSE: Final = (36, 64)
"""(height, width) that PySceneDetect sees; it needs three channels, which at this size cost nothing."""
_CUT: Final = 0.48
"""Scene distance, beyond what motion around explains, from which two frames are two shots."""
_MOTION_MEDIAN, _MOTION_MOST = 0.3, 0.4
"""Shares of the neighbouring frames' median and largest distance that motion explains."""
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
_LIKE_EVEN, _LIKE_SCALE = 1.08, 0.108
"""Raw similarity that is worth 0.5, and the width of the logistic."""
_TOGETHER: Final = 64
"""Pictures that others are compared with at a time: memory."""


def thumbnail(luma: Array) -> Array:
    """(h, w) luma, uint8 or float32 0..1 -> (18, 32) float32 8-bit levels; area averaging is the blur."""
    small: Array = cv2.resize(luma, (_SIZE[1], _SIZE[0]), interpolation=cv2.INTER_AREA)
    if luma.dtype == np.uint8:
        return small.astype(np.float32)
    return small.astype(np.float32) * np.float32(255)


def _normalize(thumb: Array) -> Array:
    """Take off the mean, divide by the spread: exposure does not count. Outliers are clipped at 3."""
    mean, deviation = cv2.meanStdDev(thumb)
    scale = 1 / max(float(deviation[0, 0]), _FLAT)
    return np.asarray(np.clip((thumb - np.float32(mean[0, 0])) * np.float32(scale), -3, 3))


def _distance(a: Array, b: Array) -> float:
    """RMS difference of two normalised thumbnails at the best shift."""
    inner = a[_SHIFT:-_SHIFT, _SHIFT:-_SHIFT]
    return math.sqrt(max(0.0, float(cv2.matchTemplate(b, inner, cv2.TM_SQDIFF).min()) / inner.size))


def scene_distance(a: Array, b: Array) -> float:
    """The Euclidean scene check.

    RMS distance of two 32x18 thumbnails (area-averaged; mean taken off, divided by the standard
    deviation but not by less than 10 levels; clipped to -3..3) at the best of 5x5 shifts of up to two
    thumbnail pixels, 1/16 of the width.

    Args:
        a: (h, w) luma, uint8 or float32 in 0..1.
        b: as `a`, any size.

    Returns:
        0 for the same picture, whatever the exposure; about 1.2 for pictures that have nothing in
        common; up to 2 for a picture and its negative.
    """
    return _distance(_normalize(thumbnail(a)), _normalize(thumbnail(b)))


def shot_similarity(a: Array, b: Array) -> float:
    """How much two frames look like one shot, or one place seen again.

    Correlation of the thumbnails at the best small shift, plus 0.7 times the overlap of their luma
    histograms, brought to 0..1 by a logistic that was fitted on footage (docs/temporal.md): 0.5 is
    reached by one in a hundred pairs of unrelated pictures, 0.8 by three in a thousand.

    Args:
        a: (h, w) luma, uint8 or float32 in 0..1; 160x90 pixels are plenty.
        b: as `a`, any size.

    Returns:
        0..1.
    """
    ta, tb = thumbnail(a), thumbnail(b)
    match = cv2.matchTemplate(tb, ta[_SHIFT:-_SHIFT, _SHIFT:-_SHIFT], cv2.TM_CCOEFF_NORMED)
    # A flat picture correlates with nothing: OpenCV answers 1 (or not a number) where a spread is zero.
    flat = min(float(ta.std()), float(tb.std())) < 1.0
    correlation = 0.0 if flat else float(np.nan_to_num(match.max(), posinf=0.0))
    raw = correlation + 0.7 * float(np.minimum(_histogram(a), _histogram(b)).sum())
    return 1 / (1 + math.exp(-(raw - _LIKE_EVEN) / _LIKE_SCALE))


def similarities(pictures: Sequence[Array], others: Sequence[Array]) -> Array:
    """`shot_similarity` of each of some pictures with each of others, in a hundredth of the time.

    Args:
        pictures: (h, w) luma each, uint8 or float32 in 0..1.
        others: likewise.

    Returns:
        (pictures, others) float32 in 0..1.
    """
    table = np.zeros((len(pictures), len(others)), np.float32)
    if not len(pictures):
        return table
    thumbs = np.stack([thumbnail(picture) for picture in pictures])
    inner = _centered(thumbs[:, _SHIFT:-_SHIFT, _SHIFT:-_SHIFT].reshape(len(pictures), -1))
    flat = thumbs.std(axis=(1, 2)) < 1.0
    levels = np.stack([_histogram(picture) for picture in pictures])
    shape = (_SIZE[0] - 2 * _SHIFT, _SIZE[1] - 2 * _SHIFT)
    for first in range(0, len(others), _TOGETHER):
        some = others[first : first + _TOGETHER]
        theirs = np.stack([thumbnail(other) for other in some])
        windows = np.lib.stride_tricks.sliding_window_view(theirs, shape, axis=(1, 2))
        shifted = _centered(windows.reshape(len(some) * (2 * _SHIFT + 1) ** 2, -1))
        match = (inner @ shifted.T).reshape(len(pictures), len(some), -1).max(axis=2)
        match[flat[:, None] | (theirs.std(axis=(1, 2)) < 1.0)[None]] = 0.0
        shares = [np.minimum(levels, _histogram(other)).sum(axis=1) for other in some]
        raw = match + np.float32(0.7) * np.stack(shares, axis=1)
        table[:, first : first + len(some)] = 1 / (1 + np.exp(-(raw - _LIKE_EVEN) / _LIKE_SCALE))
    return table


def _centered(rows: Array) -> Array:
    """Rows without their mean, of length 1; a plain one is all zeros."""
    rows = rows - rows.mean(axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-3)))


def _histogram(luma: Array) -> Array:
    """(32,) float32 shares of luma levels."""
    levels = luma if luma.dtype == np.uint8 else np.clip(luma * 255, 0, 255).astype(np.uint8)
    counts = cv2.calcHist([levels], [0], None, [32], [0, 256]).ravel()  # OpenCV 4 has a column of them
    return counts / np.float32(levels.size)


@dataclass(frozen=True, eq=False)
class _Look:
    """What is remembered of a frame."""

    thumb: Array
    """Normalised thumbnail."""
    spread: float
    """Standard deviation of luma in 8-bit levels: near 0 for a black or white frame."""
    change: float
    """Scene distance to the frame before."""


class CutFinder:
    """Finds the first frames of shots in a stream of small luma pictures.

    PySceneDetect's AdaptiveDetector (luma only) and HashDetector, set to miss nothing, propose; a
    proposal is a cut if no frame of the three before it resembles any of the four from it on, beyond
    what the motion around explains. So a flash of one or two frames is none, and a dissolve is none. A
    fade through black (or white) is one at the first frame out of the dark, if the picture is another.

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
        self._adaptive = AdaptiveDetector(
            adaptive_threshold=1.3, min_scene_len=1, window_width=2, min_content_val=3.0, luma_only=True
        )
        self._hash = HashDetector(threshold=0.2, size=8, lowpass=2, min_scene_len=1)
        self._lit: _Look | None = None
        self._dark = 0

    def push(self, gray: Array) -> list[int]:
        """Take the next frame.

        Args:
            gray: (h, w) luma, uint8 or float32 in 0..1; about 144 lines are plenty.

        Returns:
            Indices (frames pushed so far count from 0) of first frames of new shots that became certain.
        """
        raw = thumbnail(gray)
        spread = float(raw.std())
        thumb = _normalize(raw)
        change = _distance(self._looks[-1].thumb, thumb) if self._looks else 0.0
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
        """The cuts among the last frames, decided with what there is."""
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
        picture = cv2.cvtColor(small, cv2.COLOR_GRAY2BGR)
        time = FrameTimecode(index, 25.0)
        for detector in (self._adaptive, self._hash):
            self._proposed.update(cut.frame_num for cut in detector.process_frame(time, picture))

    def _watch_fades(self, look: _Look, level: float, index: int) -> None:
        """Note a cut where another picture comes out of a pause of at least two black or white frames."""
        if look.spread < _FLAT / 2 and not _BLANK[0] < level < _BLANK[1]:
            self._dark += 1
        elif look.spread >= _FLAT:
            if self._dark >= 2 and self._lit is not None and _distance(self._lit.thumb, look.thumb) > _RETURN:
                self._scores[index] = 10.0
            self._dark = 0
            self._lit = look

    def _look(self, index: int) -> _Look | None:
        place = index - self._first
        return self._looks[place] if 0 <= place < len(self._looks) else None

    def _decide(self, index: int) -> list[int]:
        """[index] if it is a cut. Scores are known two frames ahead: the strongest of neighbours wins."""
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
            if old is not None and new is not None and _distance(old.thumb, new.thumb) <= allowed:
                return 0.0
        return here.change
