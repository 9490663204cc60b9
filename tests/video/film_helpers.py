"""Passing a film through reader and writer."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from media import neutral_chroma

from videocolor.types import Frame
from videocolor.video import OutputOptions, OutputReport, VideoWriter, open_video


def pass_through(
    source: Path, target: Path, *, start: Fraction | None = None, end: Fraction | None = None, **options: Any
) -> tuple[list[Frame], OutputReport, VideoWriter]:
    """Write a film with neutral chroma; return the source's frames (luma copied), the report and the writer."""
    kept = []
    with (
        open_video(source, start=start, end=end) as film,
        VideoWriter.like(film, target, OutputOptions(**options)) as out,
    ):
        chroma = neutral_chroma(out.plan.chroma_size, out.plan.layout.depth)
        for frame in film:
            out.write(frame, chroma, chroma)
            kept.append(frame)
    return kept, out.close(), out


def times(path: Path) -> list[Fraction]:
    """Read presentation times in seconds with PyAV alone."""
    with av.open(str(path)) as film:
        stream = film.streams.best("video")
        return [frame.pts * Fraction(stream.time_base) for frame in film.decode(stream)]


def lumas(path: Path) -> list[np.ndarray]:
    """Read luma with our reader."""
    with open_video(path) as film:
        return [frame.luma.copy() for frame in film]
