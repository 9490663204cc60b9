"""A look at held-back footage while training goes on; `videocolor.evaluation` has the real scores."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import torch

from videocolor.color import lab_of, lab_to_rgb, rgb_to_lab
from videocolor.datasets.pack import PackReader
from videocolor.evaluation.metrics.lab import ciede2000
from videocolor.evaluation.metrics.pixels import mean_squared_error, psnr
from videocolor.models.hint import AB_SCALE
from videocolor.models.hint.network import HintNet
from videocolor.training.config import SampleConfig, ValidationConfig
from videocolor.training.hint.network import forward
from videocolor.training.propagated import PropagatedReader
from videocolor.training.samples import Batch, Sampler
from videocolor.types import Array

__all__ = ["contact_sheet", "recolor", "score_picture", "validate"]

_CLEAN = dict.fromkeys(("wrong", "two", "masked", "hue_turn", "old_film", "border", "propagated"), 0.0)
_KINDS = {
    "auto": {"none": 1.0, "clip_none": 0.5},
    "hint": {"none": 0.0, "clip_hinted": 1.0},
    "spots": {"none": 0.0, "masked": 1.0, "clip_hinted": 1.0},
    "wrong": {"none": 0.0, "wrong": 1.0, "clip_hinted": 0.5},
    "propagated": {"none": 0.0, "clip_hinted": 1.0, "propagated": 1.0},
}
_BEST_DB = 60.0
"""What an equal picture counts, for its PSNR is infinite."""


@torch.inference_mode()
def validate(
    net: HintNet, held: PackReader, propagated: PropagatedReader | None, settings: ValidationConfig
) -> dict[str, float]:
    """Score hinted and automatic color on fixed samples of held-back footage.

    Returns:
        `auto_*`: without hint (clips and images); `hint_*`: a frame of the same clip; `spots_*`: two to twelve spots of
        such a frame; `wrong_*`: a hint of another scene; `propagated_*`: with propagated chroma, too (where
        `propagated` is given). `rms`: root mean square error of a*b* (Lab units) at half size; `gain`: 20 log10(rms of
        gray / rms), dB; `chroma`: mean chroma over the truth's; `psnr`: RGB-PSNR, dB, and `de`: CIEDE2000, means over
        pictures with the truth's L* and our a*b*. `gray_psnr`, `gray_de`: of the samples of `auto_*` without color.
    """
    net.eval()
    result: dict[str, float] = {}
    for kind in _KINDS:
        if kind == "propagated" and propagated is None:
            continue
        sums, scores, gray = np.zeros(4), [], []
        sampler = Sampler(held, SampleConfig(**{**_CLEAN, **_KINDS[kind]}), settings.seed, propagated)
        for step in range(settings.batches):
            batch = sampler.batch(step, settings.batch, settings.size)
            got, truth = _ab(net, batch)
            sums += _sums(got, truth)
            scores += [score_picture(rgb, ab) for rgb, ab in zip(batch.rgb, got, strict=True)]
            gray += [
                score_picture(rgb, np.zeros_like(ab)) for rgb, ab in zip(batch.rgb, got, strict=True) if kind == "auto"
            ]
        result[f"{kind}_rms"] = float(np.sqrt(sums[0] / settings.batches))
        result[f"{kind}_gain"] = float(10 * np.log10(sums[1] / max(sums[0], 1e-9)))
        result[f"{kind}_chroma"] = float(sums[2] / sums[3])
        for name, pictures in ((kind, scores), ("gray", gray)):
            if pictures:
                result[f"{name}_psnr"], result[f"{name}_de"] = (float(x) for x in np.mean(pictures, axis=0))
    return result


@torch.inference_mode()
def contact_sheet(
    net: HintNet, held: PackReader, propagated: PropagatedReader | None, settings: ValidationConfig
) -> Array:
    """Pictures of held-back footage, a row each: truth, gray, automatic, hinted, and hinted with propagated chroma.

    Returns:
        (h, w, 3) uint8 R'G'B'; the last column is missing where `propagated` is None.
    """
    net.eval()
    wanted = {**_CLEAN, **_KINDS["hint" if propagated is None else "propagated"]}
    batch = Sampler(held, SampleConfig(**wanted), settings.seed, propagated).batch(0, settings.pictures, settings.size)
    unmoved = replace(
        batch, propagated_rgb=batch.propagated_rgb[:0], propagated=batch.propagated[:0], propagated_owner=_NOBODY
    )
    nothing = {name: getattr(batch, name)[:0] for name in ("hint_rgb", "hint_luma", "hint_mask")}
    alone = replace(unmoved, **nothing, owner=_NOBODY, slot=_NOBODY)
    gray = np.repeat(np.rint(batch.luma[..., None] * 255).astype(np.uint8), 3, axis=-1)
    columns = {"truth": batch.rgb, "gray": gray, "automatic": _colored(net, alone), "hinted": _colored(net, unmoved)}
    if propagated is not None:
        columns["propagated"] = _colored(net, batch)
    return np.concatenate([_column(name, pictures) for name, pictures in columns.items()], axis=1)


def recolor(rgb: Array, ab: Array) -> Array:
    """Combine the L* of a picture with other a*b*.

    Args:
        rgb: (h, w, 3) uint8.
        ab: (2, h/2, w/2), Lab units; upsampled bilinearly.

    Returns:
        (h, w, 3) uint8, clipped to the gamut.
    """
    height, width = rgb.shape[:2]
    lightness = rgb_to_lab(np.moveaxis(rgb.astype(np.float32) / 255, -1, 0))[:1]
    up = cv2.resize(np.moveaxis(ab, 0, -1), (width, height), interpolation=cv2.INTER_LINEAR)
    made = lab_to_rgb(np.concatenate((lightness, np.moveaxis(up, -1, 0))))
    return np.asarray(np.rint(np.moveaxis(made, 0, -1).clip(0, 1) * 255), np.uint8)


_NOBODY = np.zeros(0, np.int64)
_LABEL = 14
"""Height of a column's name in pixels."""


