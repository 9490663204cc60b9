"""FFmpeg's filters on single planes, for steps that FFmpeg does well."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

import av
import numpy as np
from av.error import BlockingIOError as NothingYet
from av.error import EOFError as Finished

from videocolor.types import Array
from videocolor.video.formats import plane_view

__all__ = ["filter_planes"]


def filter_planes(planes: Iterable[Array], name: str, options: str, *, depth: int = 8) -> Iterator[Array]:
    """Run a sequence of planes through one filter, as the luma of 4:4:4 frames (not every filter takes gray).

    Args:
        planes: (h, w) uint8, or uint16 of `depth` bits, all of one shape.
        name: of the filter.
        options: as on FFmpeg's command line, `a=b:c=d`.
        depth: bits a sample: 8, 10, 12 or 16. Other depths go into the next larger container unchanged.

    Yields:
        (h, w) arrays of the same dtype, as many as the filter makes.
    """
    bits = next(b for b in (8, 10, 12, 16) if depth <= b)
    # bwdif takes gray of any depth; fieldmatch has 8-bit YUV alone.
    layout = "yuv444p" if bits == 8 else f"gray{bits}le"
    graph: av.filter.Graph | None = None
    for number, plane in enumerate(planes):
        if graph is None:
            graph = _graph(plane.shape, layout, name, options)
        frame = av.VideoFrame(plane.shape[1], plane.shape[0], layout)
        plane_view(frame, 0)[:] = plane
        for other in range(1, len(frame.planes)):
            plane_view(frame, other)[:] = 128
        frame.pts, frame.time_base = number, Fraction(1, 25)
        graph.push(frame)
        yield from _ready(graph)
    if graph is not None:
        graph.push(None)
        yield from _ready(graph)


def _graph(shape: tuple[int, ...], layout: str, name: str, options: str) -> av.filter.Graph:
    graph = av.filter.Graph()
    source = graph.add_buffer(width=shape[1], height=shape[0], format=av.VideoFormat(layout), time_base=Fraction(1, 25))
    step, sink = graph.add(name, options), graph.add("buffersink")
    source.link_to(step)
    step.link_to(sink)
    graph.configure()
    return graph


def _ready(graph: av.filter.Graph) -> Iterator[Array]:
    while True:
        try:
            frame = graph.pull()
        except (NothingYet, Finished):
            return
        assert isinstance(frame, av.VideoFrame)
        yield np.array(plane_view(frame, 0))
