"""One forward pass of training: a batch in, losses out; and the optimizer's parameter groups."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videocolor.models.base import LEAST_REMEMBERED
from videocolor.models.hint import AB_SCALE, NEW, SHOWN
from videocolor.models.hint.network import HintNet, Output, no_propagated, no_tokens
from videocolor.training.config import LossConfig, OptimizerConfig, TrainConfig
from videocolor.training.lab import rgb_to_lab
from videocolor.training.samples import Batch

__all__ = [
    "Forward",
    "Losses",
    "Tensors",
    "Trainee",
    "chroma_losses",
    "forward",
    "make_optimizer",
    "target_ab",
    "tensors",
]


class Tensors(NamedTuple):
    """`Batch` as tensors; the fields have its names, shapes and kinds."""

    rgb: Tensor
    luma: Tensor
    angle: Tensor
    gain: Tensor
    full_hint: Tensor
    hint_rgb: Tensor
    hint_luma: Tensor
    hint_mask: Tensor
    owner: Tensor
    slot: Tensor
    between: Tensor
    between_owner: Tensor
    propagated_rgb: Tensor
    propagated: Tensor
    propagated_owner: Tensor
    slots: int
    """Most hints of a sample; known here, so that the device need not be asked."""
    hinted: int
    """How many samples have a hint."""

    def to(self, device: torch.device) -> Tensors:
        """Onto a device; from pinned memory the copy runs beside what the device is doing."""
        there: dict[str, Any] = {
            name: x.to(device, non_blocking=True) for name, x in self._asdict().items() if isinstance(x, Tensor)
        }
        return self._replace(**there)


def tensors(batch: Batch, *, pinned: bool = False) -> Tensors:
    """Convert a batch to tensors in CPU memory.

    Args:
        batch: as drawn.
        pinned: copy into page-locked memory, from which a GPU reads asynchronously.
    """
    made: dict[str, Any] = {field.name: torch.from_numpy(getattr(batch, field.name)) for field in fields(batch)}
    if pinned:
        made = {name: tensor.pin_memory() for name, tensor in made.items()}
    return Tensors(**made, slots=int(batch.slot.max(initial=-1)) + 1, hinted=len(np.unique(batch.owner)))


def make_optimizer(net: HintNet, config: OptimizerConfig) -> torch.optim.AdamW:
    """AdamW; what is frozen is excluded, late encoder blocks get their own rate."""
    net.encoder.requires_grad_(False)
    late: list[nn.Parameter] = []
    if config.encoder_lr > 0:
        for block in list(net.encoder.blocks)[config.encoder_from :]:
            block.requires_grad_(True)
            late.extend(block.parameters())
    net.belief.requires_grad_(config.gate)
    own = [p for name, p in net.named_parameters() if p.requires_grad and not name.startswith("encoder.")]
    groups = [
        {"params": [p for p in own if p.ndim > 1], "weight_decay": config.weight_decay, "share": 1.0},
        {"params": [p for p in own if p.ndim <= 1], "weight_decay": 0.0, "share": 1.0},
    ]
    if late:
        groups.append({"params": late, "weight_decay": 0.0, "share": config.encoder_lr / config.lr})
    return torch.optim.AdamW(groups, lr=config.lr)


def target_ab(rgb: Tensor, angle: Tensor, gain: Tensor) -> Tensor:
    """a*b* / AB_SCALE of pictures, their hue turned and their chroma changed.

    Args:
        rgb: (n, h, w, 3) uint8.
        angle: (n,) radians.
        gain: (n,) factor on chroma.

    Returns:
        (n, 2, h, w) float32.
    """
    # Autocast would mix the primaries in bfloat16, which adds half a Lab unit of noise to the truth.
    with torch.autocast(rgb.device.type, enabled=False):
        ab = rgb_to_lab(rgb.permute(0, 3, 1, 2).float() / 255.0)[:, 1:] / AB_SCALE
    cosine, sine = (gain * angle.cos())[:, None, None], (gain * angle.sin())[:, None, None]
    return torch.stack((ab[:, 0] * cosine - ab[:, 1] * sine, ab[:, 0] * sine + ab[:, 1] * cosine), dim=1)


class Forward(NamedTuple):
    """What `forward` returns, for n samples."""

    output: Output
    truth: Tensor
    """(n, 2, s, s) a*b* / AB_SCALE."""
    hinted: Tensor
    """(n,) bool."""
    propagated: Tensor
    """(n,) bool, samples that motion propagated chroma to."""
    full_hint: Tensor
    """(n,) bool, samples whose hint is of their scene and painted all over."""


def forward(net: HintNet, batch: Tensors | Batch) -> Forward:
    """Run the network on a batch on its device, or on one as it was drawn."""
    if isinstance(batch, Batch):
        batch = tensors(batch).to(net.log_scale.device)
    n, m, r = len(batch.rgb), len(batch.hint_rgb), len(batch.between)
    with torch.no_grad():
        truth = target_ab(batch.rgb, batch.angle, batch.gain)
        hint_ab = target_ab(batch.hint_rgb, batch.angle[batch.owner], batch.gain[batch.owner])
        propagated = _propagated(batch)
    gray = torch.cat((batch.luma, batch.hint_luma, batch.between))[:, None].contiguous(
        memory_format=torch.channels_last
    )
    taps = net.encoder(gray)
    hinted = torch.zeros(n, dtype=torch.bool, device=gray.device)
    keys, values, valid = (x.to(gray.device).expand(n, -1, *x.shape[2:]) for x in no_tokens(net.null.in_channels))
    if m:
        hints = slice(n, n + m)
        found = net.hint_tokens(gray[hints], [tap[hints] for tap in taps], hint_ab, batch.hint_mask[:, None].float())
        keys, values, valid = (_spread(x, n, batch.slots, batch.owner, batch.slot) for x in found)
        hinted[batch.owner] = True
    if r:
        between = gray[n + m :], [tap[n + m :] for tap in taps]
        added = _remembered(net, *between, *(x[batch.between_owner] for x in (keys, values, valid)))
        first = torch.zeros_like(batch.between_owner)
        spread = [_spread(x, n, 1, batch.between_owner, first) for x in added]
        keys, values, valid = (torch.cat(pair, dim=1) for pair in zip((keys, values, valid), spread, strict=True))
    output = net.from_taps(gray[:n], [tap[:n] for tap in taps], keys, values, valid, F.avg_pool2d(propagated, 2))
    return Forward(output, truth, hinted, propagated[:, 2].amax(dim=(1, 2)) > 0, batch.full_hint)


def _remembered(
    net: HintNet, luma: Tensor, taps: list[Tensor], keys: Tensor, values: Tensor, valid: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Color frames by their hints, and make tokens of them as films remember them (`HintColorizer.remember`)."""
    with torch.no_grad():
        training = net.training
        net.eval()
        seen = net.from_taps(luma, taps, keys, values, valid, no_propagated(luma))
        net.train(training)
        ab, confidence = (
            F.interpolate(x.float(), size=luma.shape[2:], mode="bilinear", align_corners=False)
            for x in (seen.ab, seen.confidence)
        )
        mask = torch.where(confidence > LEAST_REMEMBERED, confidence, torch.zeros_like(confidence))
    own, colors, painted = net.hint_tokens(luma, taps, ab, mask)
    with torch.no_grad():
        cosine = torch.matmul(own[:, :, :-3].float(), keys[:, :, :-3].float().transpose(1, 2))
        shown = torch.where(valid[:, None] > 0, cosine, torch.full_like(cosine, -1.0)).amax(dim=2)
        painted = painted * ((SHOWN - shown) / (SHOWN - NEW)).clamp(0.0, 1.0)
    return own, colors, painted


