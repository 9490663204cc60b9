"""Export the published systems as ONNX: one graph a system, its card beside it. Needs torch and the package `onnx`."""

from __future__ import annotations

import hashlib
import json
import tempfile
import warnings
from pathlib import Path
from typing import Any, Final, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videocolor.errors import OutputError, UsageError
from videocolor.files import write_atomically
from videocolor.models.artifact import Artifact
from videocolor.models.base import Colorizer
from videocolor.published.fusion import AB_SCALE, FusionColorizer
from videocolor.published.hetero import HeteroColorizer
from videocolor.published.patches import PatchColorizer
from videocolor.published.residual import AB_SPAN, ResidualColorizer
from videocolor.training.lab import gray_lightness, rgb_to_lab

__all__ = ["write_system"]

_OPSET: Final = 18
"""The first whose Resize has antialiasing."""
_MEANING: Final = {
    "luma": "(n, 1, h, w) Y' (full range) in 0..1 of gray frames",
    "hint": "(n, 3, h, w) R'G'B' in 0..1 of the hint, once for each frame; without a hint the frame's gray three times",
    "before": "(n, 3, h, w) R'G'B' in 0..1 of the picture made of the frame before; at first the frame's gray",
    "square": "(n, 1, s, s) Y' in 0..1 of gray frames, stretched or padded white to the card's square",
    "original": "(n, 1, h, w) Y' in 0..1 of the same frames as they are",
    "ab": "(n, 2, h, w) CIE Lab a*, b* (D65)",
    "rgb": "(n, 3, h, w) R'G'B' in 0..1: the network's own picture",
}


def write_system(artifact: Artifact, colorizer: Colorizer, path: Path, *, overwrite: bool = False) -> list[Path]:
    """Write FILE.onnx, float32 with weights inside, and FILE.onnx.card.json.

    Args:
        artifact: the network.
        colorizer: the same, loaded on the CPU.
        path: FILE.onnx.
        overwrite: replace files that are there.

    Returns:
        The files written, the card last.

    Raises:
        UsageError: another suffix, a network that rests on a user's ONNX file, or the package `onnx` is not installed.
        OutputError: the folder cannot be written, or a file is there.
    """
    card = path.with_name(f"{path.name}.card.json")
    if path.suffix.lower() != ".onnx":
        raise UsageError(f"{path}: {artifact.card.name} is written as .onnx only")
    if not overwrite and (there := [file for file in (path, card) if file.exists()]):
        raise OutputError(f"{there[0]}: exists; --overwrite (overwrite=True) replaces it")
    module, inputs, outputs = _graph(colorizer)
    data = _export(module, inputs, outputs)
    write_atomically(path, data)
    about = {
        "architecture": artifact.architecture,
        "card": artifact.card.as_dict(),
        "tensors": {name: _MEANING[name] for name in (*inputs, *outputs)},
        "files": {path.name: hashlib.sha256(data).hexdigest()},
    }
    write_atomically(card, json.dumps(about, indent=1, ensure_ascii=False) + "\n")
    return [path, card]


def _graph(colorizer: Colorizer) -> tuple[nn.Module, dict[str, Tensor], list[str]]:
    """Find what is exported, examples of its inputs by name, and its outputs' names."""
    height, width = colorizer.card.size or (64, 96)
    luma = torch.rand(1, 1, height, width)
    if isinstance(colorizer, PatchColorizer):
        return _Patches(colorizer), {"luma": luma}, ["ab"]
    if isinstance(colorizer, ResidualColorizer):
        return _Residual(colorizer.net), {"luma": luma}, ["ab"]
    if getattr(cast("Any", colorizer).net, "_onnx", None) is not None:
        raise UsageError(f"{colorizer.card.name}: rests on an ONNX file of yours; export that beside it")
    if isinstance(colorizer, FusionColorizer):
        side = colorizer.net.settings.size
        return _Fusion(colorizer.net), {"square": torch.rand(1, 1, side, side), "original": luma}, ["ab"]
    assert isinstance(colorizer, HeteroColorizer)
    colored = [name for name in ("hint", "before") if name in colorizer.net.settings.inputs]
    examples = {name: torch.rand(1, 3, height, width) for name in colored}
    return _Hetero(colorizer.net, colored), {"luma": luma, **examples}, ["rgb", "ab"]


