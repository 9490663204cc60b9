"""From a published system's checkpoint to a weights file; a checkpoint names its own settings."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from videocolor.errors import ModelError
from videocolor.models.artifact import Artifact, write_artifact
from videocolor.published.train_config import FusionConfig, HeteroConfig, PublishedConfig, ResidualConfig
from videocolor.published.trainer import make_task
from videocolor.training.checkpoint import load_checkpoint

__all__ = ["package_published", "read_checkpoint", "untrained"]

_KINDS: dict[str, type[PublishedConfig]] = {"hetero": HeteroConfig, "residual": ResidualConfig, "fusion": FusionConfig}


def read_checkpoint(path: Path) -> Artifact:
    """A checkpoint as a weights file would hold it.

    Raises:
        ModelError: it is missing, damaged, of the hint network, or of a part that colours nothing.
    """
    content = load_checkpoint(path)
    system = content.get("system")
    if system is None:
        raise ModelError(
            f"{path}: a checkpoint of the hint network; package it first: "
            "python pipelines/train_hint_network.py package --set out=FOLDER -o FILE.safetensors"
        )
    if system not in _KINDS:
        raise ModelError(f"{path}: a checkpoint of the system {system!r}, which is unknown here")
    try:
        config = _KINDS[system].model_validate(content["config"])
        task = make_task(config, learning=False)
        task.net.load_state_dict(content["net"])
        notes = {"config": _named(content["config"]), "steps": content["step"], "epochs": content["history"]}
    except (ValidationError, KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(f"{path}: its network does not fit its settings ({reason})") from error
    artifact = task.artifact({"system": system, **notes})
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return replace(artifact, card=replace(artifact.card, sha256=sha256))


def package_published(checkpoint: Path, target: Path | None = None) -> Path | None:
    """Write the weights file of a checkpoint.

    Args:
        checkpoint: of `train_published`.
        target: the file; None: beside the checkpoint, under its folder's name.

    Returns:
        The file; None where the checkpoint is of an autoencoder, which colours nothing by itself.

    Raises:
        ModelError: as `read_checkpoint`.
    """
    config: dict[str, Any] = load_checkpoint(checkpoint).get("config", {})
    if config.get("part", "color") != "color":
        return None
    artifact = read_checkpoint(checkpoint)
    target = target or checkpoint.parent / f"{checkpoint.parent.name}.safetensors"
    card = replace(artifact.card, name=target.stem)
    write_artifact(target, artifact.weights, card, artifact.architecture, artifact.training)
    return target


def _named(config: dict[str, Any]) -> dict[str, Any]:
    """Settings as far as they say how it was trained: no folder of the machine that did."""
    places = {"out", "gray", "outlines", "hint", "encoder_weights", "weights"}
    kept = {key: value for key, value in config.items() if key not in places}
    kept["data"] = {key: value for key, value in config["data"].items() if not key.endswith("pack")}
    return kept


def untrained(config: PublishedConfig) -> torch.nn.Module:
    """The network that a configuration describes, as it is before training and without pretrained weights."""
    return make_task(config, learning=False).net
