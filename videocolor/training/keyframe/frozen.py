"""The frozen encoder's features, by torch or by OpenVINO, which on a CPU takes half of torch's time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from videocolor.models.hint.encoder import GrayEncoder
from videocolor.models.hint.export import import_openvino, openvino_core

__all__ = ["frozen_encoder"]


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
