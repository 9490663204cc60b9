"""Memory of a shot with a reference frame: frames that were colored on the way are hints for the rest of it.

The reference frame shows a thing from one side and at one size. Matching bridges a large change by small steps if
the frames between are remembered, too, as in space-time memory networks (Oh et al., ICCV 2019). Each place counts by
the confidence that its color came from a hint, so that colors which the network chose itself do not become hints;
and the network leaves out what the hints show as well (`Colorizer.remember`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np

from videocolor.models.base import LEAST_REMEMBERED, HintInput, Prediction
from videocolor.pipeline.frames import ShotFrame
from videocolor.pipeline.propagated import blend_propagated
from videocolor.types import Array

__all__ = ["MemoryState", "ShotMemory"]

_FLAT: Final = 0.02
"""Standard deviation of luma under which a picture (black, white) is no hint for anything."""


@dataclass(eq=False)
class MemoryState:
    """What is remembered."""

    frames: list[HintInput] = field(default_factory=list)
    """The latest last."""


class ShotMemory:
    """Remembers the last keyframe of each of a shot's latest windows.

    Args:
        most: frames that are remembered; 0: none.
    """

    def __init__(self, most: int) -> None:
        self.most, self.state = most, MemoryState()

    def look(self, frames: Sequence[ShotFrame], lumas: Sequence[Array], seen: Prediction) -> bool:
        """Look at a window's keyframes; whether what is remembered has changed.

        Args:
            frames: the keyframes.
            lumas: (h, w) float32 each, as the network saw them.
            seen: what it made of them.
        """
        if not self.most or not frames or seen.confidence is None or float(lumas[-1].std()) < _FLAT:
            return False
        luma, ab = lumas[-1], seen.ab[-1]
        if frames[-1].propagated:
            ab = blend_propagated(ab, frames[-1].propagated)
        size = luma.shape[::-1]
        a, b, known = (cv2.resize(p, size, interpolation=cv2.INTER_LINEAR) for p in (*ab, seen.confidence[-1]))
        mask = np.where(known > LEAST_REMEMBERED, known, np.float32(0))
        self.state.frames = [*self.state.frames, HintInput(luma, np.stack([a, b]), mask)][-self.most :]
        return True
