"""The keyframe network's training, as the loop runs it: pictures from a pack, a frozen encoder, averaged weights."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from videocolor.datasets.pack import PackReader
from videocolor.errors import ConfigError, ModelError
from videocolor.models.artifact import Artifact, load_checkpoint
from videocolor.models.keyframe.bins import Bins, count_bins, make_bins
from videocolor.models.keyframe.colorizer import ARCHITECTURE
from videocolor.models.keyframe.network import KeyframeNet
from videocolor.models.registry import find_artifact
from videocolor.training.averaged import AveragedTask, Ema, on_device
from videocolor.training.config import KeyframeConfig, KeyframeOptimizerConfig, ValidationConfig
from videocolor.training.distributed import ProcessGroup
from videocolor.training.hint.package import run_of
from videocolor.training.hint.start import unfuse, unseen_batches
from videocolor.training.keyframe.network import ChromaLoss, Losses, frozen_encoder, target_ab
from videocolor.training.keyframe.package import make_artifact, network_of
from videocolor.training.keyframe.validate import contact_sheet, validate
from videocolor.training.prefetch import drawn_ahead, open_sampler
from videocolor.training.samples import Batch
from videocolor.types import Array

__all__ = ["KeyframeTask"]


class KeyframeTask(AveragedTask[KeyframeConfig]):
    """Training of the keyframe network, in one process."""

    free: ClassVar[frozenset[str]] = AveragedTask.free | {
        *("start", "workers", "worker_kind", "ahead", "save_every", "validation", "frozen_runtime"),
    }
    net: KeyframeNet

    def __init__(self, config: KeyframeConfig) -> None:
        super().__init__(config)
        self._encode: Callable[[Tensor], list[Tensor]]
        self._loss: ChromaLoss

    def begin(self, group: ProcessGroup, resumed: bool) -> None:
        """Check settings and pack; build network, optimizer and average.

        Raises:
            ConfigError: there are several processes.
            InputError, ModelError, UsageError: the pack or the initial weights cannot be read, or must not be used.
        """
        config = self.config
        if group.size > 1:
            raise ConfigError("the keyframe network is trained by one process; start it without torchrun")
        pack = open_sampler(config).pack
        self.licences = pack.notes.get("licences")
        self.group = group
        torch.manual_seed(config.seed)
        bins = make_bins(_counts(pack), config.loss.uniform, config.loss.rebalance)
        net = KeyframeNet(len(bins.centers)) if resumed else initial_network(config, bins)
        self._set_network(net)
        if config.data.held_pack.exists():
            self.held = PackReader(config.data.held_pack)

    def _set_network(self, net: KeyframeNet) -> None:
        config = self.config
        self.net = self.model = on_device(net, self.group.device)
        self.optimizer = make_optimizer(self.net, config.optimizer)
        self.ema = Ema(self.net, config.optimizer.ema)
        self._use_weights()

    def _use_weights(self) -> None:
        """Take over bins and encoder into what is computed from them once."""
        config = self.config
        self._loss = ChromaLoss(self.net, config.loss)
        trained = config.optimizer.encoder_lr > 0
        self._encode = (
            self.net.encoder if trained else frozen_encoder(self.net.encoder, config.frozen_runtime, config.threads)
        )

    def batches(self, last: int) -> Generator[tuple[int, Batch], None, None]:
        """Yield every batch."""
        with closing(drawn_ahead(self.config, self.step, last)) as drawn:
            for step, batch in enumerate(drawn, self.step):
                yield self.config.phase_at(step).batch, batch

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """Losses of a batch."""
        device = self.group.device
        luma = torch.from_numpy(batch.luma)[:, None].to(device).contiguous(memory_format=torch.channels_last)
        ab = target_ab(torch.from_numpy(batch.rgb).to(device))
        with torch.autocast(device.type, torch.bfloat16, enabled=self.config.bf16):
            found: Losses = self._loss(self.net.features(luma, self._encode(luma)), ab, self.step)
        return found._asdict()

    def validated(self, held: PackReader, settings: ValidationConfig) -> tuple[Mapping[str, float], Array | None]:
        """Score the averaged weights."""
        net = on_device(network_of(self.ema.state).folded(), self.group.device)
        scores = validate(net, held, settings)
        return scores, contact_sheet(net, held, settings) if settings.pictures else None

    def restore(self, content: dict[str, Any]) -> None:
        """Take over network, averaged weights and optimizer."""
        bins = len(content["net"]["centers"])
        if bins != len(self.net.centers):  # those of `start`, not of the footage
            self._set_network(KeyframeNet(bins))
        super().restore(content)
        self._use_weights()

    def artifact(self) -> Artifact:
        """Make what the weights file holds."""
        config = self.config.model_dump(mode="json", exclude={"out", "data"}) | {"start": run_of(self.config.start)}
        balanced = self.config.data.balance is not None
        training = {"steps": self.step, "config": config, "licences": self.licences, "balanced": balanced}
        return make_artifact(self.ema.state, training)


def initial_network(config: KeyframeConfig, bins: Bins) -> KeyframeNet:
    """Make the network of a run's first step.

    Args:
        config: its `start` is a hint network, by name or weights file, whose encoder and trunk are taken; a keyframe
            network, which is taken whole; or an earlier run's checkpoint.pt, whose averaged network is taken.
        bins: of the footage.

    Raises:
        ModelError: it cannot be read, or is of another network.
        UsageError: no network has that name.
    """
    start = config.start
    if start.suffix == ".pt":
        return network_of(load_checkpoint(start).get("ema", {}))
    artifact = find_artifact(str(start))
    if artifact.architecture == ARCHITECTURE:
        net = KeyframeNet(len(artifact.weights["centers"])).eval()
        unfuse(net, artifact, lambda batch: net(torch.from_numpy(batch.luma)[:, None]), unseen_batches(config))
        return net
    net = KeyframeNet(len(bins.centers))
    with torch.no_grad():  # begin with gray, and with what the weighted loss takes for likely knowing nothing
        net.centers.copy_(torch.from_numpy(bins.centers))
        net.weights.copy_(torch.from_numpy(bins.weights))
        for head in (net.mean, net.scores):
            head.weight.mul_(0.1)
        net.mean.load_state_dict({"weight": net.mean.weight, "bias": torch.zeros(2)})
        bias = torch.from_numpy(np.log(bins.prior * bins.weights))
        net.scores.load_state_dict({"weight": net.scores.weight, "bias": bias})
    found = artifact.weights
    for module, prefix in ((net.encoder, "encoder."), (net.trunk, "decoder.")):
        wanted = module.state_dict().keys()
        kept = {name: torch.from_numpy(found[prefix + name]) for name in wanted if prefix + name in found}
        try:
            module.load_state_dict(kept)
        except RuntimeError as error:
            raise ModelError(f"start: {start} has no such encoder and trunk ({error})") from error
    return net


def make_optimizer(net: KeyframeNet, config: KeyframeOptimizerConfig) -> torch.optim.AdamW:
    """AdamW; trunk and late encoder blocks have rates of their own, or are frozen where those are 0."""
    net.encoder.requires_grad_(False)
    net.trunk.requires_grad_(config.trunk_lr > 0)
    own = nn.ModuleList(child for name, child in net.named_children() if name not in ("encoder", "trunk"))
    groups = [*_groups(net.trunk, config, config.trunk_lr)] if config.trunk_lr > 0 else []
    groups += _groups(own, config, config.lr)
    if config.encoder_lr > 0:
        late = nn.ModuleList(list(net.encoder.blocks)[config.encoder_from :]).requires_grad_(True)
        groups += _groups(late, config, config.encoder_lr)
    return torch.optim.AdamW(groups, lr=config.lr)


def _groups(module: nn.Module, config: KeyframeOptimizerConfig, rate: float) -> list[dict[str, Any]]:
    share = rate / config.lr
    return [
        {"params": [p for p in module.parameters() if p.ndim > 1], "weight_decay": config.weight_decay, "share": share},
        {"params": [p for p in module.parameters() if p.ndim <= 1], "weight_decay": 0.0, "share": share},
    ]


def _counts(pack: PackReader) -> Array:
    """How often colors occur in the thumbnails of the pack's pictures."""
    return count_bins(pack.thumbs[[item.first for item in pack.images]])
