"""What a published system tells the training loop: its network, its samples, its error, its pictures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from videocolor.datasets.pack import PackReader
from videocolor.models.artifact import Artifact
from videocolor.models.base import ModelCard
from videocolor.published.samples import Pictures, Samples
from videocolor.published.train_config import PublishedConfig
from videocolor.types import Array

__all__ = ["C", "Task", "artifact_of", "bytes_of", "luma_of", "ordered", "picture_tensor", "pictures_of"]

C = TypeVar("C", bound=PublishedConfig)


class Task(ABC, Generic[C]):
    """One system's training.

    Args:
        config: the settings.
        learning: something is to be learnt; false where a checkpoint is only packaged, which needs no pack.

    Raises:
        InputError, ModelError: a pack, a weights file or a backbone is missing or does not fit.
    """

    net: nn.Module
    """All that the weights file will hold, frozen parts too."""

    def __init__(self, config: C, *, learning: bool = True) -> None:
        self.config, self.device = config, torch.device("cpu")
        data = config.data
        self.samples: Samples | None = None
        self.held: Samples | None = None
        if learning:
            self.samples = Samples(PackReader(data.pack), data, config.size, config.seed)
            if data.held_pack.exists():
                self.held = Samples(PackReader(data.held_pack), data, config.size, config.seed, held=True)

    def place(self, device: torch.device) -> None:
        """Move the network to where it is trained, and make ready what stays the same in all steps."""
        self.device = device
        self.net.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def trained(self) -> list[nn.Parameter]:
        """What learns."""
        return [parameter for parameter in self.net.parameters() if parameter.requires_grad]

    def draw(self, numbers: Array, epoch: int, held: bool = False) -> Any:
        """A batch, in the machine's memory; runs in a thread beside the step."""
        samples = self.held if held else self.samples
        assert samples is not None
        return samples.draw(numbers, epoch)

    @abstractmethod
    def error(self, batch: Any) -> Tensor:
        """Mean squared error of a batch: what is minimized, and what is reported."""

    @abstractmethod
    def columns(self, batch: Any) -> Mapping[str, Array]:
        """Pictures of a batch by name, each (n, h, w, 3) uint8: the sheet's columns."""

    def signs(self, batch: Any) -> dict[str, float]:
        """What else an epoch's line should say of a held-back batch, by name."""
        return {}

    @abstractmethod
    def artifact(self, notes: dict[str, Any]) -> Artifact:
        """The network as a weights file holds it.

        Raises:
            ModelError: it is a part that colours nothing by itself.
        """


def artifact_of(
    net: nn.Module, card: ModelCard, architecture: str, network: dict[str, Any], notes: dict[str, Any]
) -> Artifact:
    """A network as a weights file holds it.

    Args:
        net: its whole state goes in.
        card: what it is.
        architecture: which loader reads it.
        network: what it is built from.
        notes: what else is known of its training.
    """
    weights = {
        name: value.float().cpu().contiguous().numpy()
        for name, value in net.state_dict().items()
        if value.dtype.is_floating_point
    }
    return Artifact(card, architecture, {"network": network, **notes}, weights)


def ordered(config: PublishedConfig, first: int) -> Iterator[tuple[int, Array]]:
    """(epoch, sample numbers) of step `first` and all after it; each epoch has an order of its own."""
    for step in range(first, config.steps):
        epoch, place = divmod(step, config.epoch_steps)
        random = np.random.Generator(np.random.Philox(key=[config.seed, 2 + epoch]))
        order = random.permutation(config.data.train)
        yield epoch, order[place * config.batch : (place + 1) * config.batch]


def picture_tensor(pictures: Array, device: torch.device) -> Tensor:
    """(n, h, w, 3) uint8 to (n, 3, h, w) float32 in 0..1, in memory as it was."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).to(device).permute(0, 3, 1, 2).float() / 255


def bytes_of(pictures: Tensor) -> Array:
    """(n, 1 or 3, h, w) in 0..1 to (n, h, w, 3) uint8."""
    full = pictures.float().clamp(0, 1).expand(-1, 3, -1, -1)
    return np.ascontiguousarray(torch.round(full * 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy())


def luma_of(rgb: Tensor) -> Tensor:
    """(n, 3, h, w) R'G'B' to (n, 1, h, w) Y' of BT.709, as films are read."""
    return (rgb * rgb.new_tensor([0.2126, 0.7152, 0.0722])[:, None, None]).sum(dim=1, keepdim=True)


def pictures_of(batch: Pictures, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Truth and its hint (n, 3, h, w) in 0..1, and the truth's luma (n, 1, h, w)."""
    rgb = picture_tensor(batch.rgb, device)
    return rgb, picture_tensor(batch.hint, device), luma_of(rgb)
