"""What executes the hint network: ONNX Runtime, OpenVINO (an extra) and torch; each is imported when it is used.

weights/hintnet-4.encode.onnx, weights/hintnet-4.frame.onnx hold no weights (100 kB each, made by
`videocolor.models.hint.export`); the weights file fills them in.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from videocolor.errors import ModelError
from videocolor.models.artifact import Artifact
from videocolor.models.hint.export import complete_onnx, openvino_core
from videocolor.models.runtimes import TorchRunner, cpu_threads, open_session, with_weights
from videocolor.types import Array

if TYPE_CHECKING:
    from videocolor.models.hint.network import HintNet

__all__ = ["OnnxRuntime", "OpenVinoRuntime", "TorchRuntime", "network_of"]


class OnnxRuntime:
    """CPU, float32.

    Args:
        artifact: weights and card.
        threads: CPU threads; None: as many as this process may use.
        deferred: open the session at the first use: for weights that are known to fit and may not be needed.

    Raises:
        ModelError: weights and graph do not belong together.
    """

    name = "onnxruntime"

    def __init__(self, artifact: Artifact, threads: int | None, *, deferred: bool = False) -> None:
        self.artifact, self._threads = artifact, threads
        if not deferred:
            self._frame  # noqa: B018 - opens it

    @cached_property
    def _frame(self) -> Any:
        return open_session(self.artifact, "frame", self._threads)

    @cached_property
    def _encode(self) -> Any:
        return open_session(self.artifact, "encode", self._threads)

    @cached_property
    def key_channels(self) -> int:
        """Length of a token's key."""
        return self._length("keys")

    @cached_property
    def value_channels(self) -> int:
        """Length of a token's value."""
        return self._length("values")

    def _length(self, name: str) -> int:
        return next(int(entry.shape[2]) for entry in self._frame.get_inputs() if entry.name == name)

    def encode(self, luma: Array, ab: Array, mask: Array) -> tuple[Array, Array, Array]:
        """Encode hints into tokens."""
        keys, values, valid = self._encode.run(None, {"luma": luma, "ab": ab, "mask": mask})
        return keys, values, valid

    def colorize(
        self, luma: Array, keys: Array, values: Array, valid: Array, scribbles: Array, propagated: Array
    ) -> tuple[Array, Array, Array]:
        """Compute a*b*, confidence and expected error of frames."""
        tokens = {"keys": keys, "values": values, "valid": valid, "scribbles": scribbles}
        ab, confidence, error = self._frame.run(None, {"luma": luma, **tokens, "propagated": propagated})
        return ab, confidence, error


class OpenVinoRuntime:
    """CPU, float32; docs/guides/speed.md compares.

    Args:
        artifact: weights and card.
        threads: CPU threads; None: as many as this process may use.

    Raises:
        UsageError: the package openvino, or onnx, is not installed.
        ModelError: weights and graph do not belong together.
    """

    name = "openvino"

    def __init__(self, artifact: Artifact, threads: int | None) -> None:
        self._core = openvino_core()
        self.artifact, self._threads = artifact, cpu_threads(threads)
        self._frame = self._request("frame")
        self._encode: Any = None
        ports = self._frame.model_inputs
        self.key_channels, self.value_channels = (ports[i].partial_shape[2].get_length() for i in (1, 2))

    def encode(self, luma: Array, ab: Array, mask: Array) -> tuple[Array, Array, Array]:
        """Encode hints into tokens; the network is compiled at first use."""
        if self._encode is None:
            self._encode = self._request("encode")
        keys, values, valid = _infer(self._encode, luma, ab, mask)
        return keys, values, valid

    def colorize(
        self, luma: Array, keys: Array, values: Array, valid: Array, scribbles: Array, propagated: Array
    ) -> tuple[Array, Array, Array]:
        """Compute a*b*, confidence and expected error of frames."""
        ab, confidence, error = _infer(self._frame, luma, keys, values, valid, scribbles, propagated)
        return ab, confidence, error

    def _request(self, part: str) -> Any:
        # Where a CPU has bfloat16, OpenVINO would use it: other colors, and other results on each machine.
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": self._threads,
            "PERFORMANCE_HINT": "LATENCY",
        }
        content = complete_onnx(self.artifact, part)
        try:
            return self._core.compile_model(self._core.read_model(content), "CPU", settings).create_infer_request()
        except RuntimeError as error:
            raise ModelError(f"{self.artifact.card.name}: OpenVINO cannot load it ({error})") from error


def _infer(request: Any, *inputs: Array) -> list[Array]:
    """Run a request; copy its outputs, in the file's order, for it reuses its memory."""
    results = request.infer([np.ascontiguousarray(value) for value in inputs])
    return [np.array(value, np.float32) for value in results.values()]


def network_of(artifact: Artifact) -> HintNet:
    """Build the folded network with an artifact's weights, float32, evaluation mode.

    Raises:
        ModelError: the weights belong to another network.
    """
    from videocolor.models.hint.network import HintNet

    return with_weights(HintNet().folded(), artifact)


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
        from videocolor.models.hint.network import VALUE_CHANNELS

        self._net = network_of(artifact)
        super().__init__(self._net, device, threads)
        self.key_channels, self.value_channels = self._net.null.in_channels + 3, VALUE_CHANNELS

    def encode(self, luma: Array, ab: Array, mask: Array) -> tuple[Array, Array, Array]:
        """Encode hints into tokens."""
        keys, values, valid = self.run(self._net.encode_hint, luma, ab, mask)
        return keys, values, valid

    def colorize(
        self, luma: Array, keys: Array, values: Array, valid: Array, scribbles: Array, propagated: Array
    ) -> tuple[Array, Array, Array]:
        """Compute a*b*, confidence and expected error of frames."""
        ab, confidence, error = self.run(self._net.colorize, luma, keys, values, valid, scribbles, propagated)
        return ab, confidence, error
