"""The chroma that is written: the predicted a*b* at the chroma plane's size, or what the source already has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from videocolor.chromatable import ChromaTable
from videocolor.color import chroma_to_codes, codes_to_chroma
from videocolor.concurrency.stages import spread
from videocolor.events import RunLog, ShotRecord
from videocolor.images import resized
from videocolor.pipeline.film import Film
from videocolor.pipeline.frames import ColoredFrame
from videocolor.pipeline.propagated import blend_propagated
from videocolor.pipeline.scheduling import frame_threads
from videocolor.pipeline.upsample import bilinear_chroma, plane_luma, scaled_chroma, upsample_chroma
from videocolor.types import Array, Frame
from videocolor.video import OutputPlan
from videocolor.video.stored import source_color

__all__ = ["FinishedFrame", "chroma_at", "finish_chroma", "kept_chroma"]


@dataclass(frozen=True, eq=False)
class FinishedFrame:
    """A frame and its chroma as they are written."""

    frame: Frame
    cb: Array
    cr: Array
    shot: ShotRecord
    shard: int
    """Number of the shard that it belongs to."""


def finish_chroma(colored: Iterable[ColoredFrame], film: Film, log: RunLog) -> Iterator[FinishedFrame]:
    """Upsample chroma to the chroma plane, guided by luma, and convert it to stored (Cb, Cr)."""
    plan, keep = film.plan, film.config.chroma.keep_source

    def noted() -> Iterator[tuple[ColoredFrame, bool]]:
        for work in colored:
            kind = source_color(work.item.frame)
            log.note_source(kind, keep)
            yield work, keep and kind != "none"

    def finish(one: tuple[ColoredFrame, bool]) -> FinishedFrame:
        (work, kept), frame = one, one[0].item.frame
        if kept:
            return FinishedFrame(frame, *kept_chroma(frame, plan), work.shot, work.shard)
        # A reference frame is as it was painted, of whatever time its fields are.
        apart = bool(frame.earlier_field) and work.reference is None
        table = made.result()
        codes = _by_field(work, film, table) if apart else _codes(work, film, table, frame.luma, plan.chroma_size)
        return FinishedFrame(frame, *codes, work.shot, work.shard)

    with ThreadPoolExecutor(1, "table") as pool:
        made = pool.submit(ChromaTable, plan.color, plan.layout.depth)  # while the first frames are colored
        yield from spread(finish, noted(), frame_threads(film.info, film.config))


def _codes(
    work: ColoredFrame, film: Film, table: ChromaTable, luma: Array, size: tuple[int, int]
) -> tuple[Array, Array]:
    """Return stored (Cb, Cr) of a (width, height) for stored luma of a frame or of one of its fields."""
    frame = work.item.frame
    small = plane_luma(luma, frame.layout.depth, frame.color.range, size)
    cb, cr = table.codes(small, chroma_at(work, small, film), film.saturation(work.shot.number))
    return cb, cr


def _by_field(work: ColoredFrame, film: Film, table: ChromaTable) -> tuple[Array, Array]:
    """Return stored (Cb, Cr) of a frame whose fields are of different times: each follows its own luma.

    Rows of chroma alternate between the fields as those of luma do (ISO/IEC 13818-2, 6.1.1.8, for 4:2:0).
    """
    width, height = film.plan.chroma_size
    fields = [work.item.frame.luma[parity::2] for parity in (0, 1)]
    sizes = [(width, len(range(parity, height, 2))) for parity in (0, 1)]
    halves = [_codes(work, film, table, luma, size) for luma, size in zip(fields, sizes, strict=True)]
    planes = []
    for upper, lower in zip(*halves, strict=True):
        plane = np.empty((height, width), upper.dtype)
        plane[0::2], plane[1::2] = upper, lower
        planes.append(plane)
    return planes[0], planes[1]


def chroma_at(work: ColoredFrame, luma: Array, film: Film) -> Array:
    """(2, h, w) a*b* of a colored frame on the grid of `luma`, (h, w) float32 Y' in 0..1 of the same frame."""
    if work.reference is not None:
        picture = work.reference.picture
        return picture if picture.shape[1:] == luma.shape else scaled_chroma(picture, luma.shape)
    if film.config.chroma.upsample == "guided":
        up = upsample_chroma(work.ab, _guide(work), luma)
    else:
        up = bilinear_chroma(work.ab, luma.shape)
    return blend_propagated(up, work.propagated) if work.propagated else up


def _guide(work: ColoredFrame) -> Array:
    """Luma on the grid of the predicted chroma."""
    luma = work.item.luma
    if luma.shape == work.ab.shape[1:]:
        return luma
    return plane_luma(luma, 8, "full", (work.ab.shape[2], work.ab.shape[1]))


def kept_chroma(frame: Frame, plan: OutputPlan) -> tuple[Array, Array]:
    """Convert the source's own (Cb, Cr) to the output's size, depth and range; unchanged where these are equal."""
    assert frame.chroma is not None
    cb, cr = (_fit(plane, frame, plan) for plane in frame.chroma)
    return cb, cr


def _fit(plane: Array, frame: Frame, plan: OutputPlan) -> Array:
    size = plan.chroma_size
    if (plane.shape[1], plane.shape[0]) != size:
        plane = resized(plane, size[::-1])
    if (frame.layout.depth, frame.color.range) == (plan.layout.depth, plan.color.range):
        return plane
    chroma = codes_to_chroma(plane, frame.layout.depth, frame.color.range)
    return chroma_to_codes(chroma, plan.layout.depth, plan.color.range)
