"""LPIPS-Alex, version 0.1: R. Zhang et al., The unreasonable effectiveness of deep features (CVPR 2018).

The weights are not part of this package; pipelines/convert_lpips.py makes the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from safetensors import SafetensorError, safe_open

from videocolor.errors import InputError, ModelError
from videocolor.evaluation.metrics.base import Column, Metric, MetricOptions, Score, ScoredFrame
from videocolor.evaluation.metrics.lab import peak_of
from videocolor.types import Array

__all__ = ["CONVOLUTIONS", "Lpips", "LpipsAlex", "check_tensors"]

_SMALLEST: Final = 32
"""Pixels a side under which the network's last stages see nothing."""
CONVOLUTIONS: Final = (
    (64, 3, 11, 4, 2),
    (192, 64, 5, 1, 2),
    (384, 192, 3, 1, 1),
    (256, 384, 3, 1, 1),
    (256, 256, 3, 1, 1),
)
"""(outputs, inputs, kernel, stride, padding) of AlexNet's five convolutions; a 3x3 pooling of stride 2 follows the
first two."""
_SHIFT: Final = (-0.030, -0.088, -0.188)
_SCALE: Final = (0.458, 0.448, 0.450)
"""What the network takes as mean and deviation of R', G', B' in -1..1."""


class Lpips(Metric):
    """LPIPS-Alex on every Nth scored frame, see `LpipsAlex`."""

    name = "lpips_alex"
    keys = ("lpips_alex",)
    columns = (Column("lpips_alex", "LPIPS", 4, "lower"),)

    def __init__(self, options: MetricOptions) -> None:
        super().__init__(options)
        self._network = None if options.lpips_weights is None else LpipsAlex.load(options.lpips_weights)

    def measure(self, frame: ScoredFrame) -> Mapping[str, Any]:
        """Measure sampled frames; nothing without weights and for small pictures."""
        if self._network is None or frame.scored % self.options.lpips_every or frame.side < _SMALLEST:
            return {}
        return {"lpips_alex": self._network(frame.truth.rgb, frame.test.rgb)}

    def result(self) -> dict[str, Score]:
        """Return the mean, and which frames it is of."""
        about = {"lpips_every": self.options.lpips_every, "lpips_frames": self.count("lpips_alex")}
        return {**super().result(), **about}

    def reasons(self) -> dict[str, str]:
        """Say whether weights are missing, or pixels."""
        none = self._network is None
        return {self.name: "no weights given (--lpips-weights FILE)" if none else f"under {_SMALLEST} pixels a side"}


class LpipsAlex:
    """Learned perceptual distance of two pictures; may be called from several threads.

    Args:
        tensors: `conv0..4.weight` (OIHW) and `.bias`, `lin0..4.weight` (channels,), float32.
    """

    def __init__(self, tensors: dict[str, Array]) -> None:
        import torch

        self._tensors = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in tensors.items()}

    @classmethod
    def load(cls, weights: Path) -> LpipsAlex:
        """Read a file that pipelines/convert_lpips.py wrote.

        Raises:
            InputError: there is no such file.
            ModelError: it holds something else.
        """
        if not weights.is_file():
            raise InputError(f"{weights}: no such file; pipelines/convert_lpips.py makes one")
        try:
            with safe_open(weights, framework="numpy") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a mapping)
        except (SafetensorError, OSError, ValueError) as error:
            raise ModelError(f"{weights}: not a safetensors file ({error}); make one by convert_lpips.py") from error
        check_tensors(tensors, str(weights))
        return cls(tensors)

    def __call__(self, truth: Array, test: Array) -> float:
        """Return the distance: weighted squared differences of normalized features, averaged, summed over stages.

        Args:
            truth: (h, w, 3) R'G'B': uint8, uint16 or float 0..1, at least 32 pixels a side.
            test: the same.

        Returns:
            0 for equal pictures; 0.7 is far.

        Raises:
            ValueError: the pictures are too small.
        """
        import torch
        from torch.nn import functional

        if min(truth.shape[:2]) < _SMALLEST:
            raise ValueError(f"{truth.shape=}: LPIPS needs at least {_SMALLEST} pixels a side")
        pictures = np.stack([truth, test]).astype(np.float32) * np.float32(2 / peak_of(truth)) - np.float32(1)
        scaled: Array = (pictures - np.array(_SHIFT, np.float32)) / np.array(_SCALE, np.float32)
        total = 0.0
        with torch.inference_mode():
            x = torch.from_numpy(np.ascontiguousarray(scaled.transpose(0, 3, 1, 2)))
            for stage, (_, _, _, stride, padding) in enumerate(CONVOLUTIONS):
                if stage in (1, 2):
                    x = functional.max_pool2d(x, 3, 2)
                weight, bias = self._tensors[f"conv{stage}.weight"], self._tensors[f"conv{stage}.bias"]
                x = functional.relu(functional.conv2d(x, weight, bias, stride, padding))
                unit = x / (x.square().sum(dim=1, keepdim=True).sqrt() + 1e-10)
                apart = (unit[0] - unit[1]).square().double().mean(dim=(1, 2))
                total += float(apart @ self._tensors[f"lin{stage}.weight"].double())
        return total


def check_tensors(tensors: dict[str, Array], where: str) -> None:
    """Compare names, shapes and types with what the network needs."""
    expected: dict[str, tuple[int, ...]] = {}
    for stage, (outputs, inputs, kernel, _, _) in enumerate(CONVOLUTIONS):
        expected[f"conv{stage}.weight"] = (outputs, inputs, kernel, kernel)
        expected[f"conv{stage}.bias"] = expected[f"lin{stage}.weight"] = (outputs,)
    for name, shape in expected.items():
        found = tensors.get(name)
        if found is None or found.shape != shape or found.dtype != np.float32:
            is_ = "is missing" if found is None else f"is {found.dtype} {found.shape}"
            raise ModelError(f"{where}: {name} {is_}; LPIPS-Alex needs float32 {shape}")
        if not np.isfinite(found).all():
            raise ModelError(f"{where}: {name} holds values that are not numbers")
    unknown = sorted(set(tensors) - set(expected))
    if unknown:
        raise ModelError(f"{where}: holds {unknown[0]}, which is no part of LPIPS-Alex")
