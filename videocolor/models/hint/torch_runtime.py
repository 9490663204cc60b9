"""The hint network in eager torch: CUDA, and CPUs without ONNX Runtime."""

from __future__ import annotations

import numpy as np
import torch

from videocolor.errors import DeviceError, ModelError
from videocolor.models.artifact import Artifact
from videocolor.models.hint.network import VALUE_CHANNELS, HintNet
from videocolor.types import Array

__all__ = ["TorchRuntime", "network_of"]


def network_of(artifact: Artifact) -> HintNet:
    """The folded network with an artifact's weights, float32, evaluation mode.

    Raises:
        ModelError: the weights belong to another network.
    """
    net = HintNet().folded()
    state = {name: torch.from_numpy(value) for name, value in artifact.weights.items()}
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(f"{artifact.card.name}: the weights do not fit the network ({error})") from error
    return net


class TorchRuntime:
    """Norms folded, channels_last, inference mode.

    Args:
        artifact: weights and card.
        device: `cpu`, `cuda` or `cuda:N`.
        threads: CPU threads; None leaves torch's setting.

    Raises:
        DeviceError: the device is not there.
    """

    name = "torch"

    def __init__(self, artifact: Artifact, device: str, threads: int | None) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        try:
            self._device = torch.device(device)
            if self._device.type == "cuda" and not torch.cuda.is_available():
                raise DeviceError(f"device {device!r}: torch sees no CUDA device; use --device cpu")
            net = network_of(artifact).to(self._device)
        except RuntimeError as error:
            raise DeviceError(f"device {device!r} cannot be used: {error}") from error
        self._net: HintNet = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.key_channels, self.value_channels = self._net.null.in_channels + 3, VALUE_CHANNELS

    def encode(self, luma: Array, ab: Array, mask: Array) -> tuple[Array, Array, Array]:
        """Hints to tokens."""
        keys, values, valid = self._run(self._net.encode_hint, luma, ab, mask)
        return keys, values, valid

    def colorize(
        self, luma: Array, keys: Array, values: Array, valid: Array, known: Array, carried: Array
    ) -> tuple[Array, Array, Array]:
        """Frames to a*b*, confidence and expected error."""
        ab, confidence, error = self._run(self._net.colorize, luma, keys, values, valid, known, carried)
        return ab, confidence, error

    def _run(self, function: object, *inputs: Array) -> tuple[Array, ...]:
        assert callable(function)
        try:
            with torch.inference_mode():
                outputs = function(*(torch.from_numpy(np.ascontiguousarray(x)).to(self._device) for x in inputs))
                return tuple(np.ascontiguousarray(x.float().cpu().numpy()) for x in outputs)
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            raise DeviceError(f"{self._device}: out of memory with an input of {inputs[0].shape}") from error
