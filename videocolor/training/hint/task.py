"""The hint network's training, as the loop runs it: samples from a pack, AdamW, averaged weights."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import closing
from typing import Any, ClassVar

import torch
from torch import Tensor

from videocolor.datasets.pack import PackReader
from videocolor.errors import ConfigError
from videocolor.models.artifact import Artifact
from videocolor.models.hint.network import HintNet
from videocolor.training.averaged import AveragedTask, Ema, on_device
from videocolor.training.config import TrainConfig, ValidationConfig
from videocolor.training.distributed import ProcessGroup
from videocolor.training.hint.network import Losses, Tensors, Trainee, make_optimizer, tensors
from videocolor.training.hint.package import make_artifact
from videocolor.training.hint.start import initial_network, kept_network
from videocolor.training.hint.validate import contact_sheet, validate
from videocolor.training.prefetch import drawn_ahead, open_sampler
from videocolor.training.propagated import TRACKS, PropagatedReader
from videocolor.types import Array

__all__ = ["HintTask"]


class HintTask(AveragedTask[TrainConfig]):
    """Training of the hint network; on several GPUs each process takes its share of every batch."""

    free: ClassVar[frozenset[str]] = AveragedTask.free | {
        *("start", "encoder_weights", "workers", "worker_kind", "ahead", "save_every", "validation"),
    }
    net: HintNet
    propagated: PropagatedReader | None = None

    def begin(self, group: ProcessGroup, resumed: bool) -> None:
        """Check settings and pack; build network, optimizer and average.

        Raises:
            ConfigError: a batch cannot be shared among the processes, or there is no network to keep to.
            InputError, ModelError: the pack or the initial weights cannot be read, or must not be used.
        """
        config = self.config
        for phase in config.phases:
            if phase.batch % group.size:
                raise ConfigError(f"phases: a batch of {phase.batch} cannot be shared among {group.size} processes")
        self.licences = open_sampler(config).pack.notes.get("licences")
        self.group = group
        self.net = on_device(initial_network(config, resumed), group.device)
        self.optimizer = make_optimizer(self.net, config.optimizer)
        self.ema = Ema(self.net, config.optimizer.ema)
        self.model = group.wrap(Trainee(self.net, config, kept_network(config, group.device)))
        if config.data.held_pack.exists():
            self.held = PackReader(config.data.held_pack)
            if config.data.tracks:
                self.propagated = PropagatedReader(config.data.held_pack / TRACKS)

    def batches(self, last: int) -> Generator[tuple[int, Tensors], None, None]:
        """Yield this process's share of every batch, where its device can read it."""
        pinned = self.group.device.type == "cuda"
        if pinned:
            torch.cuda.set_device(self.group.device)  # a thread begins with GPU 0, and would take memory there
        with closing(drawn_ahead(self.config, self.step, last, self.group.rank, self.group.size)) as drawn:
            for step, batch in enumerate(drawn, self.step):
                yield self.config.phase_at(step).batch, tensors(batch, pinned=pinned)

    def losses(self, batch: Tensors) -> Mapping[str, Tensor]:
        """Losses of a batch; means over hinted samples are those over all processes' samples."""
        count = torch.tensor(float(batch.hinted))
        share = self.group.mean(count).clamp(min=1 / self.group.size)
        found: Losses = self.model(batch.to(self.group.device), share)
        return found._asdict()

    def validated(self, held: PackReader, settings: ValidationConfig) -> tuple[Mapping[str, float], Array | None]:
        """Score the averaged weights with and without hints."""
        net = self.averaged()
        scores = validate(net, held, self.propagated, settings)
        return scores, contact_sheet(net, held, self.propagated, settings) if settings.pictures else None

    def averaged(self) -> HintNet:
        """Make a network with the averaged weights, on the same device."""
        net = HintNet()
        net.load_state_dict(self.ema.state)
        return on_device(net, self.group.device)

    def artifact(self) -> Artifact:
        """Make what the weights file holds."""
        return make_artifact(self.ema.state, self.step, self.config, self.licences)

    def state(self) -> dict[str, Any]:
        """Add torch's random numbers."""
        return super().state() | {"torch_rng": torch.get_rng_state()}

    def restore(self, content: dict[str, Any]) -> None:
        """Take over network, averaged weights, optimizer and torch's random numbers."""
        super().restore(content)
        torch.set_rng_state(content["torch_rng"])
