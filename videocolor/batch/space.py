"""What a film will need, seen from outside: is it a film, how long is it, does the result fit on the disk."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from videocolor.batch.reelcheck import is_encrypted
from videocolor.batch.state import merging
from videocolor.config import ColorizeConfig
from videocolor.errors import OutputError, UnsupportedVideoError
from videocolor.shards.types import FilmJob

__all__ = ["Outlook", "check_space", "free_bytes", "look_at", "space_needed"]


@dataclass(frozen=True)
class Outlook:
    """What a look at a film's container tells."""

    frames: int | None
    """Expected; None: the container does not say."""
    bytes: int | None
    """Estimated size of the result's picture; None: unknown."""
    warnings: tuple[str, ...] = ()


def look_at(job: FilmJob) -> Outlook:
    """Open a film, and check that its result can be written where it shall stand.

    Raises:
        InputError, UsageError, OutputError: as `videocolor.colorize_video` before its first frame.
    """
    from videocolor.pipeline.film import check_sidecar, output_options, read_files
    from videocolor.video import plan_output, probe

    config = ColorizeConfig.model_validate(job.config)
    if merging(job):  # what stands there is this batch's own
        config = config.model_copy(update={"output": config.output.model_copy(update={"overwrite": True})})
    # Asked first: a decoder may take a frame of ciphertext for a damaged one, and the reason would be a wrong one.
    if job.source.is_file() and is_encrypted(job.source):
        raise UnsupportedVideoError(f"{job.source}: is encrypted; decrypt it with the tools of its owner")
    info = probe(job.source, rate=config.input.rate)
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
    """How much of a film is coloured."""
    start, end = config.input.start or Fraction(0), config.input.end
    if not duration or (start == 0 and end is None):
        return Fraction(1)
    return max(Fraction(0), min(duration, end if end is not None else duration) - start) / duration


def space_needed(sizes: Iterable[int], *, at_once: int) -> int:
    """Bytes that results and shards need at the fullest moment.

    A film takes its size twice while its shards are put together, once afterwards.

    Args:
        sizes: estimated bytes of each film that is not finished.
        at_once: films whose shards lie on the disk at once.
    """
    ordered = sorted(sizes, reverse=True)
    return sum(ordered) + sum(ordered[:at_once])


def free_bytes(folder: Path) -> int:
    """Space that is free where a folder lies."""
    return shutil.disk_usage(folder).free


def check_space(out: Path, needed: int, reserve: int) -> None:
    """Compare what a batch needs with what is free.

    Args:
        out: the output folder.
        needed: bytes, of `space_needed`, less what is there already.
        reserve: bytes that shall stay free.

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
