"""One forward pass of training: the encoder's features while it is frozen, and the losses of what follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videocolor.models.hint import AB_SCALE
from videocolor.models.hint.encoder import GrayEncoder
from videocolor.models.hint.export import import_openvino, openvino_core
from videocolor.models.keyframe.bins import soft_labels
from videocolor.models.keyframe.network import KeyframeNet
from videocolor.training.config import ChromaLossConfig
from videocolor.training.lab import rgb_to_lab

__all__ = ["ChromaLoss", "Losses", "frozen_encoder", "target_ab"]

_STRIDE = 4


class Losses(NamedTuple):
    """Means over a batch's pixels."""

    total: Tensor
    distribution: Tensor
    mean: Tensor


def target_ab(rgb: Tensor) -> Tensor:
    """a*b* of pictures at a quarter of their size.

    Args:
        rgb: (n, h, w, 3) uint8.

    Returns:
        (n, 2, h/4, w/4) float32, Lab units.
    """
    small = F.avg_pool2d(rgb.permute(0, 3, 1, 2).float() / 255.0, _STRIDE)
    return rgb_to_lab(small)[:, 1:]


class ChromaLoss(nn.Module):
    """Losses of a network's output.

    Args:
        net: its bins are learned over.
        config: weights.
    """

    def __init__(self, net: KeyframeNet, config: ChromaLossConfig) -> None:
        super().__init__()
        self.config, self.net = config, net
        bins, shares = (torch.from_numpy(table) for table in soft_labels(net.centers.cpu().numpy()))
        self._bins, self._shares = bins.to(net.centers.device), shares.to(net.centers.device)

    def forward(self, features: Tensor, ab: Tensor, step: int) -> Losses:
        """Compare with the truth.

        Args:
            features: of `KeyframeNet.features`.
            ab: (n, 2, h/4, w/4) as `target_ab` returns.
            step: the distribution is compared at every other place of every other row, which ones changes by step.
        """
        some = slice(step % 2, None, 2), slice(step // 2 % 2, None, 2)
        scores, mean = self.net.scores(features[..., *some]), self.net.mean(features)
        return self._losses(scores.float(), mean.float(), ab, ab[..., *some])

    def _losses(self, scores: Tensor, mean: Tensor, ab: Tensor, some: Tensor) -> Losses:
        reach = self._bins.shape[0] // 2
        place = (some.round().long() + reach).clamp(0, 2 * reach)
        bins, shares = self._bins[place[:, 0], place[:, 1]], self._shares[place[:, 0], place[:, 1]]
        logp = F.log_softmax(scores.permute(0, 2, 3, 1), dim=-1)
        entropy = -(logp.gather(-1, bins) * shares).sum(dim=-1)
        distribution = (entropy * self.net.weights[bins[..., 0]]).mean()
        distance = F.smooth_l1_loss(mean, ab / AB_SCALE, beta=self.config.beta)
        return Losses(distribution + self.config.mean * distance, distribution, distance)


def frozen_encoder(
    encoder: GrayEncoder, runtime: Literal["torch", "openvino"], threads: int
) -> Callable[[Tensor], list[Tensor]]:
    """Make a function from luma (n, 1, h, w) to the encoder's features, without gradients.

    Args:
        encoder: does not change while the function is used, unless `runtime` is torch.
        runtime: openvino needs the package, and a CPU.
        threads: of OpenVINO.

    Raises:
        UsageError: OpenVINO is asked for and not installed.
    """
    if runtime == "torch":
        return torch.no_grad()(encoder)
    ov = import_openvino()
    model = ov.convert_model(encoder, example_input=torch.rand(2, 1, 64, 64), input=[(-1, 1, -1, -1)])
    settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    request = openvino_core().compile_model(model, "CPU", settings).create_infer_request()

    def features(luma: Tensor) -> list[Tensor]:
        found = request.infer([luma.contiguous().numpy()])
        return [
            torch.from_numpy(value.copy()).contiguous(memory_format=torch.channels_last) for value in found.values()
        ]

    return features
