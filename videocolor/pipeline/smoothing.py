"""Temporal smoothing of chroma: one filter that removes noise and propagates color to frames that have none.

Every pixel has an estimate of its a*b* and the precision of that estimate. From frame to frame both are warped along
the motion; precision decays with age and with doubt about the motion; a frame that was colored adds its own chroma
with its own precision. That is a Kalman filter per pixel in information form: the state is (p a, p b, p), so
prediction is one warp and update is one sum, and pixels without information never dilute those with some. The filter
runs forward through a shot, and backward through a window with a few frames of look-ahead; the two and the frame's own
chroma are summed (two-filter smoothing, Fraser and Potter 1969).

    smoother = KalmanSmoother()                        # a new one for every shot
    waiting = [moment_of(gray, motion), ...]           # frames of the shot that are not finished
    smoother.observe(waiting[0], ab, precision)        # those that were colored
    count = smoother.delay.ready(len(waiting))
    chroma = smoother.smooth(waiting, count)           # of the first `count`, which leave

Another method is a class with the interface `Smoother` and an entry in `SMOOTHERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import cv2
import numpy as np

from videocolor.config import SmoothingConfig
from videocolor.errors import PluginError
from videocolor.motion.flow import Motion, resize_flow, warp
from videocolor.types import Array

__all__ = [
    "SMOOTHERS",
    "Delay",
    "KalmanSmoother",
    "Moment",
    "NoSmoothing",
    "Observation",
    "Smoother",
    "check_chroma",
    "moment_of",
]

Observation = tuple[Array, Array | float]
"""a*b* (2, h, w) float32 and its precision: a number or (h, w) float32; 1 is that of a network."""

CAP: Final = 200.0
"""Default of `KalmanSmoother.cap`."""
_FLASH: Final = 0.06
"""Change of log exposure against the neighbors from which a frame's colors are doubted."""
_FILL: Final = 1e-3
"""Precision of a color that was filled in from the surroundings: any observation outweighs it."""


@dataclass(eq=False)
class Moment:
    """What smoothing needs of a frame."""

    exposure: float
    """Logarithm of the frame's mean luma."""
    motion: Motion | None
    """From the frame before (a) to this one (b); None for the first of a shot."""
    observed: Array | None = None
    """The frame's own chroma in the smoother's form; None: it has none."""
    exact: bool = False
    """The frame's own chroma must come back as it is: its precision is far above a network's."""
    compared: bool = False
    """Its exposure was compared with its neighbors'."""


def moment_of(gray: Array, motion: Motion | None) -> Moment:
    """Describe a frame without chroma, from its (h, w) uint8 luma."""
    return Moment(float(np.log(cv2.mean(gray)[0] + 8.0)), motion)


@dataclass(frozen=True)
class Delay:
    """When frames are finished: at least `window` at once, and `look_ahead` frames before the latest."""

    window: int = 1
    look_ahead: int = 0

    def ready(self, waiting: int) -> int:
        """How many of the waiting frames can be finished now."""
        count = waiting - self.look_ahead
        return count if count >= self.window else 0


class Smoother(Protocol):
    """Smooths the chroma of one shot over time."""

    delay: Delay
    state: Any
    """A dataclass with all that later frames depend on; see `videocolor.pipeline.state`."""

    def observe(self, moment: Moment, ab: Array, precision: Array | float) -> None:
        """Give a frame its own chroma, before it is smoothed; see `Observation`."""

    def smooth(self, moments: Sequence[Moment], count: int, *, last: bool = False) -> list[Array]:
        """Finish frames.

        Args:
            moments: all frames that wait, in film order.
            count: how many of them, from the first on, are finished; they must not be given again.
            last: no frame of the shot follows.

        Returns:
            (2, h, w) float32 a*b* of each finished frame.
        """


@dataclass(eq=False)
class _Nothing:
    """No state."""


