"""What an ONNX file says of itself, read without the package `onnx`: opset and number of weights.

The file is one Protocol Buffers message (onnx.proto, ModelProto). Only lengths are followed; weights are not read.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from videocolor.errors import ModelError

__all__ = ["OnnxFile", "describe_onnx"]

_GRAPH: Final = 7
"""Field of ModelProto."""
_OPSET: Final = 8
"""Field of ModelProto: domain (1), version (2)."""
_INITIALIZER: Final = 5
"""Field of GraphProto: a tensor, whose dims are field 1."""


@dataclass(frozen=True)
class OnnxFile:
    """Facts of a file."""

    path: Path
    opset: int
    """Version of the standard operators."""
    parameters: int
    """Numbers in the graph's weights."""


def describe_onnx(path: Path) -> OnnxFile:
    """Read opset and number of weights.

    Raises:
        ModelError: the file cannot be read, or is not ONNX.
    """
    opset, parameters, graphs = 0, 0, 0
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            for field, start, end in _fields(data, 0, len(data)):
                if field == _OPSET:
                    values = {f: (a, b) for f, a, b in _fields(data, start, end)}
                    if 1 not in values or data[slice(*values[1])] in (b"", b"ai.onnx"):
                        opset = _varint(data, values[2][0])[0] if 2 in values else 0
                elif field == _GRAPH:
                    graphs += 1
                    parameters += sum(_count(data, a, b) for f, a, b in _fields(data, start, end) if f == _INITIALIZER)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, IndexError) as error:
        raise ModelError(f"{path}: not an ONNX file, or cut off ({error})") from error
    if not graphs or not opset:
        raise ModelError(f"{path}: not an ONNX file (no graph, or no opset)")
    return OnnxFile(path, opset, parameters)


def _count(data: mmap.mmap, start: int, end: int) -> int:
    """Numbers in a tensor."""
    product = 1
    for field, a, b in _fields(data, start, end):
        while field == 1 and a < b:  # one dimension, or all of them packed
            size, a = _varint(data, a)
            product *= size
    return product


def _fields(data: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(number, start, end) of each field of a message."""
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
            raise ValueError("a field ends behind its message")
        yield key >> 3, start, stop
        start = stop


def _varint(data: mmap.mmap, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, and the place behind it."""
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
