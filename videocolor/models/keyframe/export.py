"""From torch to ONNX: the packaged graph without weights.

It ends before the scores, since the number of bins depends on the footage.
"""

from __future__ import annotations

import tempfile
import warnings
from copy import deepcopy
from pathlib import Path

import torch
from torch import Tensor, nn

from videocolor.models.hint.export import write_without_weights
from videocolor.models.keyframe.network import KeyframeNet

__all__ = ["write_graph"]

_OPSET = 17


class _Frame(nn.Module):
    def __init__(self, net: KeyframeNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, luma: Tensor) -> tuple[Tensor, Tensor]:
        features = self.net.features(luma, self.net.encoder(luma))
        return self.net.mean(features), features


def write_graph(net: KeyframeNet, folder: Path, architecture: str) -> None:
    """Write the graph of a folded network, without weights, and the names of the weights; needs the package `onnx`."""
    net = deepcopy(net)
    with torch.no_grad():  # the exporter merges weights of equal value, so no two may be equal
        for parameter in net.parameters():
            parameter.normal_()
    names = ["mean", "features"]
    axes = {"luma": {0: "n", 2: "h", 3: "w"}} | {name: {0: "n", 2: "h4", 3: "w4"} for name in names}
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as temporary:
        warnings.simplefilter("ignore")
        path = Path(temporary) / "graph.onnx"
        torch.onnx.export(
            _Frame(net), (torch.rand(2, 1, 64, 96),), path, input_names=["luma"], output_names=names,
            dynamic_axes=axes, opset_version=_OPSET, dynamo=False, do_constant_folding=False,
        )  # fmt: skip
        write_without_weights(path.read_bytes(), folder / f"{architecture}.frame.onnx")
