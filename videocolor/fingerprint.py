"""What a film's samples depend on: the settings by what they affect, and the hints of each shot, as hashes.

Every field of the configuration says what it affects (`videocolor.config.Affects`). Who keeps something that was made
under a configuration asks for those fields that would make it another one:

    shards            color, saturation, encoding, and what runs the network; shots and hints are in each shard's key
    finished films    color, saturation, encoding, shots; another device would differ in rounding alone
    studio renders    color, encoding; shots, hints and saturation are compared shot by shot
    studio previews   color; saturation is applied to what is kept
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from videocolor.config import Affects, AssignedHint, ColorizeConfig, Effect
from videocolor.files import plain

__all__ = ["assigned_in", "digest", "effects", "settings_of"]


@functools.cache
def effects(config: type[BaseModel] = ColorizeConfig) -> dict[str, Effect]:
    """Map each dotted key of a configuration to what it affects.

    Raises:
        TypeError: a field has no mark, or one besides its section's.
    """
    found: dict[str, Effect] = {}
    for section, field in config.model_fields.items():
        shared, model = _mark(field), field.annotation
        assert isinstance(model, type) and issubclass(model, BaseModel)
        for key, inner in model.model_fields.items():
            own = _mark(inner)
            if (own is None) == (shared is None):
                raise TypeError(f"{section}.{key}: expected one mark of what it affects, on it or on its section")
            found[f"{section}.{key}"] = (own or shared).effect  # type: ignore[union-attr]  # one of them is there
    return found


def _mark(field: FieldInfo) -> Affects | None:
    return next((item for item in field.metadata if isinstance(item, Affects)), None)


def settings_of(config: ColorizeConfig, *affecting: Effect) -> dict[str, Any]:
    """Return the settings that affect any of these: dotted key -> plain value."""
    values = config.as_dict()
    marked = ((key.split("."), key, effect) for key, effect in effects().items())
    return {key: values[section][name] for (section, name), key, effect in marked if effect in affecting}


def digest(*facts: Any) -> str:
    """Return the SHA-256 of plain values, as hexadecimal digits."""
    return hashlib.sha256(json.dumps(plain(facts), sort_keys=True).encode()).hexdigest()


def assigned_in(hints: Sequence[AssignedHint], start: int, end: int) -> list[tuple[str, int | None]]:
    """Return the assigned hints of the shot of frames `start` up to but not including `end`.

    Returns:
        (file name, with a hash of the marks if it has any; the hint's own frame where that is in the shot) pairs. Two
        pictures need different names.
    """
    found: list[tuple[str, int | None]] = []
    for hint in hints:
        own = hint.frame if hint.frame is not None and start <= hint.frame < end else None
        if own is not None or any(start <= frame < end for frame in hint.shots):
            marks = [digest([mark.model_dump(mode="json") for mark in hint.marks])[:12]] if hint.marks else []
            found.append((" ".join([Path(hint.image).name, *marks]), own))
    return found
