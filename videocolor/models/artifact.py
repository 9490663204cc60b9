"""Weights files: safetensors with a card in the header. Reading one needs neither torch nor a network.

The header's metadata hold `format` ("videocolor-1"), `architecture` (which graph the weights belong to), `card` (JSON
of a `ModelCard`) and `training` (JSON: data counts by licence, settings, steps). Tensors are float16, used as float32.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from videocolor.errors import ModelError
from videocolor.models.base import ModelCard
from videocolor.types import Array

__all__ = ["FORMAT", "Artifact", "read_artifact", "read_card", "write_artifact"]

FORMAT = "videocolor-1"
_GROWN: dict[str, tuple[str, dict[str, int], dict[str, tuple[int, ...]]]] = {
    "hintnet-2": ("hintnet-3", {"belief.0.weight": 11}, {}),
    "hintnet-3": (
        "hintnet-4",
        {"decoder.at8.0.weight": 2, "decoder.at4.0.weight": 3, "decoder.at2.0.weight": 3},
        {
            "decoder.follow.0.0.weight": (8, 22, 3, 3),
            "decoder.follow.0.0.bias": (8,),
            "decoder.follow.1.weight": (1, 8, 1, 1),
            "decoder.follow.1.bias": (1,),
        },
    ),
}
"""Architecture of earlier files -> the next one, how many inputs a convolution has gained, and what is new."""


@dataclass(frozen=True, eq=False)
class Artifact:
    """A weights file in memory."""

    card: ModelCard
    architecture: str
    training: dict[str, Any]
    weights: dict[str, Array]
    """float32, by the names of the folded network's state."""


def write_artifact(
    path: Path, weights: dict[str, Array], card: ModelCard, architecture: str, training: dict[str, Any]
) -> None:
    """Write a weights file; the card's sha256 is left out (it is the file's own)."""
    from safetensors.numpy import save_file

    metadata = {
        "format": FORMAT,
        "architecture": architecture,
        "card": json.dumps(replace(card, sha256="").as_dict()),
        "training": json.dumps(training),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    save_file({name: np.asarray(value, np.float16, order="C") for name, value in weights.items()}, partial, metadata)
    partial.chmod(0o644)
    partial.replace(path)


def read_card(path: Path) -> tuple[ModelCard, str, dict[str, Any]]:
    """(card, architecture, training notes) of a weights file.

    Raises:
        ModelError: it is missing, damaged, or not ours.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
    return _read_card(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=16)
def _read_card(path: Path, _modified: int, _size: int) -> tuple[ModelCard, str, dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as handle:
            metadata = handle.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: not a readable safetensors file ({error})") from error
    if metadata.get("format") != FORMAT:
        raise ModelError(f"{path}: not a videocolor weights file (no {FORMAT!r} in its header)")
    try:
        fields = json.loads(metadata["card"])
        size = fields.pop("size", None)
        card = ModelCard(**fields, size=None if size is None else (size[0], size[1]))
        training, architecture = json.loads(metadata["training"]), metadata["architecture"]
    except (KeyError, ValueError, TypeError) as error:
        raise ModelError(f"{path}: its card cannot be read ({error})") from error
    return replace(card, sha256=hashlib.sha256(path.read_bytes()).hexdigest()), architecture, training


def read_artifact(path: Path) -> Artifact:
    """Read a weights file; those of an earlier hint network become today's, and colour as they did.

    Raises:
        ModelError: it is missing, damaged, or not ours.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    card, architecture, training = read_card(path)
    try:
        raw = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: its tensors cannot be read ({error})") from error
    weights = {name: np.asarray(value, np.float32, order="C") for name, value in raw.items()}
    for name, value in weights.items():
        if not np.isfinite(value).all():
            raise ModelError(f"{path}: tensor {name} holds values that are not finite")
    while architecture in _GROWN:
        architecture, inputs, new = _GROWN[architecture]
        _grow(weights, inputs, new)
    return Artifact(card, architecture, training, weights)


def _grow(weights: dict[str, Array], inputs: dict[str, int], new: dict[str, tuple[int, ...]]) -> None:
    """Bring an earlier network's weights to the next one's shapes; what is new leaves its colours as they were."""
    for name, more in inputs.items():
        if name in weights and weights[name].ndim == 4:
            weights[name] = np.pad(weights[name], ((0, 0), (0, more), (0, 0), (0, 0)))
    for name, shape in new.items():
        # Of two new layers the last one is zero; were both, training could not begin.
        first = len(shape) > 1 and shape[0] > 1
        values = np.random.default_rng(0).standard_normal(shape) * 0.1 if first else np.zeros(shape)
        weights.setdefault(name, values.astype(np.float32))
