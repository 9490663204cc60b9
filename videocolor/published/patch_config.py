"""Settings of the patch colouriser's grid; `videocolor.published.train_patches` runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple, Self

from pydantic import Field, field_validator, model_validator

from videocolor.config import Int, Section
from videocolor.published.patch_data import PatchDataConfig

__all__ = ["Cell", "MapConfig", "PatchesConfig", "PerceptronConfig"]


class MapConfig(Section):
    """The self-organising maps (minisom)."""

    neurons: tuple[Int, ...] = (9, 25, 100, 400)
    """Neurons of each map, squares of whole numbers."""
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

    neurons: Int = 9
    """The map whose codewords are the classes."""
    patches: tuple[Int, ...] = Field(default=(3, 5, 11), min_length=1)
    """Sides of the patches, odd."""
    hidden: tuple[tuple[Int, ...], ...] = Field(
        default=((10,), (50,), (100,), (50, 50), (100, 100), (200, 200), (300, 300)), min_length=1
    )
    """Hidden layers of each network."""
    splits: Int = Field(default=10, ge=1)
    """Stratified shuffle splits."""
    train: Int = Field(default=50_000, ge=1)
    """Rows of a split that are learnt from."""
    test: Int = Field(default=5_000, ge=1)
    """Rows of a split that are scored on."""
    lr: float = Field(default=1e-3, gt=0)
    """Learning rate."""
    max_iter: Int = Field(default=200, ge=1)
    """Most passes over the training rows; scikit-learn's own default. It stops before where the loss stands still."""

    @field_validator("patches")
    @classmethod
    def _odd(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        for patch in value:
            if patch < 1 or patch % 2 == 0:
                raise ValueError(f"a patch of {patch} has no middle; expected an odd number")
        return value


class Cell(NamedTuple):
    """One place of the grid."""

    patch: int
    hidden: tuple[int, ...]

    @property
    def name(self) -> str:
        """`3x3_50+50`."""
        return f"{self.patch}x{self.patch}_{'+'.join(map(str, self.hidden))}"


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
    """Cell whose network OUT/patches.safetensors is, as in `3x3_50+50`. Null: the first."""
    data: PatchDataConfig = PatchDataConfig()
    maps: MapConfig = MapConfig()
    perceptron: PerceptronConfig = PerceptronConfig()

    @property
    def cells(self) -> list[Cell]:
        """All places of the grid."""
        return [Cell(patch, hidden) for patch in self.perceptron.patches for hidden in self.perceptron.hidden]

    @property
    def steps(self) -> int:
        """Networks to be trained."""
        return len(self.cells) * self.perceptron.splits

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.perceptron.neurons not in self.maps.neurons:
            raise ValueError(f"perceptron.neurons {self.perceptron.neurons} is not among maps.neurons")
        names = [cell.name for cell in self.cells]
        if self.film is not None and self.film not in names:
            raise ValueError(f"film {self.film!r} is not a cell of this grid: {', '.join(names)}")
        return self
