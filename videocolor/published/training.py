"""What the trainings of H, R and F share: samples by number, epochs, errors, and the weights file at the end."""

from __future__ import annotations

import dataclasses
import logging
import math
import time
from abc import abstractmethod
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final, Generic, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from videocolor.color import LUMA_WEIGHTS
from videocolor.datasets.pack import Item, PackReader
from videocolor.errors import ConfigError, InputError, ModelError
from videocolor.images import resized
from videocolor.models.artifact import Artifact, write_artifact
from videocolor.models.base import ModelCard
from videocolor.published.colorizer import PublishedNet
from videocolor.published.config import PublishedConfig, PublishedData
from videocolor.training.distributed import ProcessGroup
from videocolor.training.loop import Task
from videocolor.types import Array

__all__ = ["Pictures", "PublishedTask", "Samples", "as_bytes", "fit_white", "ordered", "tensors_of"]

_log = logging.getLogger(__name__)
_BEFORE: Final = 2.0
"""Seconds to the frame before, at most."""
_SIGNS: Final = 32
"""Held-back samples that signs of life are measured on."""
_FOLDERS: Final = {"out", "gray", "outlines", "hint", "encoder_weights", "weights"}
"""Settings that name folders of the machine and say nothing of the training."""


class Pictures(NamedTuple):
    """Samples as arrays."""

    rgb: Array
    """(n, s, s, 3) uint8, the truth."""
    hint: Array
    """(n, s, s, 3) uint8; the truth itself where the data are images."""
    shown: Array
    """(n, s, s) bool, which pixels are the picture's and not padding."""
    before: Array
    """(n, s, s, 3) uint8, the packed frame before; the truth itself where there is none within two seconds."""


class Samples:
    """The samples of a pack; sample k is a function of (seed, k) alone.

    Args:
        pack: what to draw from.
        data: which items, and how.
        size: side in pixels.
        seed: of all draws.
        held: the pack is of held-back footage, for validation.

    Raises:
        ModelError: held-back footage without `held`.
        InputError: the pack has no such item.
    """

    def __init__(self, pack: PackReader, data: PublishedData, size: int, seed: int, *, held: bool = False) -> None:
        if pack.notes.get("held") and not held:
            raise ModelError(f"{data.pack}: a pack of held-back footage, never to be trained on")
        self._pack, self._data, self._size, self._seed, self._held = pack, data, size, seed, held
        every = pack.clips if data.kind == "clips" else pack.images
        self.items = [item for item in every if f"/{data.files}" in f"/{item.file}" and data.source in item.source]
        if data.kind == "clips":
            self.items = [item for item in self.items if len(pack.pairs(item))]
        if not self.items:
            which = " ".join(part for part in (data.kind, data.files, data.source) if part)
            with_pairs = " with pairs" * (data.kind == "clips")
            frames = "; --set data.kind=clips --set data.files='' --set data.source='' takes the frames of films"
            more = frames * (data.kind == "images" and any(len(pack.pairs(item)) for item in pack.clips))
            raise InputError(f"{data.held_pack if held else data.pack}: no {which}{with_pairs} in this pack{more}")
        small = sum(min(item.height, item.width) < size for item in self.items)
        if small > len(self.items) // 2:
            _log.warning(
                "%d of %d items of the pack are smaller than %d pixels and are enlarged; pack with a larger short side",
                *(small, len(self.items), size),
            )
        self._order: Array | None = None
        if data.kind == "images" and len(self) <= len(self.items):
            # Every picture once, then again: a fixed order, which the seed gives.
            self._order = np.random.Generator(np.random.Philox(key=[seed, 1])).permutation(len(self.items))
        odds = np.array([len(item.times) for item in self.items], np.float64) ** 0.5
        self._odds = odds / odds.sum()

    def __len__(self) -> int:
        return self._data.validation if self._held else self._data.train

    def draw(self, numbers: Array, epoch: int = 0) -> Pictures:
        """Draw samples by number in the epoch, which counts only in training with `augment`."""
        first = epoch * len(self) if self._data.augment and not self._held else 0
        drawn = [self._sample(first + int(number)) for number in numbers]
        return Pictures(*(np.stack(column) for column in zip(*drawn, strict=True)))

    def _sample(self, number: int) -> tuple[Array, Array, Array, Array]:
        which = np.random.Generator(np.random.Philox(counter=[0, 0, 0, number], key=[self._seed, 0]))
        how = np.random.Generator(np.random.Philox(counter=[0, 0, 1, number], key=[self._seed, 0]))
        item = self._item(which, number)
        if self._data.kind == "clips":
            pairs = self._pack.pairs(item)
            at, other = pairs[int(which.integers(len(pairs)))].tolist()
            frame, hint = self._pack.frame(item, at), self._pack.frame(item, other)
            near = at and item.times[at] - item.times[at - 1] <= _BEFORE
            before = self._pack.frame(item, at - 1) if near else frame
        else:
            frame = hint = before = self._pack.frame(item, int(which.integers(len(item.times))))
        x, y, zoom, flip = how.random(4)
        side = round(min(frame.shape[:2]) / (1 + (self._data.zoom - 1) * zoom))
        pictures = [self._square(picture, side, x, y) for picture in (frame, hint, before)]
        mirrored = self._data.flip and flip < 0.5
        made = [np.ascontiguousarray(part[:, ::-1]) if mirrored else part for part, _ in pictures]
        shown = pictures[0][1][:, ::-1] if mirrored else pictures[0][1]
        return made[0], made[1], shown, made[2]

    def _item(self, rng: np.random.Generator, number: int) -> Item:
        if self._order is not None:
            return self.items[int(self._order[number % len(self.items)])]
        return self.items[int(rng.choice(len(self.items), p=self._odds))]

    def _square(self, rgb: Array, side: int, x: float, y: float) -> tuple[Array, Array]:
        size, fit = self._size, self._data.fit
        height, width = rgb.shape[:2]
        if fit == "crop":
            top, left = round(y * (height - side)), round(x * (width - side))
            return resized(rgb[top : top + side, left : left + side], (size, size)), np.ones((size, size), np.bool_)
        if self._data.zoom > 1:  # the same part of height and width keeps the aspect
            part = side / min(height, width)
            h, w = max(1, round(part * height)), max(1, round(part * width))
            top, left = round(y * (height - h)), round(x * (width - w))
            rgb = rgb[top : top + h, left : left + w]
        if fit == "stretch":
            return resized(rgb, (size, size)), np.ones((size, size), np.bool_)
        return fit_white(rgb, size)


