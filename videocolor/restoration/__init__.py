"""Before color: deinterlacing, inverse telecine, flicker, dust and scratches; each off unless asked.

    from videocolor.restoration import RestorationConfig, radius, restore

    config = RestorationConfig(deflicker=True, dust=True)
    for frame in restore(video, config):                # as many frames as came in, at their times
        ...

These are the only steps of the project that may change luma. Every step is a finite window in time: frame i
of the result is a function of the frames `i - radius(config)` to `i + radius(config)` of the source and of
nothing else, so a film may be restored in parts. Importing this package loads neither cv2 nor av.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from videocolor.restoration.settings import RestorationConfig, active, steps

__all__ = ["RestorationConfig", "active", "find_cadence", "radius", "restore", "steps"]

_HOMES = {"find_cadence": "cadence", "radius": "chain", "restore": "chain"}

if TYPE_CHECKING:
    from videocolor.restoration.cadence import find_cadence
    from videocolor.restoration.chain import radius, restore


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
