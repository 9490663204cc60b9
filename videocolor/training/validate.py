"""A quick look at held-back pictures while training goes on; the evaluation recipe has the real scores."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from videocolor.models.hintnet import AB_SCALE, HintNet
from videocolor.pairs.store import PackReader
from videocolor.training.config import SampleConfig
from videocolor.training.network import forward
from videocolor.training.samples import Sampler

__all__ = ["validate"]


@torch.inference_mode()
def validate(net: HintNet, held: PackReader, *, batches: int = 6, size: int = 160, seed: int = 1) -> dict[str, float]:
    """Score hinted and automatic colour on fixed samples of held-back footage.

    Returns:
        `auto_*`: without hint (clips and images); `hint_*`: a frame of the same clip; `rms`: root mean square error of
        a*b* (Lab units) over all samples; `gain`: 20 log10(rms of gray / rms), dB; `chroma`: mean chroma over the
        truth's.
    """
    net.eval()
    result: dict[str, float] = {}
    common = {"wrong": 0.0, "two": 0.0, "masked": 0.0, "hue_turn": 0.0, "old_film": 0.0, "border": 0.0}
    kinds = {"auto": {"none": 1.0, "clip_none": 0.5}, "hint": {"none": 0.0, "clip_hinted": 1.0}}
    for kind, settings in kinds.items():
        sampler = Sampler(held, SampleConfig(**{**common, **settings}), seed)
        sums = np.zeros(4)
        for step in range(batches):
            output, truth, _ = forward(net, sampler.batch(step, 16, size))
            true, got = F.avg_pool2d(truth, 2) * AB_SCALE, output.ab * AB_SCALE
            pieces = ((true - got).square(), true.square(), got.norm(dim=1), true.norm(dim=1))
            sums += [float(piece.mean()) for piece in pieces]
        result[f"{kind}_rms"] = float(np.sqrt(sums[0] / batches))
        result[f"{kind}_gain"] = float(10 * np.log10(sums[1] / sums[0]))
        result[f"{kind}_chroma"] = float(sums[2] / sums[3])
    net.train()
    return result
