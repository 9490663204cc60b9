"""The state of a shot as named arrays, so that another shard can continue it: one codec for all dataclasses.

    arrays = to_arrays({"smoothing": smoother.state, "waiting": frames})    # {"smoothing.chroma": ..., ...}
    parts = from_arrays({"smoothing": SmoothingState, "waiting": Waiting}, arrays)

Fields are found by their names and types: dataclasses, arrays, numbers, `X | None`, `list[X]`, `tuple[X, ...]` and
`dict[int, X]`. None and empty collections take no array. A dataclass or an array that occurs several times is stored
once, and is one object again when it is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from types import NoneType
from typing import Any, Final, get_args, get_origin, get_type_hints

import numpy as np

from videocolor.types import Array

__all__ = ["from_arrays", "to_arrays"]

_SAME: Final = "="
"""Begins the text that stands for an object stored under another name."""


def to_arrays(parts: Mapping[str, object]) -> dict[str, Array]:
    """Dotted names -> arrays of everything in some dataclasses.

    Args:
        parts: name -> dataclass instance.

    Raises:
        TypeError: a value of a type that the codec does not know.
    """
    arrays: dict[str, Array] = {}
    names: dict[int, str] = {}

    def put(name: str, value: object) -> None:
        if is_dataclass(value) or isinstance(value, np.ndarray):
            if id(value) in names:
                arrays[name] = np.array(_SAME + names[id(value)])
                return
            names[id(value)] = name
        if isinstance(value, (np.ndarray, int, float)):
            arrays[name] = np.asarray(value)
            return
        for key, item in _items(name, value):
            put(f"{name}.{key}", item)

    for name, part in parts.items():
        put(name, part)
    return arrays


def _items(name: str, value: object) -> Iterable[tuple[str | int, object]]:
    """Return the named parts of a dataclass or a collection."""
    if is_dataclass(value):
        return ((field.name, getattr(value, field.name)) for field in fields(value))
    if isinstance(value, (list, tuple)):
        return enumerate(value)
    if isinstance(value, dict):
        return value.items()
    if value is None:
        return ()
    raise TypeError(f"{name}: {type(value).__name__} cannot be part of a shot's state")


def from_arrays(types: Mapping[str, type], arrays: Mapping[str, Array]) -> dict[str, Any]:
    """Rebuild the parts that `to_arrays` stored.

    Args:
        types: name -> class of the part.
        arrays: what `to_arrays` returned.

    Raises:
        KeyError: an array is missing.
    """
    tree = _tree(arrays)
    known: dict[str, Any] = {}

    def get(kind: Any, name: str, node: Any) -> Any:
        if isinstance(node, np.ndarray) and node.dtype.kind == "U":
            return known[str(node).removeprefix(_SAME)]
        if name not in known:
            known[name] = make(kind, name, node)
        return known[name]

    def make(kind: Any, name: str, node: Any) -> Any:
        origin, of = get_origin(kind), get_args(kind)
        if NoneType in of:
            return None if node is None else get(next(k for k in of if k is not NoneType), name, node)
        if origin in (list, tuple):
            items = sorted((node or {}).items(), key=lambda item: int(item[0]))
            return origin(get(of[0], f"{name}.{number}", item) for number, item in items)
        if origin is dict:
            return {int(number): get(of[1], f"{name}.{number}", item) for number, item in (node or {}).items()}
        if is_dataclass(kind):
            hints, node = get_type_hints(kind), node or {}
            values = {f.name: get(hints[f.name], f"{name}.{f.name}", node.get(f.name)) for f in fields(kind)}
            return kind(**values)  # type: ignore[operator]  # mypy narrows a class to an instance
        if node is None:
            raise KeyError(name)
        return kind(node.item()) if kind in (int, float, bool) else node

    return {name: get(kind, name, tree.get(name)) for name, kind in types.items()}


def _tree(arrays: Mapping[str, Array]) -> dict[str, Any]:
    """Nested dictionaries of what has dotted names."""
    tree: dict[str, Any] = {}
    for name, array in arrays.items():
        node = tree
        *path, leaf = name.split(".")
        for step in path:
            node = node.setdefault(step, {})
        node[leaf] = array
    return tree
