"""A hint's colour, brought along by motion: where every pixel of a frame stood in the hinted frame, and how surely.

    carrier = HintCarrier(shape)                                  # one for every shot
    for window in windows_of(shot):
        carried = carrier.follow(grays, motions, hints, anchors)  # what each anchor gets

Places are composed from frame to frame, and the hint's colour is looked up once, from the hint itself: it is not
blurred by being moved again and again, as a carried picture is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import cv2
import numpy as np

from videocolor.flow import FlowEstimator, Motion, consistency, grid, look_up, resize_flow
from videocolor.types import Array

__all__ = ["RELOCK_EVERY", "HintCarrier", "Places"]

RELOCK_EVERY: Final = 4
"""Frames between comparisons with the hinted frame itself."""
_BETTER: Final = 0.9
"""Misfit against the composed places' under which a newly found place is taken."""


Step = tuple[Array, Motion | None]
"""A frame as `FlowEstimator.prepare` returns it, and the motion from the frame before (a) to it (b); None at first."""


class Places:
    """Where the pixels of the present frame stood in the first one.

    Args:
        height, width: of the grid of the motions that will follow.
    """

    def __init__(self, height: int, width: int) -> None:
        self.at: Array = grid(height, width).copy()
        """(h, w, 2) float32, (x, y) in the first frame, in pixels of this grid."""
        self.trust: Array = np.ones((height, width), np.float32)
        """(h, w) float32 in 0..1, the product of the trust of all steps."""

    def step(self, motion: Motion) -> None:
        """Go on to the next frame: `motion` is from the present one (a) to that (b)."""
        there = cv2.add(grid(*self.trust.shape), motion.ba)
        self.at = look_up(self.at, there)
        self.trust = look_up(self.trust, there) * motion.trust_b

    def relock(self, now: Array, first: Array, flow: FlowEstimator) -> None:
        """Compare the present frame with the first one itself, and mend what has drifted on the way.

        The composed places are where the search starts. Where luma then agrees better, what was found is taken; and
        what the direct comparison vouches for, forward and backward, is trusted again.

        Args:
            now: (h, w) uint8, the present frame as `FlowEstimator.prepare` returns it.
            first: (h, w) uint8, the first frame likewise.
            flow: what prepared them.
        """
        here = grid(*self.trust.shape)
        found = cv2.add(here, flow.refine(now, first, self.at - here))
        better = (_misfit(found, now, first) < _BETTER * _misfit(self.at, now, first)).astype(np.float32)
        share = cv2.blur(better, (5, 5))[..., None]
        self.at += share * (found - self.at)
        back = flow.refine(first, now, _turned(self.at))
        self.trust = np.maximum(self.trust, consistency(self.at - here, back, now, first))

    def scaled(self, height: int, width: int) -> Array:
        """(height, width, 2) float32: the places on another grid, in pixels of that grid."""
        shape = self.trust.shape
        moved = resize_flow(self.at - grid(*shape), (height, width))
        return cv2.add(grid(height, width), moved)


def _misfit(at: Array, now: Array, first: Array) -> Array:
    """Squared difference of luma around each pixel, (h, w) float32."""
    difference = look_up(first, at).astype(np.float32) - now
    return np.asarray(cv2.blur(difference * difference, (7, 7)))


def _turned(at: Array) -> Array:
    """The way back, about: (h, w, 2) float32 flow from the first frame to the present one."""
    height, width = at.shape[:2]
    here = grid(height, width)
    back = here - at  # where nothing comes from, the way at the same place
    x = np.rint(at[..., 0]).astype(np.intp).clip(0, width - 1)
    y = np.rint(at[..., 1]).astype(np.intp).clip(0, height - 1)
    back[y, x] = here - at
    return back


class HintCarrier:
    """The latest hint of a shot on its way through it.

    Args:
        shape: (height, width) of the grid that is wanted.
        flow: what finds the shot's motion.
    """

    def __init__(self, shape: tuple[int, int], flow: FlowEstimator) -> None:
        self._shape, self._flow = shape, flow
        self._ab: list[Array] = []
        self._gray: Array | None = None
        self._first: Array | None = None
        self._places: Places | None = None
        self._age = 0

    def follow(
        self, grays: Sequence[Array], steps: Sequence[Step], hints: Mapping[int, Array], wanted: Collection[int]
    ) -> dict[int, Array]:
        """Go through the next frames of the shot.

        Args:
            grays: (h, w) uint8 each, luma at the working size.
            steps: each frame prepared for motion, and the motion from the frame before it.
            hints: place of a hinted frame -> (2, H, W) float32 its a*b*, at any size.
            wanted: places whose carried chroma is asked for.

        Returns:
            Place -> (4, *shape) float32: a*b*, trust in 0..1, and how much brighter (Y' in -1..1) the carried frame
            is; only for frames that a hint came before.
        """
        carried = {}
        for place, (gray, (picture, motion)) in enumerate(zip(grays, steps, strict=True)):
            if self._places is not None and self._first is not None and motion is not None:
                self._places.step(motion)
                self._age += 1
                if self._age % RELOCK_EVERY == 0:
                    self._places.relock(picture, self._first, self._flow)
            if place in hints:
                self._ab = [np.ascontiguousarray(plane, np.float32) for plane in hints[place]]
                self._gray, self._first, self._age = gray, picture, 0
                self._places = Places(*picture.shape)
            elif self._places is not None and place in wanted:
                carried[place] = self._view(gray)
        return carried

    def memory(self) -> dict[str, Array]:
        """All that the shot's further frames depend on, as arrays; see `ChromaSmoother.memory`."""
        if self._places is None or self._gray is None or self._first is None:
            return {}
        planes = {f"ab.{place}": plane for place, plane in enumerate(self._ab)}
        places = {"at": self._places.at, "trust": self._places.trust}
        return {**planes, **places, "gray": self._gray, "first": self._first, "age": np.array(self._age)}

    def recall(self, memory: Mapping[str, Array]) -> None:
        """Take up what another carrier's `memory` returned."""
        if not memory:
            return
        self._ab = [memory[f"ab.{place}"] for place in range(sum(name.startswith("ab.") for name in memory))]
        self._gray, self._first, self._age = memory["gray"], memory["first"], int(memory["age"])
        self._places = Places(*self._first.shape)
        self._places.at, self._places.trust = memory["at"], memory["trust"]

    def _view(self, gray: Array) -> Array:
        """What has arrived at the present frame."""
        assert self._places is not None and self._gray is not None
        height, width = gray.shape
        at = self._places.scaled(height, width)
        factor = np.array([self._ab[0].shape[1] / width, self._ab[0].shape[0] / height], np.float32)
        where = (at + np.float32(0.5)) * factor - np.float32(0.5)
        brighter = (look_up(self._gray, at).astype(np.float32) - gray.astype(np.float32)) / np.float32(255)
        planes = [*(look_up(plane, where) for plane in self._ab), self._places.trust, brighter]
        size = self._shape[::-1]
        return np.stack([cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in planes])
