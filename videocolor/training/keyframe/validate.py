"""A look at held-back footage while the keyframe network learns; `videocolor evaluate` has the real scores."""

from __future__ import annotations

import numpy as np
import torch

from videocolor.color import lab_of
from videocolor.datasets.pack import PackReader
from videocolor.models.hint import AB_SCALE
from videocolor.models.keyframe.network import KeyframeNet
from videocolor.training.config import SampleConfig, ValidationConfig
from videocolor.training.hint.validate import recolor, score_picture
from videocolor.training.samples import Batch, Sampler
from videocolor.types import Array

__all__ = ["contact_sheet", "validate"]

_CLEAN = SampleConfig(none=1.0, clip_none=0.3, old_film=0.0, border=0.0, propagated=0.0)
_KEYS = ("psnr", "de", "chroma", "truth")


@torch.inference_mode()
def validate(net: KeyframeNet, held: PackReader, settings: ValidationConfig) -> dict[str, float]:
    """Score the mean and the distribution's mean on fixed samples of held-back footage.

    Args:
        net: folded.
        held: the held-back pack.
        settings: how many samples, and of what size.

    Returns:
        For `mean` and `distribution`: RGB-PSNR in dB and CIEDE2000, means over pictures that have the truth's L* and
        our a*b*; `chroma`, mean chroma over the truth's. The same of `gray`.
    """
    rows: dict[str, list[float]] = {}
    sampler = Sampler(held, _CLEAN, settings.seed)
    for step in range(settings.batches):
        batch = sampler.batch(step, settings.batch, settings.size)
        for name, ab in _colors(net, batch).items():
            for rgb, one in zip(batch.rgb, ab, strict=True):
                chroma = float(np.hypot(*one).mean()), float(np.hypot(*lab_of(rgb)[1:]).mean())
                for key, value in zip(_KEYS, (*score_picture(rgb, one), *chroma), strict=True):
                    rows.setdefault(f"{name}_{key}", []).append(value)
    means = {key: float(np.mean(values)) for key, values in rows.items()}
    for name in ("gray", "mean", "distribution"):
        means[f"{name}_chroma"] /= max(means.pop(f"{name}_truth"), 1e-6)
    return means


@torch.inference_mode()
def contact_sheet(net: KeyframeNet, held: PackReader, settings: ValidationConfig) -> Array:
    """Truth, gray, mean and the distribution's mean beside each other, a sample a row; uint8 R'G'B'."""
    batch = Sampler(held, _CLEAN, settings.seed).batch(0, settings.pictures, settings.size)
    columns = [batch.rgb] + [
        np.stack([recolor(rgb, one) for rgb, one in zip(batch.rgb, ab, strict=True)])
        for ab in _colors(net, batch).values()
    ]
    return np.concatenate([np.concatenate(list(column), axis=0) for column in columns], axis=1)


def _colors(net: KeyframeNet, batch: Batch) -> dict[str, Array]:
    """(n, 2, s/4, s/4) a*b* of gray, mean and distribution."""
    output = net(torch.from_numpy(batch.luma)[:, None].to(net.centers.device))
    mean = output.mean.float() * AB_SCALE
    expected = torch.einsum("nqhw,qc->nchw", output.scores.float().softmax(dim=1), net.centers)
    return {
        "gray": np.zeros_like(mean.cpu().numpy()),
        "mean": mean.cpu().numpy(),
        "distribution": expected.cpu().numpy(),
    }
