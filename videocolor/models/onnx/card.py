"""A user's ONNX file, read without the package `onnx`; and its card, a YAML file beside it, validated by line."""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import yaml
from pydantic import BeforeValidator, Field, PrivateAttr, model_validator

from videocolor.config import Int, Section
from videocolor.errors import ConfigError, ModelError
from videocolor.presets import load_model

__all__ = ["CHANNELS", "InputCard", "OnnxFile", "OutputCard", "UserCard", "describe_onnx", "read_user_card"]

CHANNELS: Final = {"gray_rgb": 3, "luma": 1, "lightness": 1} | {
    "ab": 2,
    "lab": 3,
    "rgb": 3,
    "bgr": 3,
    "uv": 2,
    "luv": 3,
    "cbcr": 2,
    "ycbcr": 3,
}
"""Channels of each color space that a card may name."""

_OPSET: Final = 8
"""Field of ModelProto: domain (1), version (2)."""
_PARTS: Final[dict[str, dict[int, str]]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
"""Where tensors are in an ONNX file (onnx.proto): message -> field -> message."""
_DIMS: Final = 1
"""Field of TensorProto."""
_EXTERNAL: Final = 13
"""Field of TensorProto: entries of key (1) and value (2); that of `location` names a file."""

_Numbers = Annotated[tuple[float, ...], BeforeValidator(lambda v: tuple(v) if isinstance(v, list) else (v,))]
_Size = Annotated[tuple[Int, Int], BeforeValidator(lambda v: (v, v) if isinstance(v, int) else v)]


class _PortCard(Section):
    name: str | None = None
    """Of the file's input or output. Null: it has only one."""
    layout: Literal["nchw", "nhwc"] = "nchw"
    """Where the channels are: nchw or nhwc."""
    scale: float = Field(default=1.0, gt=0)
    """The tensor holds (value * scale - mean) / std; for values of 0..255 where the color space has 0..1: 255."""
    mean: _Numbers = (0.0,)
    """One number, or one a channel."""
    std: _Numbers = (1.0,)
    """One number, or one a channel."""

    @model_validator(mode="after")
    def _channels(self) -> Self:
        channels = CHANNELS[str(getattr(self, "color", "luma"))]
        for key in ("mean", "std"):
            value = getattr(self, key)
            if len(value) not in (1, channels):
                raise ValueError(f"{key} has {len(value)} numbers; expected 1 or {channels}")
        if min(abs(value) for value in self.std) == 0:
            raise ValueError("std must not be 0")
        return self


class InputCard(_PortCard):
    """What the network takes."""

    color: Literal["gray_rgb", "luma", "lightness"]
    """gray_rgb: Y' 0..1 in all three channels; luma: Y' 0..1; lightness: CIE L* 0..100."""
    size: _Size | None = None
    """Height and width where the network takes one size only. Null: what the file says."""
    fit: Literal["stretch", "pad"] = "stretch"
    """How a film comes to that one size: stretch, or pad (aspect kept, the border repeated)."""
    multiple: Int = Field(default=32, ge=1, le=512)
    """Height and width must be multiples of this, where the network takes any size."""
    area: Int = Field(default=256 * 256, ge=1024, le=4096 * 4096)
    """Pixels that the network wants to see, where it takes any size."""


class OutputCard(_PortCard):
    """What the network returns."""

    color: Literal["ab", "lab", "rgb", "bgr", "uv", "luv", "cbcr", "ycbcr"]
    """ab, lab, uv, luv: CIE, D65; rgb, bgr: R'G'B' 0..1; cbcr, ycbcr: BT.601, -0.5..0.5. Only chroma is used."""


class UserCard(Section):
    """All that is said of a file."""

    title: str = ""
    """For lists and reports."""
    licence: str = ""
    """Of the weights."""
    source: str = ""
    """Paper or origin."""
    opset: Int | None = None
    """The file's opset, where it should be checked."""
    input: InputCard
    output: OutputCard
    _path: Path = PrivateAttr(default=Path())

    @property
    def path(self) -> Path:
        """Where the card is, for messages."""
        return self._path


def read_user_card(model: Path) -> UserCard:
    """Read the card beside an ONNX file.

    Raises:
        ModelError: there is none.
        ConfigError: it does not validate; each message has the line.
    """
    path = model.with_suffix(".yaml")
    if not path.is_file():
        raise ModelError(f"{model}: no card {path.name} beside it; docs/guides/own-models.md says what it holds")
    try:
        card = load_model(UserCard, "models", path)
    except ConfigError as error:
        raise ConfigError(_with_lines(str(error), path)) from error
    card._path = path
    return card


def _with_lines(message: str, path: Path) -> str:
    """`color.yaml: unknown key input.size...` -> `color.yaml:7: unknown key input.size...`."""
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except yaml.YAMLError:  # then the message is about that, and has its place
        return message
    start = re.compile(rf"{re.escape(str(path))}: (?P<rest>(?:unknown key )?(?P<key>[\w.]+))(?=[ ;:])")

    def place(match: re.Match[str]) -> str:
        line = _line(root, match["key"].split("."))
        return f"{path}:{line}: {match['rest']}" if line else match[0]

    return "\n".join(start.sub(place, line, count=1) for line in message.splitlines())


def _line(node: Any, keys: list[str]) -> int | None:
    """Line (from 1) of a key, or of the nearest section around it."""
    line = None
    for key in keys:
        if not isinstance(node, yaml.MappingNode):
            return line
        found = next(((k, v) for k, v in node.value if k.value == key), None)
        if found is None:
            return line
        line, node = found[0].start_mark.line + 1, found[1]
    return line


@dataclass(frozen=True)
class OnnxFile:
    """What an ONNX file says of itself; it is one Protocol Buffers message (onnx.proto, ModelProto)."""

    path: Path
    opset: int
    """Version of the standard operators."""
    parameters: int
    """Numbers in the graph's weights."""
    external: tuple[Path, ...]
    """Files with weights that are not inside."""


def describe_onnx(path: Path) -> OnnxFile:
    """Read opset, number of weights, and the names of files with further weights; weights are not read.

    Raises:
        ModelError: the file cannot be read, or is not ONNX.
    """
    opset, parameters, graphs, names = 0, 0, 0, set[str]()
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            for field, start, end in _fields(data, 0, len(data)):
                if field == _OPSET:
                    values = {f: (a, b) for f, a, b in _fields(data, start, end)}
                    if 1 not in values or data[slice(*values[1])] in (b"", b"ai.onnx"):
                        opset = _varint(data, values[2][0])[0] if 2 in values else 0
                elif _PARTS["model"].get(field) == "graph":
                    graphs += 1
                    tensors = (span for f, *span in _fields(data, start, end) if _PARTS["graph"].get(f) == "tensor")
                    parameters += sum(_count(data, *span) for span in tensors)
            for start, end in _tensors(data, 0, len(data), "model"):
                names.update(_external(data, start, end))
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, IndexError) as error:
        raise ModelError(f"{path}: not an ONNX file, or cut off ({error})") from error
    if not graphs or not opset:
        raise ModelError(f"{path}: not an ONNX file (no graph, or no opset)")
    return OnnxFile(path, opset, parameters, tuple(path.parent / name for name in sorted(names)))


