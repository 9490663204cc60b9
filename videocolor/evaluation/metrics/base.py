"""What a metric is, and what it sees of a frame.

A metric is a class: `measure` looks at one frame, `update` takes what was measured in film order, `result` gives the
film's scores. `videocolor.evaluation.metrics` lists all of them; docs/reference/scores.md says how to add one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar, cast

from pydantic import Field

from videocolor.color import lab_of
from videocolor.config import Int, Section
from videocolor.types import Array

__all__ = ["Column", "Metric", "MetricOptions", "Picture", "Score", "ScoredFrame"]

T = TypeVar("T")
Score = float | int | str | tuple[int, ...] | None
"""A value of a film's scores; None: not measured."""


class MetricOptions(Section):
    """What metrics can be set to."""

    lpips_weights: Path | None = None
    """File of LPIPS-Alex weights; null: LPIPS is not measured."""
    lpips_every: Int = Field(10, ge=1)
    """LPIPS is measured on every Nth scored frame, from the first on."""
    flow_every: Int = Field(5, ge=1)
    """Warp error and flicker are measured on every Nth pair of neighboring frames, from the first on."""
    chroma_shift: tuple[Int, Int] = (1, 1)
    """Chroma grid (log2 of its subsampling) for `reference_ciede2000`; `score_film` takes the result's own."""


@dataclass(frozen=True)
class Column:
    """A score as tables show it."""

    key: str
    title: str
    digits: int
    better: Literal["higher", "lower", ""] = ""
    """Empty: neither is better in itself."""
    worst: bool = False
    """Show the largest value over clips in place of the mean."""
    on_page: bool = False
    """Show it for each clip on the page of an evaluation, too."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A frame's R'G'B', and its Lab on demand."""

    rgb: Array = field(repr=False)
    """(h, w, 3) R'G'B' (sRGB): uint8, uint16 (0..65535) or float in 0..1."""

    @cached_property
    def lab(self) -> Array:
        """(3, h, w) float32 CIE L*a*b*."""
        return lab_of(self.rgb)


@dataclass(frozen=True, eq=False)
class ScoredFrame:
    """A frame of the truth and of the result."""

    index: int
    """Number of the frame in the film, from 0."""
    scored: int
    """Number of scored frames before it."""
    reference: bool
    """The method was given this frame's true color."""
    truth: Picture
    test: Picture
    before: tuple[Picture, Picture] | None
    """Truth and result of the frame before."""
    luma_diff: int | None = None
    """Largest difference of stored luma, in code values; None: unknown."""
    _known: dict[Callable[..., Any], Any] = field(default_factory=dict, init=False, repr=False)

    @property
    def side(self) -> int:
        """The shorter side, in pixels."""
        return int(min(self.truth.rgb.shape[:2]))

    def once(self, compute: Callable[[ScoredFrame], T]) -> T:
        """Return `compute(frame)`; what several metrics need is computed once."""
        if compute not in self._known:
            self._known[compute] = compute(self)
        return cast("T", self._known[compute])


class Metric(ABC):
    """A score of a film, or a family of scores that are measured together.

    Args:
        options: see `MetricOptions`.
    """

    name: ClassVar[str]
    """As in `--metrics`."""
    keys: ClassVar[tuple[str, ...]]
    """The scores that `result` gives. It may add settings and counts, which are never None."""
    columns: ClassVar[tuple[Column, ...]] = ()
    """The scores that tables show."""
    frames: ClassVar[Literal["scored", "reference", "all"]] = "scored"
    """Which frames are measured; `scored` leaves reference frames out."""
    missing: ClassVar[str] = "nothing to measure"
    """Why there is no score although the metric was asked for."""

    def __init__(self, options: MetricOptions) -> None:
        self.options = options
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    @abstractmethod
    def measure(self, frame: ScoredFrame) -> Mapping[str, Any]:
        """Measure one frame; empty where it cannot be. Called from several threads, so it changes nothing here."""

    def update(self, measured: Mapping[str, Any]) -> None:
        """Take what `measure` returned, in film order: here, sum the values for their means."""
        for key, value in measured.items():
            self._sums[key] = self._sums.get(key, 0.0) + value
            self._counts[key] = self._counts.get(key, 0) + 1

    def result(self) -> dict[str, Score]:
        """Return the film's scores so far by key: here, the means over the frames that have them."""
        return {key: self.mean(key) for key in self.keys}

    def reasons(self) -> dict[str, str]:
        """Say of each key why it is None, if it is."""
        return dict.fromkeys(self.keys, self.missing)

    def mean(self, key: str) -> float | None:
        """Return the mean of what `update` was given under `key`; None without any."""
        return self._sums[key] / self._counts[key] if key in self._counts else None

    def count(self, key: str) -> int:
        """Return how many values `mean` is of."""
        return self._counts.get(key, 0)
