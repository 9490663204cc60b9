"""The result of a scan in the project's cache: the next start of the studio needs no pass over the film."""

from __future__ import annotations

import hashlib
import io
import logging
import zipfile
from array import array
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from videocolor.config import ColorizeConfig
from videocolor.errors import OutputError
from videocolor.files import write_atomically
from videocolor.motion.similarity import THUMB
from videocolor.shards.plan import source_stamp
from videocolor.types import Array

__all__ = ["FoundShots", "ShotView", "load_scan", "save_scan", "scan_path"]

log = logging.getLogger(__name__)
_FORMAT: Final = 1
MOST_SUGGESTED: Final = 3


@dataclass(frozen=True, eq=False)
class ShotView:
    """Thumbnails of a shot."""

    start: int
    end: int
    first: Array
    """(90, 160) uint8 luma of the first frame."""
    last: Array
    """(90, 160) uint8 luma of the last frame."""
    suggested: tuple[int, ...]
    """Up to three frames worth painting, the one that covers most of the shot first."""
    jpeg: bytes
    """The first of these, at the display aspect."""


@dataclass(eq=False)
class FoundShots:
    """The result of a scan."""

    pts: array[int] = field(default_factory=lambda: array("q"))
    """Times of all frames in ticks."""
    detected: tuple[int, ...] = ()
    """First frames of the detected shots; empty where a list was used."""
    views: list[ShotView] = field(default_factory=list)


def scan_path(cache: Path, film: Path, config: ColorizeConfig) -> Path:
    """Return the cache file; its name depends on film, detector and restoration."""
    facts = f"{_FORMAT} {source_stamp(film)} {config.shots.detector} {config.restoration!r} {config.input!r}"
    return cache / f"scan-{hashlib.sha256(facts.encode()).hexdigest()[:24]}.npz"


def save_scan(path: Path, found: FoundShots) -> None:
    """Write the cache atomically; a full disk is only logged, as the studio can go on."""
    views = found.views
    suggested = np.full((len(views), MOST_SUGGESTED), -1, np.int64)
    for row, view in enumerate(views):
        suggested[row, : len(view.suggested)] = view.suggested
    pictures = np.array([(view.first, view.last) for view in views], np.uint8).reshape(len(views), 2, *THUMB)
    data = io.BytesIO()
    np.savez_compressed(
        data,
        pts=np.frombuffer(found.pts, np.int64),
        detected=np.array(found.detected, np.int64),
        spans=np.array([(view.start, view.end) for view in views], np.int64).reshape(-1, 2),
        suggested=suggested,
        pictures=pictures,
        sizes=np.array([len(view.jpeg) for view in views], np.int64),
        jpegs=np.frombuffer(b"".join(view.jpeg for view in views), np.uint8),
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data.getvalue())
    except (OSError, OutputError) as error:
        log.warning("the film will be scanned again next time: %s", error)


def load_scan(path: Path) -> FoundShots | None:
    """Read the cache; None: missing or unusable."""
    try:
        # `np.load` leaves a broken file open, so it gets the bytes.
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            data = {name: file[name] for name in file.files}
        return _from_arrays(data)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile) as error:
        log.warning("%s: cannot be used (%s); the film is scanned again", path, error)
        return None


def _from_arrays(data: dict[str, Array]) -> FoundShots:
    pts, spans, pictures = data["pts"].astype(np.int64), data["spans"], data["pictures"]
    if pts.ndim != 1 or not len(pts) or bool((np.diff(pts) <= 0).any()):
        raise ValueError("times of frames do not ascend")
    if pictures.shape != (len(spans), 2, *THUMB) or pictures.dtype != np.uint8:
        raise ValueError("pictures of another size")
    ends = np.cumsum(data["sizes"])
    jpegs = data["jpegs"].tobytes()
    views = []
    for row, (start, end) in enumerate(spans.tolist()):
        if not 0 <= start < end <= len(pts):
            raise ValueError(f"a shot of frames {start} to {end}")
        chosen = tuple(int(frame) for frame in data["suggested"][row] if start <= frame < end)
        jpeg = jpegs[int(ends[row] - data["sizes"][row]) : int(ends[row])]
        views.append(ShotView(start, end, pictures[row, 0], pictures[row, 1], chosen, jpeg))
    return FoundShots(array("q", pts.tolist()), _ascending(data["detected"].tolist(), len(pts)), views)


def _ascending(cuts: Collection[int], frames: int) -> tuple[int, ...]:
    cuts = tuple(cuts)
    if cuts and (cuts[0] != 0 or sorted(set(cuts)) != list(cuts) or cuts[-1] >= frames):
        raise ValueError("cuts do not ascend from 0")
    return cuts
