"""The first pass over a film: times, sharpness, cuts, true rate, fingerprints. Twenty bytes a frame are kept."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from videocolor.config import ColorizeConfig, ShotsConfig
from videocolor.datasets.pairs.near_duplicates import PrintCollector
from videocolor.datasets.pairs.rate import RateMeter, RateReport
from videocolor.datasets.pairs.sampling import Timeline
from videocolor.datasets.pairs.settings import PairsConfig
from videocolor.errors import NoVideoError
from videocolor.shots.prepare import small_luma, working_size
from videocolor.shots.scan import cuts_for
from videocolor.types import Array, VideoInfo
from videocolor.video import open_video

__all__ = ["FilmLook", "film_prints", "look_at_film", "sharpness"]

_SHARP_SIDE: Final = 360
"""Short side on which sharpness is measured, at most: grain finer than that is not sharpness."""


@dataclass(frozen=True, eq=False)
class FilmLook:
    """What the first pass found."""

    info: VideoInfo
    timeline: Timeline
    rate: RateReport
    prints: tuple[int, ...]
    losses: tuple[str, ...]
    """What could not be read."""


def sharpness(luma: Array, depth: int = 8) -> float:
    """Variance of the Laplacian (Pech-Pacheco et al., ICPR 2000) of a frame's stored luma, short side at most 360.

    Args:
        luma: (h, w) uint8 or uint16.
        depth: bits a sample; the result is in 8-bit levels squared.
    """
    scale = _SHARP_SIDE / min(luma.shape)
    if scale < 1:
        size = (round(luma.shape[1] * scale), round(luma.shape[0] * scale))
        luma = cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
    edges = cv2.Laplacian(luma, cv2.CV_16S if luma.dtype == np.uint8 else cv2.CV_32F)
    _, deviation = cv2.meanStdDev(edges)
    return float(deviation[0, 0] / 2 ** (depth - 8)) ** 2


def look_at_film(path: Path, config: PairsConfig, tick: Callable[[int], None] = lambda frames: None) -> FilmLook:
    """Decode a film once and describe its frames.

    Args:
        path: the film.
        config: names the cut detector.
        tick: called with the number of frames so far.

    Raises:
        InputError: and its kinds, as `open_video` raises them.
    """
    pts, sharp, usable = array("q"), array("f"), bytearray()
    meter, prints, starts = RateMeter(), PrintCollector(), [0]
    cuts = cuts_for(ColorizeConfig(shots=ShotsConfig(detector=config.scene.detector)))
    with open_video(path) as video:
        info = video.info
        size = working_size(info.width, info.height)
        for frame in video:
            pts.append(frame.pts)
            sharp.append(sharpness(frame.luma, info.layout.depth))
            usable.append(not frame.damaged)
            meter.push(frame.luma, info.layout.depth)
            gray = np.rint(small_luma(frame, size) * 255).astype(np.uint8)
            prints.push(frame.seconds, gray)
            starts += cuts.push(gray)
            tick(len(pts))
        losses = tuple(video.losses)
    starts += cuts.finish()
    if not pts:
        raise NoVideoError(f"{path}: not one frame could be decoded")
    times = np.array(pts, np.int64)
    line = Timeline(
        times,
        np.array(sharp, np.float32),
        np.frombuffer(bytes(usable), np.uint8).astype(bool),
        info.time_base,
        tuple(sorted({start for start in starts if start < len(times)})),
    )
    return FilmLook(info, line, meter.report(times, info.time_base), tuple(prints.prints), losses)


def film_prints(path: Path) -> list[int]:
    """Fingerprints of a film alone, as `look_at_film` collects them.

    Raises:
        InputError: and its kinds, as `open_video` raises them.
    """
    prints = PrintCollector()
    with open_video(path) as video:
        size = working_size(video.info.width, video.info.height)
        for frame in video:
            prints.push(frame.seconds, np.rint(small_luma(frame, size) * 255).astype(np.uint8))
    return prints.prints
