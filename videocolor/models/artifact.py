"""Weights files: safetensors with a card in the header. Reading one needs neither torch nor a network.

The header's metadata hold `format` ("videocolor-1"), `architecture` (which graph the weights belong to), `card` (JSON
of a `ModelCard`) and `training` (JSON: data counts by license, settings, steps). Tensors are float16, or int8 beside
the factors of their rows (`NAME.scale`); both are used as float32.
A training run's checkpoint.pt holds the same about its network under the key `artifact`; the weights there, too, where
they are not those of `net`.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from videocolor.errors import ModelError
from videocolor.files import file_sha256
from videocolor.models.base import ModelCard
from videocolor.types import Array

__all__ = ["FORMAT", "Artifact", "load_checkpoint", "read_artifact", "read_card", "read_checkpoint", "write_artifact"]

FORMAT = "videocolor-1"
_SCALE: Final = ".scale"
_LARGE: Final = 4096
"""Numbers from which a tensor is worth 8 bits."""


@dataclass(frozen=True, eq=False)
class Artifact:
    """A weights file."""

    card: ModelCard
    architecture: str
    training: dict[str, Any]
    load: Callable[[], dict[str, Array]]
    """Returns the weights."""

    @cached_property
    def weights(self) -> dict[str, Array]:
        """float32, by the names of the network's state."""
        return self.load()

    def about(self) -> dict[str, Any]:
        """All but the weights, as plain values."""
        return {"card": self.card.as_dict(), "architecture": self.architecture, "training": self.training}


def write_artifact(
    path: Path,
    weights: dict[str, Array],
    card: ModelCard,
    architecture: str,
    training: dict[str, Any],
    *,
    int8: bool = False,
) -> None:
    """Write a weights file; the card's sha256 is left out (it is the file's own).

    Args:
        path: the file.
        weights: by the names of the network's state.
        card: of the network.
        architecture: which graph they belong to.
        training: notes on how they were trained.
        int8: store large tensors in 8 bits, a factor for each row (output channel).
    """
    from safetensors.numpy import save_file

    metadata = {
        "format": FORMAT,
        "architecture": architecture,
        "card": json.dumps(replace(card, sha256="").as_dict()),
        "training": json.dumps(training),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    stored = {name: np.asarray(value, np.float16, order="C") for name, value in weights.items()}
    for name, value in weights.items() if int8 else ():
        if value.ndim > 1 and value.size >= _LARGE:
            stored |= _in_8_bits(name, value)
    save_file(stored, partial, metadata)
    partial.chmod(0o644)
    partial.replace(path)


def _in_8_bits(name: str, value: Array) -> dict[str, Array]:
    rows = value.reshape(len(value), -1).astype(np.float32)
    scale = np.maximum(np.abs(rows).max(axis=1) / 127, 1e-9)
    codes = np.rint(rows / scale[:, None]).astype(np.int8)
    return {name: codes.reshape(value.shape), f"{name}{_SCALE}": scale}


def read_card(path: Path) -> tuple[ModelCard, str, dict[str, Any]]:
    """Read (card, architecture, training notes) of a weights file.

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
        card = _card(json.loads(metadata["card"]), path)
        return card, metadata["architecture"], json.loads(metadata["training"])
    except (KeyError, ValueError, TypeError) as error:
        raise ModelError(f"{path}: its card cannot be read ({error})") from error


def _card(fields: dict[str, Any], path: Path) -> ModelCard:
    size = fields.get("size")
    values = {**fields, "size": None if size is None else (size[0], size[1]), "sha256": file_sha256(path)}
    return ModelCard(**values)


def read_artifact(path: Path, *, deferred: bool = False) -> Artifact:
    """Read a weights file.

    Args:
        path: the file.
        deferred: read the weights at their first use: of a file that comes with the package.

    Raises:
        ModelError: it is missing, damaged (if deferred, its weights raise that), or not ours.
    """
    about = read_card(path)
    if deferred:
        return Artifact(*about, partial(_read_weights, path))
    weights = _read_weights(path)
    return Artifact(*about, lambda: weights)


def _read_weights(path: Path) -> dict[str, Array]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        raw = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: its tensors cannot be read ({error})") from error
    weights = {name: np.asarray(value, np.float32, order="C") for name, value in raw.items()}
    for name in [name for name, value in raw.items() if value.dtype == np.int8]:
        if f"{name}{_SCALE}" not in weights:
            raise ModelError(f"{path}: tensor {name} has no {name}{_SCALE}")
        weights[name] *= weights.pop(f"{name}{_SCALE}").reshape(-1, *(1,) * (weights[name].ndim - 1))
    for name, value in weights.items():
        if not np.isfinite(value).all():
            raise ModelError(f"{path}: tensor {name} holds values that are not finite")
    return weights


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a training run's checkpoint into CPU memory; needs torch.

    Raises:
        ModelError: it cannot be read.
    """
    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0][:200]
        raise ModelError(f"{path}: not a readable checkpoint ({reason})") from error
    return dict(content)


def read_checkpoint(path: Path) -> Artifact:
    """Read a checkpoint as the weights file that it can become.

    Raises:
        ModelError: it is missing or damaged, or its network colors nothing by itself.
    """
    content = load_checkpoint(path)
    about = content.get("artifact")
    if about is None:
        raise ModelError(f"{path}: no network to color with: an autoencoder colors nothing by itself")
    try:
        held = about.get("weights", content["net"])
        floats = {name: value for name, value in held.items() if value.is_floating_point()}
        weights = {name: value.float().numpy() for name, value in floats.items()}
        return Artifact(_card(about["card"], path), about["architecture"], about["training"], lambda: weights)
    except (KeyError, ValueError, TypeError) as error:
        raise ModelError(f"{path}: what it says of its network cannot be read ({error})") from error
