"""Which trainer reads a configuration: the `system` key of its YAML; without one it is the hint network's."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from videocolor.errors import ConfigError
from videocolor.presets import find_preset, read_yaml, suggest

__all__ = ["SYSTEMS", "config_class", "trainer"]

_HINT: Final = ("videocolor.training.config:TrainConfig", "videocolor.training.loop:train")
_PUBLISHED: Final = "videocolor.published.trainer:train_published"
SYSTEMS: Final[dict[str, tuple[str, str]]] = {
    "hetero": ("videocolor.published.train_config:HeteroConfig", _PUBLISHED),
    "residual": ("videocolor.published.train_config:ResidualConfig", _PUBLISHED),
    "fusion": ("videocolor.published.train_config:FusionConfig", _PUBLISHED),
    "patches": ("videocolor.published.train_patches:PatchesConfig", "videocolor.published.train_patches:train_patches"),
}
"""System -> class of its settings, and (config, resume, stop_after_minutes, observer) -> Path that trains it."""


def config_class(source: str | Path | None, overrides: Sequence[str] = ()) -> type[BaseModel]:
    """The class of settings that a training configuration is of.

    Args:
        source: preset or YAML file; None: defaults, which are the hint network's.
        overrides: `KEY=VALUE`; `system=NAME` among them counts.

    Raises:
        ConfigError: no such file, or no such system.
    """
    found: type[BaseModel] = _load(_entry(source, overrides)[0])
    return found


def trainer(source: str | Path, overrides: Sequence[str] = ()) -> Callable[..., Path]:
    """The function that trains by such a configuration.

    Raises:
        ConfigError: as `config_class`.
    """
    function: Callable[..., Path] = _load(_entry(source, overrides)[1])
    return function


def _entry(source: str | Path | None, overrides: Sequence[str]) -> tuple[str, str]:
    path = None if source is None else find_preset(source, "train")
    system = None if path is None else read_yaml(path).get("system")
    for item in overrides:
        key, _, value = item.partition("=")
        system = value if key == "system" else system
    if system is None:
        return _HINT
    if system not in SYSTEMS:
        raise ConfigError(
            f"{path}: system = {system!r}: expected one of {', '.join(SYSTEMS)}{suggest(str(system), SYSTEMS)}"
        )
    return SYSTEMS[system]


def _load(place: str) -> Any:
    module, name = place.split(":")
    return getattr(importlib.import_module(module), name)
