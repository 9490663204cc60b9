"""Whole files of a network, for other programs: ONNX and OpenVINO IR, float32, each with the network's card.

    NAME.onnx, NAME.encode.onnx                       colours frames; encodes hints
    NAME.xml, NAME.bin, NAME.encode.xml, .encode.bin  the same as OpenVINO IR
    NAME.card.json                                    the card, and the sha256 of each file

The packaged graphs hold no weights; here they are filled in. Needs the package `onnx`, but not torch.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any, Final

from videocolor.errors import ModelError, UsageError
from videocolor.files import write_atomically
from videocolor.models.artifact import Artifact
from videocolor.models.hint.onnx_runtime import external_names, graph_path

__all__ = ["import_openvino", "whole_onnx", "write_network"]

_PARTS: Final = {"frame": "", "encode": ".encode"}
"""Part of the network -> what stands between the file's name and its suffix."""


def write_network(artifact: Artifact, path: Path) -> list[Path]:
    """Write a network in the format of the suffix, `.onnx` or `.xml` (OpenVINO IR), and the card beside it.

    Returns:
        The files written, the one that colours frames first, the card last.

    Raises:
        UsageError: another suffix, or a package is not installed.
        ModelError: weights and graph do not belong together.
        OutputError: the folder cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in (".onnx", ".xml"):
        raise UsageError(f"{path}: expected a name that ends in .onnx, or in .xml (OpenVINO IR)")
    files: dict[Path, bytes] = {}
    for part, between in _PARTS.items():
        target = path.with_name(f"{path.stem}{between}{path.suffix}")
        content = whole_onnx(artifact, part)
        files |= {target: content} if suffix == ".onnx" else _intermediate(artifact, content, target)
    for target, data in files.items():
        write_atomically(target, data)
    card = path.with_name(f"{path.stem}.card.json")
    sums = {target.name: hashlib.sha256(data).hexdigest() for target, data in files.items()}
    about = {"architecture": artifact.architecture, "card": artifact.card.as_dict(), "files": sums}
    write_atomically(card, json.dumps(about, indent=1, ensure_ascii=False) + "\n")
    return [*files, card]


def whole_onnx(artifact: Artifact, part: str) -> bytes:
    """An ONNX file with float32 weights inside and the card in its metadata.

    Args:
        artifact: the network.
        part: `frame` or `encode`, see `videocolor.models.hint.network.HintNet.colorize` and `encode_hint`.

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
    wanted = set(external_names(graph))
    if missing := sorted(wanted - set(artifact.weights)):
        raise ModelError(f"{artifact.card.name}: the weights lack {missing[0]!r} and {len(missing) - 1} more")
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
    """The package `openvino`.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import openvino
    except ImportError as error:
        raise UsageError("this needs the package openvino: pip install 'videocolor[openvino]'") from error
    return openvino


def _properties(artifact: Artifact) -> dict[str, str]:
    return {key: str(value) for key, value in artifact.card.as_dict().items()}


def _intermediate(artifact: Artifact, content: bytes, target: Path) -> dict[Path, bytes]:
    """OpenVINO's two files, with the names and order of the ONNX file's inputs and outputs, float32."""
    import onnx

    ov = import_openvino()
    graph = onnx.load_from_string(content).graph
    model = ov.Core().read_model(content)
    for ports, values in ((model.inputs, graph.input), (model.outputs, graph.output)):
        for port, value in zip(ports, values, strict=True):
            port.get_tensor().set_names({value.name})
    for key, text in _properties(artifact).items():
        model.set_rt_info(text, ["videocolor", key])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / target.name
        ov.save_model(model, path, compress_to_fp16=False)
        return {target.with_suffix(s): path.with_suffix(s).read_bytes() for s in (target.suffix, ".bin")}
