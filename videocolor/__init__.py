"""videocolor: color for black-and-white film, from a few color frames or from none.

    from pathlib import Path
    from videocolor import ColorizeConfig, colorize_video

    config = ColorizeConfig.load("master", ["hints.items=[3.5=still.png]"])
    colorize_video(Path("film.mkv"), Path("film_color.mkv"), config)

Names are imported on first use: `import videocolor` loads neither torch nor av nor cv2.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from videocolor.version import __version__

_HOMES = {
    "ColorSpec": "types",
    "ColorizeConfig": "config",
    "ColorizePlan": "dryrun",
    "ColorizeResult": "colorize",
    "Colorizer": "models.base",
    "Event": "events",
    "FilmCheck": "reports.verify",
    "Frame": "types",
    "Hint": "types",
    "ModelCard": "models.base",
    "Shot": "types",
    "VideoInfo": "types",
    "VideocolorError": "errors",
    "before_after": "reports.verify",
    "colorize_video": "colorize",
    "export_model": "models.registry",
    "find_shots": "colorize",
    "list_models": "models.registry",
    "list_presets": "presets",
    "load_colorizer": "models.registry",
    "open_video": "video",
    "parse_hint": "config",
    "parse_time": "config",
    "plan_colorize": "dryrun",
    "read_shots": "shots.shotlist",
    "write_keyframes": "keyframes",
    "verify_film": "reports.verify",
    "write_shots": "shots.shotlist",
}
"""Public name -> module that defines it."""

__all__ = [
    "ColorSpec",
    "ColorizeConfig",
    "ColorizePlan",
    "ColorizeResult",
    "Colorizer",
    "Event",
    "FilmCheck",
    "Frame",
    "Hint",
    "ModelCard",
    "Shot",
    "VideoInfo",
    "VideocolorError",
    "__version__",
    "before_after",
    "colorize_video",
    "export_model",
    "find_shots",
    "list_models",
    "list_presets",
    "load_colorizer",
    "open_video",
    "parse_hint",
    "parse_time",
    "plan_colorize",
    "read_shots",
    "write_keyframes",
    "verify_film",
    "write_shots",
]

if TYPE_CHECKING:
    from videocolor.colorize import ColorizeResult, colorize_video, find_shots
    from videocolor.config import ColorizeConfig, parse_hint, parse_time
    from videocolor.dryrun import ColorizePlan, plan_colorize
    from videocolor.errors import VideocolorError
    from videocolor.events import Event
    from videocolor.keyframes import write_keyframes
    from videocolor.models.base import Colorizer, ModelCard
    from videocolor.models.registry import export_model, list_models, load_colorizer
    from videocolor.presets import list_presets
    from videocolor.reports.verify import FilmCheck, before_after, verify_film
    from videocolor.shots.shotlist import read_shots, write_shots
    from videocolor.types import ColorSpec, Frame, Hint, Shot, VideoInfo
    from videocolor.video import open_video


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