def _ab(net: HintNet, batch: Batch) -> tuple[Array, Array]:
    """Predict a*b*; also return the true ones; (n, 2, s/2, s/2), Lab units."""
    output, truth, *_ = forward(net, batch)
    pair = (output.ab, torch.nn.functional.avg_pool2d(truth, 2))
    got, true = ((x.float() * AB_SCALE).cpu().numpy() for x in pair)
    return got, true


def _sums(got: Array, truth: Array) -> list[float]:
    """Mean square of error and of truth, mean chroma of both."""
    squares = [float(np.square(x).mean()) for x in (truth - got, truth)]
    return squares + [float(np.hypot(x[:, 0], x[:, 1]).mean()) for x in (got, truth)]


def score_picture(rgb: Array, ab: Array) -> tuple[float, float]:
    """Compute RGB-PSNR (dB, 60 at most) and mean CIEDE2000 of a picture with other a*b*; arguments as of `recolor`."""
    made = recolor(rgb, ab)
    difference = float(ciede2000(lab_of(rgb), lab_of(made)).mean(dtype=np.float64))
    return min(psnr(mean_squared_error(rgb, made)), _BEST_DB), difference


def _colored(net: HintNet, batch: Batch) -> Array:
    return np.stack([recolor(rgb, ab) for rgb, ab in zip(batch.rgb, _ab(net, batch)[0], strict=True)])


def _column(name: str, pictures: Array) -> Array:
    """Pictures below each other under their name, a pixel of white between them."""
    label = np.full((_LABEL, pictures.shape[2], 3), 255, np.uint8)
    cv2.putText(label, name, (2, _LABEL - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.35, (0, 0, 0), 1, cv2.LINE_AA)
    framed = [np.pad(picture, ((0, 1), (0, 1), (0, 0)), constant_values=255) for picture in pictures]
    return np.concatenate((np.pad(label, ((0, 0), (0, 1), (0, 0)), constant_values=255), *framed))
