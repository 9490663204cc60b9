"""What a film is rendered for: the packaged presets that the page offers, as settings of a project."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, Literal

from videocolor.presets import find_preset, read_yaml
from videocolor.studio.edits import set_container, set_settings
from videocolor.studio.projectdata import State

__all__ = ["Delivery", "delivery_of", "set_delivery"]

Delivery = Literal["master", "access", "editing", "client"]
_PRESETS: Final[Mapping[Delivery, tuple[str, str, Mapping[str, Any]]]] = {
    "master": ("master", ".mkv", {}),
    "access": ("access", ".mp4", {}),
    "editing": ("prores", ".mov", {}),
    "client": ("access", ".mp4", {"crf": 26, "preset": "fast"}),
}
"""Preset, container and what differs from the preset."""
_KEYS: Final = ("codec", "crf", "preset", "pix_fmt", "options", "bitexact")
"""Of `output`: those that a delivery decides."""


@lru_cache(maxsize=8)
def _values(delivery: Delivery) -> dict[str, Any]:
    preset, _, differs = _PRESETS[delivery]
    written = {**read_yaml(find_preset(preset, "colorize"))["output"], **differs}
    return {f"output.{key}": written.get(key) for key in _KEYS}


def set_delivery(state: State, delivery: Delivery) -> State:
    """Set codec, quality and container of the rendered film as a packaged preset has them."""
    return set_container(set_settings(state, _values(delivery)), _PRESETS[delivery][1])


def delivery_of(state: State) -> Delivery | None:
    """Return what a project's film is rendered for; None: settings of its own."""
    for name, (_, suffix, _) in _PRESETS.items():
        wanted, settings = _values(name), state.data.settings
        if state.data.target.endswith(suffix) and all(settings.get(key) == value for key, value in wanted.items()):
            return name
    return None
