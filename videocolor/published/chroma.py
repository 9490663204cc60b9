"""What the trainings of R and F share: chroma from gray, in a system's own units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from videocolor.published.config import PublishedConfig
from videocolor.published.training import Pictures, PublishedTask, as_bytes, tensors_of
from videocolor.training.hint.validate import recolor
from videocolor.training.lab import rgb_to_lab
from videocolor.types import Array

__all__ = ["ChromaTask"]

P = TypeVar("P", bound=PublishedConfig)


class ChromaTask(PublishedTask[P], Generic[P]):
    """Training of a network that predicts a*b* from gray, in its own units: a*b* / scale + offset."""

    scale: ClassVar[float]
    offset: ClassVar[float]

    def error(self, batch: Pictures) -> Tensor:
        """Mean of the squares over the picture's pixels and both channels, in the system's units."""
        rgb, _, luma = tensors_of(batch, self.device)
        shown = torch.from_numpy(batch.shown).to(self.device)[:, None]
        predicted = self.predict(luma, shown).float()
        if predicted.shape[2:] != rgb.shape[2:]:
            rgb = F.interpolate(rgb, predicted.shape[2:], mode="bilinear", antialias=True)
            shown = F.interpolate(shown.float(), predicted.shape[2:], mode="area") > 0.999
        truth = rgb_to_lab(rgb)[:, 1:] / self.scale + self.offset
        squares: Tensor = (predicted - truth).square() * shown
        return squares.sum() / (2 * shown.sum())

    def predict(self, luma: Tensor, shown: Tensor) -> Tensor:
        """Predict chroma in the system's units; of pictures (n, 1, s, s) and where they are shown, likewise, bool."""
        del shown
        made: Tensor = self.net(luma)
        return made

    def columns(self, batch: Pictures) -> Mapping[str, Array]:
        """Truth, gray, and the truth's lightness with the predicted chroma."""
        rgb, _, luma = tensors_of(batch, self.device)
        shown = torch.from_numpy(batch.shown).to(self.device)[:, None]
        ab = ((self.predict(luma, shown).float() - self.offset) * self.scale).cpu().numpy()
        made = np.stack([recolor(truth, chroma) for truth, chroma in zip(batch.rgb, ab, strict=True)])
        return {"truth": as_bytes(rgb), "gray": as_bytes(luma), "predicted": made}
