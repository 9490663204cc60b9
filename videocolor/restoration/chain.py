"""The steps in a row: frames in, the same number of frames at the same times out.

    telecine      fields of one film frame back together         +- 1 frame
    deinterlace   woven fields into one picture                  +- 3
    deflicker     exposure against the frames around             +- deflicker_frames
    dust          dust and specks, then scratches                +- 2, +- 2

Fields come first, since all later steps work on complete pictures; exposure before dust, so that neighbors can
be compared.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace

from videocolor.restoration import deinterlace as fields
from videocolor.restoration import dust, scratches
from videocolor.restoration.deflicker import deflicker
from videocolor.restoration.levels import close
from videocolor.restoration.settings import RestorationConfig
from videocolor.types import Frame

__all__ = ["radius", "restore"]


def radius(config: RestorationConfig) -> int:
    """Frames before and after that a restored frame depends on, at most; 0 where no step is on."""
    total = 0
    if config.telecine != "off":
        total += fields.TELECINE_REACH
    if config.deinterlace != "off":
        total += fields.DEINTERLACE_REACH
    if config.deflicker:
        total += config.deflicker_frames
    if config.dust:
        total += dust.REACH + scratches.REACH
    return total


def restore(frames: Iterable[Frame], config: RestorationConfig) -> Generator[Frame, None, None]:
    """Restore a film while it streams.

    A frame of the result depends on the frames up to `radius(config)` before and after it, and on nothing else:
    begun anywhere in a film, the result is the same, sample for sample, from the `radius`-th frame on. With
    `videocolor.concurrency.stages.single_threaded_kernels` around, it is so on every machine with the same OpenCV.

    Args:
        frames: Frames in film order; closed (if they can be) when the result is.
        config: Which steps, and how strong. With none on, the frames come out as they went in.

    Yields:
        One frame for each, with its index, times, duration and `native`; luma (and chroma, where fields are
        concerned) new where something was repaired. About `radius(config)` frames, and never a film, are held.
    """
    result: Iterable[Frame] = frames
    if config.telecine != "off":
        result = fields.restore_telecine(result)
    if config.deinterlace != "off":
        result = fields.deinterlace(result, config.field_order)
    if config.telecine != "off" or config.deinterlace != "off":
        result = map(_of_one_time, result)
    if config.deflicker:
        result = deflicker(result, config.deflicker_frames, config.deflicker_limit)
    if config.dust:
        result = dust.remove_dust(result, config.dust_contrast)
        result = scratches.remove_scratches(result, config.scratch_height)
    try:
        yield from _plain(result)
    finally:
        close(result)
        close(frames)


def _of_one_time(frame: Frame) -> Frame:
    return replace(frame, earlier_field="") if frame.earlier_field else frame


def _plain(frames: Iterable[Frame]) -> Iterator[Frame]:
    yield from frames
