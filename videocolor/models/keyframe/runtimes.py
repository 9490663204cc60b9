"""What executes the keyframe network: ONNX Runtime and torch; each is imported when it is used.

weights/keyframe-1.frame.onnx holds no weights (made by `videocolor.models.keyframe.export`); the weights file fills
them in.
"""

from __future__ import annotations

import numpy as np

from videocolor.errors import ModelError
from videocolor.models.artifact import Artifact
from videocolor.models.hint import AB_SCALE
from videocolor.models.keyframe.regions import Head
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
        self.head = _head(artifact)

    def features(self, luma: Array) -> Array:
        """Compute the last features of frames."""
        return np.asarray(self._session.run(["features"], {"luma": np.ascontiguousarray(luma)})[0], np.float32)


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

        self.head = _head(artifact)
        self._net = with_weights(KeyframeNet(len(self.head.centers)).folded(), artifact)
        super().__init__(self._net, device, threads)

    def features(self, luma: Array) -> Array:
        """Compute the last features of frames."""
        (found,) = self.run(lambda x: (self._net.features(x, self._net.encoder(x)),), luma)
        return found


def _head(artifact: Artifact) -> Head:
    weights = artifact.weights
    try:
        scores, mean = ((weights[f"{name}.weight"][..., 0, 0], weights[f"{name}.bias"]) for name in ("scores", "mean"))
        mean = np.float32(AB_SCALE) * mean[0], np.float32(AB_SCALE) * mean[1]
        return Head(weights["centers"], weights["weights"], scores, mean)
    except KeyError as error:
        raise ModelError(f"{artifact.card.name}: the weights lack {error}") from error
