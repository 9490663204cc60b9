"""Export the hint network: complete files for other programs, and the packaged graphs without weights.

    NAME.simple.onnx                colors frames by hints in one go (docs/guides/export.md)
    NAME.onnx, NAME.encode.onnx     the same in two steps: colors frames; encodes hints once a shot
    NAME.xml, NAME.bin, ...         all three as OpenVINO IR
    NAME.onnx.card.json             the card, what every tensor means, and the sha256 of each file

Complete files are float32 and hold the card. They are made of the packaged graphs: that needs the package `onnx`, but
not torch. The graphs themselves are exported from torch, when the architecture has changed.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import warnings
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from videocolor.errors import ModelError, OutputError, UsageError
from videocolor.files import write_atomically
from videocolor.models.artifact import Artifact
from videocolor.models.hint import PROPAGATED_CHANNELS
from videocolor.models.hint.tensors import OUTSIDE, TENSORS
from videocolor.models.runtimes import external_names, graph_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from videocolor.models.hint.network import HintNet

__all__ = [
    "STAGED",
    "complete_onnx",
    "import_openvino",
    "openvino_core",
    "write_graphs",
    "write_network",
    "write_without_weights",
]

_PARTS: Final = {"frame": "", "encode": ".encode", "simple": ".simple"}
"""Part of the network -> what comes between a file's name and its suffix."""
_STAGES: Final = ("features", "tokens", "decide")
"""The packaged graphs of `videocolor.models.hint.staged`."""
STAGED: Final = ("at2", "at4", "at8", "at16", "at32", "features")
"""What `features` returns: the encoder's taps by their stride, and the matcher's features."""
_OPSET: Final = 17


def write_network(artifact: Artifact, path: Path, *, overwrite: bool = False) -> list[Path]:
    """Write a network in the format of the suffix, `.onnx` or `.xml` (OpenVINO IR), and the card beside it.

    Args:
        artifact: the network.
        path: of the file that colors frames; the others are named after it.
        overwrite: replace files that are there.

    Returns:
        The files written, the one that colors frames first, the card last.

    Raises:
        UsageError: another suffix, or a package is not installed.
        ModelError: weights and graph do not belong together.
        OutputError: the folder cannot be written, or a file is there.
    """
    suffix = path.suffix.lower()
    if suffix not in (".onnx", ".xml"):
        raise UsageError(f"{path}: expected a name that ends in .onnx, or in .xml (OpenVINO IR)")
    files: dict[Path, bytes] = {}
    targets = {part: path.with_name(f"{path.stem}{between}{path.suffix}") for part, between in _PARTS.items()}
    for part, target in targets.items():
        content = complete_onnx(artifact, part)
        files |= {target: content} if suffix == ".onnx" else _intermediate(artifact, content, target)
    card = path.with_name(f"{path.name}.card.json")
    if not overwrite and (there := [file for file in (*files, card) if file.exists()]):
        raise OutputError(f"{there[0]}: exists; --overwrite (overwrite=True) replaces it")
    for target, data in files.items():
        write_atomically(target, data)
    about = {
        "architecture": artifact.architecture,
        "card": artifact.card.as_dict(),
        "graphs": {targets[part].name: tensors for part, tensors in TENSORS.items()},
        "outside": OUTSIDE,
        "files": {target.name: hashlib.sha256(data).hexdigest() for target, data in files.items()},
    }
    write_atomically(card, json.dumps(about, indent=1, ensure_ascii=False) + "\n")
    return [*files, card]


