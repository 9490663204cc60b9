"""What the published systems' networks share when they are used: loading, checking, running in torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, Final, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from videocolor.errors import DeviceError, ModelError, UsageError
from videocolor.models.artifact import Artifact
from videocolor.models.base import Colorizer, HintInput, ModelCard
from videocolor.types import Array

__all__ = ["TorchColorizer", "lightness", "network_settings", "placed"]

S = TypeVar("S")
_CHECKED: Final = ("hints", "parameters", "multiple", "output_stride", "size", "carries")
"""What of a card follows from the network."""


def network_settings(artifact: Artifact, kind: type[S]) -> S:
    """What the network of a weights file is built from.

    Raises:
        ModelError: the file does not say it, or says something else.
    """
    found = artifact.training.get("network")
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    if not isinstance(found, dict) or set(found) != names:
        raise ModelError(f"{artifact.card.name}: its notes do not say how the network is built ({', '.join(names)})")
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in found.items()})


def placed(net: nn.Module, artifact: Artifact, expected: ModelCard, device: str, threads: int | None) -> None:
    """Load a file's weights into a network, check its card against it, and move it to a device.

    Raises:
        ModelError: weights or card are not this network's.
        DeviceError: the device is not there.
    """
    card = artifact.card
    for name in _CHECKED:
        said, is_ = getattr(card, name), getattr(expected, name)
        if said != is_:
            raise ModelError(f"{card.name}: its card says {name} = {said}, its network has {is_}; package it again")
    try:
        net.load_state_dict({name: torch.from_numpy(value) for name, value in artifact.weights.items()})
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(f"{card.name}: the weights do not fit the network ({reason})") from error
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        where = torch.device(device)
        if where.type == "cuda" and not torch.cuda.is_available():
            raise DeviceError(f"device {device!r}: torch sees no CUDA device; use --device cpu")
        net.to(device=where, memory_format=torch.channels_last)  # type: ignore[call-overload]
    except RuntimeError as error:
        raise DeviceError(f"device {device!r} cannot be used: {error}") from error
    net.eval()


class TorchColorizer(Colorizer):
    """A network in torch that treats every frame by itself.

    Args:
        card: what the network is.
        net: placed on the device.
        device: where that is.
    """

    def __init__(self, card: ModelCard, net: nn.Module, device: str) -> None:
        self.card, self.net, self._device = card, net, torch.device(device)

    def begin(self, hints: Sequence[HintInput]) -> Any:
        """Nothing to remember."""
        self._check_hints(hints)

    def _check_hints(self, hints: Sequence[HintInput]) -> None:
        most = {"none": 0, "one": 1, "many": len(hints)}[self.card.hints]
        if len(hints) > most:
            raise UsageError(f"model {self.card.name} takes {'no' if not most else 'one'} hint, {len(hints)} given")

    def _check_size(self, luma: Array) -> None:
        """Refuse a size that the card does not ask for."""
        size, step = self.card.size, self.card.multiple
        height, width = luma.shape[1:]
        if size is not None and (height, width) != tuple(size):
            raise ModelError(f"model {self.card.name} takes {size[1]}x{size[0]} pixels only, not {width}x{height}")
        if height % step or width % step:
            raise ModelError(f"model {self.card.name} takes multiples of {step} pixels, not {width}x{height}")

    def _run(self, function: Callable[..., Tensor], *inputs: Array) -> Array:
        try:
            with torch.inference_mode():
                given = (torch.from_numpy(np.array(x, np.float32)).to(self._device) for x in inputs)
                return np.ascontiguousarray(function(*given).float().cpu().numpy())
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            raise DeviceError(f"{self._device}: out of memory with an input of {inputs[0].shape}") from error


def lightness(luma: Tensor) -> Tensor:
    """CIE L* in 0..100 of a gray pixel R' = G' = B' = Y'; (...) in 0..1 to (...)."""
    linear = torch.where(luma > 0.04045, ((luma + 0.055) / 1.055).clamp_min(0.0) ** 2.4, luma / 12.92)
    return torch.where(linear > 216 / 24389, 116 * linear.clamp_min(1e-6) ** (1 / 3) - 16, linear * (24389 / 27))
