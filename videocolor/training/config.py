"""Settings of a training run, read from YAML."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from videocolor.errors import ConfigError

__all__ = ["DataConfig", "LossConfig", "OptimizerConfig", "Phase", "SampleConfig", "TrainConfig", "load_config"]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataConfig(_Settings):
    """Where footage and packs are."""

    root: Path = Path("footage")
    """Holds train/ and images/ with their manifests."""
    pack: Path = Path("runs/pack")
    held_pack: Path = Path("runs/pack_held")
    held_back: Path = Path("configs/evaluate/held_back.yaml")
    short_side: int = Field(default=192, ge=32)
    """Pixels of packed frames' short side, at most."""
    rate: float = Field(default=4.0, gt=0)
    """Packed frames a second."""


class SampleConfig(_Settings):
    """How samples are drawn; shares are probabilities."""

    none: float = Field(default=0.35, ge=0, le=1)
    """Without any hint."""
    wrong: float = Field(default=0.08, ge=0, le=1)
    """With a hint from another scene."""
    two: float = Field(default=0.10, ge=0, le=1)
    """With two hints."""
    masked: float = Field(default=0.08, ge=0, le=1)
    """Share of hints of which only a few spots are painted."""
    hue_turn: float = Field(default=0.25, ge=0, le=1)
    """Share of rightly hinted samples whose hue, and the hint's, is turned at random."""
    clip_none: float = Field(default=0.25, ge=0, le=1)
    """Share of clip frames among samples without hint; the rest are images."""
    clip_hinted: float = Field(default=0.65, ge=0, le=1)
    """The same among samples with a hint."""
    old_film: float = Field(default=0.35, ge=0, le=1)
    border: float = Field(default=0.04, ge=0, le=1)
    """Share of frames that get a dark border, as scanned film has."""
    distance: float = Field(default=0.22, gt=0)
    """Scene-check distance up to which two frames of a clip are a pair."""


class LossConfig(_Settings):
    """Weights of the loss; a*b* are in units of 110."""

    beta: float = Field(default=0.1, gt=0)
    """Where smooth-L1 turns from square to linear."""
    chroma_weight: float = Field(default=0.5, ge=0)
    """How much more a colourful pixel counts than a gray one."""
    gradient: float = Field(default=0.15, ge=0)
    matching: float = Field(default=0.3, ge=0)
    unmatched_cost: float = Field(default=0.06, gt=0)
    """Error of carried chroma at which giving up (confidence 0) costs the same."""


class OptimizerConfig(_Settings):
    """AdamW with warm-up and cosine decay by step."""

    lr: float = Field(default=1e-3, gt=0)
    encoder_lr: float = Field(default=0.0, ge=0)
    """Of the encoder's blocks from `encoder_from` on; 0 keeps all frozen."""
    encoder_from: int = Field(default=5, ge=0, le=16)
    weight_decay: float = Field(default=0.02, ge=0)
    warmup: int = Field(default=300, ge=1)
    clip: float = Field(default=1.0, gt=0)
    ema: float = Field(default=0.999, ge=0, lt=1)


class Phase(_Settings):
    """Some steps at one crop size."""

    steps: int = Field(gt=0)
    size: int = Field(ge=32, multiple_of=32)
    batch: int = Field(gt=0)


class TrainConfig(_Settings):
    """A training run."""

    out: Path
    seed: int = 7
    threads: int = Field(default=2, ge=1)
    bf16: bool = True
    """Autocast to bfloat16 (on a CPU with AVX512-BF16 three times fp32's speed)."""
    phases: tuple[Phase, ...]
    save_every: int = Field(default=500, ge=1)
    validate_every: int = Field(default=1000, ge=1)
    data: DataConfig = DataConfig()
    samples: SampleConfig = SampleConfig()
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()

    @property
    def steps(self) -> int:
        """Of all phases."""
        return sum(phase.steps for phase in self.phases)

    def phase_at(self, step: int) -> Phase:
        """The phase that step number `step` (from 0) belongs to."""
        for phase in self.phases:
            if step < phase.steps:
                return phase
            step -= phase.steps
        return self.phases[-1]


def load_config(path: Path) -> TrainConfig:
    """Read and validate a YAML file.

    Raises:
        ConfigError: it is missing, is not YAML, or has wrong values.
    """
    try:
        return TrainConfig.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise ConfigError(f"{path}: {error}") from error
