"""One page that says what a run made of a film: shots, hints, before and after, timing, warnings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from videocolor.report import Observer, ignore

__all__ = ["PictureOptions", "report_path", "write_report"]


@dataclass(frozen=True)
class PictureOptions:
    """Pictures of a report, and what bounds its size."""

    height: int = 360
    """Lines of a picture at most; wide films have fewer."""
    shot_bytes: int = 40_000
    """Bytes of a shot's two pictures at most, as they stand in the page."""
    total_bytes: int = 32_000_000
    """Bytes of all pictures of shots at most: films of many shots get smaller ones."""
    shots: int = 2000
    """Shots that are shown with pictures at most, the first ones; the others are listed."""


def report_path(target: Path) -> Path:
    """`OUTPUT.html` beside OUTPUT."""
    return target.with_name(target.name + ".html")


def write_report(
    source: Path,
    target: Path,
    record: Mapping[str, Any] | None = None,
    path: Path | None = None,
    *,
    pictures: PictureOptions | None = None,
    observer: Observer = ignore,
) -> Path:
    """Write the report of a finished film: one self-contained HTML file that fetches nothing and works from a disk.

    One frame of each shot is read from the source and from the result, by seeking; neither film is decoded whole.

    Args:
        source: the film that was coloured.
        target: the finished film.
        record: of the run, as `videocolor.runlog.describe` makes it; None: read OUTPUT.json beside the target.
        path: where the page goes; None: `report_path(target)`. Replaced where it exists.
        pictures: their size; None: defaults.
        observer: hears `progress` (stage `report`) and of pictures that could not be read, as `warning`.

    Returns:
        The page.

    Raises:
        InputError: source or target cannot be read, or there is no record that can be.
        OutputError: the page cannot be written.
    """
    raise NotImplementedError
