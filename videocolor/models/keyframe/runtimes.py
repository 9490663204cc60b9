"""What executes the keyframe network: ONNX Runtime and torch; each is imported when it is used.

weights/keyframe-1.frame.onnx holds no weights (made by `videocolor.models.keyframe.export`); the weights file fills
them in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from videocolor.errors import DeviceError, ModelError
from videocolor.models.artifact import Artifact
from videocolor.models.hint.runtimes import open_session
from videocolor.types import Array

if TYPE_CHECKING:
    from videocolor.models.keyframe.network import KeyframeNet

__all__ = ["OnnxRuntime", "TorchRuntime"]


class OnnxRuntime:
    """CPU, float32.

    Args:
        artifact: weights and card.
        threads: CPU threads; None: as many as this process may use.

    Raises:
        ModelError: weights and graph do not belong together.
    """

    name = "onnxruntime"

    def __init__(self, artifact: Artifact, threads: int | None) -> None:
        self._session = open_session(artifact, "frame", threads)
        try:
            self.centers, self.weights = artifact.weights["centers"], artifact.weights["weights"]
            self._last, self._bias = artifact.weights["scores.weight"][..., 0, 0], artifact.weights["scores.bias"]
        except KeyError as error:
            raise ModelError(f"{artifact.card.name}: the weights lack {error}") from error

    def colorize(self, luma: Array) -> tuple[Array, Array]:
        """Compute mean and scores of frames."""
        mean, features = self._session.run(None, {"luma": np.ascontiguousarray(luma)})
        n, channels, height, width = features.shape
        scores = self._last @ features.reshape(n, channels, -1) + self._bias[:, None]
        return mean, scores.reshape(n, -1, height, width)


class TorchRuntime:
    """Eager torch, for CUDA and for CPUs without ONNX Runtime: norms folded, channels last, inference mode.

    Args:
        artifact: weights and card.
        device: `cpu`, `cuda` or `cuda:N`.
        threads: CPU threads; None leaves torch's setting.

    Raises:
        DeviceError: the device is not there.
        ModelError: the weights belong to another network.
    """

    name = "torch"

    def __init__(self, artifact: Artifact, device: str, threads: int | None) -> None:
        import torch

        if threads is not None:
            torch.set_num_threads(threads)
        net = _network(artifact)
        try:
            self._device = torch.device(device)
            if self._device.type == "cuda" and not torch.cuda.is_available():
                raise DeviceError(f"device {device!r}: torch sees no CUDA device; use --device cpu")
            self._net: KeyframeNet = net.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        except RuntimeError as error:
            raise DeviceError(f"device {device!r} cannot be used: {error}") from error
        self.centers, self.weights = artifact.weights["centers"], artifact.weights["weights"]

    def colorize(self, luma: Array) -> tuple[Array, Array]:
        """Compute mean and scores of frames."""
        import torch

        try:
            with torch.inference_mode():
                output = self._net(torch.from_numpy(np.ascontiguousarray(luma)).to(self._device))
                mean, scores = (x.float().cpu().contiguous().numpy() for x in output)
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            raise DeviceError(f"{self._device}: out of memory with an input of {luma.shape}") from error
        return mean, scores


def _network(artifact: Artifact) -> KeyframeNet:
    import torch

    from videocolor.models.keyframe.network import KeyframeNet

    try:
        net = KeyframeNet(len(artifact.weights["centers"])).folded()
        net.load_state_dict({name: torch.from_numpy(value) for name, value in artifact.weights.items()})
    except (RuntimeError, KeyError) as error:
        raise ModelError(f"{artifact.card.name}: the weights do not fit the network ({error})") from error
    return net