def check_chroma(found: Any, count: int, name: str) -> list[Array]:
    """Return what a method's `smooth` returned, if it is what it must be.

    Raises:
        PluginError: another number of frames, shape or type, or values that are not finite.
    """
    if not isinstance(found, list) or len(found) != count:
        shown = f"{len(found)} frames" if isinstance(found, list) else type(found).__name__
        raise PluginError(f"smoothing.method {name}: smooth returned {shown}; expected a list of {count}")
    for ab in found:
        if not isinstance(ab, np.ndarray) or ab.ndim != 3 or len(ab) != 2 or ab.dtype != np.float32:
            shown = f"{ab.shape} {ab.dtype}" if isinstance(ab, np.ndarray) else type(ab).__name__
            raise PluginError(f"smoothing.method {name}: a frame is {shown}; expected (2, h, w) float32")
        if not np.isfinite(ab).all():
            raise PluginError(f"smoothing.method {name}: a frame has values that are not finite")
    return found


class NoSmoothing:
    """Every frame keeps its own chroma."""

    def __init__(self) -> None:
        self.delay, self.state = Delay(), _Nothing()

    def observe(self, moment: Moment, ab: Array, precision: Array | float) -> None:
        """See `Smoother`."""
        moment.observed = ab

    def smooth(self, moments: Sequence[Moment], count: int, *, last: bool = False) -> list[Array]:
        """See `Smoother`.

        Raises:
            ValueError: a frame has no chroma.
        """
        found = [moment.observed for moment in moments[:count] if moment.observed is not None]
        if len(found) < count:
            raise ValueError("without smoothing every frame needs its own chroma")
        return found


@dataclass(eq=False)
class KalmanState:
    """What frames that are finished leave to later ones."""

    information: Array | None = None
    """(h, w, 3) of the last finished frame, itself included."""
    exposures: list[float] = field(default_factory=list)
    """Of the last two finished frames."""


