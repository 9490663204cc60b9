"""videocolor: color for black-and-white film, from a few color frames or from none.

    from videocolor import ColorizeConfig, colorize_video

    config = ColorizeConfig.load("master", ["hints.items=[3.5=still.png]"])
    colorize_video("film.mkv", "film_color.mkv", config)

docs/guides/python.md shows them in use. Names are imported on first use: `import videocolor` loads neither torch nor
av nor cv2.
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
    "EvaluateConfig": "evaluation.settings",
    "Event": "events",
    "FilmCheck": "reports.verify",
    "FilmScorer": "evaluation.scoring",
    "FlowEstimator": "motion.flow",
    "Frame": "types",
    "Hint": "types",
    "HintInput": "models.base",
    "ModelCard": "models.base",
    "Prediction": "models.base",
    "Program": "keyframes.program",
    "ScanResult": "shots.scan",
    "Scores": "evaluation.scoring",
    "Shot": "types",
    "VideoInfo": "types",
    "VideocolorError": "errors",
    "before_after": "reports.verify",
    "color_keyframes": "keyframes.outside",
    "color_picture": "keyframes.choose",
    "colorize_frames": "clips",
    "colorize_video": "colorize",
    "evaluate": "evaluation.evaluate",
    "export_model": "models.registry",
    "find_shots": "colorize",
    "frame_to_luma": "hints.files",
    "frame_to_rgb": "hints.files",
    "list_models": "models.registry",
    "list_presets": "presets",
    "load_colorizer": "models.registry",
    "open_video": "video",
    "parse_hint": "config",
    "parse_time": "config",
    "plan_colorize": "dryrun",
    "propagate_color": "pipeline.propagation",
    "read_shots": "shots.shotlist",
    "score_film": "evaluation.scoring",
    "upsample_chroma": "pipeline.upsample",
    "verify_film": "reports.verify",
    "write_keyframes": "keyframes.choose",
    "write_shots": "shots.shotlist",
}
"""Public name -> module that defines it."""

__all__ = [
    "ColorSpec",
    "ColorizeConfig",
    "ColorizePlan",
    "ColorizeResult",
    "Colorizer",
    "EvaluateConfig",
    "Event",
    "FilmCheck",
    "FilmScorer",
    "FlowEstimator",
    "Frame",
    "Hint",
    "HintInput",
    "ModelCard",
    "Prediction",
    "Program",
    "ScanResult",
    "Scores",
    "Shot",
    "VideoInfo",
    "VideocolorError",
    "__version__",
    "before_after",
    "color_keyframes",
    "color_picture",
    "colorize_frames",
    "colorize_video",
    "evaluate",
    "export_model",
    "find_shots",
    "frame_to_luma",
    "frame_to_rgb",
    "list_models",
    "list_presets",
    "load_colorizer",
    "open_video",
    "parse_hint",
    "parse_time",
    "plan_colorize",
    "propagate_color",
    "read_shots",
    "score_film",
    "upsample_chroma",
    "verify_film",
    "write_keyframes",
    "write_shots",
]

if TYPE_CHECKING:
    from videocolor.clips import colorize_frames
    from videocolor.colorize import ColorizeResult, colorize_video, find_shots
    from videocolor.config import ColorizeConfig
    from videocolor.config.parsing import parse_hint, parse_time
    from videocolor.dryrun import ColorizePlan, plan_colorize
    from videocolor.errors import VideocolorError
    from videocolor.evaluation.evaluate import evaluate
    from videocolor.evaluation.scoring import FilmScorer, Scores, score_film
    from videocolor.evaluation.settings import EvaluateConfig
    from videocolor.events import Event
    from videocolor.hints.files import frame_to_luma, frame_to_rgb
    from videocolor.keyframes.choose import color_picture, write_keyframes
    from videocolor.keyframes.outside import color_keyframes
    from videocolor.keyframes.program import Program
    from videocolor.models.base import Colorizer, HintInput, ModelCard, Prediction
    from videocolor.models.registry import export_model, list_models, load_colorizer
    from videocolor.motion.flow import FlowEstimator
    from videocolor.pipeline.propagation import propagate_color
    from videocolor.pipeline.upsample import upsample_chroma
    from videocolor.presets import list_presets
    from videocolor.reports.verify import FilmCheck, before_after, verify_film
    from videocolor.shots.scan import ScanResult
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
