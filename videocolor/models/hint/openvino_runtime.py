"""The hint network in OpenVINO, an extra: `--set model.runtime=openvino` (docs/performance.md compares)."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from videocolor.errors import ModelError
from videocolor.models.artifact import Artifact
from videocolor.models.hint.standalone import import_openvino, whole_onnx
from videocolor.types import Array

__all__ = ["OpenVinoRuntime"]


class OpenVinoRuntime:
    """CPU, float32.

    Args:
        artifact: weights and card.
        threads: CPU threads; None: as many as this process may use.

    Raises:
        UsageError: the package openvino, or onnx, is not installed.
        ModelError: weights and graph do not belong together.
    """

    name = "openvino"

    def __init__(self, artifact: Artifact, threads: int | None) -> None:
        self._ov = import_openvino()
        self._artifact = artifact
        self._threads = threads or (
            len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        )
        self._frame = self._request("frame")
        self._encode: Any = None
        ports = self._frame.model_inputs
        self.key_channels, self.value_channels = (ports[i].partial_shape[2].get_length() for i in (1, 2))

    def encode(self, luma: Array, ab: Array, mask: Array) -> tuple[Array, Array, Array]:
        """Hints to tokens; the network is compiled at first use."""
        if self._encode is None:
            self._encode = self._request("encode")
        keys, values, valid = _infer(self._encode, luma, ab, mask)
        return keys, values, valid

    def colorize(
        self, luma: Array, keys: Array, values: Array, valid: Array, known: Array, carried: Array
    ) -> tuple[Array, Array, Array]:
        """Frames to a*b*, confidence and expected error."""
        ab, confidence, error = _infer(self._frame, luma, keys, values, valid, known, carried)
        return ab, confidence, error

    def _request(self, part: str) -> Any:
        # Where a CPU has bfloat16, OpenVINO would take it: other colours, and another result on each machine.
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": self._threads,
            "PERFORMANCE_HINT": "LATENCY",
        }
        content = whole_onnx(self._artifact, part)
        try:
            core = self._ov.Core()
            return core.compile_model(core.read_model(content), "CPU", settings).create_infer_request()
        except RuntimeError as error:
            raise ModelError(f"{self._artifact.card.name}: OpenVINO cannot load it ({error})") from error


def _infer(request: Any, *inputs: Array) -> list[Array]:
    """Outputs in the file's order, copied: the request's own memory is used again."""
    results = request.infer([np.ascontiguousarray(value) for value in inputs])
    return [np.array(value, np.float32) for value in results.values()]
