"""What executes the hint network: ONNX Runtime, OpenVINO (an extra) and torch; each is imported when it is used.

weights/hintnet-4.encode.onnx, weights/hintnet-4.frame.onnx hold no weights (100 kB each, made by
`videocolor.models.hint.export`); the weights file fills them in.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from videocolor.errors import DeviceError, ModelError
from videocolor.models.artifact import Artifact
from videocolor.models.hint.export import complete_onnx, external_names, graph_path, openvino_core
from videocolor.types import Array

if TYPE_CHECKING:
    from videocolor.models.hint.network import HintNet

__all__ = ["OnnxRuntime", "OpenVinoRuntime", "TorchRuntime", "network_of", "onnxruntime_errors", "open_session"]


def _threads(wanted: int | None) -> int:
    """Return the threads asked for, or as many as this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return wanted or len(os.sched_getaffinity(0))
    return wanted or os.cpu_count() or 1


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
        self._artifact, self._threads = artifact, threads
        self._frame = open_session(artifact, "frame", threads)
        self._encode: Any = None
        shapes = {entry.name: entry.shape for entry in self._frame.get_inputs()}
        self.key_channels, self.value_channels = int(shapes["keys"][2]), int(shapes["values"][2])

    def encode(self, luma: Array, ab: Array, mask: Array) -> tuple[Array, Array, Array]:
        """Encode hints into tokens; the session is made at first use."""
        if self._encode is None:
            self._encode = open_session(self._artifact, "encode", self._threads)
        keys, values, valid = self._encode.run(None, {"luma": luma, "ab": ab, "mask": mask})
        return keys, values, valid

    def colorize(
        self, luma: Array, keys: Array, values: Array, valid: Array, scribbles: Array, propagated: Array
    ) -> tuple[Array, Array, Array]:
        """Compute a*b*, confidence and expected error of frames."""
        tokens = {"keys": keys, "values": values, "valid": valid, "scribbles": scribbles}
        ab, confidence, error = self._frame.run(None, {"luma": luma, **tokens, "propagated": propagated})
        return ab, confidence, error


def open_session(artifact: Artifact, part: str, threads: int | None) -> Any:
    """Open an ONNX Runtime session of a packaged graph with an artifact's weights.

    Args:
        artifact: weights and architecture.
        part: of the network, see `graph_path`.
        threads: CPU threads; None: as many as this process may use.

    Raises:
        ModelError: weights and graph do not belong together.
    """
    import onnxruntime as ort

    path, name = graph_path(artifact.architecture, part), artifact.card.name
    options = ort.SessionOptions()
    options.intra_op_num_threads = _threads(threads)
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    wanted = external_names(path, artifact)
    # ONNX Runtime reads the buffers during construction only, but they must live until then.
    values = [ort.OrtValue.ortvalue_from_numpy(artifact.weights[weight]) for weight in wanted]
    options.add_external_initializers(wanted, values)
    try:
        return ort.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    except onnxruntime_errors() as error:
        reason = str(error)[:300]
        raise ModelError(f"{name}: ONNX Runtime cannot load the weights into {path.name} ({reason})") from error


def onnxruntime_errors() -> tuple[type[Exception], ...]:
    """ONNX Runtime's own errors, which share no base, and those that it takes from Python."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    own = (value for value in vars(state).values() if isinstance(value, type) and issubclass(value, Exception))
    return (RuntimeError, ValueError, *own)


class OpenVinoRuntime:
    """CPU, float32; docs/performance.md compares.

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
        self._artifact, self._threads = artifact, _threads(threads)
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
        content = complete_onnx(self._artifact, part)
        try:
            return self._core.compile_model(self._core.read_model(content), "CPU", settings).create_infer_request()
        except RuntimeError as error:
            raise ModelError(f"{self._artifact.card.name}: OpenVINO cannot load it ({error})") from error


def _infer(request: Any, *inputs: Array) -> list[Array]:
    """Run a request; copy its outputs, in the file's order, for it reuses its memory."""
    results = request.infer([np.ascontiguousarray(value) for value in inputs])
    return [np.array(value, np.float32) for value in results.values()]


def network_of(artifact: Artifact) -> HintNet:
    """Build the folded network with an artifact's weights, float32, evaluation mode.

    Raises:
        ModelError: the weights belong to another network.
    """
    import torch

    from videocolor.models.hint.network import HintNet

    net = HintNet().folded()
    state = {name: torch.from_numpy(value) for name, value in artifact.weights.items()}
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(f"{artifact.card.name}: the weights do not fit the network ({error})") from error
    return net


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

        from videocolor.models.hint.network import VALUE_CHANNELS

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
        """Encode hints into tokens."""
        keys, values, valid = self._run(self._net.encode_hint, luma, ab, mask)
        return keys, values, valid

    def colorize(
        self, luma: Array, keys: Array, values: Array, valid: Array, scribbles: Array, propagated: Array
    ) -> tuple[Array, Array, Array]:
        """Compute a*b*, confidence and expected error of frames."""
        ab, confidence, error = self._run(self._net.colorize, luma, keys, values, valid, scribbles, propagated)
        return ab, confidence, error

    def _run(self, function: Callable[..., Any], *inputs: Array) -> tuple[Array, ...]:
        import torch

        try:
            with torch.inference_mode():
                outputs = function(*(torch.from_numpy(np.ascontiguousarray(x)).to(self._device) for x in inputs))
                return tuple(np.ascontiguousarray(x.float().cpu().numpy()) for x in outputs)
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            raise DeviceError(f"{self._device}: out of memory with an input of {inputs[0].shape}") from error
