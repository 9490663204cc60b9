"""How densely a shot is looked at, and how much of a film is held at once."""

from __future__ import annotations

from typing import Final

from videocolor.config import ColorizeConfig
from videocolor.motion.flow import FlowEstimator, Quality
from videocolor.pipeline.boundaries import PAINTED_COST
from videocolor.pipeline.film import Film, network_threads
from videocolor.pipeline.propagation import HintPropagator
from videocolor.pipeline.smoothing import ChromaSmoother
from videocolor.types import VideoInfo

__all__ = ["frame_cost", "frame_threads", "fusion", "motion_finder", "queue_length", "window_frames"]

_QUEUE_BYTES: Final = 128 * 2**20
"""Memory of the frames between two stages; a queue holds a window where it can, since the network works by windows."""
_WINDOW_BYTES: Final = 512 * 2**20
"""A window of decoded frames may take this much memory; the batch shrinks for films that need more."""
_SPREAD_BYTES: Final = 32 * 2**20
"""Frames that a stage works on at once; in work they take several times as much."""
_MOST_THREADS: Final = 4
"""Threads of such a stage; each frame in work takes memory."""
_CARRIED_CAP: Final = 5.0
"""Most precision that a painted frame hands on by itself where the network joins it with what it sees."""


def fusion(film: Film, number: int) -> tuple[int, ChromaSmoother | None, HintPropagator | None]:
    """Frames from anchor to anchor, and what holds a shot's colour together; finer where a frame was painted."""
    smoothing, carried = film.config.smoothing, film.hints.propagates(number)
    stride, flow = _stride(film, number), motion_finder(film, number)
    if flow is None:
        return stride, None, None
    if not (carried and film.colorizer.card.propagates):
        return stride, ChromaSmoother(decay=smoothing.decay, flow=flow), None
    smoother = ChromaSmoother(decay=smoothing.decay, cap=_CARRIED_CAP, flow=flow)
    return stride, smoother, HintPropagator(flow)


def motion_finder(film: Film, number: int) -> FlowEstimator | None:
    """What finds a shot's motion; None: nothing is carried from frame to frame."""
    smoothing = film.config.smoothing
    if not smoothing.enabled:
        return None
    quality: Quality = "detailed" if film.hints.propagates(number) else "fast"
    return FlowEstimator(quality if smoothing.motion == "auto" else smoothing.motion)


def frame_threads(info: VideoInfo, config: ColorizeConfig) -> int:
    """Threads of a stage whose frames do not wait for each other: half as many as the network has, within bounds."""
    return max(1, min(_MOST_THREADS, network_threads(config) // 2, _SPREAD_BYTES // _frame_bytes(info)))


def _stride(film: Film, number: int) -> int:
    """Frames from anchor to anchor."""
    model = film.config.model
    if not film.config.smoothing.enabled:
        return 1
    carries = film.colorizer.card.propagates and film.hints.has_reference(number)
    return min(model.keyframe_interval, model.keyframe_interval_painted) if carries else model.keyframe_interval


def _batch(film: Film, stride: int) -> int:
    """Anchors a window: what was asked for, or what a bounded window of this film's frames allows."""
    info = film.info
    held = info.width * info.height * (1 if info.layout.depth <= 8 else 2) * 3
    return max(1, min(film.config.model.batch, _WINDOW_BYTES // (held * stride)))


def window_frames(film: Film, number: int) -> int:
    """Frames of a shot that are worked on together."""
    stride = _stride(film, number)
    return stride * _batch(film, stride)


def frame_cost(film: Film, number: int) -> float:
    """Work that a frame of this shot means, in frames of a shot without a hint."""
    return PAINTED_COST if film.hints.propagates(number) else 1.0


def queue_length(info: VideoInfo, config: ColorizeConfig) -> int:
    """Frames between two stages: a window of the network, or what a bounded queue holds of this film's frames."""
    return max(2, min(config.model.batch * config.model.keyframe_interval, _QUEUE_BYTES // _frame_bytes(info)))


def _frame_bytes(info: VideoInfo) -> int:
    return info.width * info.height * (1 if info.layout.depth == 8 else 2) * 3 // 2