class _Whole(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net: Any = net


class _Residual(_Whole):
    def forward(self, luma: Tensor) -> Tensor:
        """Of h and w that are multiples of 32."""
        made: Tensor = self.net.last(self.net.decoder(self.net.front(gray_lightness(luma) / 100)))
        return made * AB_SPAN


class _Fusion(_Whole):
    def forward(self, square: Tensor, original: Tensor) -> Tensor:
        made: Tensor = self.net(square, original)
        return made * AB_SCALE


class _Hetero(_Whole):
    def __init__(self, net: nn.Module, colored: list[str]) -> None:
        super().__init__(net)
        self.colored = colored

    def forward(self, luma: Tensor, *colored: Tensor) -> tuple[Tensor, Tensor]:
        given = dict(zip(self.colored, colored, strict=True))
        rgb: Tensor = self.net(luma, given.get("hint", luma), given.get("before", luma))
        return rgb, rgb_to_lab(rgb)[:, 1:]


class _Patches(nn.Module):
    """The perceptron as convolutions, its first over the patch; the codeword by table."""

    table: Tensor

    def __init__(self, colorizer: PatchColorizer) -> None:
        super().__init__()
        classifier = colorizer.classifier
        if classifier.position:
            raise UsageError(f"{colorizer.card.name}: a perceptron that knows the pixel's position is not exported")
        layers: list[nn.Module] = []
        self.margin, side = classifier.patch // 2, classifier.patch
        for weights, bias in classifier.layers:
            conv = nn.Conv2d(1 if not layers else weights.shape[0], weights.shape[1], side)
            conv.weight.data = torch.from_numpy(weights.T.copy()).reshape(conv.weight.shape)
            conv.bias = nn.Parameter(torch.from_numpy(bias.copy()))
            layers, side = [*layers, conv, nn.ReLU()], 1
        self.layers = nn.Sequential(*layers[:-1])
        self.register_buffer("table", torch.from_numpy(colorizer.table))

    def forward(self, luma: Tensor) -> Tensor:
        lightness = gray_lightness(luma)
        scores = self.layers(F.pad((lightness - 50) / 25, (self.margin,) * 4, mode="reflect"))
        levels, classes, _ = self.table.shape
        level = torch.round(lightness[:, 0].clamp(0, 100) * ((levels - 1) / 100)).long()
        return self.table.reshape(-1, 2)[level * classes + scores.argmax(dim=1)].permute(0, 3, 1, 2)


def _export(module: nn.Module, inputs: dict[str, Tensor], outputs: list[str]) -> bytes:
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise UsageError("this needs the package onnx: pip install 'videocolor[onnx]'") from error
    free = {name: {0: "n", 2: f"{name} h", 3: f"{name} w"} for name in (*inputs, *outputs)}
    register: Any = torch.onnx.register_custom_op_symbolic  # type: ignore[attr-defined]
    register("aten::_upsample_bilinear2d_aa", _antialiased, _OPSET)
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder, torch.no_grad():
        path = Path(folder) / "graph.onnx"
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(), tuple(inputs.values()), path, input_names=list(inputs), output_names=outputs,
            dynamic_axes=free, opset_version=_OPSET, dynamo=False,
        )  # fmt: skip
        return path.read_bytes()


def _antialiased(g: Any, x: Any, size: Any, *_: Any) -> Any:
    """Translate antialiased bilinear resizing, which torch's exporter does not know."""
    from torch.onnx import symbolic_helper as helper

    if helper._is_packed_list(size):
        sides = [
            g.op("Unsqueeze", side, g.op("Constant", value_t=torch.tensor([0]))) for side in helper._unpack_list(size)
        ]
        size = g.op("Concat", *sides, axis_i=0)
    first = g.op("Slice", g.op("Shape", x), *(g.op("Constant", value_t=torch.tensor([n])) for n in (0, 2)))
    sizes = g.op("Concat", first, g.op("Cast", size, to_i=7), axis_i=0)  # 7: int64
    nothing = g.op("Constant", value_t=torch.tensor([], dtype=torch.float32))
    return g.op("Resize", x, nothing, nothing, sizes, mode_s="linear", antialias_i=1, exclude_outside_i=1)