def complete_onnx(artifact: Artifact, part: str) -> bytes:
    """Make an ONNX file with float32 weights inside and the card in its metadata.

    Args:
        artifact: the network.
        part: `frame`, `encode` or `simple`: `colorize`, `encode_hint` and `colorize_by_hint` of
            `videocolor.models.hint.network.HintNet`.

    Raises:
        UsageError: the package `onnx` is not installed.
        ModelError: weights and graph do not belong together.
    """
    try:
        import onnx
    except ImportError as error:
        raise UsageError("this needs the package onnx: pip install 'videocolor[onnx]'") from error
    graph = graph_path(artifact.architecture, part)
    model = onnx.load_from_string(graph.read_bytes())
    wanted = set(external_names(graph, artifact))
    for tensor in model.graph.initializer:
        if tensor.name in wanted:
            value = artifact.weights[tensor.name]
            if value.shape != tuple(tensor.dims):
                raise ModelError(
                    f"{artifact.card.name}: {tensor.name} is {value.shape}, {graph.name} wants {tuple(tensor.dims)}"
                )
            tensor.CopyFrom(onnx.numpy_helper.from_array(value, tensor.name))
    for key, text in _properties(artifact).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = f"videocolor.{key}", text
    return bytes(model.SerializeToString())


def import_openvino() -> Any:
    """Import the package `openvino`.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import openvino
    except ImportError as error:
        raise UsageError("this needs the package openvino: pip install 'videocolor[openvino]'") from error
    return openvino


@cache
def openvino_core() -> Any:
    """Return the process's one OpenVINO core, which is never released.

    OpenVINO's CPU plugin gives the thread that loads it an alternate signal stack. With two cores released one after
    the other, the stack that stays is unmapped, and the next signal with a handler ends the process with SIGSEGV.

    Raises:
        UsageError: the package openvino is not installed.
    """
    return import_openvino().Core()


def _properties(artifact: Artifact) -> dict[str, str]:
    return {key: str(value) for key, value in artifact.card.as_dict().items()}


def _intermediate(artifact: Artifact, content: bytes, target: Path) -> dict[Path, bytes]:
    """OpenVINO's two files, with the names and order of the ONNX file's inputs and outputs, float32."""
    import onnx

    ov = import_openvino()
    graph = onnx.load_from_string(content).graph
    model = openvino_core().read_model(content)
    for ports, values in ((model.inputs, graph.input), (model.outputs, graph.output)):
        for port, value in zip(ports, values, strict=True):
            port.get_tensor().set_names({value.name})
    for key, text in _properties(artifact).items():
        model.set_rt_info(text, ["videocolor", key])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / target.name
        ov.save_model(model, path, compress_to_fp16=False)
        return {target.with_suffix(s): path.with_suffix(s).read_bytes() for s in (target.suffix, ".bin")}


def _export(net: HintNet, part: str) -> bytes:
    import torch

    from videocolor.models.hint.network import VALUE_CHANNELS

    luma, ab = torch.rand(2, 1, 160, 288), torch.rand(2, 2, 160, 288)
    keys = torch.rand(1, 720, net.null.in_channels + 3)
    tokens = (keys, torch.rand(1, 720, VALUE_CHANNELS), torch.ones(1, 720), keys[:, :9])
    inputs: tuple[Tensor, ...] = {
        "frame": (luma, *tokens, torch.rand(2, PROPAGATED_CHANNELS, 80, 144)),
        "encode": (luma, ab, torch.ones_like(luma)),
        "simple": (luma[:1], luma, ab, torch.ones_like(luma)),
    }[part]
    names = [list(TENSORS[part][side]) for side in ("inputs", "outputs")]
    dynamic = {
        name: {place: axis for place, axis in enumerate(tensor["shape"]) if isinstance(axis, str)}
        for ports in TENSORS[part].values()
        for name, tensor in ports.items()
    }
    functions: dict[str, Callable[..., Any]] = {
        "frame": net.colorize,
        "encode": net.encode_hint,
        "simple": net.colorize_by_hint,
    }
    return _graph(net, functions[part], inputs, names, dynamic)


def _stage(net: HintNet, part: str) -> bytes:
    """Export a stage of encoding and coloring; sides of pictures are free, and the number of tokens."""
    import torch

    from videocolor.models.hint.network import VALUE_CHANNELS

    luma = torch.rand(1, 1, 160, 288)
    with torch.no_grad():
        found = net.features(luma)
    keys = torch.rand(1, 720, net.null.in_channels + 3)
    tokens = (keys, torch.rand(1, 720, VALUE_CHANNELS), torch.ones(1, 720), keys[:, :9])
    features = {name: (tensor, {2: f"{name}_h", 3: f"{name}_w"}) for name, tensor in zip(STAGED, found, strict=True)}
    picture, half = {2: "h", 3: "w"}, {2: "h2", 3: "w2"}
    gray = {"luma": (luma, picture)}
    named = ("keys", "values", "valid", "scribbles")
    hints = {
        name: (tensor, {1: "s" if name == "scribbles" else "t"}) for name, tensor in zip(named, tokens, strict=True)
    }
    propagated = {"propagated": (torch.rand(1, PROPAGATED_CHANNELS, 80, 144), half)}
    inputs = {
        "features": gray,
        "tokens": gray
        | {"features": features["features"], "ab": (torch.rand(1, 2, 160, 288), picture), "mask": (luma, picture)},
        "decide": gray | features | hints | propagated,
    }[part]
    outputs = {"features": list(STAGED), "tokens": ["keys", "values", "valid"], "decide": ["ab", "confidence", "error"]}
    dynamic = {name: axes for name, (_, axes) in (inputs | (features if part == "features" else {})).items()}
    if part != "features":
        dynamic |= {name: half if part == "decide" else {1: "t"} for name in outputs[part]}
    taps = len(STAGED) - 1

    def decide(luma: Tensor, *rest: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return net.decide(luma, list(rest[:taps]), *rest[taps:])

    functions: dict[str, Callable[..., Any]] = {
        "features": net.features,
        "tokens": net.matched_tokens,
        "decide": decide,
    }
    tensors = tuple(tensor for tensor, _ in inputs.values())
    return _graph(net, functions[part], tensors, [list(inputs), outputs[part]], dynamic)


def _graph(
    net: HintNet,
    function: Callable[..., Any],
    inputs: tuple[Tensor, ...],
    names: list[list[str]],
    dynamic: dict[str, dict[int, str]],
) -> bytes:
    """Export a function of the network; `names` are those of its inputs and outputs."""
    import torch
    from torch import nn

    class Part(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, *inputs: Tensor) -> Any:
            return function(*inputs)

    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.onnx"
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Part(), inputs, path, input_names=names[0], output_names=names[1], dynamic_axes=dynamic,
            opset_version=_OPSET, dynamo=False, do_constant_folding=False,
        )  # fmt: skip
        return path.read_bytes()


def write_graphs(net: HintNet, folder: Path, architecture: str) -> None:
    """Write the graphs of a folded network, without weights, and the names of the weights that they expect.

    Needs torch and the package `onnx`. The weights are declared as external data, filled in by name.
    """
    import torch

    net = deepcopy(net)
    with torch.no_grad():  # the exporter merges weights of equal value, so no two may be equal
        for parameter in net.parameters():
            parameter.normal_()
    for part in _PARTS:
        write_without_weights(_export(net, part), folder / f"{architecture}.{part}.onnx")
    for part in _STAGES:
        write_without_weights(_stage(net, part), folder / f"{architecture}.{part}.onnx")


def write_without_weights(data: bytes, path: Path) -> None:
    """Write an exported graph without its weights (named `net.*`), and beside it their names without that prefix.

    Args:
        data: the ONNX file; needs the package `onnx`.
        path: of the graph; the names go to the same name with `.txt`.
    """
    import onnx

    model = onnx.load_from_string(data)
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
    path.write_bytes(model.SerializeToString())
    path.with_suffix(".txt").write_text("\n".join(names) + "\n", encoding="utf-8")


def _rename(graph: Any, old: str, new: str) -> None:
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name == old:
                node.input[index] = new
