"""The shots of a project as the file that `videocolor shots` writes and `colorize --shots` reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from videocolor.shots.shotlist import write_shots
from videocolor.types import Shot

__all__ = ["FrameTimes", "write_list"]


class FrameTimes(Protocol):
    """What the store needs to know of a film that was looked through."""

    @property
    def frames(self) -> int:
        """How many there are."""

    @property
    def pts(self) -> Sequence[int]:
        """Time of every frame, in ticks."""

    @property
    def time_base(self) -> Fraction:
        """Seconds of a tick."""


def write_list(path: Path, cuts: Sequence[int], notes: Mapping[int, str], index: FrameTimes, film: str) -> None:
    """Write the list of shots, in place of an older one.

    Args:
        path: the file.
        cuts: first frames of all shots, ascending from 0.
        notes: first frame -> what a person wrote.
        index: the film's frames and their times.
        film: its name, for people.

    Raises:
        OutputError: it cannot be written.
    """
    ends = [*cuts[1:], index.frames]
    after = index.pts[index.frames - 1] + 1
    shots = [
        Shot(n, start, end, index.pts[start], index.pts[end] if end < index.frames else after, index.time_base)
        for n, (start, end) in enumerate(zip(cuts, ends, strict=True))
    ]
    texts = {number: notes.get(start, "") for number, start in enumerate(cuts)}
    write_shots(path, shots, film=film, notes=texts, overwrite=True)