class KalmanSmoother:
    """Motion-guided fusion of the chroma of one shot.

    At most `window + look_ahead - 1` frames wait when frames are finished as soon as they are ready.

    Args:
        decay: share of its precision that a color keeps over one frame, 0 up to but not including 1; 0.9 averages over
            some ten frames each way.
        cap: largest precision that is propagated; a reference frame (precision far above it) is reproduced and
            then dominates its surroundings until it has decayed to the precision of the network's frames.
        window: frames that are finished together, at least.
        look_ahead: frames after a window that contribute to it.
    """

    def __init__(self, *, decay: float = 0.9, cap: float = CAP, window: int = 16, look_ahead: int = 8) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"{decay=}: expected 0 up to but not including 1")
        if window < 1 or look_ahead < 0 or cap <= 0:
            raise ValueError(f"{window=}, {look_ahead=}, {cap=}: expected at least 1, 0 and above 0")
        self.decay, self.cap, self.delay = decay, cap, Delay(window, look_ahead)
        self.state = KalmanState()

    def observe(self, moment: Moment, ab: Array, precision: Array | float) -> None:
        """See `Smoother`. All chroma of a shot shares one grid, which may be smaller than the luma's."""
        moment.observed = _information(ab, precision)
        moment.exact = float(np.max(precision)) > self.cap

    def smooth(self, moments: Sequence[Moment], count: int, *, last: bool = False) -> list[Array]:
        """See `Smoother`.

        Raises:
            ValueError: no frame of the shot has chroma yet, or not all of it is on one grid.
        """
        if count == 0:
            return []
        shape = self._grid(moments)
        self._damp_flashes(moments, len(moments) if last else len(moments) - 2)
        sums = self._forward(moments[:count], shape)
        self._backward(moments, sums)
        exposures = [*self.state.exposures, *(moment.exposure for moment in moments[:count])]
        self.state.exposures = exposures[-2:]
        return [self._color(total) for total in sums]

    def _grid(self, moments: Sequence[Moment]) -> tuple[int, ...]:
        """Shape of the information of all frames."""
        known = (self.state.information, *(moment.observed for moment in moments))
        shapes = {array.shape for array in known if array is not None}
        if not shapes:
            raise ValueError("no frame of the shot has a color yet: observe one first")
        if len(shapes) > 1:
            raise ValueError(f"the colors of a shot must be on one grid, these are on {sorted(shapes)}")
        return shapes.pop()

    def _damp_flashes(self, moments: Sequence[Moment], known: int) -> None:
        """Lower the precision of one or two frames whose exposure leaves that of their neighbors.

        Only the first `known` moments have the two followers that distinguish a flash from a lasting change.
        """
        levels = [*self.state.exposures, *(m.exposure for m in moments)]
        start = len(self.state.exposures)
        for place, moment in enumerate(moments[: max(known, 0)], start):
            if moment.observed is None or moment.exact or moment.compared:
                continue
            around = levels[max(0, place - 2) : place + 3]
            jump = abs(moment.exposure - float(np.median(around))) / _FLASH
            moment.observed *= np.float32(1 / (1 + jump * jump) ** 2)
            moment.compared = True

    def _propagate(self, information: Array, flow: Array, trust: Array) -> Array:
        """Warp information to the next frame, and let it decay."""
        shape = information.shape[:2]
        moved = warp(information, resize_flow(flow, shape))
        if trust.shape != shape:
            trust = cv2.resize(trust, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
        return cv2.multiply(moved, cv2.merge([trust, trust, trust]), dst=moved, scale=self.decay)

    def _add(self, information: Array | None, moment: Moment) -> Array | None:
        """Information after a frame: what was propagated to it and its own, at most `cap` of it."""
        if moment.observed is None:
            return information
        own = moment.observed
        total: Array = own.copy() if information is None else cv2.add(information, own, dst=information)
        if moment.exact:
            total *= np.minimum(np.float32(1), np.float32(self.cap) / np.maximum(total[..., 2:], np.float32(1e-6)))
        return total

    def _forward(self, moments: Sequence[Moment], shape: tuple[int, ...]) -> list[Array]:
        """Per frame: the information of earlier frames plus its own."""
        sums, now = [], self.state.information
        for moment in moments:
            if now is not None and moment.motion is not None:
                now = self._propagate(now, moment.motion.ba, moment.motion.trust_b)
            total = np.zeros(shape, np.float32) if now is None else now.copy()
            sums.append(total if moment.observed is None else cv2.add(total, moment.observed, dst=total))
            now = self._add(now, moment)
        self.state.information = now
        return sums

    def _backward(self, moments: Sequence[Moment], sums: list[Array]) -> None:
        """Add the information of later frames to each sum."""
        now: Array | None = None
        for place in range(len(moments) - 1, 0, -1):
            moment = moments[place]
            now = self._add(now, moment)
            if now is None or moment.motion is None:
                continue
            now = self._propagate(now, moment.motion.ab, moment.motion.trust_a)
            if place <= len(sums):
                cv2.add(sums[place - 1], now, dst=sums[place - 1])

    def _color(self, total: Array) -> Array:
        """(h, w, 3) information -> (2, h, w) a*b*, holes filled."""
        if float(total[..., 2].min()) < 20 * _FILL:
            total = _fill(total)
        weight = np.reciprocal(np.maximum(total[..., 2], np.float32(1e-12)))
        return np.stack([total[..., 0] * weight, total[..., 1] * weight])


def _kalman(config: SmoothingConfig, cap: float) -> Smoother:
    return KalmanSmoother(decay=config.decay, cap=cap)


SMOOTHERS: Final[dict[str, Callable[[SmoothingConfig, float], Smoother]]] = {
    "kalman": _kalman,
    "none": lambda *_: NoSmoothing(),
}
"""Methods by name: made of the settings, and of the largest precision that they may propagate by themselves."""


def _information(ab: Array, precision: Array | float) -> Array:
    """(2, h, w) a*b* and its precision -> (h, w, 3) information."""
    if not isinstance(precision, np.ndarray) or precision.ndim == 0:
        precision = np.full(ab.shape[1:], precision, np.float32)
    p = np.ascontiguousarray(precision, np.float32)
    return cv2.merge([ab[0] * p, ab[1] * p, p])


def _fill(total: Array) -> Array:
    """Fill pixels without information from their surroundings, the nearest first.

    Push-pull (Gortler et al., SIGGRAPH 1996): information is averaged into ever smaller pictures, and
    each adds to the finer one with a weight that only matters where that one has next to none.
    """
    h, w = total.shape[:2]
    if min(h, w) <= 2:
        mean = total.mean(axis=(0, 1))
        return np.asarray(total + _FILL * mean / max(float(mean[2]), 1e-9), np.float32)
    small = _fill(cv2.resize(total, ((w + 1) // 2, (h + 1) // 2), interpolation=cv2.INTER_AREA))
    small *= np.float32(_FILL) / np.maximum(small[..., 2:], np.float32(1e-9))
    return cv2.add(total, cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR))
