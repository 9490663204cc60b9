"""Colour that holds still: one filter that calms noisy colours and carries colour to frames without any.

Every pixel carries an estimate of its a*b* and the precision of that estimate. From frame to frame both
travel along the motion; precision shrinks with age and with doubt about the motion; a frame that was
coloured adds its own colour with its own precision. That is a Kalman filter per pixel, written in
information form: the state is (p a, p b, p), so prediction is one warp and update is one sum, and pixels
that know nothing never dilute those that know something. The filter runs forward through a shot, and
backward through a window with a few frames of look-ahead; the two and the frame's own colour are summed
(two-filter smoothing, Fraser and Potter 1969).

    smoother = ChromaSmoother()                    # a new one for every shot
    for luma, observation in frames:
        smoother.push(luma, observation)           # observation: (ab, precision), or None
        for ab in smoother.pop():                  # in film order, some frames late
            ...
    rest = smoother.finish()
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from videocolor.motion.flow import FlowEstimator, Motion, Step, resize_flow, warp
from videocolor.types import Array

__all__ = ["LOOK_AHEAD", "WINDOW", "ChromaSmoother", "Observation"]

Observation = tuple[Array, Array | float]
"""a*b* (2, h, w) float32 and its precision: a number or (h, w) float32; 1 is a network's word."""

WINDOW: Final = 16
"""Frames that are finished together, at least."""
LOOK_AHEAD: Final = 8
"""Frames behind a window that are asked before it is finished."""
_FLASH: Final = 0.06
"""Change of log exposure against the neighbours from which a frame's colours are doubted."""
_LOST: Final = 0.3
"""Trust, multiplied up since the last anchor, under which a pixel counts as lost."""
_FILL: Final = 1e-3
"""Precision of a colour that was filled in from the surroundings: anything seen outweighs it."""


_MOTION: Final = ("ab", "ba", "trust_a", "trust_b")
"""Fields of `Motion`, in their order."""


@dataclass(eq=False)
class _Moment:
    """A frame in the smoother."""

    luma: Array
    """Prepared luma, for motion."""
    exposure: float
    """Logarithm of the frame's mean luma."""
    motion: Motion | None
    """From the frame before (a) to this one (b); None for the first."""
    own: Array | None = None
    """(h, w, 3) information of the frame's own colour."""
    sure: bool = False
    """The own colour's precision is far above a network's, so it must come back as it is."""
    doubted: bool = False
    """Already compared with its neighbours' exposure."""

    def as_arrays(self) -> dict[str, Array]:
        """The same as arrays by name."""
        arrays = {"luma": self.luma, "notes": np.array([self.exposure, self.sure, self.doubted], np.float64)}
        if self.motion is not None:
            arrays |= {name: getattr(self.motion, name) for name in _MOTION}
        return arrays if self.own is None else {**arrays, "own": self.own}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> _Moment:
        """What `as_arrays` made."""
        motion = Motion(*(arrays[name] for name in _MOTION)) if _MOTION[0] in arrays else None
        exposure, sure, doubted = (float(value) for value in arrays["notes"])
        return cls(arrays["luma"], exposure, motion, arrays.get("own"), bool(sure), bool(doubted))


