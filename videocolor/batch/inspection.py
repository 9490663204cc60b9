"""Inspect reels before the work: can it be opened and is it sound, how long is it, does the result fit on the disk."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

from videocolor.batch.state import merging
from videocolor.config import ColorizeConfig
from videocolor.errors import OutputError
from videocolor.shards.types import FilmJob, FilmPlan
from videocolor.video.opening import fraction, open_input, read_packets

__all__ = [
    "Outlook",
    "check_space",
    "find_damage",
    "free_bytes",
    "inspect",
    "longer_sound",
    "sound_end",
    "space_needed",
]

_SOUND_LONGER: Final = Fraction(2)
"""Seconds by which sound may outlast the picture: encoders round up, and end music plays on over black."""


@dataclass(frozen=True)
class Outlook:
    """What a film's container says of it."""

    frames: int | None
    """Expected; None: unknown."""
    bytes: int | None
    """Estimated size of the result's picture; None: unknown."""
    warnings: tuple[str, ...] = ()


def inspect(job: FilmJob) -> Outlook:
    """Open a film, and check that its result can be written.

    Raises:
        InputError, UsageError, OutputError: as `videocolor.colorize_video` before its first frame.
    """
    from videocolor.pipeline.film import film_info, output_options, read_files
    from videocolor.record import check_sidecar
    from videocolor.video import plan_output

    config = ColorizeConfig.model_validate(job.config)
    if merging(job):  # the file under the final name is this batch's own
        config = config.model_copy(update={"output": config.output.model_copy(update={"overwrite": True})})
    info = film_info(job.source, config)
    plan = plan_output(info, job.target, output_options(config), protected=read_files(config))
    check_sidecar(job.target, config)
    share = _share(config, info.duration)
    bits = plan.estimated_bits
    return Outlook(
        None if info.frames is None else round(info.frames * share),
        None if bits is None else round(bits * share / 8),
        tuple(info.warnings),
    )


def _share(config: ColorizeConfig, duration: Fraction | None) -> Fraction:
    """Return the part of a film that is colored."""
    start, end = config.input.start or Fraction(0), config.input.end
    if not duration or (start == 0 and end is None):
        return Fraction(1)
    return max(Fraction(0), min(duration, end if end is not None else duration) - start) / duration


def find_damage(job: FilmJob, plan: FilmPlan) -> str | None:
    """Return what is wrong with a reel that can be colored nevertheless; None: nothing."""
    if plan.repaired:
        return "; ".join(plan.warnings) or "some of its frames or times had to be repaired"
    if not job.source.is_file() or job.config["input"]["end"] is not None or plan.offsets:
        return None
    return longer_sound(job.source, plan.shards[-1].end_pts * plan.time_base)


def longer_sound(source: Path, picture: Fraction) -> str | None:
    """Return by what the sound of a film outlasts its picture, which ends at this time; None: it does not."""
    sound = sound_end(source)
    if sound is None or sound <= picture + _SOUND_LONGER:
        return None
    return f"its sound ends at {float(sound):.1f} s, its picture at {float(picture):.1f} s"


def sound_end(path: Path) -> Fraction | None:
    """Return when the last sound of a film ends, in seconds from the film's start; None: silent, or unknown.

    Reads only the end of the file.

    Raises:
        InputError: it cannot be opened.
    """
    with open_input(path) as container:
        sounds = list(container.streams.audio)
        if not sounds:
            return None
        ends: list[Fraction] = []
        if container.duration:
            begin = int(container.start_time or 0) + int(container.duration)
            container.seek(max(0, begin - 10 * 10**6), any_frame=True, backward=True)
        for packet in read_packets(container, sounds, lambda _: None):
            base = fraction(packet.time_base)
            if packet.size and packet.pts is not None and base is not None:
                ends.append((packet.pts + (packet.duration or 0)) * base)
        return max(ends, default=None)


def space_needed(sizes: Iterable[int], *, at_once: int) -> int:
    """Return the bytes that results and shards need at most.

    A film takes its size twice while its shards are merged, once afterward.

    Args:
        sizes: estimated bytes of each film that is not finished.
        at_once: films whose shards are on the disk at once.
    """
    ordered = sorted(sizes, reverse=True)
    return sum(ordered) + sum(ordered[:at_once])


def free_bytes(folder: Path) -> int:
    """Return the free space of a folder's disk."""
    return shutil.disk_usage(folder).free


def check_space(out: Path, needed: int, reserve: int) -> None:
    """Compare what a batch needs with what is free.

    Args:
        out: the output folder.
        needed: bytes, of `space_needed`, less what is there already.
        reserve: bytes to leave free.

    Raises:
        OutputError: it does not fit; names both numbers.
    """
    free = free_bytes(out)
    if needed + reserve > free:
        raise OutputError(
            f"{out}: the batch needs about {_gb(needed)} and {_gb(reserve)} in reserve (disk.reserve_gb), "
            f"{_gb(free)} are free; free some space, choose another folder or codec, or --set disk.check=false"
        )


def _gb(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size < 1e11 else f"{size / 1e12:.2f} TB"
