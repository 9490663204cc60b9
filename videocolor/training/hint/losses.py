"""What training minimizes: chroma error, its edges, and honest matching."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from videocolor.models.hint.network import AB_SCALE, Output
from videocolor.training.config import LossConfig

__all__ = ["Losses", "chroma_losses"]


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
    carried: Tensor,
    told: Tensor,
    config: LossConfig,
    hinted_share: Tensor | None = None,
    kept: Tensor | None = None,
) -> Losses:
    """Compare the network's output with the truth.

    Colourful pixels weigh more, for a plain mean of the plausible is mud (Zhang et al., ECCV 2016, rebalance classes
    for the same reason). The matching term lets the network give up (confidence 0) at a fixed cost, so confidence
    comes to mean "the hint's colour is right to within that cost". The expected error is fitted by the likelihood of a
    Laplace distribution; it learns from colour's error, colour does not learn from it.

    Args:
        output: of the network, for n samples.
        target: (n, 2, h, w) a*b* / AB_SCALE at full size.
        hinted: (n,) bool, samples that have a hint.
        carried: (n,) bool, samples that motion carried chroma to; their own colour is asked for as well, or the
            network would unlearn it there.
        told: (n,) bool, samples whose hint is of their scene and painted all over: `config.told_beta`.
        config: weights.
        hinted_share: what the matching term is divided by: the number of hinted samples (None: counted here).
        kept: (n - hinted, 2, h/2, w/2) a*b* / AB_SCALE, asked for in place of the truth where there is no hint; what
            error to expect is learnt from the truth all the same.
    """
    true = truth = F.avg_pool2d(target, 2)
    if kept is not None:
        truth = truth.masked_scatter(~hinted[:, None, None, None], kept)
    predicted = output.ab.float()
    chroma = truth.norm(dim=1, keepdim=True) * AB_SCALE
    weight = 1.0 + config.chroma_weight * (chroma / 20.0 - 0.5).clamp(-0.5, 1.5)
    told_beta = config.beta if config.told_beta is None else config.told_beta
    beta = torch.where(told, told_beta, config.beta)[:, None, None, None]
    color = (weight * _smooth_l1(predicted, truth, beta)).mean()
    own = _smooth_l1(output.own.float(), truth, beta)
    color = color + config.own * (weight * own * carried[:, None, None, None]).mean()
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
