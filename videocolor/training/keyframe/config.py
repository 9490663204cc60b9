"""Settings of a keyframe network's training run."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from videocolor.config import Section
from videocolor.training.config import OptimizerConfig, PhasedConfig

__all__ = ["ChromaLossConfig", "KeyframeConfig", "KeyframeOptimizerConfig"]


class ChromaLossConfig(Section):
    """Weights of the loss."""

    mean: float = Field(default=10.0, ge=0)
    """Of the smooth-L1 distance of the mean, a*b* in units of 110; the distribution's cross entropy counts 1."""
    beta: float = Field(default=0.05, gt=0)
    """Where smooth-L1 turns from square to linear."""
    uniform: float = Field(default=0.5, gt=0, le=1)
    """Share of a uniform distribution in the prior whose inverse weighs the bins (Zhang et al., ECCV 2016)."""
    rebalance: float = Field(default=0.5, ge=0, le=1)
    """Exponent of those weights; 0: every color counts the same."""


class KeyframeOptimizerConfig(OptimizerConfig):
    """AdamW; the trunk that comes from another network learns more slowly."""

    trunk_lr: float = Field(default=2.5e-4, ge=0)
    """Highest learning rate of the trunk; the encoder is frozen unless `encoder_lr` is above 0."""


class KeyframeConfig(PhasedConfig):
    """A training run of the keyframe network."""

    system: Literal["keyframe"]
    start: Path = Path("hint")
    """Hint network whose encoder and trunk the run begins with: a packaged network's name, or a weights file. Or the
    checkpoint.pt of an earlier run of the keyframe network, whose averaged weights are taken."""
    frozen_runtime: Literal["torch", "openvino"] = "torch"
    """What computes the encoder's features while it is frozen."""
    loss: ChromaLossConfig = ChromaLossConfig()
    optimizer: KeyframeOptimizerConfig = KeyframeOptimizerConfig()