class Losses(NamedTuple):
    """Scalars; `total` is what is minimized."""

    total: Tensor
    color: Tensor
    gradient: Tensor
    matching: Tensor
    error: Tensor


def chroma_losses(
    output: Output,
    target: Tensor,
    hinted: Tensor,
    propagated: Tensor,
    full_hint: Tensor,
    config: LossConfig,
    hinted_share: Tensor | None = None,
    kept: Tensor | None = None,
) -> Losses:
    """Compare the network's output with the truth.

    Colorful pixels weigh more, for a plain mean of the plausible is mud (Zhang et al., ECCV 2016, rebalance classes
    for the same reason). The matching term lets the network give up (confidence 0) at a fixed cost, so confidence
    comes to mean "the hint's color is right to within that cost". The expected error is fitted by the likelihood of a
    Laplace distribution; it learns from color's error, color does not learn from it.

    Args:
        output: of the network, for n samples.
        target: (n, 2, h, w) a*b* / AB_SCALE at full size.
        hinted: (n,) bool, samples that have a hint.
        propagated: (n,) bool, samples with propagated chroma; their own color is asked for as well, or the
            network would unlearn it there.
        full_hint: (n,) bool, samples whose hint is of their scene and painted all over: `config.full_hint_beta`.
        config: weights.
        hinted_share: what the matching term is divided by: the number of hinted samples (None: counted here).
        kept: (n - hinted, 2, h/2, w/2) a*b* / AB_SCALE, asked for in place of the truth where there is no hint; the
            expected error is learned from the truth all the same.
    """
    true = truth = F.avg_pool2d(target, 2)
    if kept is not None:
        truth = truth.masked_scatter(~hinted[:, None, None, None], kept)
    predicted = output.ab.float()
    chroma = truth.norm(dim=1, keepdim=True) * AB_SCALE
    weight = 1.0 + config.chroma_weight * (chroma / 20.0 - 0.5).clamp(-0.5, 1.5)
    full_hint_beta = config.beta if config.full_hint_beta is None else config.full_hint_beta
    beta = torch.where(full_hint, full_hint_beta, config.beta)[:, None, None, None]
    color = (weight * _smooth_l1(predicted, truth, beta)).mean()
    own = _smooth_l1(output.own.float(), truth, beta)
    color = color + config.own * (weight * own * propagated[:, None, None, None]).mean()
    error = predicted - truth
    gradient = error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
    matching = _matching(output, F.avg_pool2d(target, 8), hinted, config.unmatched_cost, hinted_share)
    expected, distance = output.error.float(), (predicted.detach() - true).abs().mean(dim=1, keepdim=True)
    likelihood = (distance / (expected + 1e-4) + torch.log(expected + 1e-4)).mean()
    total = color + config.gradient * gradient + config.matching * matching + config.error * likelihood
    return Losses(total, color, gradient, matching, likelihood)


