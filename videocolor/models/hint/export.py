"""From torch to ONNX: the packaged graphs without weights. `videocolor.models.hint.standalone` fills them in."""

from __future__ import annotations

import tempfile
import warnings
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from videocolor.models.hint.network import CARRIED_CHANNELS, VALUE_CHANNELS, HintNet

__all__ = ["write_graphs"]

_PIXELS = {0: "n", 2: "h", 3: "w"}
_TOKENS = {0: "k", 1: "t"}
_OPSET = 17


class _Encode(nn.Module):
    def __init__(self, net: HintNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, luma: Tensor, ab: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.net.encode_hint(luma, ab, mask)


class _Frame(nn.Module):
    def __init__(self, net: HintNet) -> None:
        super().__init__()
        self.net = net

    def forward(
        self, luma: Tensor, keys: Tensor, values: Tensor, valid: Tensor, known: Tensor, carried: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        return self.net.colorize(luma, keys, values, valid, known, carried)


def _export(net: HintNet, part: str) -> bytes:
    luma = torch.rand(2, 1, 160, 288)
    keys = torch.rand(1, 720, net.null.in_channels + 3)
    tokens = (keys, torch.rand(1, 720, VALUE_CHANNELS), torch.ones(1, 720), keys[:, :9])
    module, inputs, names, axes = (
        (
            _Frame(net),
            (luma, *tokens, torch.rand(2, CARRIED_CHANNELS, 80, 144)),
            (["luma", "keys", "values", "valid", "known", "carried"], ["ab", "confidence", "error"]),
            (_TOKENS, _PIXELS),
        )
        if part == "frame"
        else (
            _Encode(net),
            (luma, torch.rand(2, 2, 160, 288), torch.ones_like(luma)),
            (["luma", "ab", "mask"], ["keys", "values", "valid"]),
            (_PIXELS, _TOKENS),
        )
    )
    dynamic: dict[str, Any] = {name: axes[0] for name in names[0]} | {name: axes[1] for name in names[1]}
    dynamic["luma"] = _PIXELS
    if part == "frame":
        dynamic |= {name: {0: "n", 2: "h2", 3: "w2"} for name in ("carried", *names[1])}
        dynamic["known"] = {0: "k", 1: "s"}
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.onnx"
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, inputs, path, input_names=names[0], output_names=names[1], dynamic_axes=dynamic,
            opset_version=_OPSET, dynamo=False, do_constant_folding=False,
        )  # fmt: skip
        return path.read_bytes()


def write_graphs(net: HintNet, folder: Path, architecture: str) -> None:
    """Write the graphs of a folded network, without weights, and the names of the weights that they want.

    Needs the package `onnx`. The weights are declared as external data; the runtime fills them in by name.
    """
    import onnx

    net = deepcopy(net)
    with torch.no_grad():  # the exporter merges weights of equal value, so no two may be equal
        for parameter in net.parameters():
            parameter.normal_()
    for part in ("encode", "frame"):
        model = onnx.load_from_string(_export(net, part))
        names = []
        for tensor in model.graph.initializer:
            if not tensor.name.startswith("net."):
                continue
            size = len(onnx.numpy_helper.to_array(tensor).tobytes())
            _rename(model.graph, tensor.name, tensor.name.removeprefix("net."))
            tensor.name = tensor.name.removeprefix("net.")
            names.append(tensor.name)
            tensor.ClearField("raw_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL
            for key, value in (("location", "weights"), ("offset", "0"), ("length", str(size))):
                entry = tensor.external_data.add()
                entry.key, entry.value = key, value
        for node in model.graph.node:
            node.ClearField("doc_string")
        path = folder / f"{architecture}.{part}.onnx"
        path.write_bytes(model.SerializeToString())
        path.with_suffix(".txt").write_text("\n".join(names) + "\n", encoding="utf-8")


def _rename(graph: Any, old: str, new: str) -> None:
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name == old:
                node.input[index] = new