def fit_white(picture: Array, size: int) -> tuple[Array, Array]:
    """Scale (h, w, 3) uint8 into the middle of a white square.

    Returns:
        (size, size, 3) uint8, and (size, size) bool, which pixels are the picture's.
    """
    height, width = picture.shape[:2]
    scale = size / max(height, width)
    h, w = max(1, round(height * scale)), max(1, round(width * scale))
    square, shown = np.full((size, size, 3), 255, np.uint8), np.zeros((size, size), np.bool_)
    top, left = (size - h) // 2, (size - w) // 2
    square[top : top + h, left : left + w] = resized(picture, (h, w))
    shown[top : top + h, left : left + w] = True
    return square, shown


P = TypeVar("P", bound=PublishedConfig)


class PublishedTask(Task[P], Generic[P]):
    """Training of one system: epochs over a fixed number of samples, Adam, one learning rate, mean squared error.

    Averaged weights, a schedule and several processes are not in the papers, so they are not used here.

    Args:
        config: the settings.

    Raises:
        ModelError: a backbone that does not exist.
    """

    free: ClassVar[frozenset[str]] = Task.free | {"save_minutes", "pictures", "epochs"}
    architecture: ClassVar[str]
    """Which loader reads the weights file."""
    net: nn.Module
    """All that the weights file will hold, frozen parts too."""
    samples: Samples
    held: Samples | None = None

    def __init__(self, config: P) -> None:
        self.config, self.device = config, torch.device("cpu")
        self._total = 0.0
        """Sum of this epoch's errors, each times its samples."""
        self._history: list[dict[str, float]] = []
        """A row for each epoch."""
        self._saved = time.monotonic()
        self._spent = np.zeros(2)
        """Seconds and CPU seconds of earlier processes of this run."""
        self._began = _clocks()

    def side(self) -> int:
        """Side of the samples in pixels."""
        return self.config.size

    def pretrain(self) -> None:
        """Load the weights that training starts from, where there are any.

        Raises:
            ModelError: they are missing or of another network.
        """

    def begin(self, group: ProcessGroup, _resumed: bool) -> None:
        """Open packs, load pretrained weights, and move the network to its device."""
        config = self.config
        if group.size > 1:
            raise ConfigError(f"system {config.system} is trained in one process; start it without torchrun")
        self.samples = Samples(PackReader(config.data.pack), config.data, self.side(), config.seed)
        if config.data.held_pack.exists():
            held = PackReader(config.data.held_pack)
            self.held = Samples(held, config.data, self.side(), config.seed, held=True)
        self.pretrain()
        self.device = group.device
        self.place()
        self.model = self.net
        trained = [parameter for parameter in self.net.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.Adam(trained, lr=config.lr)
        self._saved = time.monotonic()

    def place(self) -> None:
        """Move the network to the device."""
        self.net.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def batches(self, last: int) -> Generator[tuple[int, Any], None, None]:
        """Draw the batches; each epoch has its own order."""
        for _, (epoch, numbers) in zip(range(self.step, last), ordered(self.config, self.step), strict=False):
            yield len(numbers), self.draw(numbers, epoch)

    def draw(self, numbers: Array, epoch: int, held: bool = False) -> Any:
        """Draw a batch into CPU memory."""
        samples = self.held if held else self.samples
        assert samples is not None
        return samples.draw(numbers, epoch)

    def losses(self, batch: Any) -> Mapping[str, Tensor]:
        """Return the batch's mean squared error."""
        with self._autocast():
            return {"total": self.error(batch)}

    def rate(self) -> float:
        """Return the one learning rate."""
        return self.config.lr

    def update(self, values: Mapping[str, float], samples: int) -> None:
        """Apply the gradient and add to the epoch's error."""
        super().update(values, samples)
        self._total += values["total"] * samples

    def validation(self) -> tuple[Mapping[str, float], Array | None] | None:
        """At the end of an epoch: its error, that of the held-back samples, and a sheet of pictures."""
        if self.step % self.config.epoch_steps:
            return None
        row = {
            "epoch": float(self.step // self.config.epoch_steps),
            "train_mse": self._total / self.config.data.train,
        }
        sheet = None
        if self.held is not None:
            self.net.eval()
            with torch.no_grad(), self._autocast():
                row["mse"] = self._held_error(self.held)
                row |= self.signs(self.draw(np.arange(min(_SIGNS, len(self.held))), 0, held=True))
                sheet = self._sheet(self.held) if self.config.pictures else None
        last = row.get("mse", row["train_mse"])
        row["rmse"] = math.sqrt(last) if last >= 0 else math.nan
        self._history.append(row)
        self._total = 0.0
        seconds, cpu = self._clock()
        return row | {"seconds": seconds, "cpu_seconds": cpu}, sheet

    def _clock(self) -> Any:
        """Seconds and CPU seconds of the run, for metrics.jsonl alone: a weights file depends on no clock."""
        return self._spent + _clocks() - self._began

    def save_due(self) -> bool:
        """Whether an epoch has ended or some minutes have passed."""
        return (
            self.step % self.config.epoch_steps == 0 or time.monotonic() - self._saved > 60 * self.config.save_minutes
        )

    def state(self) -> dict[str, Any]:
        """Network, optimizer, errors so far, and what a weights file would say of the network."""
        self._saved, artifact = time.monotonic(), self.artifact()
        return {
            "total": self._total,
            "spent": self._clock().tolist(),
            "history": self._history,
            "net": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "artifact": None if artifact is None else artifact.about(),
        }

    def restore(self, content: dict[str, Any]) -> None:
        """Take over network, optimizer and errors."""
        self.net.load_state_dict(content["net"])
        self.optimizer.load_state_dict(content["optimizer"])
        self._total, self._history = content["total"], content["history"]
        self._spent = np.array(content["spent"])

    def finish(self, checkpoint: Path) -> Path:
        """Write OUT/NAME.safetensors, unless the network colors nothing by itself."""
        artifact = self.artifact()
        if artifact is None:
            return checkpoint
        target = checkpoint.parent / f"{checkpoint.parent.name}.safetensors"
        write_artifact(target, artifact.weights, artifact.card, artifact.architecture, artifact.training)
        return target

    def artifact(self) -> Artifact | None:
        """Make what the weights file holds; None for a part that colors nothing by itself."""
        card = self.card()
        if card is None:
            return None
        config = self.config.model_dump(mode="json", exclude=_FOLDERS)
        config["data"] = {key: value for key, value in config["data"].items() if not key.endswith("pack")}
        training = {
            "network": dataclasses.asdict(self.net.settings),  # type: ignore[call-overload]
            "system": self.config.system,
            "config": config,
            "steps": self.step,
            "epochs": self._history,
        }
        left_out = self._left_out()
        floats = {
            name: value
            for name, value in self.net.state_dict().items()
            if value.dtype.is_floating_point and name not in left_out
        }
        weights = {name: value.float().cpu().contiguous().numpy() for name, value in floats.items()}
        return Artifact(card, self.architecture, training, lambda: weights)

    def _left_out(self) -> set[str]:
        """Frozen weights that an installed package has as well."""
        if not isinstance(self.net, PublishedNet) or self.config.encoder_weights is not None:
            return set()
        frozen = (name for name, parameter in self.net.named_parameters() if not parameter.requires_grad)
        return {name for name in frozen if name.startswith(tuple(self.net.installed()))}

    def card(self) -> ModelCard | None:
        """Describe the network, named after the run; None for a part that colors nothing by itself."""
        assert isinstance(self.net, PublishedNet)
        return self.net.card(self.config.out.name)

    @abstractmethod
    def error(self, batch: Any) -> Tensor:
        """Mean squared error of a batch: what is minimized, and what is reported."""

    @abstractmethod
    def columns(self, batch: Any) -> Mapping[str, Array]:
        """Pictures of a batch by name, each (n, h, w, 3) uint8: the columns of the sheet."""

    def signs(self, _batch: Any) -> dict[str, float]:
        """Further numbers for an epoch's line, of a held-back batch."""
        return {}

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bf16)

    def _held_error(self, held: Samples) -> float:
        total, count = 0.0, len(held)
        for numbers in np.array_split(np.arange(count), max(1, count // (2 * self.config.batch))):
            total += float(self.error(self.draw(numbers, 0, held=True))) * len(numbers)
        return total / count

    def _sheet(self, held: Samples) -> Array:
        """Columns side by side, a sample in each row."""
        columns = self.columns(self.draw(np.arange(min(self.config.pictures, len(held))), 0, held=True))
        return np.concatenate([np.concatenate(list(pictures), axis=0) for pictures in columns.values()], axis=1)


def _clocks() -> Array:  # seconds, CPU seconds of this process
    return np.array([time.monotonic(), time.process_time()])


def ordered(config: PublishedConfig, first: int) -> Iterator[tuple[int, Array]]:
    """Yield (epoch, sample numbers) of step `first` and all after it."""
    for step in range(first, config.steps):
        epoch, place = divmod(step, config.epoch_steps)
        random = np.random.Generator(np.random.Philox(key=[config.seed, 2 + epoch]))
        order = random.permutation(config.data.train)
        yield epoch, order[place * config.batch : (place + 1) * config.batch]


def tensors_of(batch: Pictures, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Truth and hint (n, 3, h, w) in 0..1, and the truth's Y' of BT.709 (n, 1, h, w), as films are read."""
    found = (torch.from_numpy(np.ascontiguousarray(one)).to(device) for one in (batch.rgb, batch.hint))
    rgb, hint = (pictures.permute(0, 3, 1, 2).float() / 255 for pictures in found)
    luma = (rgb * rgb.new_tensor(LUMA_WEIGHTS["bt709"])[:, None, None]).sum(dim=1, keepdim=True)
    return rgb, hint, luma


def as_bytes(pictures: Tensor) -> Array:
    """(n, 1 or 3, h, w) in 0..1 to (n, h, w, 3) uint8."""
    full = pictures.float().clamp(0, 1).expand(-1, 3, -1, -1)
    return np.ascontiguousarray(torch.round(full * 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy())