def _smooth_l1(x: Tensor, y: Tensor, beta: Tensor) -> Tensor:
    """`F.smooth_l1_loss` without reduction, `beta` (n, 1, 1, 1) being each sample's own."""
    distance = (x - y).abs()
    return torch.where(distance < beta, 0.5 * distance.square() / beta, distance - 0.5 * beta)


def _matching(output: Output, truth: Tensor, hinted: Tensor, cost: float, share: Tensor | None) -> Tensor:
    confidence = output.confidence.float()
    error = (output.warped.float() - truth).abs().mean(dim=1, keepdim=True)
    each = (confidence * error + (1.0 - confidence) * cost).mean(dim=(1, 2, 3))
    count = torch.clamp(hinted.sum(), min=1) if share is None else share
    return (each * hinted).sum() / count


class Trainee(nn.Module):
    """The network with its losses around it: what a step runs, and what DistributedDataParallel wraps.

    Args:
        net: learns.
        config: the settings.
        before: what `loss.keep_automatic` keeps to.
    """

    def __init__(self, net: HintNet, config: TrainConfig, before: HintNet | None = None) -> None:
        super().__init__()
        self.net, self.config = net, config
        self._before = (before,)  # no part of the module: it neither learns nor is shared

    @torch.no_grad()
    def _kept(self, luma: Tensor) -> Tensor | None:
        """(n, 2, s/2, s/2) a*b* / AB_SCALE that the network before made of frames (n, s, s) without a hint."""
        net = self._before[0]
        if net is None:
            return None
        seen = luma[:, None].contiguous(memory_format=torch.channels_last)
        keys, values, valid = (x.to(luma.device) for x in no_tokens(net.null.in_channels))
        return net.from_taps(seen, net.encoder(seen), keys, values, valid, no_propagated(seen)).ab.float()

    def forward(self, batch: Tensors, hinted_share: Tensor | None = None) -> Losses:
        """Losses of a batch, under autocast where the settings say so.

        Args:
            batch: on the network's device.
            hinted_share: how many hinted samples a process has on average, where several train together; a mean
                over hinted samples is then the one over all processes' samples.
        """
        with torch.autocast(batch.rgb.device.type, torch.bfloat16, enabled=self.config.bf16):
            found = forward(self.net, batch)
            kept = self._kept(batch.luma[~found.hinted])
        return chroma_losses(*found, self.config.loss, hinted_share, kept)


def _propagated(batch: Tensors) -> Tensor:
    """(n, 4, s, s) a*b* / AB_SCALE, confidence and brightness of propagated frames; 0 where there are none."""
    n, size = batch.rgb.shape[:2]
    dense = torch.zeros(n, 4, size, size, device=batch.rgb.device)
    if len(batch.propagated):
        owner = batch.propagated_owner
        ab = target_ab(batch.propagated_rgb, batch.angle[owner], batch.gain[owner]) * (batch.propagated[:, :1] > 0)
        dense[batch.propagated_owner] = torch.cat((ab, batch.propagated), dim=1)
    return dense


def _spread(tokens: Tensor, n: int, slots: int, owner: Tensor, slot: Tensor) -> Tensor:
    """(m, t, ...) tokens of hints -> (n, slots * t, ...) tokens of samples, zeros where there is no hint."""
    spread = tokens.new_zeros(n, slots, *tokens.shape[1:])
    return spread.index_put((owner, slot), tokens).flatten(1, 2)
