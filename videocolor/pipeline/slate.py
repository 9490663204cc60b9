"""A visible notice over the first seconds of a film, where it is asked for: the only text that is drawn into luma."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from typing import Final

import cv2
import numpy as np

from videocolor.color import luma_to_codes
from videocolor.pipeline.chroma import FinishedFrame
from videocolor.pipeline.film import Film
from videocolor.types import Array

__all__ = ["SLATE", "with_slate"]

SLATE: Final = "Colorized by AI (videocolor): these are not the original colors"


def with_slate(frames: Iterable[FinishedFrame], film: Film) -> Iterator[FinishedFrame]:
    """Draw the notice over the frames of the first `output.slate` seconds; the others stay as they are."""
    seconds = Fraction(film.config.output.slate)
    depth = film.plan.layout.depth
    start = max(film.info.start_pts * film.info.time_base, film.config.input.start or Fraction(0))
    for done in frames:
        yield done if done.frame.pts * done.frame.time_base >= start + seconds else _drawn(done, depth)


def _drawn(done: FinishedFrame, depth: int) -> FinishedFrame:
    frame = done.frame
    text = _band(*frame.luma.shape)
    top = frame.luma.shape[0] - text.shape[0]
    luma = frame.luma.copy()
    luma[top:] = luma_to_codes(text, frame.layout.depth, frame.color.range)
    planes = []
    for plane in (done.cb, done.cr):
        plane, first = plane.copy(), top * plane.shape[0] // frame.luma.shape[0]
        plane[first:] = 1 << (depth - 1)
        planes.append(plane)
    return replace(done, frame=replace(frame, luma=luma), cb=planes[0], cr=planes[1])


@lru_cache(maxsize=2)
def _band(height: int, width: int) -> Array:
    """(h, width) float32 Y' of the notice, as wide as the picture."""
    (long, high), _ = cv2.getTextSize(SLATE, cv2.FONT_HERSHEY_SIMPLEX, 1, 2)
    scale = 0.94 * width / long
    lines = min(height, max(8, round(2 * high * scale)))
    band = np.zeros((lines, width), np.uint8)
    at = (round(0.03 * width), round(lines / 2 + high * scale / 2))
    cv2.putText(band, SLATE, at, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, max(1, round(2 * scale)), cv2.LINE_AA)
    return band.astype(np.float32) / 255
