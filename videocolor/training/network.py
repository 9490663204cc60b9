"""One forward pass of training: arrays in, losses out; and the optimizer's groups and schedule."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from videocolor.models.hintnet import AB_SCALE, HintNet, Output
from videocolor.training.config import OptimizerConfig, TrainConfig
from videocolor.training.lab import rgb_to_lab
from videocolor.training.losses import Losses, chroma_losses
from videocolor.training.samples import Batch

__all__ = ["forward", "learning_rate", "losses_of", "make_optimizer", "target_ab", "train_mode"]


def train_mode(net: HintNet) -> None:
    """Training mode; the frozen encoder has no norms, so this concerns the decoder's only."""
    net.train()


def make_optimizer(net: HintNet, config: OptimizerConfig) -> torch.optim.AdamW:
    """AdamW; frozen encoder blocks are excluded, late ones get their own rate."""
    net.encoder.requires_grad_(False)
    late: list[nn.Parameter] = []
    if config.encoder_lr > 0:
        for block in list(net.encoder.blocks)[config.encoder_from :]:
            block.requires_grad_(True)
            late.extend(block.parameters())
    own = [p for name, p in net.named_parameters() if not name.startswith("encoder.")]
    groups = [
        {"params": [p for p in own if p.ndim > 1], "weight_decay": config.weight_decay, "share": 1.0},
        {"params": [p for p in own if p.ndim <= 1], "weight_decay": 0.0, "share": 1.0},
    ]
    if late:
        groups.append({"params": late, "weight_decay": 0.0, "share": config.encoder_lr / config.lr})
    return torch.optim.AdamW(groups, lr=config.lr)


def learning_rate(step: int, steps: int, config: OptimizerConfig) -> float:
    """Warm-up, then cosine to 1 % of `lr`; a function of the step alone."""
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    done = (step - config.warmup) / max(1, steps - config.warmup)
    return config.lr * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


def target_ab(rgb: Tensor, angle: Tensor) -> Tensor:
    """a*b* / AB_SCALE of pictures, their hue turned.

    Args:
        rgb: (n, h, w, 3) uint8.
        angle: (n,) radians.

    Returns:
        (n, 2, h, w) float32.
    """
    ab = rgb_to_lab(rgb.permute(0, 3, 1, 2).float() / 255.0)[:, 1:] / AB_SCALE
    cosine, sine = angle.cos()[:, None, None], angle.sin()[:, None, None]
    return torch.stack((ab[:, 0] * cosine - ab[:, 1] * sine, ab[:, 0] * sine + ab[:, 1] * cosine), dim=1)


def forward(net: HintNet, batch: Batch) -> tuple[Output, Tensor, Tensor]:
    """Run the network on a batch.

    Returns:
        the output, the truth (n, 2, s, s) a*b* / AB_SCALE, and (n,) bool which samples are hinted.
    """
    n, m = len(batch.rgb), len(batch.hint_rgb)
    owner, slot = torch.from_numpy(batch.owner), torch.from_numpy(batch.slot)
    angle = torch.from_numpy(batch.angle)
    with torch.no_grad():
        truth = target_ab(torch.from_numpy(batch.rgb), angle)
        hint_ab = target_ab(torch.from_numpy(batch.hint_rgb), angle[owner])
    luma = torch.from_numpy(batch.luma)[:, None]
    gray = torch.cat((luma, torch.from_numpy(batch.hint_luma)[:, None])).contiguous(memory_format=torch.channels_last)
    taps = net.encoder(gray)
    hinted = torch.zeros(n, dtype=torch.bool)
    keys, values, valid = (x.expand(n, -1, *x.shape[2:]) for x in _nothing(net))
    if m:
        mask = torch.from_numpy(batch.hint_mask)[:, None]
        tokens = net.hint_tokens([tap[n:] for tap in taps], hint_ab, mask)
        slots = int(slot.max()) + 1
        keys, values, valid = (_spread(x, n, slots, owner, slot) for x in tokens)
        hinted[owner] = True
    return net.from_taps([tap[:n] for tap in taps], keys, values, valid), truth, hinted


def losses_of(net: HintNet, batch: Batch, config: TrainConfig) -> Losses:
    """Losses of a batch, under autocast where the settings say so."""
    with torch.autocast("cpu", torch.bfloat16, enabled=config.bf16):
        output, truth, hinted = forward(net, batch)
    return chroma_losses(output, truth, hinted, config.loss)


def _nothing(net: HintNet) -> tuple[Tensor, Tensor, Tensor]:
    from videocolor.models.hintnet import no_tokens

    return no_tokens(net.null.in_channels)


def _spread(tokens: Tensor, n: int, slots: int, owner: Tensor, slot: Tensor) -> Tensor:
    """(m, t, ...) tokens of hints -> (n, slots * t, ...) tokens of samples, zeros where there is no hint."""
    spread = tokens.new_zeros(n, slots, *tokens.shape[1:])
    return spread.index_put((owner, slot), tokens).flatten(1, 2)
