"""The systems that can be trained, by the `system` key of a configuration; without one it is the hint network."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from videocolor.config import Section
from videocolor.errors import ConfigError
from videocolor.presets import find_preset, read_yaml, suggest

__all__ = ["SYSTEMS", "System", "config_class", "load", "trainer"]


class System(NamedTuple):
    """Where a system's parts are, each as `module:name`; imported when they are needed."""

    config: str
    """Class of its settings."""
    task: str = ""
    """What makes its `Task` from settings; empty: `trainer` does not use the training loop."""
    trainer: str = "videocolor.training.loop:train"
    """(config, resume, stop_after_minutes, observer) -> Path."""


_CONFIG: Final = "videocolor.published.config:"
SYSTEMS: Final[dict[str, System]] = {
    "hint": System("videocolor.training.config:TrainConfig", "videocolor.training.hint.task:HintTask"),
    "keyframe": System("videocolor.training.config:KeyframeConfig", "videocolor.training.keyframe.task:KeyframeTask"),
    "hetero": System(_CONFIG + "HeteroConfig", "videocolor.published.hetero_tasks:hetero_task"),
    "residual": System(_CONFIG + "ResidualConfig", "videocolor.published.residual:ResidualTask"),
    "fusion": System(_CONFIG + "FusionConfig", "videocolor.published.fusion:FusionTask"),
    "patches": System(_CONFIG + "PatchesConfig", trainer="videocolor.published.patch_grid:train_patches"),
}


def config_class(source: str | Path | None, overrides: Sequence[str] = ()) -> type[Section]:
    """Find the class of settings that a training configuration is of.

    Args:
        source: preset or YAML file; None: defaults, which are the hint network's.
        overrides: `KEY=VALUE`; `system=NAME` among them counts.

    Raises:
        ConfigError: no such file, or no such system.
    """
    found: type[Section] = load(_system(source, overrides).config)
    return found


def trainer(source: str | Path, overrides: Sequence[str] = ()) -> Callable[..., Path]:
    """Find the function that trains by such a configuration.

    Raises:
        ConfigError: as `config_class`.
    """
    function: Callable[..., Path] = load(_system(source, overrides).trainer)
    return function


def _system(source: str | Path | None, overrides: Sequence[str]) -> System:
    path = None if source is None else find_preset(source, "train")
    system = "hint" if path is None else read_yaml(path).get("system", "hint")
    for item in overrides:
        key, _, value = item.partition("=")
        system = value if key == "system" else system
    if system not in SYSTEMS:
        raise ConfigError(
            f"{path}: system = {system!r}: expected one of {', '.join(SYSTEMS)}{suggest(str(system), SYSTEMS)}"
        )
    return SYSTEMS[system]


def load(place: str) -> Any:
    """Import what `module:name` names."""
    module, name = place.split(":")
    return getattr(importlib.import_module(module), name)