def _tensors(data: mmap.mmap, start: int, end: int, kind: str) -> Iterator[tuple[int, int]]:
    """Yield the (start, end) of every tensor in a message."""
    for field, a, b in _fields(data, start, end):
        inner = _PARTS[kind].get(field)
        if inner == "tensor":
            yield a, b
        elif inner is not None:
            yield from _tensors(data, a, b, inner)


def _external(data: mmap.mmap, start: int, end: int) -> Iterator[str]:
    """Yield the name of the file that holds a tensor's numbers, if one does."""
    for field, a, b in _fields(data, start, end):
        if field == _EXTERNAL:
            entry = {f: data[c:d] for f, c, d in _fields(data, a, b)}
            if entry.get(1) == b"location":
                yield entry[2].decode()


def _count(data: mmap.mmap, start: int, end: int) -> int:
    """Numbers in a tensor."""
    product = 1
    for field, a, b in _fields(data, start, end):
        while field == _DIMS and a < b:  # one dimension, or all of them packed
            size, a = _varint(data, a)
            product *= size
    return product


def _fields(data: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield (number, start, end) of each field of a message."""
    while start < end:
        key, start = _varint(data, start)
        kind = key & 7
        if kind == 0:
            stop = _varint(data, start)[1]
        elif kind == 2:
            length, start = _varint(data, start)
            stop = start + length
        elif kind in (1, 5):
            stop = start + (8 if kind == 1 else 4)
        else:
            raise ValueError(f"wire type {kind}")
        if stop > end:
            raise ValueError("a field ends after its message")
        yield key >> 3, start, stop
        start = stop


def _varint(data: mmap.mmap, at: int) -> tuple[int, int]:
    """Read a number of seven bits per byte; also return the offset after it."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")
