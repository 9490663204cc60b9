"""What the packaged networks' runtimes share: ONNX Runtime sessions, and torch on a device."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from videocolor.concurrency.cores import cores
from videocolor.errors import DeviceError, ModelError
from videocolor.models.artifact import Artifact
from videocolor.types import Array

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "TorchRunner",
    "cpu_threads",
    "external_names",
    "graph_path",
    "onnxruntime_errors",
    "open_session",
    "session_options",
    "with_weights",
]

N = TypeVar("N", bound="nn.Module")
_FOLDER: Final = Path(__file__).parent / "weights"


def graph_path(architecture: str, part: str) -> Path:
    """Find the packaged graph of an architecture.

    Args:
        architecture: as the weights file names it, e.g. `hintnet-4`.
        part: `encode` or `frame`.

    Raises:
        ModelError: there is no such graph.
    """
    path = _FOLDER / f"{architecture}.{part}.onnx"
    if not path.is_file():
        raise ModelError(f"no graph for architecture {architecture!r} in {_FOLDER}; use --set model.runtime=torch")
    return path


def external_names(path: Path, artifact: Artifact) -> list[str]:
    """List the weights that a packaged graph expects, from the file beside it.

    Raises:
        ModelError: the artifact lacks one of them.
    """
    wanted = path.with_suffix(".txt").read_text(encoding="utf-8").split()
    if missing := [name for name in wanted if name not in artifact.weights]:
        raise ModelError(f"{artifact.card.name}: the weights lack {missing[0]!r} and {len(missing) - 1} more")
    return wanted


def cpu_threads(wanted: int | None) -> int:
    """Return the threads asked for, or as many as this process may use."""
    return wanted or cores()


def session_options(threads: int) -> Any:
    """Make options of a quiet ONNX Runtime session whose threads do not spin; 0 threads: its own choice."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.enable_mem_pattern = False  # one block for all of a run, beside those of the run before
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


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
    options = session_options(cpu_threads(threads))
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


def with_weights(net: N, artifact: Artifact) -> N:
    """Give a network an artifact's weights.

    Raises:
        ModelError: the weights belong to another network.
    """
    import torch

    try:
        net.load_state_dict({name: torch.from_numpy(value) for name, value in artifact.weights.items()})
    except RuntimeError as error:
        raise ModelError(f"{artifact.card.name}: the weights do not fit the network ({error})") from error
    return net


class TorchRunner:
    """Eager torch, for CUDA and for CPUs without ONNX Runtime: channels last, inference mode.

    Args:
        net: the network, norms folded; it is moved to the device.
        device: `cpu`, `cuda` or `cuda:N`.
        threads: CPU threads; None leaves torch's setting.

    Raises:
        DeviceError: the device is not there.
    """

    name = "torch"

    def __init__(self, net: nn.Module, device: str, threads: int | None) -> None:
        import torch

        if threads is not None:
            torch.set_num_threads(threads)
        try:
            self._device = torch.device(device)
            if self._device.type == "cuda" and not torch.cuda.is_available():
                raise DeviceError(f"device {device!r}: torch sees no CUDA device; use --device cpu")
            net.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        except RuntimeError as error:
            raise DeviceError(f"device {device!r} cannot be used: {error}") from error

    def run(self, function: Callable[..., Any], *inputs: Array) -> tuple[Array, ...]:
        """Call a function of the network; inputs and outputs are float32 arrays.

        Raises:
            DeviceError: the device's memory is too small.
        """
        import torch

        try:
            with torch.inference_mode():
                outputs = function(*(torch.from_numpy(np.ascontiguousarray(x)).to(self._device) for x in inputs))
                return tuple(np.ascontiguousarray(x.float().cpu().numpy()) for x in outputs)
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            raise DeviceError(f"{self._device}: out of memory with an input of {inputs[0].shape}") from error
