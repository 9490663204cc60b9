"""What executes the keyframe network: ONNX Runtime and torch; each is imported when it is used.

weights/keyframe-1.frame.onnx holds no weights (made by `videocolor.models.keyframe.export`); the weights file fills
them in.
"""

from __future__ import annotations

import numpy as np

from videocolor.errors import ModelError
from videocolor.models.artifact import Artifact
from videocolor.models.runtimes import TorchRunner, open_session, with_weights
from videocolor.types import Array

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


class TorchRuntime(TorchRunner):
    """Torch with norms folded; for the device, see `TorchRunner`.

    Args:
        artifact: weights and card.
        device: `cpu`, `cuda` or `cuda:N`.
        threads: CPU threads; None leaves torch's setting.

    Raises:
        DeviceError: the device is not there.
        ModelError: the weights belong to another network.
    """

    def __init__(self, artifact: Artifact, device: str, threads: int | None) -> None:
        from videocolor.models.keyframe.network import KeyframeNet

        if missing := {"centers", "weights"} - artifact.weights.keys():
            raise ModelError(f"{artifact.card.name}: the weights lack {min(missing)!r}")
        self.centers, self.weights = artifact.weights["centers"], artifact.weights["weights"]
        self._net = with_weights(KeyframeNet(len(self.centers)).folded(), artifact)
        super().__init__(self._net, device, threads)

    def colorize(self, luma: Array) -> tuple[Array, Array]:
        """Compute mean and scores of frames."""
        mean, scores = self.run(self._net, luma)
        return mean, scores
