"""Run by torchrun in test_distributed.py: `videocolor train` with norms that do not depend on who shares a batch.

Batch norms take statistics of their own process's samples; with fixed ones the gradient of shares must be that of the
whole. The network is small and untrained.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from videocolor.cli import main
from videocolor.models.hint.network import HintNet
from videocolor.training.hint import start


def _fixed(norm: nn.BatchNorm2d, x: torch.Tensor) -> torch.Tensor:
    return F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, False, 0.0, norm.eps)


def _untrained(seed: int, _encoder_weights: Path | None) -> HintNet:
    torch.manual_seed(seed)
    return HintNet()


if __name__ == "__main__":
    nn.BatchNorm2d.forward = _fixed  # type: ignore[method-assign]
    start.new_network = _untrained
    main()