class ChromaSmoother:
    """Motion-guided fusion of the colours of one shot. Make a new one at every cut.

    Memory and delay are bounded: at most `window + look_ahead` frames wait after `pop`, about
    1 MB each at 288x160. Calling `pop` after every `push` costs no more than calling it rarely.

    Args:
        decay: share of its precision that a colour keeps over one frame, 0 up to but not including 1;
            0.9 remembers some ten frames each way.
        cap: largest precision that travels; a painted frame (precision far above it) is reproduced and
            then rules its surroundings until it has decayed to what the network's frames amount to.
        flow: finds motion; None: a new `FlowEstimator`.
        window: frames that are finished together, at least.
        look_ahead: frames behind a window that are asked before it is finished.
    """

    def __init__(
        self,
        *,
        decay: float = 0.9,
        cap: float = 200.0,
        flow: FlowEstimator | None = None,
        window: int = WINDOW,
        look_ahead: int = LOOK_AHEAD,
    ) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"{decay=}: expected 0 up to but not including 1")
        if window < 1 or look_ahead < 0 or cap <= 0:
            raise ValueError(f"{window=}, {look_ahead=}, {cap=}: expected at least 1, 0 and above 0")
        self.decay, self.cap, self.window, self.look_ahead = decay, cap, window, look_ahead
        self._flow = flow or FlowEstimator()
        self._waiting: deque[_Moment] = deque()
        self._planned: deque[_Moment] = deque()
        self._latest: _Moment | None = None
        self._reach: Array | None = None
        self._state: Array | None = None
        self._past: deque[float] = deque(maxlen=2)
        self._shape: tuple[int, int] | None = None

    def plan(
        self, lumas: Sequence[Array], every: int, *, steps: Sequence[Step | None] | None = None, lost: float = 0.25
    ) -> list[int]:
        """Choose which of the next frames the network should see.

        Every `every`-th does, from the first on; and any in between that the last anchor's colours do
        not reach: something new has come into the picture. The motion to these frames is used again by
        `push`, which must follow for the same frames.

        Args:
            lumas: (h, w) uint8, the frames that will be pushed next.
            every: regular distance of anchors.
            steps: the motion to them, as far as it is known; the rest is found here.
            lost: share of the picture, 0..1, that may be out of reach.

        Returns:
            Places in `lumas`, ascending.
        """
        anchors = []
        for place, luma in enumerate(lumas):
            moment = self._look(luma, None if steps is None else steps[place])
            self._planned.append(moment)
            if moment.motion is not None and self._reach is not None:
                self._reach = warp(self._reach, moment.motion.ba) * moment.motion.trust_b
            out_of_reach = 1.0 if self._reach is None else float((self._reach < _LOST).mean())
            if place % every == 0 or out_of_reach > lost:
                anchors.append(place)
                self._reach = np.ones(moment.luma.shape, np.float32)
        return anchors

    def planned_steps(self) -> list[Step]:
        """Each frame that `plan` has seen and `push` has not: prepared luma, and the motion from the frame before."""
        return [(moment.luma, moment.motion) for moment in self._planned]

    def push(self, luma: Array, observation: Observation | None = None) -> None:
        """Take the shot's next frame.

        Args:
            luma: (h, w) uint8.
            observation: its colour, or None. All observations of a shot share one grid, which may be
                smaller than the luma's.
        """
        moment = self._planned.popleft() if self._planned else self._look(luma)
        if observation is not None:
            ab, precision = observation
            if self._shape is None:
                self._shape = (ab.shape[1], ab.shape[2])
            if ab.shape != (2, *self._shape):
                raise ValueError(f"{ab.shape=}: the shot's colours came on a grid of {self._shape}")
            moment.own = _information(ab, precision)
            moment.sure = float(np.max(precision)) > self.cap
        self._waiting.append(moment)

    def pop(self) -> list[Array]:
        """The next frames that are ready, as (2, h, w) float32 a*b*, in order; often none, often many."""
        ready = len(self._waiting) - self.look_ahead
        return self._fuse(ready, last=False) if ready >= self.window else []

    def finish(self) -> list[Array]:
        """All frames that are left; the shot is over."""
        return self._fuse(len(self._waiting), last=True)

    @property
    def delayed(self) -> int:
        """Frames that were pushed and not handed out yet."""
        return len(self._waiting)

    def memory(self) -> dict[str, Array]:
        """All that the shot's further frames depend on, as arrays; between `pop` and the next `plan`.

        A new smoother with the same settings that `recall`s it goes on exactly as this one would.
        """
        if self._planned or not self._waiting or self._latest is not self._waiting[-1]:
            raise ValueError("the memory can be taken between pop and plan, in the middle of a shot")
        kept = {"state": self._state, "reach": self._reach}
        arrays = {name: array for name, array in kept.items() if array is not None}
        arrays["past"] = np.array(self._past, np.float64)
        arrays["shape"] = np.array(self._shape or (), np.int64)
        for place, moment in enumerate(self._waiting):
            arrays |= {f"{place}.{name}": array for name, array in moment.as_arrays().items()}
        return arrays

    def recall(self, memory: Mapping[str, Array]) -> None:
        """Take up what another smoother's `memory` returned, before the first frame."""
        self._state, self._reach = memory.get("state"), memory.get("reach")
        self._past.extend(float(level) for level in memory["past"])
        self._shape = (int(memory["shape"][0]), int(memory["shape"][1])) if memory["shape"].size else None
        while f"{len(self._waiting)}.luma" in memory:
            head = f"{len(self._waiting)}."
            fields = {name.removeprefix(head): memory[name] for name in memory if name.startswith(head)}
            self._waiting.append(_Moment.from_arrays(fields))
        self._latest = self._waiting[-1]

    def _look(self, luma: Array, step: Step | None = None) -> _Moment:
        """Measure a frame and its motion from the one before, as far as that is not known."""
        picture, motion = step or (self._flow.prepare(luma), None)
        if motion is None and self._latest is not None:
            motion = self._flow.motion(self._latest.luma, picture)
        self._latest = _Moment(picture, float(np.log(cv2.mean(luma)[0] + 8.0)), motion)
        return self._latest

    def _fuse(self, count: int, *, last: bool) -> list[Array]:
        """Finish the first `count` waiting frames; `last`: no frame follows those that wait."""
        if count == 0:
            return []
        if self._shape is None:
            raise ValueError("no frame of the shot has a colour yet: push an observation first")
        moments = list(self._waiting)
        self._calm_flashes(moments, len(moments) if last else len(moments) - 2)
        sums = self._forward(moments[:count])
        self._backward(moments, sums)
        for moment in moments[:count]:
            self._past.append(moment.exposure)
            self._waiting.popleft()
        return [self._color(total) for total in sums]

    def _calm_flashes(self, moments: list[_Moment], known: int) -> None:
        """Doubt the colours of one or two frames whose exposure leaves that of their neighbours.

        Only the first `known` moments have the two followers that tell a flash from a lasting change.
        """
        levels = [*self._past, *(m.exposure for m in moments)]
        start = len(self._past)
        for place, moment in enumerate(moments[:known], start):
            if moment.own is None or moment.sure or moment.doubted:
                continue
            around = levels[max(0, place - 2) : place + 3]
            jump = abs(moment.exposure - float(np.median(around))) / _FLASH
            moment.own *= np.float32(1 / (1 + jump * jump) ** 2)
            moment.doubted = True

    def _carry(self, state: Array, flow: Array, trust: Array) -> Array:
        """Move information along the motion to the next frame, and let it age."""
        shape = state.shape[:2]
        moved = warp(state, resize_flow(flow, shape))
        if trust.shape != shape:
            trust = cv2.resize(trust, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
        return cv2.multiply(moved, cv2.merge([trust, trust, trust]), dst=moved, scale=self.decay)

    def _add(self, state: Array | None, moment: _Moment) -> Array | None:
        """What is known behind a frame: what came, and the frame's own colour; at most `cap` of it."""
        if moment.own is None:
            return state
        total: Array = moment.own.copy() if state is None else cv2.add(state, moment.own, dst=state)
        if moment.sure:
            total *= np.minimum(np.float32(1), np.float32(self.cap) / np.maximum(total[..., 2:], np.float32(1e-6)))
        return total

    def _forward(self, moments: list[_Moment]) -> list[Array]:
        """Per frame: what came from before plus its own colour."""
        assert self._shape is not None
        sums = []
        for moment in moments:
            if self._state is not None and moment.motion is not None:
                self._state = self._carry(self._state, moment.motion.ba, moment.motion.trust_b)
            came = np.zeros((*self._shape, 3), np.float32) if self._state is None else self._state.copy()
            sums.append(came if moment.own is None else cv2.add(came, moment.own, dst=came))
            self._state = self._add(self._state, moment)
        return sums

    def _backward(self, moments: list[_Moment], sums: list[Array]) -> None:
        """Add to each sum what comes from behind."""
        state: Array | None = None
        for place in range(len(moments) - 1, 0, -1):
            moment = moments[place]
            state = self._add(state, moment)
            if state is None or moment.motion is None:
                continue
            state = self._carry(state, moment.motion.ab, moment.motion.trust_a)
            if place <= len(sums):
                cv2.add(sums[place - 1], state, dst=sums[place - 1])

    def _color(self, total: Array) -> Array:
        """(h, w, 3) information -> (2, h, w) a*b*, holes filled."""
        if float(total[..., 2].min()) < 20 * _FILL:
            total = _fill(total)
        weight = np.reciprocal(np.maximum(total[..., 2], np.float32(1e-12)))
        return np.stack([total[..., 0] * weight, total[..., 1] * weight])


def _information(ab: Array, precision: Array | float) -> Array:
    """(2, h, w) a*b* and its precision -> (h, w, 3) information."""
    if not isinstance(precision, np.ndarray) or precision.ndim == 0:
        precision = np.full(ab.shape[1:], precision, np.float32)
    p = np.ascontiguousarray(precision, np.float32)
    return cv2.merge([ab[0] * p, ab[1] * p, p])


def _fill(total: Array) -> Array:
    """Give colour to pixels that nothing reached: from around them, near first.

    Push-pull (Gortler et al., SIGGRAPH 1996): information is averaged into ever smaller pictures, and
    each adds to the finer one with a weight that only matters where that one knows next to nothing.
    """
    h, w = total.shape[:2]
    if min(h, w) <= 2:
        mean = total.mean(axis=(0, 1))
        return np.asarray(total + _FILL * mean / max(float(mean[2]), 1e-9), np.float32)
    small = _fill(cv2.resize(total, ((w + 1) // 2, (h + 1) // 2), interpolation=cv2.INTER_AREA))
    small *= np.float32(_FILL) / np.maximum(small[..., 2:], np.float32(1e-9))
    return cv2.add(total, cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR))
