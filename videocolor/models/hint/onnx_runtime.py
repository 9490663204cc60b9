"""The hint network in ONNX Runtime: the packaged graphs hold no weights, the weights file fills them in.

weights/hintnet-4.encode.onnx, weights/hintnet-4.frame.onnx    100 kB each, made by `videocolor.models.hint.export`
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from videocolor.errors import ModelError
from videocolor.models.artifact import Artifact
from videocolor.types import Array

__all__ = ["OnnxRuntime", "external_names", "failures", "graph_path"]

_FOLDER = Path(__file__).parents[1] / "weights"


def graph_path(architecture: str, part: str) -> Path:
    """Where the packaged graph of an architecture is.

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
        self._artifact = artifact
        self._threads = threads or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else threads or 0
        self._frame = self._session("frame")
        self._encode: Any = None
        shapes = {entry.name: entry.shape for entry in self._frame.get_inputs()}
        self.key_channels, self.value_channels = int(shapes["keys"][2]), int(shapes["values"][2])

    def encode(self, luma: Array, ab: Array, mask: Array) -> tuple[Array, Array, Array]:
        """Hints to tokens; the session is made at first use."""
        if self._encode is None:
            self._encode = self._session("encode")
        keys, values, valid = self._encode.run(None, {"luma": luma, "ab": ab, "mask": mask})
        return keys, values, valid

    def colorize(
        self, luma: Array, keys: Array, values: Array, valid: Array, known: Array, carried: Array
    ) -> tuple[Array, Array, Array]:
        """Frames to a*b*, confidence and expected error."""
        tokens = {"keys": keys, "values": values, "valid": valid, "known": known}
        inputs = {"luma": luma, **tokens, "carried": carried}
        ab, confidence, error = self._frame.run(None, inputs)
        return ab, confidence, error

    def _session(self, part: str) -> Any:
        import onnxruntime as ort

        path = graph_path(self._artifact.architecture, part)
        options = ort.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        wanted = external_names(path)
        missing = [name for name in wanted if name not in self._artifact.weights]
        if missing:
            raise ModelError(f"{self._artifact.card.name}: the weights lack {missing[0]!r} and {len(missing) - 1} more")
        # ONNX Runtime reads the buffers during construction only, but they must live until then.
        values = [ort.OrtValue.ortvalue_from_numpy(self._artifact.weights[name]) for name in wanted]
        options.add_external_initializers(wanted, values)
        try:
            return ort.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
        except failures() as error:
            reason = str(error)[:300]
            raise ModelError(
                f"{self._artifact.card.name}: ONNX Runtime cannot load the weights into {path.name} ({reason})"
            ) from error


def external_names(path: Path) -> list[str]:
    """Names of the weights that a packaged graph expects, from the list beside it."""
    return path.with_suffix(".txt").read_text(encoding="utf-8").split()


def failures() -> tuple[type[Exception], ...]:
    """ONNX Runtime's own errors, which share no base, and those that it takes from Python."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    own = (value for value in vars(state).values() if isinstance(value, type) and issubclass(value, Exception))
    return (RuntimeError, ValueError, *own)
