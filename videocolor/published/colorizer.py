"""Load, check and run the networks of the published systems in torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, ClassVar, Final, Self, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from videocolor.errors import DeviceError, ModelError, UsageError
from videocolor.models.artifact import Artifact
from videocolor.models.base import Colorizer, HintInput, ModelCard
from videocolor.types import Array

__all__ = ["PublishedNet", "TorchColorizer"]

S = TypeVar("S")
_CHECKED: Final = ("hints", "parameters", "multiple", "output_stride", "size", "propagates")
"""Fields of a card that follow from the network."""


def _settings(artifact: Artifact, kind: type[S]) -> S:
    """Read the settings that the network of a weights file is built from.

    Raises:
        ModelError: the file does not say it, or says something else.
    """
    found = artifact.training.get("network")
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    if not isinstance(found, dict) or set(found) != names:
        raise ModelError(f"{artifact.card.name}: its notes do not say how the network is built ({', '.join(names)})")
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in found.items()})


class PublishedNet(nn.Module, ABC):
    """A network that is built from settings and describes itself.

    Args:
        settings: a dataclass, which a weights file stores.
    """

    def __init__(self, settings: Any) -> None:
        super().__init__()
        self.settings = settings

    @abstractmethod
    def about(self) -> dict[str, Any]:
        """Fields of the card that the networks do not share."""

    def card(self, name: str) -> ModelCard:
        """Describe the network."""
        parameters = sum(parameter.numel() for parameter in self.parameters())
        return ModelCard(name=name, parameters=parameters, macs=None, multiple=8, licence="Apache-2.0", **self.about())

    def installed(self) -> dict[str, Callable[[], object]]:
        """Frozen parts whose weights an installed package has: prefix of their names -> loads them.

        A weights file may leave them out.
        """
        return {}


def _fill(net: PublishedNet, artifact: Artifact, device: str, threads: int | None) -> None:
    """Load a file's weights into a network, check its card against it, and move it to a device."""
    card, expected = artifact.card, net.card(artifact.card.name)
    for name in _CHECKED:
        said, is_ = getattr(card, name), getattr(expected, name)
        if said != is_:
            raise ModelError(f"{card.name}: its card says {name} = {said}, its network has {is_}; package it again")
    try:
        weights = {name: torch.from_numpy(value) for name, value in artifact.weights.items()}
        missing, unknown = net.load_state_dict(weights, strict=False)
        for prefix, load in net.installed().items():
            if any(name.startswith(prefix) for name in missing):
                load()
                missing = [name for name in missing if not name.startswith(prefix)]
        if missing or unknown:
            raise RuntimeError(f"missing: {missing[:2]}, unknown: {unknown[:2]}")
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
    """A network in torch that colors every frame by itself.

    Args:
        card: of the network.
        net: on the device.
        device: its name.
    """

    network: ClassVar[type[PublishedNet]]
    settings: ClassVar[type]
    """What the network is built from."""

    def __init__(self, card: ModelCard, net: nn.Module, device: str) -> None:
        self.card, self.net, self._device = card, net, torch.device(device)

    @classmethod
    def load(cls, artifact: Artifact, device: str, threads: int | None) -> Self:
        """Make a colorizer of a weights file.

        Raises:
            ModelError: weights, card and settings do not belong together.
            DeviceError: the device is not there.
        """
        net = cls.network(_settings(artifact, cls.settings))
        _fill(net, artifact, device, threads)
        return cls(artifact.card, net, device)

    def begin(self, hints: Sequence[HintInput]) -> Any:
        """Check the hints; nothing is kept."""
        self._check_hints(hints)

    def _check_hints(self, hints: Sequence[HintInput]) -> None:
        if self.card.max_hints is not None and len(hints) > self.card.max_hints:
            most = "one" if self.card.max_hints else "no"
            raise UsageError(f"model {self.card.name} takes {most} hint, {len(hints)} given")

    def _check_size(self, luma: Array) -> None:
        """Reject frames of a size that the card does not ask for."""
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
